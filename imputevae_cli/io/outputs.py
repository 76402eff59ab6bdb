"""Outputs: checks made before hours of compute, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from imputevae_cli.errors import ConfigError, OutputError

STDOUT = "-"
ENDINGS = {".vcf": "v", ".vcf.gz": "z", ".vcf.bgz": "z", ".bcf": "b", ".phy": "p", ".phylip": "p"}
"""Output type by ending: v VCF, z BGZF-compressed VCF, b BCF, p PHYLIP."""


def output_type_of(path: str | Path, output_type: str | None = None) -> str:
    """`v`, `z`, `b` or `p`: `output_type` where given, else by the ending; VCF text for standard output.

    Raises ConfigError where neither tells.
    """
    if output_type is not None:
        if output_type not in ENDINGS.values():
            raise ConfigError(f"--output-type {output_type}: give v (VCF), z (VCF.gz), b (BCF) or p (PHYLIP)")
        return output_type
    if str(path) == STDOUT:
        return "v"
    for ending, kind in ENDINGS.items():
        if str(path).lower().endswith(ending):
            return kind
    known = ", ".join(ENDINGS)
    raise ConfigError(f"{path}: the ending does not tell the output's type ({known}); give --output-type v|z|b|p")


def check_output(path: str | Path, *, inputs: Iterable[str | Path] = (), force: bool = False) -> None:
    """Raise OutputError, one line, where `path` cannot be written, is one of `inputs`, or exists without `force`."""
    if str(path) == STDOUT:
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{path}: is a folder; name a file in it")
    if target.exists():
        _check_existing(path, target, inputs, force)
    _check_writable(path, target.parent)


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
def atomic_output(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes it at the end, or vanishes on any failure.

    The file is synced to disk and gets the mode that the umask gives. An OSError on the way, such as a full disk,
    becomes a one-line OutputError. A link at `path` stays a link.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OutputError(f"{path}: is not a regular file; use `-` to write to standard output")
    temporary = None
    try:
        handle, created = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(created)
        os.close(handle)
        yield temporary
        _finish(temporary, target)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({_reason(error)}); free the disk or choose another place"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def check_output_folder(path: str | Path, *, marker: str, force: bool = False) -> None:
    """Raise OutputError where a folder cannot be made at `path`, or is there already.

    With `force` a folder there is replaced, but only one that is empty or holds the file `marker`: nothing else that a
    user has may be lost.
    """
    target = Path(os.path.realpath(path))
    if target.exists():
        if not target.is_dir():
            raise OutputError(f"{path}: is there already and is no folder; name another")
        if any(target.iterdir()):
            if not force:
                raise OutputError(f"{path}: exists already; give --force to replace it")
            if not (target / marker).is_file():
                raise OutputError(f"{path}: holds files but no {marker}, so it is not replaced; name another folder")
    _check_writable(path, target.parent)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes it at the end, in place of what is there, or vanishes on a failure.

    An OSError on the way becomes a one-line OutputError.
    """
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        made = temporary / "new"
        made.mkdir()
        yield made
        if target.exists():
            os.rename(target, temporary / "old")
        os.rename(made, target)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({_reason(error)}); free the disk or choose another place"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove the temporary files of `path` and of its index that a killed run left; none must be at work on it."""
    target = Path(os.path.realpath(path))
    leftover = re.compile(re.escape(f".{target.name}") + r"(\.tbi|\.csi)?\.[a-z0-9_]{8}\.tmp(\.vcf\.gz|\.tbi|\.csi)?")
    with contextlib.suppress(OSError):
        for file in target.parent.iterdir():
            if leftover.fullmatch(file.name):
                file.unlink(missing_ok=True)


def _finish(temporary: Path, target: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask
    with open(temporary, "r+b") as file:
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.replace(temporary, target)


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
def quiet_htslib() -> Iterator[None]:
    """Keep pysam's htslib from printing beside what it raises."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


class BgzfFile:
    """A BGZF file to write; every failure is an OSError, with nothing printed."""

    def __init__(self, path: Path, level: int):
        import pysam

        self._file = pysam.BGZFile(str(path), f"w{level}")

    def write(self, data: bytes) -> None:
        with quiet_htslib():
            self._file.write(data)

    def close(self) -> None:
        try:
            if self._file is not None:
                with quiet_htslib():
                    self._file.close()
        except BaseException:
            self._drop()
            raise
        self._file = None

    def _drop(self) -> None:
        """Let go of a file whose close failed: pysam closes it once more and prints that failure itself."""
        hooks = sys.excepthook, sys.unraisablehook
        sys.excepthook = sys.unraisablehook = lambda *_: None
        try:
            with quiet_htslib():
                self._file = None
        finally:
            sys.excepthook, sys.unraisablehook = hooks

    def __enter__(self) -> BgzfFile:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
        else:
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                self.close()
