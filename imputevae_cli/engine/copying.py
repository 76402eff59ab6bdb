"""The haplotype decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

`HaplotypeDecoder(settings, seed).fit(...)` gives a `HaplotypePosterior`: genotype probabilities of the missing calls,
phased haplotypes, and a panel that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from imputevae_cli.engine import copying_calibration, recipe, relatedness
from imputevae_cli.engine.copying_calibration import Calibration
from imputevae_cli.engine.copying_chain import NO_PRIOR, Chain, Cohort, Schedule, cell_offsets
from imputevae_cli.genotypes import MISSING
from imputevae_cli.log import NullProgress, Progress

MAX_LIKENESS_SAMPLES = 3000  # above it the N x N matrix costs more than it tells


@dataclass(frozen=True)
class CopyingSettings:
    """What a user may set; None leaves it to the rules of `recipe`.

    iterations, burn_in, chains, donors, core, halo: see `copying_chain.Schedule`.
    error: the chance that a copied allele differs. trial: whether hidden calls choose what rules cannot.
    hidden: the greatest share of known calls that is hidden to calibrate the probabilities; max_hidden: their number.
    """

    iterations: int | None = None
    burn_in: int | None = None
    chains: int | None = None
    donors: int | None = None
    core: int | None = None
    halo: int | None = None
    error: float = 5e-4
    trial: bool = True
    hidden: float = 0.01
    max_hidden: int = 20000

    def over(self, schedule: Schedule) -> Schedule:
        """`schedule` with what is set here."""
        names = ("iterations", "burn_in", "chains", "donors", "core", "halo")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        schedule = replace(schedule, **given, error=self.error)
        return replace(schedule, burn_in=min(schedule.burn_in, schedule.iterations - 1))


class HaplotypeDecoder:
    """Fits the copying model to a cohort. The same seed gives the same result at any number of threads."""

    def __init__(self, settings: CopyingSettings | None = None, seed: int = 0):
        self.settings = settings or CopyingSettings()
        self.seed = seed

    def fit(
        self,
        calls: np.ndarray,
        chrom_codes: np.ndarray,
        positions: np.ndarray,
        ploidy: int,
        *,
        copying_prior: np.ndarray | None = None,
        progress: Progress | None = None,
        threads: int = 1,
        device: str = "cpu",
    ) -> HaplotypePosterior:
        """Phase the samples and fill their missing calls.

        calls: int8 (N, L), ALT alleles, -1 missing. chrom_codes: int32 (L,), the same along a chromosome.
        positions: int64 (L,) bp, or float64 (L,) cM of a genetic map. copying_prior: float (N, N), how readily a
        sample (row) copies from another (column), in any scale; None: no preference, or the samples' relatedness where
        hidden calls favour it.
        """
        rng = np.random.default_rng(self.seed)
        shown, hidden = self._hide(calls, rng)
        inbreeding = recipe.inbreeding(shown, ploidy)
        paths = np.where(inbreeding > recipe.INBRED, 1, ploidy).astype(np.uint8)
        prior = NO_PRIOR if copying_prior is None else np.ascontiguousarray(copying_prior, np.float32)
        compare = copying_prior is None and 2 < len(calls) <= MAX_LIKENESS_SAMPLES
        likeness = relatedness.correlations(shown, ploidy) if compare else None
        cohort = Cohort(shown, chrom_codes, positions, ploidy, paths, prior, likeness)
        with ThreadPoolExecutor(threads) as pool:
            schedule = self.settings.over(recipe.by_rule(len(calls)))
            if self.settings.trial:
                schedule = recipe.by_trial(cohort, schedule, self.seed, pool)
            doses, chain = self._run(cohort, schedule, pool, progress or NullProgress())
        haplotypes = restored(chain.haplotypes, calls, hidden, ploidy)
        posterior = HaplotypePosterior(
            calls, shown, ploidy, paths, inbreeding, doses, haplotypes, schedule, chain.switch
        )
        return posterior.calibrated(hidden)

    def _hide(self, calls: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The calls with some known ones hidden, and where: int8 (N, L), bool (N, L)."""
        known = calls != MISSING
        share = min(self.settings.hidden, self.settings.max_hidden / max(int(known.sum()), 1))
        hidden = np.zeros(calls.shape, bool)
        for n in range(len(calls)):  # by rows, to keep the draws small
            hidden[n] = rng.random(calls.shape[1], np.float32) < share
        hidden &= known
        return np.where(hidden, np.int8(MISSING), calls), hidden

    def _run(self, cohort: Cohort, schedule: Schedule, pool, progress: Progress) -> tuple[np.ndarray, Chain]:
        """(mean doses float32 (missing cells, 2), the last chain)."""
        doses = np.zeros((int((cohort.calls == MISSING).sum()), 2), np.float32)
        with progress.task("haplotypes", schedule.chains * schedule.iterations) as task:
            for c in range(schedule.chains):
                chain = Chain(cohort, schedule, self.seed * 1000 + c)
                at = cell_offsets(cohort.calls, chain.windows)
                for iteration in range(schedule.iterations):
                    chain.iterate(pool, doses if iteration >= schedule.burn_in else doses[:0], at)
                    task.advance(1, f"switch rate {chain.rate:.4f}")
        doses /= np.float32(schedule.chains * (schedule.iterations - schedule.burn_in))
        return doses, chain


