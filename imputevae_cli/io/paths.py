"""Which files a command reads and writes, and one check that none is both, or is written twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.formats.registry import format_of
from imputevae_cli.io.outputs import STDOUT

STDIN = "-"

Identity = tuple[object, ...]
"""What two names of one file share: its place on the disk, or where it is not there yet its folder's and its name."""


@dataclass
class Files:
    """Paths by the option that names each, None where it is not given. folders: those that are written whole."""

    reads: dict[str, str | Path | None] = field(default_factory=dict)
    writes: dict[str, str | Path | None] = field(default_factory=dict)
    folders: Mapping[str, str | Path | None] = field(default_factory=dict)


def with_companions(
    option: str, path: str | Path | None, output_type: str | None = None
) -> dict[str, str | Path | None]:
    """An output and the files that are written, or removed, beside it, for `Files.writes`."""
    if path is None or str(path) == STDOUT:
        return {option: path}
    beside = format_of(path, output_type).beside(path)
    return {option: path, **{f"{option}'s {ending}": str(file) for ending, file in beside.items()}}


def check_files(files: Files) -> None:
    """Raise OutputError, one line, where a file would be read and written, or written twice, by whatever names.

    Links and hard links are seen through. Nothing may be read or written within a folder that is replaced whole.
    Raises ConfigError where standard input is to be read as two files.
    """
    reads, writes, folders = (_given(paths) for paths in (files.reads, files.writes, files.folders))
    if len(streams := [option for option, path in reads.items() if str(path) == STDIN]) > 1:
        raise ConfigError(f"{' and '.join(streams)} are both standard input, which is read once; name a file for one")
    _check_written_once(reads, {**writes, **folders})
    _check_outside(folders, {**reads, **writes, **folders})


def _given(paths: Mapping[str, str | Path | None]) -> dict[str, str | Path]:
    return {option: path for option, path in paths.items() if path is not None}


def _check_written_once(reads: Mapping[str, str | Path], writes: Mapping[str, str | Path]) -> None:
    """Raise OutputError for a file that is written and read, or written twice."""
    read_as = {_identity(path, stream=0): option for option, path in reads.items()}
    written_as: dict[Identity, str] = {}
    for option, path in writes.items():
        identity = _identity(path, stream=1)
        if identity in read_as:
            raise OutputError(
                f"{path}: is the input itself ({read_as[identity]}), or a link to it, and would be overwritten as "
                f"{option}; name another output"
            )
        if identity in written_as:
            raise OutputError(f"{path}: would be written as {written_as[identity]} and as {option}; name two files")
        written_as[identity] = option


def _check_outside(folders: Mapping[str, str | Path], paths: Mapping[str, str | Path]) -> None:
    """Raise OutputError for a path within a folder that is replaced whole."""
    for folder_option, folder in folders.items():
        place = Path(os.path.realpath(folder))
        for option, path in paths.items():
            if str(path) != STDOUT and place in Path(os.path.realpath(path)).parents:
                raise OutputError(
                    f"{path}: {option} lies in the folder {folder}, which is replaced as {folder_option}; "
                    "name a place outside it"
                )


def _identity(path: str | Path, stream: int) -> Identity:
    """stream: the descriptor that `-` stands for."""
    try:
        if str(path) == STDOUT:
            found = os.fstat(stream)
            return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else (STDOUT, stream)
        found = os.stat(path)
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        target = Path(os.path.realpath(path)) if "\0" not in str(path) else Path(path)
    try:
        folder = os.stat(target.parent)
    except (OSError, ValueError):
        return ("name", str(target))
    return folder.st_dev, folder.st_ino, target.name
