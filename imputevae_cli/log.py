"""Logging to standard error, and progress behind one small interface.

The core calls a `Progress`; the command line decides whether that is a bar, plain log lines, or nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from imputevae_cli.errors import OutputError, brief
from imputevae_cli.passwords import hide_passwords

logger = logging.getLogger("imputevae")
LONGEST_ESCAPE = 10
"""Letters that stand for a character that cannot be shown, such as \\U0001f600."""


def printable(text: str) -> str:
    """A text of any length as one line that a terminal shows as it is."""
    return brief(text, len(text) * LONGEST_ESCAPE)


def shown(message: str) -> str:
    """A message as it is written down: one line of bounded length, without a password."""
    return brief(hide_passwords(message))


def counted(n: int, one: str, several: str | None = None) -> str:
    """A number and what is counted: `1 record`, `2,000 records`. several: the plural, where an s does not make it."""
    return f"{n:,} {one if n == 1 else several or one + 's'}"


class Task(Protocol):
    """One piece of work whose steps are counted."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Count `steps` as done; `note` is a short text shown beside the bar, such as the loss."""
        ...


Stage = tuple[str, float]
"""A part of a run: its name, and the seconds that it is expected to take, 0 where nothing is known of that."""


class Progress(Protocol):
    """Where the core reports how far it has come. What shows less than all of it can inherit from `NullProgress`."""

    def task(self, name: str, total: float) -> AbstractContextManager[Task]:
        """A context manager that yields a Task of `total` steps; 0 where the total is not known."""
        ...

    def whole(self, ahead: Sequence[Stage] = ()) -> AbstractContextManager[None]:
        """A context manager around all of a run. ahead: the stages that will end it, known before the others are."""
        ...

    def expect(self, stages: Callable[[], Sequence[Stage]]) -> None:
        """The stages that are to come now, in order. They are asked for only where the time that is left is shown,
        since it takes a moment of each stage to tell."""
        ...

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A context manager around one stage, with any number of tasks in it. A task outside of any is one itself."""
        ...


ProgressOption = Progress | bool | None
"""What the Python API takes: where to report; False for nowhere; None or True for bars in a notebook, if it is one."""


class _NullTask:
    def advance(self, steps: float = 1, note: str = "") -> None:
        pass


class NullProgress:
    """Progress that shows nothing."""

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        yield _NullTask()

    @contextmanager
    def whole(self, ahead: Sequence[Stage] = ()) -> Iterator[None]:
        yield

    def expect(self, stages: Callable[[], Sequence[Stage]]) -> None:
        pass

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        yield


def chosen_progress(progress: ProgressOption) -> Progress:
    """Where an argument `progress` of the Python API says to report."""
    if progress is None or progress is True:
        from imputevae_cli.bars import notebook_progress

        return notebook_progress() or NullProgress()
    return progress or NullProgress()


class _LogTask:
    """Says in the log how far a task has come, at most every `interval` seconds."""

    def __init__(self, name: str, total: float, interval: float):
        self._name, self._total, self._interval = name, total, interval
        self._done, self.note = 0.0, ""
        self._spoke = time.monotonic()

    def advance(self, steps: float = 1, note: str = "") -> None:
        self._done += steps
        self.note = note or self.note
        if time.monotonic() - self._spoke >= self._interval:
            share = f"{self._done / self._total:.0%}" if self._total else f"{self._done:,.0f} done"
            logger.info("%s: %s%s", self._name, share, f", {self.note}" if self.note else "")
            self._spoke = time.monotonic()


class LogProgress(NullProgress):
    """Progress as plain log lines, for batch jobs."""

    def __init__(self, interval: float = 30.0):
        self._interval = interval

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        start = time.monotonic()
        task = _LogTask(name, total, self._interval)
        yield task
        logger.info("%s: done in %.1f s%s", name, time.monotonic() - start, f", {task.note}" if task.note else "")


def start_logging(verbose: bool, quiet: bool, log_file: str | Path | None) -> Progress:
    """Send the log to standard error, and to a file if asked; returns the progress that suits the terminal.

    Raises OutputError where the file cannot be written.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    screen = _Screen()
    screen.setFormatter(_ScreenFormatter())
    screen.setLevel(level)
    logger.addHandler(screen)
    if log_file is not None:
        try:
            file = _LogFile(log_file, encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise OutputError(f"{log_file}: the log cannot be written ({why}); name another file") from error
        file.setFormatter(_BriefFormatter("%(asctime)s %(levelname)s %(message)s"))
        file.setLevel(min(level, logging.INFO))
        logger.addHandler(file)
    logger.setLevel(min(handler.level for handler in logger.handlers))
    logger.propagate = False
    if quiet:
        return LogProgress() if log_file is not None else NullProgress()
    if not sys.stderr.isatty():
        return LogProgress()
    from imputevae_cli.bars import BarProgress

    return BarProgress()


def start_silence() -> Progress:
    """Log nothing, whatever was set before; returns a progress that shows nothing."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return NullProgress()


class _BriefFormatter(logging.Formatter):
    """Messages of one line each, whatever the names in them hold."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = shown(record.message)
        return super().formatMessage(record)


class _ScreenFormatter(_BriefFormatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno == logging.INFO else f"{record.levelname.lower()}: {text}"


class _Screen(logging.StreamHandler):  # type: ignore[type-arg]  # not so before Python 3.11
    """Writes to what is standard error when it is written: while bars are shown, what keeps lines out of their way."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        super().emit(record)


class _LogFile(logging.FileHandler):
    """A log file; what cannot be written, since its disk is full, is lost, and that is said once."""

    _has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._has_failed:
            self._has_failed = True
            logger.warning("%s: the log cannot be written any more", self.baseFilename)