@dataclass(frozen=True)
class HaplotypePosterior:
    """What was learned of a cohort.

    calls, shown: int8 (N, L), the calls as given and as the decoder saw them. paths: uint8 (N,). inbreeding: float32
    (N,). doses: float32 (missing cells of `shown`, 2), sample by sample: chances of 0 and of `ploidy` ALT alleles,
    or of REF and ALT on the one path of an inbred sample. haplotypes: uint8 (N * ploidy, L), 255 times the chance of
    ALT. switch: float32 (L,), the switch probability before each locus.
    """

    calls: np.ndarray
    shown: np.ndarray
    ploidy: int
    paths: np.ndarray
    inbreeding: np.ndarray
    doses: np.ndarray
    haplotypes: np.ndarray
    schedule: Schedule
    switch: np.ndarray
    calibration: Calibration = field(default_factory=Calibration)

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, ploidy + 1).

        A known call has 1 at its genotype.
        """
        calls = self.calls[:, start:stop]
        gp = np.zeros((*calls.shape, self.ploidy + 1), np.float32)
        missing = calls == MISSING
        shown_missing = self.shown[:, start:stop] == MISSING
        cells = self._cells(start, stop, shown_missing)
        raw = self._raw_gp(cells, np.repeat(np.arange(len(calls)), shown_missing.sum(1)))
        frequencies = self._genotype_frequencies(start, stop)[np.nonzero(shown_missing)[1]]
        wanted = missing[shown_missing]
        gp[missing] = self.calibration.apply(raw[wanted], frequencies[wanted])
        for genotype in range(self.ploidy + 1):
            gp[calls == genotype, genotype] = 1.0
        return gp

    def calibrated(self, hidden: np.ndarray) -> HaplotypePosterior:
        """The same with probabilities fitted to the calls at `hidden`, bool (N, L), which the decoder did not see."""
        missing = self.shown == MISSING
        samples, loci = np.nonzero(hidden)
        raw = self._raw_gp(np.flatnonzero(hidden[missing]), samples)
        frequencies = self._genotype_frequencies(0, self.calls.shape[1])[loci]
        return replace(self, calibration=copying_calibration.fit(raw, frequencies, self.calls[hidden]))

    def heads(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether ALT is on the first haplotype rather than the second, for writing phase."""
        if self.ploidy == 1:
            return np.ones((len(self.calls), stop - start), bool)
        pair = self.haplotypes[:, start:stop].reshape(len(self.calls), 2, -1)
        return pair[:, 0] > pair[:, 1]

    def _cells(self, start: int, stop: int, shown_missing: np.ndarray) -> np.ndarray:
        """int64: rows of `doses` of the missing cells of loci start..stop, sample by sample."""
        per_sample = (self.shown == MISSING).sum(1)
        before = np.concatenate([[0], np.cumsum(per_sample)[:-1]]) + (self.shown[:, :start] == MISSING).sum(1)
        counts = shown_missing.sum(1)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(before, counts) + within

    def _raw_gp(self, cells: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """float32 (cells, ploidy + 1) before calibration; samples int64 (cells,), whose they are."""
        doses = self.doses[cells]
        if self.ploidy == 1:
            return doses
        gp = np.stack([doses[:, 0], 1.0 - doses[:, 0] - doses[:, 1], doses[:, 1]], 1)
        one = self.paths[samples] == 1
        gp[one] = copying_calibration.inbred_gp(doses[one], self.inbreeding[samples[one]])
        return np.clip(gp, 0.0, 1.0)

    def _genotype_frequencies(self, start: int, stop: int) -> np.ndarray:
        """float32 (stop - start, ploidy + 1): the genotypes' frequencies among the known calls, one of each added."""
        calls = self.shown[:, start:stop]
        counts = np.stack([(calls == g).sum(0) for g in range(self.ploidy + 1)], 1) + 1.0
        return (counts / counts.sum(1, keepdims=True)).astype(np.float32)


def restored(haplotypes: np.ndarray, calls: np.ndarray, hidden: np.ndarray, ploidy: int) -> np.ndarray:
    """The haplotypes with hidden calls put back: a heterozygous one's ALT goes where it is likelier.

    haplotypes: uint8 (N * ploidy, L), changed in place and returned; calls int8 and hidden bool (N, L).
    """
    pair = haplotypes.reshape(len(calls), ploidy, -1)
    samples, loci = np.nonzero(hidden)
    called = calls[hidden]
    first = pair[samples, 0, loci] >= pair[samples, -1, loci]
    alt_first = (called == ploidy) | ((called == 1) & first)
    alt_last = (called == ploidy) | ((called == 1) & ~first)
    pair[samples, 0, loci] = np.where(alt_first, 255, 0)
    if ploidy == 2:
        pair[samples, 1, loci] = np.where(alt_last, 255, 0)
    return haplotypes
