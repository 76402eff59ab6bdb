"""The haplotype decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

`HaplotypeDecoder(settings, seed).fit(...)` gives a `HaplotypePosterior`: genotype probabilities of the missing calls,
phased haplotypes, and a panel that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.engine import copying_windows, inbreeding, recipe, relatedness
from imputevae_cli.engine.copying_chain import NO_PRIOR, Chain, Cohort, Schedule, cell_offsets
from imputevae_cli.engine.copying_posterior import HaplotypePanel, HaplotypePosterior, genotype_frequencies
from imputevae_cli.errors import InputError
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
        hidden calls favour it. device: a torch device; on `cpu` the compiled kernel runs, with `threads` threads.
        """
        rng = np.random.default_rng(self.seed)
        shown = self._hide(calls, rng)
        prior = NO_PRIOR if copying_prior is None else np.ascontiguousarray(copying_prior, np.float32)
        compare = copying_prior is None and 2 < len(calls) <= MAX_LIKENESS_SAMPLES
        likeness = relatedness.correlations(shown, ploidy) if compare else None
        cohort = Cohort(shown, chrom_codes, positions, ploidy, prior, likeness)
        with ThreadPoolExecutor(threads) as pool:
            schedule = self.settings.over(recipe.by_rule(len(calls)))
            if self.settings.trial:
                schedule = self.settings.over(recipe.by_trial(cohort, schedule, self.seed, pool))
            doses, chain = self._run(cohort, schedule, pool, progress or NullProgress(), device=device)
        haplotypes = restored(chain.haplotypes, calls, ploidy)
        frequencies = genotype_frequencies(shown, ploidy)
        return _posterior(calls, chain, doses, haplotypes, frequencies).calibrated()

    def impute_new(
        self,
        panel: HaplotypePanel,
        calls: np.ndarray,
        chrom_codes: np.ndarray,
        positions: np.ndarray,
        *,
        progress: Progress | None = None,
        threads: int = 1,
    ) -> HaplotypePosterior:
        """Fill the missing calls of samples that were not in the cohort of `panel`, from the panel alone.

        calls: int8 (M, L) at the panel's loci. Each sample's result depends on its own calls and the panel only.
        Raises InputError where the loci do not number as the panel's do.
        """
        if calls.shape[1] != len(panel.switch):
            raise InputError(
                f"the panel has {len(panel.switch)} loci and the calls have {calls.shape[1]}: give the panel's own loci"
            )
        ploidy = panel.ploidy
        frequency = panel.frequencies @ np.arange(ploidy + 1, dtype=np.float32) / ploidy
        cohort = Cohort(calls, chrom_codes, positions, ploidy, panel=panel.haplotypes, frequency=frequency)
        schedule = replace(panel.schedule, relatedness=False)
        with ThreadPoolExecutor(threads) as pool:
            doses, chain = self._run(cohort, schedule, pool, progress or NullProgress(), panel.switch)
        posterior = _posterior(calls, chain, doses, chain.haplotypes, panel.frequencies)
        return replace(posterior, calibration=panel.calibration)

    def _hide(self, calls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The calls int8 (N, L) with some known ones hidden, to calibrate on."""
        n_known = sum(int((row != MISSING).sum()) for row in calls)
        share = min(self.settings.hidden, self.settings.max_hidden / max(n_known, 1))
        shown = calls.copy()
        for row in shown:  # by rows, to keep the draws small
            row[rng.random(len(row), np.float32) < share] = MISSING
        return shown

    def _run(self, cohort: Cohort, schedule: Schedule, pool, progress: Progress, switch=None, device="cpu"):
        """(mean doses float32 (missing cells, 2), the last chain)."""
        doses = np.zeros((int((cohort.calls == MISSING).sum()), 2), np.float32)
        with progress.task("haplotypes", schedule.chains * schedule.iterations) as task:
            for c in range(schedule.chains):
                chain = Chain(cohort, schedule, self.seed * 1000 + c, switch, device)
                at = cell_offsets(cohort.calls, chain.windows)
                for iteration in range(schedule.iterations):
                    chain.iterate(pool, doses if iteration >= schedule.burn_in else doses[:0], at)
                    task.advance(1, f"switch rate {chain.rate:.4f}")
        doses /= np.float32(schedule.chains * (schedule.iterations - schedule.burn_in))
        return doses, chain


def _posterior(calls, chain: Chain, doses, haplotypes, frequencies) -> HaplotypePosterior:
    """What a chain and its kin learned of `calls`."""
    cohort = chain.cohort
    left = inbreeding.residual_coefficients(cohort.calls, chain.windows, chain.paths, cohort.ploidy, cohort.frequency)
    return HaplotypePosterior(
        calls, cohort.calls, cohort.ploidy, chain.paths, copying_windows.window_of(chain.windows), left,
        doses, haplotypes, chain.schedule, chain.switch, frequencies,
    )  # fmt: skip


def restored(haplotypes: np.ndarray, calls: np.ndarray, ploidy: int) -> np.ndarray:
    """The haplotypes with every known call put back, be it hidden or a heterozygote on one path.

    A heterozygote's ALT goes where it is likelier. haplotypes: uint8 (N * ploidy, L), changed in place and returned;
    calls: int8 (N, L).
    """
    for n, row in enumerate(calls):
        pair = haplotypes[n * ploidy : (n + 1) * ploidy]  # (ploidy, L), a view
        soft = ((pair > 0) & (pair < 255)).any(0)
        off = np.flatnonzero((row != MISSING) & (soft | (pair.sum(0, dtype=np.int32) != 255 * row.astype(np.int32))))
        first = pair[0, off] >= pair[-1, off]
        alt_last = (row[off] == ploidy) | ((row[off] == 1) & ~first)
        pair[0, off] = np.where((row[off] == ploidy) | ((row[off] == 1) & first), 255, 0)
        if ploidy == 2:
            pair[1, off] = np.where(alt_last, 255, 0)
    return haplotypes
