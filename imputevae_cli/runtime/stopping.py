"""Signals that ask a run to stop, and where it may stop.

A run may be stopped anywhere, but for stretches in which its state changes in place: there the request is only noted,
and the run stops at the next point at which its state is whole.
"""

from __future__ import annotations


class Stopped(BaseException):
    """The run was asked to stop by the signal of this number; raised where the program happens to be."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class StopRequest:
    """Whether a signal has asked the run to stop. number: of the signal, or None.

    deferred: whether a request is to wait until it is obeyed. patient: whether one that is repeated waits too.
    """

    def __init__(self) -> None:
        self.deferred = self.patient = False
        self.number: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether there was a signal."""
        return self.number is not None

    def receive(self, number: int, frame: object = None) -> None:
        """A signal handler: raises Stopped, unless requests are deferred. A second signal waits only if `patient`."""
        waited, self.number = self.is_asked, number
        if (waited and not self.patient) or not self.deferred:
            raise Stopped(number)

    def obey(self) -> None:
        """Raise Stopped if there is a request."""
        if self.number is not None:
            raise Stopped(self.number)
