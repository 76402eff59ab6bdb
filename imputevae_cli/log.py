"""Logging to standard error, and progress behind one small interface.

The core calls a `Progress`; the command line decides whether that is a bar, plain log lines, or nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

logger = logging.getLogger("imputevae")


class Task(Protocol):
    """One piece of work whose steps are counted."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Count `steps` as done; `note` is a short text shown beside the bar, such as the loss."""
        ...


class Progress(Protocol):
    """Where the core reports how far it has come."""

    def task(self, name: str, total: float):
        """A context manager that yields a Task of `total` steps."""
        ...


class _NullTask:
    def advance(self, steps: float = 1, note: str = "") -> None:
        pass


class NullProgress:
    """Progress that shows nothing."""

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        yield _NullTask()
