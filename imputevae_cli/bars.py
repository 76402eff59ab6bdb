"""Progress as bars: one over all of a run, with the time that is left, and a line for each of its tasks.

On a terminal by rich; in a notebook as text that is renewed in place, which needs no widgets.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Task as Line
from rich.text import Text

if TYPE_CHECKING:
    from imputevae_cli.log import Stage

LEAST_SHARE = 0.02
"""Of a task: with less of it done, its speed tells nothing yet."""
SECONDS_BETWEEN = 0.25
"""Between two renewals of the text in a notebook."""


class Remaining:
    """The time that is left of a run: what was expected of its stages, and how fast these have gone so far.

    All times are seconds; `now` is a clock's. A stage of which nothing was expected counts as the longest so far.
    """

    def __init__(self, ahead: Sequence[Stage], now: float):
        self._start = self._since = self._task_since = now
        self._planned: list[Stage] = []
        self._at_end = list(ahead)
        self._now: Stage | None = None
        self._done: list[tuple[float, float]] = []  # of each stage, what was expected and what it took
        self._share = self._shown = 0.0

    def expect(self, stages: Sequence[Stage]) -> None:
        """The stages that are still to begin, before those that end the run."""
        self._planned = list(stages)

    def begin(self, name: str, now: float) -> None:
        """A stage begins: the first of this name that was expected, or one that was not."""
        self._now, self._since, self._share = (name, 0.0), now, 0.0
        for stages in (self._planned, self._at_end):
            found = next((stage for stage in stages if stage[0] == name), None)
            if found is not None:
                self._now = found
                stages.remove(found)
                return

    def begin_task(self, now: float) -> None:
        """A task begins within the stage."""
        self._share, self._task_since = 0.0, now

    def reach(self, share: float) -> None:
        """So much of the task is done."""
        self._share = min(share, 1.0)

    def end(self, now: float) -> None:
        """The stage is done."""
        if self._now is not None:
            self._done.append((self._now[1], now - self._since))
        self._now, self._share = None, 0.0

    def seconds(self, now: float) -> float | None:
        """What is left, None where nothing tells."""
        ahead, here = [*self._planned, *self._at_end], self._left_of_stage(now)
        if here is None or (not ahead and self._now is None):
            return None
        whole = None if self._now is None else here + now - self._since
        times = [self._as_they_go(stage, whole) for stage in ahead]
        known = [time for time in times if time is not None]
        return here + sum(known) if len(known) == len(times) else None

    def _left_of_stage(self, now: float) -> float | None:
        """Of the stage at work, whose own speed counts more than what was expected of it."""
        if self._share >= LEAST_SHARE:
            return (now - self._task_since) * (1 - self._share) / self._share
        if self._now is None:
            return 0.0
        expected = self._as_they_go(self._now, None)
        return None if expected is None else max(expected - (now - self._since), 0.0)

    def _as_they_go(self, stage: Stage, now: float | None) -> float | None:
        """What a stage will take, as others went. now: what the one at work will take, where that is known."""
        pairs = [(expected, took) for expected, took in self._done if expected]
        if stage[1]:
            return stage[1] * (sum(took for _, took in pairs) / sum(expected for expected, _ in pairs) if pairs else 1)
        return max([took for _, took in self._done] + ([] if now is None else [now]), default=None)

    def share(self, now: float) -> float:
        """The share of the run that is done, which never falls."""
        left, gone = self.seconds(now), now - self._start
        if left is not None and gone > 0:
            self._shown = max(self._shown, gone / (gone + left))
        return self._shown


class _Done(ProgressColumn):
    """The steps that are done, of how many where that is known; of the whole run, the share."""

    def render(self, task: Line) -> Text:
        if task.fields["remaining"] is not None:
            return Text(f"{task.percentage:.0f} %", justify="right")
        of = "" if task.total is None else f"/{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{of}", justify="right")


class _Note(ProgressColumn):
    """What a task has to say of itself; of the whole run, how long it will take from now."""

    def render(self, task: Line) -> Text:
        remaining: Remaining | None = task.fields["remaining"]
        if remaining is None:
            return Text(task.fields["note"])
        left = remaining.seconds(time.monotonic())
        return Text("" if left is None or task.finished else f"about {timedelta(seconds=round(left))} left")


class _BarTask:
    """A task with a line of its own. advanced: told the share that is done."""

    def __init__(self, bars: Progress, line: TaskID, advanced: Callable[[float], None]):
        self._bars, self._line, self._advanced = bars, line, advanced

    def advance(self, steps: float = 1, note: str = "") -> None:
        if note:
            self._bars.update(self._line, note=note)
        self._bars.advance(self._line, steps)
        line = next(one for one in self._bars.tasks if one.id == self._line)
        self._advanced(line.completed / line.total if line.total else 0.0)


class BarProgress:
    """Progress as bars on a terminal; `whole` gives the one over all."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._remaining: Remaining | None = None
        self._overall: TaskID | None = None
        self._in_stage = False

    @contextmanager
    def whole(self, ahead: Sequence[Stage] = ()) -> Iterator[None]:
        """See `Progress`. Within another, it is part of that."""
        if self._bars is not None:
            yield
            return
        with self._shown():
            assert self._bars is not None  # `_shown` has made them
            self._remaining = Remaining(ahead, time.monotonic())
            self._overall = self._bars.add_task("overall", total=1.0, note="", remaining=self._remaining)
            try:
                yield
                self._bars.update(self._overall, completed=1.0)
            finally:
                self._remaining = self._overall = None

    def expect(self, stages: Callable[[], Sequence[Stage]]) -> None:
        """See `Progress`."""
        if self._remaining is not None:
            self._remaining.expect(stages())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See `Progress`."""
        remaining, outer = self._remaining, self._in_stage
        if remaining is None or outer:
            yield
            return
        remaining.begin(name, time.monotonic())
        self._in_stage = True
        try:
            yield
        finally:
            self._in_stage = False
            remaining.end(time.monotonic())

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[_BarTask]:
        """See `Progress`."""
        if self._bars is None:
            with self._shown():
                yield self._line(name, total)
            return
        with self.stage(name):
            if self._remaining is not None:
                self._remaining.begin_task(time.monotonic())
            yield self._line(name, total)

    def _line(self, name: str, total: float) -> _BarTask:
        assert self._bars is not None  # nobody asks for a line before they are shown
        line = self._bars.add_task(name, total=total or None, note="", remaining=None)
        return _BarTask(self._bars, line, self._advanced)

    def _advanced(self, share: float) -> None:
        """Renew the bar over all: the task at work has come so far."""
        if self._remaining is not None and self._bars is not None and self._overall is not None:
            self._remaining.reach(share)
            self._bars.update(self._overall, completed=self._remaining.share(time.monotonic()))
        self._renew()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Show bars; their last state stays to be read."""
        with _bars_on(Console(stderr=True)) as self._bars:
            try:
                yield
            finally:
                self._bars = None

    def _renew(self) -> None:
        """Show what has changed, where that does not happen by itself."""


class NotebookProgress(BarProgress):
    """Progress as bars in the output of a notebook's cell. display: IPython's function of that name."""

    def __init__(self, display: Callable[..., Any]) -> None:
        super().__init__()
        self._display = display
        self._handle: Any = None
        self._renewed = 0.0

    @contextmanager
    def _shown(self) -> Iterator[None]:
        self._bars = _bars_on(Console(file=io.StringIO(), width=100))
        self._handle, self._renewed = None, 0.0
        try:
            yield
        finally:
            self._renewed = 0.0
            self._renew()
            self._bars = None

    def _renew(self) -> None:
        if self._bars is None or time.monotonic() - self._renewed < SECONDS_BETWEEN:
            return
        self._renewed = time.monotonic()
        console = self._bars.console
        with console.capture() as text:
            console.print(self._bars.get_renderable())
        content = {"text/plain": text.get()}
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _bars_on(console: Console) -> Progress:
    name, bar = TextColumn("{task.description:>24}"), BarColumn()
    return Progress(name, bar, _Done(), TimeElapsedColumn(), _Note(), console=console)


def notebook_progress() -> NotebookProgress | None:
    """Progress for the notebook that this runs in, None anywhere else."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return NotebookProgress(display)
