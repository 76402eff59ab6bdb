"""The folder in which a stopped run is kept: a file for each finished stage, and one for the stage at work.

Files are plain types and tensors, written whole or not at all and read with weights_only, beside `run.json`,
which says what run this is: a folder is only ever resumed by the same run. torch is imported when one is written or
read: what keeps files of another kind (`panels.kept_windows`) needs none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import CheckpointError, OutputError
from imputevae_cli.io.temporary import remove_leftovers
from imputevae_cli.runtime.run_manifest import MANIFEST, listed_files, read_manifest, write_manifest

FORMAT, FORMAT_VERSION = "imputevae run", 3
ENDING = ".pt"
START_OVER = "start over with --force in place of --resume"
WITH_EFFECT = ("model", "train", "vae", "knn", "copying", "founders", "sim", "io.seed", "io.ploidy")
"""Sections and settings that what is kept here depends on."""


class RunFolder:
    """The folder of one run. Making the object touches no disk; the folder is made when first written to."""

    format = FORMAT
    ending = ENDING

    def __init__(self, path: Path, identity: dict[str, Any]):
        """identity: what the run is, see `identity_of`."""
        self.path = path
        self.identity = json.loads(json.dumps({"format": self.format, "format_version": FORMAT_VERSION, **identity}))

    @property
    def is_there(self) -> bool:
        """Whether a stopped run is kept here."""
        return (self.path / MANIFEST).is_file()

    def check(self) -> None:
        """Raise CheckpointError, saying what differs, unless the run that is kept here is this run."""
        try:
            kept = read_manifest(self.path)
            differences = list(_differences(kept, self.identity))
        except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{self.path / MANIFEST}: cannot be read ({type(error).__name__}); {START_OVER}"
            ) from error
        if differences:
            raise CheckpointError(
                f"{self.path}: is of another run ({'; '.join(differences)}); run as before, or {START_OVER}"
            )

    def write(self, name: str, content: dict[str, Any]) -> None:
        """See `resumable.Store`."""
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be made ({error.strerror}); choose another output") from error
        file = self._file(name)
        listed = listed_files(self.path)
        if file.name not in listed:
            write_manifest(self.path, self.identity, [*listed, file.name])
        self._save(file, content)

    def read(self, name: str) -> dict[str, Any] | None:
        """See `resumable.Store`. Raises CheckpointError where the file is damaged."""
        file = self._file(name)
        if not file.is_file():
            return None
        return self._load(file)

    def _save(self, file: Path, content: dict[str, Any]) -> None:
        from imputevae_cli.runtime.checkpoint import save_plain

        save_plain(file, content, self._label(file))

    def _load(self, file: Path) -> dict[str, Any]:
        import torch

        from imputevae_cli.runtime.checkpoint import is_whole

        if not is_whole(file, self._label(file)):
            raise CheckpointError(f"{file}: is damaged, or of another run; {START_OVER}")
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for one fact: the file is not what it wrote
            raise CheckpointError(f"{file}: is damaged; {START_OVER}") from error

    def delete(self, name: str) -> None:
        """See `resumable.Store`."""
        with contextlib.suppress(OSError):
            self._file(name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the files that run.json lists and, if nothing else is in it, the folder. run.json goes last, so that
        what is left of an interrupted removal is still a run."""
        if not self.path.is_dir() or self.path.is_symlink():
            return
        with contextlib.suppress(OSError):
            for name in [*listed_files(self.path), MANIFEST]:
                remove_leftovers(self.path / name)
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def _label(self, file: Path) -> str:
        """What a file's checksum is bound to: its place in this run."""
        return f"{file.name} {json.dumps(self.identity, sort_keys=True)}"

    def _file(self, name: str) -> Path:
        return self.path / (name.replace("/", ".").replace(" ", "-") + self.ending)


def identity_of(
    genotypes: GenotypeMatrix, config: Config, model: Path | None = None, with_effect: Collection[str] = WITH_EFFECT
) -> dict[str, Any]:
    """What must be the same for a run to go on: the genotypes, the settings, the model's file if there is one.

    with_effect: sections and settings that count.
    """
    settings = {
        f"{section}.{key}": value
        for section, part in config.to_dict().items()
        for key, value in part.items()
        if section in with_effect or f"{section}.{key}" in with_effect
    }
    return {
        "software_version": __version__,
        "genotypes": _digest(genotypes),
        "model": None if model is None else digest_of_file(model),
        "settings": settings,
    }


def _digest(genotypes: GenotypeMatrix) -> str:
    """A digest of all that a fit sees of the genotypes."""
    digest = hashlib.blake2b(digest_size=16)
    regions = None if genotypes.source is None else genotypes.source.regions
    digest.update(f"{genotypes.calls.shape} {genotypes.ploidy} {regions}".encode())
    for row in genotypes.calls:
        digest.update(np.ascontiguousarray(row).data)
    if genotypes.evidence is not None:
        for row in (*genotypes.evidence.codes, genotypes.evidence.table):
            digest.update(np.ascontiguousarray(row).data)
    if genotypes.haploid is not None:
        for part in genotypes.haploid.state().values():
            digest.update(np.ascontiguousarray(part).data)
    loci, populations = genotypes.loci, genotypes.populations
    for column in (genotypes.samples, loci.chrom, loci.ref, loci.alt, () if populations is None else populations):
        digest.update("\n".join(map(str, column)).encode() + b"\0")
    for numbers in (loci.pos, loci.cm, genotypes.is_context):
        digest.update(b"" if numbers is None else np.ascontiguousarray(numbers).data)
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """A digest of the bytes of a file."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _differences(kept: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """What of `kept` is not as wanted, in words."""
    if kept["format"] != wanted["format"] or kept["format_version"] != wanted["format_version"]:
        yield f"its format is {kept['format']} {kept['format_version']}"
        return
    if kept["software_version"] != wanted["software_version"]:
        yield f"it was made by imputevae {kept['software_version']}, this is {wanted['software_version']}"
    if kept["genotypes"] != wanted["genotypes"]:
        yield "the input, its samples, loci or populations are others"
    if kept["model"] != wanted["model"]:
        yield "--model, or the panel, is another"
    for key in sorted(kept["settings"].keys() | wanted["settings"].keys()):
        before, now = (settings.get(key) for settings in (kept["settings"], wanted["settings"]))
        if before != now:
            yield f"{key} was {before}, is {now}"
