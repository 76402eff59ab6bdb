"""Windows of a panel that were filled, kept so that none is filled twice: after a stop, or for another output."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import CheckpointError, OutputError
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.log import logger
from imputevae_cli.panels.store import PanelStore
from imputevae_cli.panels.window import PanelFill
from imputevae_cli.runtime.run_folder import START_OVER, RunFolder, digest_of_file, identity_of

WITH_EFFECT = ("panels", "io.seed", "io.likelihoods")
"""Sections and settings that a filled window depends on."""


class WindowFolder(RunFolder):
    """The folder of a run that fills from a panel: a file of arrays for each window, 20 bytes a sample and locus."""

    format, ending = "imputevae panel run", ".npz"

    def _save(self, file: Path, content: dict[str, Any]) -> None:
        with atomic_output(file) as temporary, open(temporary, "wb") as out:
            np.savez(out, **content)

    def _load(self, file: Path) -> dict[str, Any]:
        try:
            with np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}  # zip keeps a checksum of each
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{file}: is damaged; {START_OVER}") from error


def panel_run(
    path: Path, targets: GenotypeMatrix, config: Config, store: PanelStore, genetic_map: Path | None
) -> WindowFolder:
    """The folder at `path` of the run that fills these targets from this panel."""
    found = identity_of(targets, config, with_effect=WITH_EFFECT)
    distances = None if genetic_map is None else digest_of_file(genetic_map)
    return WindowFolder(path, {**found, "model": f"{store.digest} {distances}"})


class KeptWindows:
    """Filled windows by name, in a folder; without one nothing is kept."""

    def __init__(self, folder: WindowFolder | None = None):
        self._folder = folder

    def get(self, name: str, fill: Callable[[], PanelFill]) -> PanelFill:
        """The window of this name as it is kept, else what `fill` gives. Raises CheckpointError where it is damaged."""
        kept = None if self._folder is None else self._folder.read(name)
        if kept is not None:
            return PanelFill(**kept)
        made = fill()
        if self._folder is not None:
            try:
                self._folder.write(name, {"gp": made.gp, "doses": made.doses})
            except OutputError as error:
                logger.warning("%s; the windows that are filled from here on are not kept", error)
                self._folder = None
        return made
