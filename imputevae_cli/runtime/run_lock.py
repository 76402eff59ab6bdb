"""The lock on a run folder, OUT.ckpt: of two runs with one output, each would remove what the other has saved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imputevae_cli.errors import OutputError
from imputevae_cli.io.lock import LOCK, holder, holder_is_alive, sign, take


def check_is_free(folder: Path) -> None:
    """Raise OutputError where another run is at work in this folder. Nothing is written."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:  # there is none, or it is someone else's, whose folder is refused elsewhere
        return
    try:
        _check_taken(lock, folder)
    finally:
        os.close(lock)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a run folder, which is made, and removed at the end if it is empty.

    The lock of a run that was killed is free. Raises OutputError where another run holds it. Where the folder cannot
    be made nothing can be saved in it, and none is needed.
    """
    lock = _opened(folder)
    if lock is None:
        yield
        return
    try:
        sign(lock)
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        os.close(lock)  # network file systems keep a name for what is open, and with it the folder
        with suppress(OSError):
            folder.rmdir()


def _opened(folder: Path) -> int | None:
    """The open file of the lock, which is taken; None where it cannot be made."""
    while True:
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            return None
        try:
            lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
        except FileNotFoundError:  # a run that ended just now removed the folder
            continue
        except OSError:
            return None
        try:
            _check_taken(lock, folder)
        except OutputError:
            os.close(lock)
            raise
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)  # its run ended, and removed it, after it was opened here


def _check_taken(lock: int, folder: Path) -> None:
    """Take the lock. Raises OutputError where another run holds it."""
    free = take(lock)
    if free or (free is None and not holder_is_alive(lock)):
        return
    named = holder(lock)
    who = "" if named is None else f" (process {named[1]} on {named[0]})"
    raise OutputError(f"{folder}: another run{who} is at work on this output; wait for it, stop it, or name another -o")
