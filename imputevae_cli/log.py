"""Logging to standard error, and progress behind one small interface.

The core calls a `Progress`; the command line decides whether that is a bar, plain log lines, or nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imputevae_cli.errors import OutputError, brief
from imputevae_cli.passwords import hide_passwords

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

logger = logging.getLogger("imputevae")
LONGEST_ESCAPE = 10
"""Letters that stand for a character that cannot be shown, such as \\U0001f600."""


def printable(text: str) -> str:
    """A text of any length as one line that a terminal shows as it is."""
    return brief(text, len(text) * LONGEST_ESCAPE)


def shown(message: str) -> str:
    """A message as it is written down: one line of bounded length, without a password."""
    return brief(hide_passwords(message))


class Task(Protocol):
    """One piece of work whose steps are counted."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Count `steps` as done; `note` is a short text shown beside the bar, such as the loss."""
        ...


class Progress(Protocol):
    """Where the core reports how far it has come."""

    def task(self, name: str, total: float) -> AbstractContextManager[Task]:
        """A context manager that yields a Task of `total` steps; 0 where the total is not known."""
        ...


class _NullTask:
    def advance(self, steps: float = 1, note: str = "") -> None:
        pass


class NullProgress:
    """Progress that shows nothing."""

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        yield _NullTask()


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


class LogProgress:
    """Progress as plain log lines, for batch jobs."""

    def __init__(self, interval: float = 30.0):
        self._interval = interval

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        start = time.monotonic()
        task = _LogTask(name, total, self._interval)
        yield task
        logger.info("%s: done in %.1f s%s", name, time.monotonic() - start, f", {task.note}" if task.note else "")


class _BarTask:
    def __init__(self, bar: RichProgress, task_id: TaskID):
        self._bar, self._id = bar, task_id

    def advance(self, steps: float = 1, note: str = "") -> None:
        if note:
            self._bar.update(self._id, advance=steps, note=note)
        else:
            self._bar.update(self._id, advance=steps)


class BarProgress:
    """Progress as a rich bar on a terminal."""

    @contextmanager
    def task(self, name: str, total: float) -> Iterator[Task]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:>12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield _BarTask(bar, bar.add_task(name, total=total or None, note=""))


def start_logging(verbose: bool, quiet: bool, log_file: str | Path | None) -> Progress:
    """Send the log to standard error, and to a file if asked; returns the progress that suits the terminal.

    Raises OutputError where the file cannot be written.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    screen = logging.StreamHandler(sys.stderr)
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
    return BarProgress() if sys.stderr.isatty() else LogProgress()


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


class _LogFile(logging.FileHandler):
    """A log file; what cannot be written, since its disk is full, is lost, and that is said once."""

    _has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._has_failed:
            self._has_failed = True
            logger.warning("%s: the log cannot be written any more", self.baseFilename)
