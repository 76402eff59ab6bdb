"""Locks that a process holds on a file for as long as it lives: however it ends, they end with it.

The file names its holder too, for messages and for file systems that know no locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket

LOCK = ".lock"
"""How the file is called."""


def take(lock: int) -> bool | None:
    """Whether the lock on an open file was free, and is taken now; None where the file system knows no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def sign(lock: int) -> None:
    """Write this process into the file as the holder of its lock."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{socket.gethostname()} {os.getpid()}".encode(), 0)


def holder(lock: int) -> tuple[str, int] | None:
    """The machine and the process that the file names; None where it names none."""
    host, _, number = os.pread(lock, 300, 0).decode("utf-8", "replace").rpartition(" ")
    return (host, int(number)) if number.isdigit() else None


def holder_is_alive(lock: int) -> bool | None:
    """Whether the process that the file names is at work on this machine; None where that cannot be told from here."""
    named = holder(lock)
    if named is None or named[0] != socket.gethostname():
        return None
    try:
        os.kill(named[1], 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
