"""The lock on a run folder, OUT.ckpt: of two runs with one output, each would remove what the other has saved.

The file that is locked lies in a hidden folder beside, which the next run for the output removes if this one is killed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imputevae_cli.errors import OutputError
from imputevae_cli.io.lock import LOCK, holder, holder_is_alive, sign, take
from imputevae_cli.io.temporary import sole_folder_beside

GRACE = 0.5
"""Seconds after which a lock is held by a run: one that ends lets go of it by then, and one that only looks at once."""


def check_is_free(folder: Path) -> None:
    """Raise OutputError where another run is at work for this run folder. Nothing is written."""
    try:
        lock = os.open(sole_folder_beside(folder) / LOCK, os.O_RDWR)
    except OSError:  # there is none, or it is out of reach, as all else there
        return
    try:
        _check_taken(lock, folder)
    finally:
        os.close(lock)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a run folder, which need not be there.

    The lock of a run that was killed is free. Raises OutputError where another run holds it. Where none can be made,
    nothing can be saved either, and none is needed.
    """
    lock = _opened(folder)
    if lock is None:
        yield
        return
    try:
        sign(lock)
        yield
    finally:
        shutil.rmtree(sole_folder_beside(folder), ignore_errors=True)
        os.close(lock)


def _opened(folder: Path) -> int | None:
    """The open file of the lock, which is taken; None where it cannot be made."""
    place = sole_folder_beside(folder)
    while True:
        try:
            place.mkdir(exist_ok=True)
        except OSError:
            return None
        try:
            lock = os.open(place / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
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
    until = time.monotonic() + GRACE
    while (free := take(lock)) is False and time.monotonic() < until:
        time.sleep(GRACE / 20)
    if free or (free is None and not holder_is_alive(lock)):
        return
    named = holder(lock)
    who = "" if named is None else f" (process {named[1]} on {named[0]})"
    raise OutputError(f"{folder}: another run{who} is at work on this output; wait for it, stop it, or name another -o")
