"""Stages of a fit that several processes share, so that all go the same way.

The first process makes most stages by itself and tells the others what came of them; all make those that are worth
spreading (`Stages.run_together`). It alone remembers, and says when to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from imputevae_cli.errors import PeerLost
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.resumable import Stages, State, T, same
from imputevae_cli.runtime.stopping import Stopped, StopRequest


class SharedStages(Stages):
    """The stages of one of the processes that share a fit.

    own: the stages of the first process, such as a `Journal`; `Stages()` in the others.

    Signals are waited with, but for the first process where it is at work by itself: the others end with it.
    """

    def __init__(self, ranks: Ranks, own: Stages, stop: StopRequest):
        self._together, self._own, self._stop = ranks, own, stop
        self._by_itself = False
        stop.patient = True  # the one who starts the processes passes on a signal that they may have got themselves
        stop.deferred = not ranks.leads

    @property
    def ranks(self) -> Ranks:
        """See `Stages`."""
        return Ranks() if self._by_itself else self._together

    def run(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = same,
        of_state: Callable[[State], T] = same,
    ) -> T:
        """See `Stages`. The first process makes it."""
        if self._by_itself:
            return self._own.run(name, make, state_of, of_state)
        if not self._together.leads:
            return of_state(self._together.told(None))
        self._by_itself = True
        try:
            result = self._own.run(name, make, state_of, of_state)
        finally:
            self._by_itself = False
        self._together.told(state_of(result))
        return result

    def run_together(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = same,
        of_state: Callable[[State], T] = same,
    ) -> T:
        """See `Stages`."""
        if self._by_itself:
            return self._own.run(name, make, state_of, of_state)
        if not self._together.leads:
            remembered = self._together.told(None)
            return make() if remembered is None else of_state(remembered["result"])
        made = False

        def make_with_all() -> T:
            nonlocal made
            made = True
            self._together.told(None)
            return make()

        result = self._own.run(name, make_with_all, state_of, of_state)
        if not made:
            self._together.told({"result": state_of(result)})
        return result

    def resumed(self) -> State | None:
        """See `Stages`."""
        return self.ranks.told(self._own.resumed())

    def safe_point(self, state: Callable[[], State]) -> None:
        """See `Stages`. All stop at the same point, whichever the signal reached; `state` may call on all."""
        if self._by_itself:
            self._own.safe_point(state)
            return
        self._stop.deferred = True
        number, is_due = self._together.greatest(self._stop.number or 0, int(self.is_due()))
        if not is_due:
            return
        whole = state()
        if number:
            self._stop.number = number
        if self._together.leads:
            self._own.safe_point(lambda: whole)
        elif number:
            with suppress(PeerLost):  # who leaves early has the launcher end those that still save
                self._together.told(None)
            raise Stopped(number)

    def is_due(self) -> bool:
        """See `Stages`."""
        return self._stop.is_asked or self._own.is_due()
