"""The haplotype decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

`CopyingModel(settings, seed).fit(...)` gives a `HaplotypePosterior`: genotype probabilities of the missing calls,
phased haplotypes, and a panel that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying import choose_schedule as recipe
from imputevae_cli.decoders.copying import copying_prior as relatedness
from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.chain import NO_PRIOR, Chain, Cohort, frame_of
from imputevae_cli.decoders.copying.posterior import HaplotypePanel, HaplotypePosterior, Stretch, genotype_frequencies
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.errors import InputError
from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.resumable import Stages

MAX_LIKENESS_SAMPLES = 3000  # above it the N x N matrix costs more than it tells
SCALED_AT_ONCE = 1 << 20  # cells whose doses are scaled together
BESIDE = 2  # windows on either side of a region that are read too: as far as donors are compared
NO_PANEL = np.zeros((0, 0), np.uint8)
HIDDEN_SHARE, MAX_HIDDEN = 0.01, 20_000  # known calls hidden to calibrate on, where the caller hides none


class CopyingModel:
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
        hidden: HiddenCells | None = None,
        likeness: np.ndarray | None = None,
        copying_prior: np.ndarray | None = None,
        global_rows: np.ndarray | None = None,
        schedule: Schedule | None = None,
        progress: Progress | None = None,
        threads: int = 1,
        device: str = "cpu",
        stages: Stages | None = None,
    ) -> HaplotypePosterior:
        """Phase the samples and fill their missing calls.

        calls: int8 (N, L), ALT alleles, -1 missing. chrom_codes: int32 (L,), the same along a chromosome.
        positions: int64 (L,) bp, or float64 (L,) cM of a genetic map. hidden: known calls that
        the caller has hidden in `calls`; None: some are hidden here, to calibrate on. likeness: float32
        (N, N), such as closeness in a latent space, that a copying prior may be fitted on; None: the genotypes'
        correlations. copying_prior: float (N, N), how readily a sample (row) copies from another (column), in
        any scale; None: no preference, or one that grows with likeness where hidden calls favour it.
        global_rows: uint8 (N, L), 255 times the chance of ALT that the global decoder gives each sample: one more
        state to copy from, of the schedule's `global_share`; None for none. The trial does without: the global
        decoder has seen the calls that it hides.
        schedule: of an earlier fit, to be followed again; None: by rules and trial. device: a torch device; on
        `cpu` the compiled kernel runs, with `threads` threads. stages: remember the trials, and the iterations done.
        """
        given, stages = hidden is not None, stages or Stages()
        if hidden is None:
            hidden = self._choose_hidden(calls, np.random.default_rng(self.seed))
            calls = calls.copy()
            hidden.hide(calls)
        prior = NO_PRIOR if copying_prior is None else np.ascontiguousarray(copying_prior, np.float32)
        compare = copying_prior is None and likeness is None and 2 < len(calls) <= MAX_LIKENESS_SAMPLES
        likeness = relatedness.correlations(calls, ploidy) if compare else likeness
        cohort = Cohort(calls, chrom_codes, positions, ploidy, prior, likeness, global_rows=global_rows)
        with ThreadPoolExecutor(threads) as pool:
            schedule = schedule or self.schedule_for(cohort, pool, stages)
            doses, chain = self._run(cohort, schedule, pool, progress or NullProgress(), stages, device=device)
        haplotypes = restored(chain.haplotypes, calls, ploidy, hidden)
        posterior = _posterior(hidden, chain, doses, haplotypes, genotype_frequencies(calls, ploidy))
        return posterior if given else posterior.calibrated(hidden)

    def schedule_for(self, cohort: Cohort, pool: ThreadPoolExecutor, stages: Stages | None = None) -> Schedule:
        """What the settings, the rules and, unless it is switched off, a trial say."""
        schedule = recipe.overlaid(recipe.by_rule(len(cohort.calls)), self.settings)
        if not self.settings.trial:
            return schedule
        tried = recipe.by_trial(cohort, schedule, self.seed, pool, stages or Stages())
        return recipe.overlaid(tried, self.settings)

    def impute_new(
        self,
        panel: HaplotypePanel,
        calls: np.ndarray,
        chrom_codes: np.ndarray,
        positions: np.ndarray,
        *,
        wanted: tuple[int, int] | None = None,
        progress: Progress | None = None,
        threads: int = 1,
        stages: Stages | None = None,
    ) -> Stretch:
        """Fill the missing calls of samples that were not in the cohort of `panel`, from the panel alone.

        calls: int8 (M, L) at the panel's loci. Only a sample's own calls and the panel matter, not the other samples.
        wanted: the loci start..stop (exclusive) that will be asked for, None for all: windows further off than BESIDE
        are not read, which may change a call where donors are chosen by what is likely there.
        Raises InputError where the loci do not number as the panel's do.
        """
        if calls.shape[1] != len(panel.switch):
            raise InputError(
                f"the panel has {len(panel.switch)} loci and the calls have {calls.shape[1]}: give the panel's own loci"
            )
        ploidy = panel.ploidy
        frequency = panel.frequencies @ np.arange(ploidy + 1, dtype=np.float32) / ploidy
        schedule = replace(panel.schedule, relatedness=False)
        whole = Cohort(calls, chrom_codes, positions, ploidy, panel=NO_PANEL, frequency=frequency)
        frame = frame_of(whole, schedule)
        windows = copying_windows.near(frame.windows, *(wanted or (0, calls.shape[1])), BESIDE)
        start, stop = int(frame.windows[windows[0], 1]), int(frame.windows[windows[1] - 1, 2])
        part = slice(start, stop)
        cohort = Cohort(
            np.ascontiguousarray(calls[:, part]), chrom_codes[part], positions[part], ploidy,
            panel=panel.stretch(start, stop), frequency=frequency[part], frame=frame.part(*windows),
        )  # fmt: skip
        with ThreadPoolExecutor(threads) as pool:
            doses, chain = self._run(
                cohort, schedule, pool, progress or NullProgress(), stages or Stages(), panel.switch[part]
            )
        posterior = _posterior(HiddenCells.none(), chain, doses, chain.haplotypes, panel.frequencies[part])
        left = inbreeding.residual_coefficients(calls, frame.windows, frame.paths, ploidy, frequency)
        return Stretch(replace(posterior, inbreeding=left, calibration=panel.calibration), start)

    def _choose_hidden(self, calls: np.ndarray, rng: np.random.Generator) -> HiddenCells:
        """Some known calls, to calibrate on."""
        n_known = calls.size - missing_per_sample(calls).sum()
        share = min(HIDDEN_SHARE, MAX_HIDDEN / max(n_known, 1))
        n_loci = calls.shape[1]
        drawn = [
            n_loci * n + np.flatnonzero((rng.random(n_loci, np.float32) < share) & (row != MISSING))
            for n, row in enumerate(calls)
        ]
        return HiddenCells.at(np.concatenate(drawn), calls)

    def _run(
        self, cohort: Cohort, schedule: Schedule, pool, progress: Progress, stages: Stages, switch=None, device="cpu"
    ):
        """(mean doses uint16 (missing cells, 2), see `HaplotypePosterior`, and the last chain)."""
        doses = np.zeros((int(missing_per_sample(cohort.calls).sum()), 2), np.uint16)
        n_kept = schedule.chains * (schedule.iterations - schedule.burn_in)
        unit = DOSE_UNIT // n_kept  # whole numbers, so that two bytes a chance do
        begun = stages.resumed()
        with progress.task("haplotypes", schedule.chains * schedule.iterations) as task:
            for c in range(begun["chain"] if begun else 0, schedule.chains):
                chain = None  # the one before goes before the next comes
                chain = Chain(cohort, schedule, self.seed * 1000 + c, switch, device, stages.ranks)
                at = cell_offsets(cohort.calls, chain.windows)
                if begun:
                    chain.take_up(begun["state"])
                    if stages.ranks.leads:  # those of all processes, which are summed at the end
                        doses[:] = begun["doses"].numpy()
                    task.advance(c * schedule.iterations + chain.iteration)
                    begun = None
                while chain.iteration < schedule.iterations:
                    stages.safe_point(lambda c=c, chain=chain: _state(c, chain, doses, stages.ranks))
                    before = chain.iteration
                    chain.iterate(pool, doses if before >= schedule.burn_in else doses[:0], at, unit, stages.is_due)
                    task.advance(chain.iteration - before, f"switch rate {chain.rate:.4f}")
        stages.ranks.add_counts(doses)
        for start in range(0, len(doses), SCALED_AT_ONCE):
            some = doses[start : start + SCALED_AT_ONCE]
            some[:] = np.rint(some * np.float32(DOSE_UNIT / (unit * n_kept)))
        return doses, chain


def _state(number: int, chain: Chain, doses: np.ndarray, ranks: Ranks) -> dict[str, Any]:
    """A run in its chain `number` as plain types and tensors; the doses of all processes pass to the first."""
    ranks.add_counts(doses)
    if not ranks.leads:
        doses[:] = 0
    return {"chain": number, "state": chain.state(), "doses": torch.from_numpy(doses)}


def _posterior(hidden: HiddenCells, chain: Chain, doses, haplotypes, frequencies) -> HaplotypePosterior:
    """What a chain and its kin learned."""
    cohort = chain.cohort
    left = inbreeding.residual_coefficients(cohort.calls, chain.windows, chain.paths, cohort.ploidy, cohort.frequency)
    packed, ahead = packed_haplotypes(haplotypes, cohort.ploidy)
    return HaplotypePosterior(
        cohort.calls, hidden, cohort.ploidy, chain.paths, copying_windows.window_of(chain.windows), left,
        doses, packed, ahead, chain.schedule, chain.switch, frequencies,
    )  # fmt: skip


def packed_haplotypes(haplotypes: np.ndarray, ploidy: int) -> tuple[np.ndarray, np.ndarray]:
    """Bits of haplotypes uint8 (N * ploidy, L): `packed` and `ahead` of `HaplotypePosterior`."""
    width = -(-haplotypes.shape[1] // 8)
    packed = np.empty((len(haplotypes), width), np.uint8)
    ahead = np.empty((len(haplotypes) // ploidy, width), np.uint8)
    for n in range(len(ahead)):
        pair = haplotypes[n * ploidy : (n + 1) * ploidy]
        packed[n * ploidy : (n + 1) * ploidy] = np.packbits(pair >= 128, axis=1)
        ahead[n] = np.packbits(pair[0] > pair[-1])
    return packed, ahead


def restored(haplotypes: np.ndarray, calls: np.ndarray, ploidy: int, hidden: HiddenCells) -> np.ndarray:
    """The haplotypes with every known call put back, be it `hidden` in `calls` or a heterozygote on one path.

    A heterozygote's ALT goes where it is likelier. haplotypes: uint8 (N * ploidy, L), changed in place and returned;
    calls: int8 (N, L).
    """
    order = np.argsort(hidden.samples, kind="stable")
    edges = np.searchsorted(hidden.samples[order], np.arange(len(calls) + 1))
    for n, row in enumerate(calls):
        known = order[edges[n] : edges[n + 1]]
        if len(known):
            row = row.copy()
            row[hidden.loci[known]] = hidden.truth[known]
        pair = haplotypes[n * ploidy : (n + 1) * ploidy]  # (ploidy, L), a view
        soft = ((pair > 0) & (pair < 255)).any(0)
        off = np.flatnonzero((row != MISSING) & (soft | (pair.sum(0, dtype=np.int32) != 255 * row.astype(np.int32))))
        first = pair[0, off] >= pair[-1, off]
        alt_last = (row[off] == ploidy) | ((row[off] == 1) & ~first)
        pair[0, off] = np.where((row[off] == ploidy) | ((row[off] == 1) & first), 255, 0)
        if ploidy == 2:
            pair[1, off] = np.where(alt_last, 255, 0)
    return haplotypes
