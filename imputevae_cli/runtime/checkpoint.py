"""Checkpoints: plain types and tensors in one file, written whole or not at all, read with weights_only.

A SHA-256 of all bytes before it ends the file, after what torch reads: any damage is seen before a value is used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from imputevae_cli.errors import CheckpointError
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.runtime.panel_file import is_panel
from imputevae_cli.runtime.serialise import canonical

FORMAT = "imputevae checkpoint"
FORMAT_VERSION = 3
SEAL = b"\nimputevae sha256 "
"""What stands before the checksum, 64 hexadecimal digits, at the end of the file."""
SEAL_LENGTH = len(SEAL) + 64
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
        "haploid",
        "expected",
        "curve",
    }
)


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` (the KEYS less format and format_version) to `path`, replacing it in one step."""
    payload = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    assert payload.keys() == KEYS, sorted(payload.keys() ^ KEYS)
    save_plain(path, payload)


def save_plain(path: str | Path, content: Any, label: str = "") -> None:
    """Write plain types and tensors, replacing what is there in one step; the same values make the same bytes.

    label: what the checksum is bound to beside the bytes: the file is only whole under the same one. Raises OutputError
    where the file cannot be written.
    """
    with atomic_output(path) as temporary, open(temporary, "wb") as file:
        hashing = _Hashing(file, label)
        try:
            # Given a path, it would write the temporary name into the file; it only writes and flushes
            torch.save(canonical(content), cast(BinaryIO, hashing))
        except RuntimeError as error:  # which is what torch makes of a full disk
            raise OSError("the disk is full, or it fails") from error
        file.write(SEAL + hashing.digest.hexdigest().encode())


class _Hashing:
    """A file to write to, and the digest of what is written."""

    def __init__(self, file: BinaryIO, label: str):
        self._file, self.digest = file, hashlib.sha256(label.encode())

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def is_whole(path: str | Path, label: str = "") -> bool | None:
    """Whether a file of `save_plain` holds the very bytes that were written; None where it ends in no checksum."""
    digest = hashlib.sha256(label.encode())
    with open(path, "rb") as file:
        left = file.seek(0, 2) - SEAL_LENGTH
        file.seek(max(0, left))
        seal = file.read()
        if left < 0 or not seal.startswith(SEAL):
            return None
        file.seek(0)
        while left and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return seal[len(SEAL) :] == digest.hexdigest().encode()


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint. Raises CheckpointError, by name, for one that is damaged, of another version or kind."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; `imputevae train` makes one")
    if is_panel(path):
        raise CheckpointError(f"{path}: is a packed reference panel, which serves `--add-loci` alone; add that")
    try:
        whole = is_whole(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check the file and its disk") from error
    if whole is False:
        raise CheckpointError(f"{path}: is damaged, its checksum does not fit; copy it again, or train it again")
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
    if not whole:  # looked at last, since the checkpoints of other versions have none
        raise CheckpointError(f"{path}: is damaged, it has no checksum at its end; copy it again, or train it again")
    return payload
