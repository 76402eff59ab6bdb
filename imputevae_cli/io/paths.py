"""Which files a command reads and writes, and one check that none is both, or is written twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imputevae_cli.errors import OutputError
from imputevae_cli.io.formats.registry import format_of
from imputevae_cli.io.outputs import STDOUT

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
    """
    reads = {option: path for option, path in files.reads.items() if path is not None}
    writes = {option: path for option, path in files.writes.items() if path is not None}
    folders = {option: path for option, path in files.folders.items() if path is not None}
    read_as = {_identity(path, stream=0): option for option, path in reads.items()}
    written_as: dict[Identity, str] = {}
    for option, path in {**writes, **folders}.items():
        identity = _identity(path, stream=1)
        if identity in read_as:
            raise OutputError(
                f"{path}: is the input itself ({read_as[identity]}), or a link to it, and would be overwritten as "
                f"{option}; name another output"
            )
        if identity in written_as:
            raise OutputError(f"{path}: would be written as {written_as[identity]} and as {option}; name two files")
        written_as[identity] = option
    for folder_option, folder in folders.items():
        for option, path in {**reads, **writes, **folders}.items():
            if str(path) != STDOUT and Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents:
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
