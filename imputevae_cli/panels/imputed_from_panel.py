"""Samples of a file, filled at every locus of a panel, and written to files of any kind."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.io.formats.registry import format_of
from imputevae_cli.io.vcf_merged import MergeSummary, Merging, write_merged
from imputevae_cli.io.vcf_writer import WriteSummary
from imputevae_cli.log import ProgressOption, chosen_progress, logger
from imputevae_cli.panels.added_counts import AddedCounts
from imputevae_cli.panels.filled_loci import Calling, FilledLoci
from imputevae_cli.panels.imputation import PanelImputation
from imputevae_cli.panels.merging import AddedLoci, TypedLoci
from imputevae_cli.panels.store import PanelStore


class ImputedFromPanel:
    """What `Panel.impute` gives: written with `write`, or as arrays in `genotypes`.

    targets: all that was read. counts: of the loci that were added, once a file was written. A window of the panel is
    filled when it is asked for.
    """

    def __init__(
        self, imputation: PanelImputation, targets: GenotypeMatrix, calling: Calling, only_panel_loci: bool = False
    ):
        """targets: all of what was read. only_panel_loci: leave out loci that the targets alone have."""
        self._imputation, self.targets, self._calling = imputation, targets, calling
        self._only_panel_loci = only_panel_loci
        self.counts = AddedCounts(targets.n_samples)

    @property
    def store(self) -> PanelStore:
        """The panel."""
        return self._imputation.store

    @property
    def n_typed(self) -> int:
        """Loci of the targets that the panel has, of those that are written."""
        return self._imputation.genotypes.n_loci

    @cached_property
    def _all(self) -> FilledLoci:
        return FilledLoci.all(self._imputation)

    @cached_property
    def genotypes(self) -> ImputedGenotypes:
        """All loci of the panel and their probabilities, as arrays; loci that the targets alone have are left out.

        The calls are in memory, a byte for each sample and locus.
        """
        return self._all.imputed(self._calling)

    def draw(self, number: int) -> ImputedFromPanel:
        """The same with genotypes drawn from their probabilities, each cell by itself; GP and DS stay what they are.

        number: which draw, from 1 on.
        """
        other = copy(self)
        other.__dict__.pop("genotypes", None)
        other._calling = replace(self._calling, draw=number)
        other.counts = AddedCounts(self.targets.n_samples)
        return other

    def write(
        self,
        path: str | Path,
        output_type: str | None = None,
        *,
        force: bool = False,
        command: str = "",
        threads: int = 1,
        progress: ProgressOption = None,
        names: str = "relaxed",
    ) -> MergeSummary:
        """Write to a file of any kind, by its ending; the arguments are those of `ImputedGenotypes.write`.

        A VCF or BCF has the targets' own records too, and `INFO/DR2` and `INFO/TYPED`; other kinds have the panel's
        loci alone. Raises OutputError where `path` cannot be written, or exists without `force`.
        """
        from imputevae_cli import __version__

        kind, source = format_of(path, output_type), self.targets.source
        self.counts = AddedCounts(self.targets.n_samples)
        if kind.is_vcf and source is not None:
            kind.check_place(path, inputs=[source.given or source.path], force=force)
            bars = chosen_progress(progress)
            how = Merging(kind.key, command, __version__, threads, bars, self._calling.refine, self._only_panel_loci)
            typed = TypedLoci(self._imputation, self._calling)
            return write_merged(path, typed, AddedLoci(self._imputation, self._calling, self.counts), how)
        how_else: dict[str, Any] = {"command": command, "threads": threads, "progress": progress, "names": names}
        n_left_out = int((~self.targets.is_context).sum()) - self.n_typed
        if source is not None and n_left_out:
            logger.info("%s: loci of INPUT alone are left out: %s", path, f"{n_left_out:,}")
        watched = _Counted(self._all, self.counts)
        self.genotypes.write(path, kind.key, force=force, watch=watched.add, **how_else)
        return watched.summary()


class _Counted:
    """Counts what `write_merged` would, of loci that are written to a file of another kind."""

    def __init__(self, filled: FilledLoci, counts: AddedCounts):
        self._filled, self._counts = filled, counts
        self._typed = filled.is_typed
        self._seen = np.zeros(len(self._typed), bool)
        self._own = WriteSummary()

    def add(self, start: int, block: ImputedBlock) -> None:
        """Count a block that begins at locus `start`; loci that were counted before are passed over."""
        stop = start + block.calls.shape[1]
        new = ~self._seen[start:stop]
        self._seen[start:stop] = True
        typed, added = (np.flatnonzero(new & which) for which in (self._typed[start:stop], ~self._typed[start:stop]))
        self._own.imputed += int(block.imputed[:, typed].sum())
        self._own.missing += int((block.calls[:, typed] == MISSING).sum())
        if block.refined is not None:
            self._own.refined += int(block.refined[:, typed].sum())
        if len(added):
            doses = self._filled.doses(start, stop)[:, :, added]
            self._counts.add(block.gp[:, added], doses, self._filled.panel_frequency(start, stop)[added])

    def summary(self) -> MergeSummary:
        """The counts of what was merged so far."""
        return MergeSummary(self._own, int((~self._typed).sum()))
