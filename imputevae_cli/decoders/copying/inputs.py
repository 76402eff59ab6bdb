"""What chains of the copying decoder run over: a cohort, and what they are given beside its calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.subsets import two_stretches
from imputevae_cli.decoders.copying import inbreeding, uncertain
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.rules import CopyingRules
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.window_frame import Frame
from imputevae_cli.runtime import sample_keys

NO_PRIOR = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class CopyingGuides:
    """What a fit may be given beside the calls, of what other decoders learned; none of it is needed.

    similarity: float32 (N, N), of the samples, such as in a latent space, that a copying prior may be fitted on; None:
    the genotypes' correlations. copying_prior: float (N, N), how readily a sample (row) copies from another (column),
    in any scale; None: no preference, or one that grows with similarity where hidden calls favour it. global_rows:
    uint8 (N, L), 255 times the chance of ALT that the VAE gives each sample: one more state to copy from, of the
    schedule's `global_share`; None for none. The trial does without: the VAE has seen the calls that it hides.
    """

    similarity: np.ndarray | None = None
    copying_prior: np.ndarray | None = None
    global_rows: np.ndarray | None = None


@dataclass(frozen=True)
class ChainInputs:
    """The cohort that chains run over, and what they are given beside it.

    cohort: where it has evidence, its calls are the genotypes that are certain (`uncertain.certain_part`).
    prior: float32 (N, panel samples) of how readily a sample is copied, or (0, 0) for no preference. similarity:
    float32 (N, N) that a prior may be fitted on, or None. panel: uint8 (panel samples * ploidy, L) to copy from, or
    None to copy from each other. frequency: float32 (L,) of ALT, where missing calls start; None for the calls' own;
    given where there is evidence.
    frame: of these loci, where they are a stretch of more; None: they are all there are. global_rows: see
    `CopyingGuides`; not with a panel. switch: float32 (L,), switch probabilities that are kept; None: they are learned.
    """

    cohort: Cohort
    prior: np.ndarray = field(default_factory=lambda: NO_PRIOR)
    similarity: np.ndarray | None = None
    panel: np.ndarray | None = None
    frequency: np.ndarray | None = None
    frame: Frame | None = None
    global_rows: np.ndarray | None = None
    reference: np.ndarray | None = None
    switch: np.ndarray | None = None

    def frame_by(self, schedule: Schedule, rules: CopyingRules) -> Frame:
        """The frame that is given, or that of all loci."""
        if self.frame is not None:
            return self.frame
        cohort = self.cohort
        windows = copying_windows.windows(cohort.chrom_codes, schedule.core, schedule.halo)
        keys, evidence = sample_keys.places if self.panel is None else sample_keys.digests, cohort.evidence
        if evidence is None:
            distances = copying_windows.relative_distances(cohort.chrom_codes, cohort.positions, rules.switch)
            calls = cohort.diploid_calls
            found = inbreeding.by_descent(calls, distances, cohort.ploidy, self.frequency, rules.inbreeding)
        else:
            assert self.frequency is not None
            found = uncertain.by_descent(evidence, windows, self.frequency, rules.inbreeding)
        if cohort.haploid is not None:
            found = inbreeding.with_haploid(found, cohort.haploid)
        paths = inbreeding.paths(found, windows, len(cohort.calls), cohort.ploidy)
        comparable = cohort.calls if evidence is None else uncertain.comparable(evidence)
        return Frame(windows, found, paths, keys(comparable, windows))

    def two_stretches(self, samples: np.ndarray, n_loci: int) -> ChainInputs:
        """About `n_loci` of the loci of some samples, int64, rising, in two stretches; without the VAE's rows."""
        loci = two_stretches(self.cohort.n_loci, min(n_loci, self.cohort.n_loci) // 2)
        square = np.ix_(samples, samples)
        return ChainInputs(
            self.cohort.subset(samples, loci),
            self.prior if not self.prior.size else np.ascontiguousarray(self.prior[square]),
            None if self.similarity is None else self.similarity[square],
        )

    def with_calls(self, calls: np.ndarray) -> ChainInputs:
        """The same with other calls, int8 (N, L)."""
        return replace(self, cohort=self.cohort.with_calls(calls))
