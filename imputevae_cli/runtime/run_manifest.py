"""What a run folder, OUT.ckpt, says of itself in run.json; and whether all that lies in it is ours."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from imputevae_cli.errors import CheckpointError, OutputError
from imputevae_cli.io.outputs import atomic_output

MANIFEST = "run.json"
CHECKSUM = "sha256"
FILES = "files"
"""The key of the manifest that lists the files of the run; each is listed before it is written."""


def write_manifest(folder: Path, identity: dict[str, Any], names: list[str]) -> None:
    """identity: what run it is. names: of the files that lie, or will lie, beside the manifest."""
    content = {**identity, FILES: names}
    with atomic_output(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps({**content, CHECKSUM: _digest(content)}, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The identity, and under FILES the names. Raises OSError and ValueError where it is missing or damaged."""
    found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.pop(CHECKSUM, None) != _digest(found):
        raise ValueError("its checksum does not fit")
    return found


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def listed_files(folder: Path) -> list[str]:
    """Names of the files that the manifest says were written here; none where it cannot be read."""
    try:
        return list(read_manifest(folder)[FILES])
    except (OSError, ValueError, KeyError):
        return []


def foreign_files(folder: Path) -> list[str]:
    """Names of what lies in a folder and is neither the manifest, nor listed in it, nor a temporary folder of those."""
    own = {MANIFEST, *listed_files(folder)}
    temporary = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")
    return [
        entry.name
        for entry in sorted(folder.iterdir())
        if entry.is_symlink()
        or (entry.name not in own and not ((found := temporary.fullmatch(entry.name)) and found[1] in own))
    ]


def check_is_ours(folder: Path) -> bool:
    """Whether there is anything at all in a run folder, or where it will be.

    Raises OutputError for a link, a file, and for a folder with files that no run of ours wrote; CheckpointError where
    the manifest cannot be read.
    """
    if folder.is_symlink():
        raise OutputError(
            f"{folder}: is a link, and a stopped run is kept in a folder; remove it or name another output"
        )
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file, where a stopped run is kept; move it or name another output")
    if (folder / MANIFEST).exists():
        try:
            read_manifest(folder)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder / MANIFEST}: is damaged, or of another version of imputevae; remove {folder} to start over"
            ) from error
    if foreign := foreign_files(folder):
        raise OutputError(
            f"{folder}: holds {foreign[0]!r}, which imputevae did not write; move that, or name another output"
        )
    return any(folder.iterdir())
