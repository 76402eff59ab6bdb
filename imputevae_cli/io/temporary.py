"""Temporary folders, locked while a run is at work in them: those of dead runs can be told, and are removed."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imputevae_cli.io.lock import LOCK, holder_is_alive, sign, take

ENDING = ".tmp"
SPOOL = "imputevae-"
"""How the folders in TMPDIR are called."""
SOLE = "only_one"
"""In place of the random letters of a name, in that of the folder that one run alone can have."""
LONGEST = 200
"""Bytes of a file's name that a temporary folder beside it repeats; a digest stands for longer ones."""


@contextlib.contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, removed at the end; `remove_leftovers` finds it where that did not happen."""
    with _locked_folder(target.parent, _prefix(target)) as folder:
        yield folder


def use_scratch_folder() -> None:
    """From now on temporary files go into a folder in TMPDIR that is removed when the process ends.

    Those that dead runs left there are removed now. Where no folder can be made all stays as it was: only some runs
    need one, and those say so.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _remove_dead(parent, re.compile(re.escape(SPOOL) + r"[a-z0-9_]{8}" + re.escape(ENDING)))
        stack = contextlib.ExitStack()
        tempfile.tempdir = str(stack.enter_context(_locked_folder(parent, SPOOL)))
    except OSError:
        return
    atexit.register(stack.close)


def sole_folder_beside(target: Path) -> Path:
    """Where the temporary folder of `target` is that one run alone can have; `remove_leftovers` finds it too."""
    return target.with_name(f"{_prefix(target)}{SOLE}{ENDING}")


def remove_leftovers(target: Path) -> None:
    """Remove the temporary folders of `target` that runs left that are dead; those of live ones stay."""
    _remove_dead(target.parent, re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]{8}" + re.escape(ENDING)))


def _prefix(target: Path) -> str:
    name = target.name
    if len(os.fsencode(name)) > LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}."


@contextlib.contextmanager
def _locked_folder(parent: Path, prefix: str) -> Iterator[Path]:
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the open file that locks it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=ENDING, dir=parent))
        try:
            lock = os.open(folder / LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except (FileExistsError, FileNotFoundError):  # another run took it for that of a dead one
            continue
        sign(lock)
        if take(lock) is not False and os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)


def _remove_dead(parent: Path, pattern: re.Pattern[str]) -> None:
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            if pattern.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                with contextlib.suppress(OSError):
                    _remove_if_dead(folder)


def _remove_if_dead(folder: Path) -> None:
    if folder.stat().st_uid != os.getuid():
        return
    own = (folder / LOCK).is_file()
    if not own and any(folder.iterdir()):
        return  # of someone else
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        free = take(lock)
        if free or (free is None and holder_is_alive(lock) is False):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
