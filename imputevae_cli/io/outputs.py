"""Outputs: checks made before hours of compute, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from imputevae_cli.errors import OutputError
from imputevae_cli.io.temporary import folder_beside

STDOUT = "-"
INDEXES = (".tbi", ".csi")
LONGEST_NAME = 240
"""Bytes of an output's name: what is made beside it has a longer one, and file systems end at 255."""
STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1") if hasattr(signal, name)
]


def check_output(path: str | Path, *, inputs: Iterable[str | Path] = (), force: bool = False) -> None:
    """Raise OutputError, one line, where `path` cannot be written, is one of `inputs`, or exists without `force`."""
    if str(path) == STDOUT:
        return
    target = _checked_name(path)
    if target.is_dir():
        raise OutputError(f"{path}: is a folder; name a file in it")
    if target.exists():
        _check_existing(path, target, inputs, force)
    _check_writable(path, target.parent)


def _checked_name(path: str | Path) -> Path:
    """Where `path` leads. Raises OutputError for a name that a file cannot have."""
    try:
        str(path).encode("utf-8")
        target = Path(os.path.realpath(path))
        target.exists()
    except (ValueError, OSError) as error:  # UnicodeEncodeError is a ValueError
        why = "is not UTF-8" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path}: no file can have this name ({why}); choose another") from None
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise OutputError(f"{path}: the name is longer than {LONGEST_NAME} bytes; choose a shorter one")
    return target


def _check_writable(path: str | Path, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputError(f"{path}: there is no folder {folder}; make it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{path}: the folder {folder} is not writable ({error.strerror}); choose another") from error


def _check_existing(path: str | Path, target: Path, inputs: Iterable[str | Path], force: bool) -> None:
    for source in inputs:
        if str(source) != STDOUT and os.path.exists(source) and os.path.samefile(source, target):
            raise OutputError(f"{path}: is the input itself, or a link to it; name another output")
    if not target.is_file():
        raise OutputError(f"{path}: is not a regular file; use `-` to write to standard output")
    if not force:
        raise OutputError(f"{path}: exists already; give --force to overwrite it")


@contextlib.contextmanager
def atomic_output(path: str | Path, companions: Sequence[str] = (), replaced: Sequence[str] = ()) -> Iterator[Path]:
    """A temporary path that becomes `path` at the end, or vanishes on any failure.

    The file is synced to disk and gets the mode that the umask gives. An OSError on the way, such as a full disk,
    becomes a one-line OutputError. A link at `path` stays a link. companions: endings of files that belong to it, such
    as `.tbi`: one that is made beside the temporary path appears with it, and those that are there without go.
    replaced: likewise, endings that take the place of the file's own, as `.bim` does of `.bed`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OutputError(f"{path}: is not a regular file; use `-` to write to standard output")
    with _one_line_errors(path), folder_beside(target) as folder:
        temporary = folder / target.name
        temporary.touch()
        yield temporary
        pairs = [(_beside(temporary, ending), _beside(target, ending)) for ending in companions]
        pairs += [(temporary.with_suffix(ending), target.with_suffix(ending)) for ending in replaced]
        made = [(temporary, target), *(pair for pair in pairs if pair[0].exists())]
        for new, place in made:
            _finish(new, place)
        with undisturbed():
            for _, stale in pairs:
                stale.unlink(missing_ok=True)
            for new, place in made:
                os.replace(new, place)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


@contextlib.contextmanager
def _one_line_errors(path: str | Path) -> Iterator[None]:
    """An OSError within becomes an OutputError on `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({_reason(error)}); free the disk or choose another place"
        ) from error


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that arrive within are handled at the end: for renames that belong together. In the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    arrived: list[int] = []

    def note(number: int, frame: object) -> None:
        arrived.append(number)

    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, note)
    try:
        yield
    finally:
        waiting = [number for number in arrived if signal.getsignal(number) is note]
        for number, handler in handlers.items():
            if signal.getsignal(number) is note:  # else it was decided within what a signal is to do from now on
                signal.signal(number, handler)
        if waiting:
            handler = handlers[waiting[0]]
            assert callable(handler)  # else it was never replaced
            handler(waiting[0], None)


def check_output_folder(
    path: str | Path,
    *,
    is_ours: Callable[[Path], bool],
    own: Collection[str],
    force: bool = False,
    mark: str = "report.json of imputevae",
    holds_folders: bool = False,
) -> None:
    """Raise OutputError where a folder cannot be made at `path`, or is there already.

    With `force` a folder there is replaced, but only one that is empty, or that `is_ours` and holds nothing but the
    names of `own`: nothing else that a user has may be lost. mark: the file by which ours is told, for the message.
    holds_folders: whether those of `own` may be folders.
    """
    target = _checked_name(path)
    if target.exists():
        if not target.is_dir():
            raise OutputError(f"{path}: is there already and is no folder; name another")
        names = sorted(entry.name for entry in target.iterdir())
        if names and not force:
            raise OutputError(f"{path}: exists already; give --force to replace it")
        if names and not is_ours(target):
            raise OutputError(f"{path}: holds no {mark}, so it is not replaced; name another folder")
        foreign = [name for name in names if name not in own or not (holds_folders or (target / name).is_file())]
        if foreign:
            raise OutputError(
                f"{path}: holds {foreign[0]!r}, which imputevae did not write, so it is not replaced; move that file "
                "or name another folder"
            )
    _check_writable(path, target.parent)


@contextlib.contextmanager
def atomic_folder(path: str | Path, own: Collection[str]) -> Iterator[Path]:
    """A temporary folder that becomes `path` at the end, in place of what is there, or vanishes on a failure.

    own: names of files in it that may be replaced; any other that has come there meanwhile stays. An OSError on the way
    becomes a one-line OutputError.
    """
    target = Path(os.path.realpath(path))
    with _one_line_errors(path), folder_beside(target) as temporary:
        made, old = temporary / "new", temporary / "old"
        made.mkdir()
        yield made
        with undisturbed():
            if target.exists():
                os.rename(target, old)
            try:
                os.rename(made, target)
            except OSError:
                if old.exists():
                    os.rename(old, target)
                raise
            for entry in old.iterdir() if old.exists() else ():
                if entry.name not in own:
                    os.rename(entry, target / entry.name)


def _finish(temporary: Path, target: Path) -> None:
    """Give a file the mode that it is to have, and have it on disk."""
    umask = os.umask(0)
    os.umask(umask)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask
    with open(temporary, "r+b") as file:
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


@contextlib.contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output for bytes. A reader that went away, such as `head`, ends the writing without an error."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # What is still buffered would raise again when the interpreter closes standard output.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise OutputError(f"standard output: cannot be written ({_reason(error)})") from error


@contextlib.contextmanager
def whole_output(path: str | Path) -> Iterator[BinaryIO]:
    """What is written becomes the file at `path`, whole or not at all, or goes to standard output where that is `-`."""
    if str(path) == STDOUT:
        with standard_output() as out:
            yield out
    else:
        with atomic_output(path) as temporary, open(temporary, "wb") as out:
            yield out
