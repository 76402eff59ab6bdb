"""Checkpoints: plain types and tensors in one file, written whole or not at all, read with weights_only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from imputevae_cli.errors import CheckpointError
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.runtime.serialise import canonical

FORMAT = "imputevae checkpoint"
FORMAT_VERSION = 1
KEYS = frozenset(
    {
        "format",
        "format_version",
        "software_version",
        "command",
        "config",
        "loci",
        "ploidy",
        "samples",
        "population_names",
        "population_codes",
        "calls",
        "masks",
        "ensemble",
        "evidence",
        "expected",
        "curve",
    }
)


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` (the KEYS less format and format_version) to `path`, replacing it in one step."""
    payload = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    assert payload.keys() == KEYS, sorted(payload.keys() ^ KEYS)
    save_plain(path, payload)


def save_plain(path: str | Path, content: Any) -> None:
    """Write plain types and tensors, replacing what is there in one step; the same values make the same bytes.

    Raises OutputError where the file cannot be written.
    """
    with atomic_output(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(canonical(content), file)  # given a path, it would write the temporary name into the file
        except RuntimeError as error:  # which is what torch makes of a full disk
            raise OSError("the disk is full, or it fails") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint. Raises CheckpointError, by name, for one that is damaged, of another version or kind."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; `imputevae train` makes one")
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for one fact: the file is not what it wrote
        raise CheckpointError(f"{path}: is damaged or is not a checkpoint; train it again") from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: is a torch file, but not an imputevae checkpoint; give one from `imputevae train`"
        )
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has checkpoint format {version}, this imputevae reads {FORMAT_VERSION} "
            f"(it was made by imputevae {payload.get('software_version', '?')}); train it again or use that version"
        )
    strange = sorted(payload.keys() ^ KEYS)
    if strange:
        raise CheckpointError(f"{path}: has unknown or missing entries ({', '.join(strange)}); train it again")
    return payload
