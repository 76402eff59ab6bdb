"""The stages of a fit, and how a run that is stopped among them goes on where it was.

A stage is a piece of work with a result. A `Journal` remembers the results as plain types and tensors, and, of the
stage that is at work, its state at safe points: points at which all that its future depends on can be written down.
A run that is started again with the same journal skips the finished stages and goes on from the state, and ends in
the same numbers to the last bit. `Stages` is the journal of those who keep none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from imputevae_cli.errors import OutputError
from imputevae_cli.log import logger
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.serialise import size_of
from imputevae_cli.runtime.stopping import StopRequest

State = Any
"""Plain types (None, bool, int, float, str, list, tuple, dict) and tensors."""
T = TypeVar("T")

LARGE = 1 << 26
"""Results of more bytes are written as soon as they are there: those that use them may be done with them soon."""


def same(value: Any) -> Any:
    """The state of what is plain already."""
    return value


class Stages:
    """Runs every stage and remembers nothing."""

    @property
    def ranks(self) -> Ranks:
        """The processes that make the stage at work."""
        return Ranks()

    def run(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = same,
        of_state: Callable[[State], T] = same,
    ) -> T:
        """The result of `make`, or what is remembered of it.

        name: which stage of the one around it this is. state_of, of_state: to plain types and tensors and back, where
        the result is not made of them. `make` may ask `resumed` where to begin and call `safe_point` on its way.
        """
        return make()

    def run_together(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = same,
        of_state: Callable[[State], T] = same,
    ) -> T:
        """As `run`, for a stage that all `ranks` make, and whose result is the same for each of them."""
        return self.run(name, make, state_of, of_state)

    def resumed(self) -> State | None:
        """The last state that the running stage gave to `safe_point` in the run that was stopped, or None."""
        return None

    def safe_point(self, state: Callable[[], State]) -> None:
        """Say that the running stage can be resumed from `state()`; raises Stopped where that was asked for.

        From its first safe point to its end a stage is stopped at such points alone.
        """

    def is_due(self) -> bool:
        """Whether a safe point is waited for; may be asked in any thread."""
        return False

    def save(self) -> None:
        """Write the results that are remembered and not written yet. Raises OutputError."""


class Store(Protocol):
    """Where a journal keeps plain types and tensors by name."""

    def read(self, name: str) -> dict[str, State] | None:
        """What was written under this name, or None."""
        ...

    def write(self, name: str, content: dict[str, State]) -> None:
        """Keep `content` under this name, whole or not at all. Raises OutputError."""
        ...

    def delete(self, name: str) -> None:
        """Forget what was written under this name, if anything."""
        ...


class Journal(Stages):
    """Remembers stages in a store.

    Results that are not LARGE stay in memory, where they are anyway, and are written with the state of the running
    stage when `every` seconds have passed (0: never) or a stop is asked for; `save` writes those not yet written.
    """

    def __init__(self, store: Store, stop: StopRequest, every: float = 0.0):
        self._store, self._stop, self._every = store, stop, every
        self._running: list[str] = []
        self._unsaved: dict[str, State] = {}
        self._saved_at = time.monotonic()

    def run(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = same,
        of_state: Callable[[State], T] = same,
    ) -> T:
        """See `Stages`."""
        with self._inside(name):
            saved = self._store.read(self._stage)
            if saved is not None:
                return of_state(saved["result"])
            result = make()
            state = self._unsaved[self._stage] = state_of(result)
            if self.is_due() or size_of(state) > LARGE:
                self._try_to_save()
        if not self._stop.deferred:
            self._stop.obey()
        return result

    def resumed(self) -> State | None:
        """See `Stages`."""
        saved = self._store.read(_at_work(self._stage))
        return None if saved is None else saved["state"]

    def safe_point(self, state: Callable[[], State]) -> None:
        """See `Stages`."""
        self._stop.deferred = True
        if self.is_due():
            self._try_to_save({"state": state()})
        self._stop.obey()

    def is_due(self) -> bool:
        """See `Stages`."""
        return self._stop.is_asked or (self._every > 0 and time.monotonic() - self._saved_at >= self._every)

    def save(self) -> None:
        """See `Stages`."""
        for stage in list(self._unsaved):
            self._store.write(stage, {"result": self._unsaved[stage]})
            del self._unsaved[stage]
            self._store.delete(_at_work(stage))
        self._saved_at = time.monotonic()

    @property
    def _stage(self) -> str:
        return "/".join(self._running)

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        deferred = self._stop.deferred
        self._running.append(name)
        try:
            yield
        finally:
            self._running.pop()
            self._stop.deferred = deferred

    def _try_to_save(self, at_work: dict[str, State] | None = None) -> None:
        """Save, or say in the log that it failed: a run that cannot be saved can still come to its end."""
        try:
            self.save()
            if at_work is not None:
                self._store.write(_at_work(self._stage), at_work)
        except OutputError as error:
            logger.warning("%s; what was done since the last time is not saved", error)
        self._saved_at = time.monotonic()


def _at_work(stage: str) -> str:
    """The name under which the state of a stage that is not finished is stored."""
    return f"{stage}/at work"
