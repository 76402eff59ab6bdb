"""The copying decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

`CopyingModel(settings, seed).fit(cohort)` gives a `HaplotypePosterior`: genotype probabilities of the missing calls,
phased haplotypes, and a panel that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.frequencies import locus_frequencies
from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying import choose_schedule, copying_prior, uncertain
from imputevae_cli.decoders.copying import rules as copying_rules
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.inputs import NO_PRIOR, ChainInputs, CopyingGuides
from imputevae_cli.decoders.copying.kernel_choice import KernelName, kernel_for
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.posterior import HaplotypePanel, HaplotypePosterior, Stretch
from imputevae_cli.decoders.copying.rules import CopyingRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.errors import InputError
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.run_options import RunOptions

SCALED_AT_ONCE = 1 << 20  # cells whose doses are scaled together
NO_PANEL = np.zeros((0, 0), np.uint8)


class CopyingModel:
    """Fits the copying model to a cohort. The same seed gives the same result at any number of threads.

    kernel: of the recursions; None: torch's on a GPU, the compiled one elsewhere (see `kernel_choice`). The two agree
    but for rounding, so that a fit on a GPU draws other phases here and there. Donors are always chosen on the CPU.
    """

    def __init__(
        self,
        settings: CopyingSettings | None = None,
        seed: int = 0,
        rules: CopyingRules | None = None,
        kernel: KernelName | None = None,
    ):
        self.settings = settings or CopyingSettings()
        self.seed = seed
        self.rules = rules or copying_rules.DEFAULT
        self.kernel = kernel

    def fit(
        self,
        cohort: Cohort,
        *,
        hidden: HiddenCells | None = None,
        guides: CopyingGuides | None = None,
        schedule: Schedule | None = None,
        options: RunOptions | None = None,
    ) -> HaplotypePosterior:
        """Phase the samples and fill their missing calls.

        hidden: known calls that the caller has hidden in the cohort's; None: some are hidden here, to calibrate on.
        guides: what other decoders learned. schedule: of an earlier fit, to be followed again; None: by rules and
        trial. options: their stages remember the trials, and the iterations done.
        """
        given, options = hidden is not None, options or RunOptions()
        if hidden is None:
            hidden = self._choose_hidden(cohort, np.random.default_rng(self.seed))
            cohort = _without(cohort, hidden)
        inputs = self._inputs_of(cohort, guides or CopyingGuides())
        with ThreadPoolExecutor(options.threads) as pool:
            schedule = schedule or self.schedule_for(inputs, pool, options)
            doses, chain = self._run(inputs, schedule, pool, options)
        calls, ploidy, evidence = inputs.cohort.calls, cohort.ploidy, cohort.evidence
        haplotypes = restored(chain.haplotypes, calls, ploidy, uncertain.certain_cells(hidden, ploidy))
        if evidence is None:
            frequencies = locus_frequencies(calls, ploidy + 1, pseudo_count=1.0)
        else:
            frequencies = uncertain.genotype_frequencies(evidence)
        posterior = _posterior(hidden, chain, doses, haplotypes, frequencies)
        return posterior if given else posterior.calibrated(hidden, self.rules.calibration)

    def schedule_for(
        self, inputs: ChainInputs, pool: ThreadPoolExecutor, options: RunOptions | None = None
    ) -> Schedule:
        """What the settings, the rules and, unless it is switched off, a trial say."""
        n_samples, is_uncertain = len(inputs.cohort.calls), inputs.cohort.evidence is not None
        schedule = choose_schedule.overlaid(self.rules.size.schedule_for(n_samples, is_uncertain), self.settings)
        if is_uncertain or not self.settings.trial:
            return schedule
        options = options or RunOptions()
        trial = choose_schedule.Trial.of(inputs, self.seed, pool, kernel_for(options.device, self.kernel), self.rules)
        found = choose_schedule.by_trial(trial, schedule, options.stages, self.settings)
        return choose_schedule.overlaid(found, self.settings)

    def impute_new(
        self,
        panel: HaplotypePanel,
        cohort: Cohort,
        *,
        wanted: tuple[int, int] | None = None,
        options: RunOptions | None = None,
    ) -> Stretch:
        """Fill the missing calls of samples that the panel was not made of, from the panel alone.

        cohort: the new samples, at the panel's loci. Only a sample's own calls and the panel matter, not the other
        samples. wanted: the loci start..stop (exclusive) that will be asked for, None for all: windows further off
        than `rules.beside` are not read, which may change a call where donors are chosen by what is likely there.
        Raises InputError where the loci do not number as the panel's do.
        """
        cohort = uncertain.certain_part(cohort)
        calls = cohort.calls
        if cohort.n_loci != len(panel.switch):
            raise InputError(
                f"the panel has {len(panel.switch)} loci and the calls have {cohort.n_loci}: give the panel's own loci"
            )
        ploidy = panel.ploidy
        frequency = panel.frequencies @ np.arange(ploidy + 1, dtype=np.float32) / ploidy
        schedule = replace(panel.schedule, relatedness=False)
        whole = ChainInputs(replace(cohort, ploidy=ploidy), panel=NO_PANEL, frequency=frequency)
        frame = whole.frame_by(schedule, self.rules)
        windows = copying_windows.near(frame.windows, *(wanted or (0, cohort.n_loci)), self.rules.beside)
        start, stop = int(frame.windows[windows[0], 1]), int(frame.windows[windows[1] - 1, 2])
        part, evidence = slice(start, stop), cohort.evidence
        inputs = ChainInputs(
            Cohort(
                np.ascontiguousarray(calls[:, part]),
                cohort.chrom_codes[part],
                cohort.positions[part],
                ploidy,
                evidence=None if evidence is None else replace(evidence, codes=evidence.codes[:, part]),
            ),
            panel=panel.stretch(start, stop),
            frequency=frequency[part],
            frame=frame.part(*windows),
            switch=panel.switch[part],
        )
        options = options or RunOptions()
        with ThreadPoolExecutor(options.threads) as pool:
            doses, chain = self._run(inputs, schedule, pool, options)
        posterior = _posterior(HiddenCells.none(), chain, doses, chain.haplotypes, panel.frequencies[part])
        return Stretch(replace(posterior, calibration=panel.calibration), start)

    def _inputs_of(self, cohort: Cohort, guides: CopyingGuides) -> ChainInputs:
        """The cohort with its guides; without any, with the genotypes' own correlations where that is not too dear."""
        prior, similarity, is_certain = guides.copying_prior, guides.similarity, cohort.evidence is None
        may_compare = is_certain and 2 < len(cohort.calls) <= self.rules.prior.max_samples
        if prior is None and similarity is None and may_compare:
            similarity = copying_prior.correlations(cohort.calls, cohort.ploidy, self.rules.prior)
        prior = NO_PRIOR if prior is None else np.ascontiguousarray(prior, np.float32)
        return replace(plain_inputs(cohort), prior=prior, similarity=similarity, global_rows=guides.global_rows)

    def _choose_hidden(self, cohort: Cohort, rng: np.random.Generator) -> HiddenCells:
        """Some known calls, to calibrate on."""
        calls = cohort.calls
        n_known = calls.size - missing_per_sample(calls).sum()
        share = min(self.rules.calibration.hidden_share, self.rules.calibration.max_hidden / max(n_known, 1))
        n_loci = calls.shape[1]
        drawn = [
            n_loci * n + np.flatnonzero((rng.random(n_loci, np.float32) < share) & (row != MISSING))
            for n, row in enumerate(calls)
        ]
        return HiddenCells.at(np.concatenate(drawn), calls, cohort.evidence)

    def _run(
        self, inputs: ChainInputs, schedule: Schedule, pool: ThreadPoolExecutor, options: RunOptions
    ) -> tuple[np.ndarray, Chain]:
        """(mean doses uint16 (missing cells, 2), see `HaplotypePosterior`, and the last chain)."""
        calls, stages = inputs.cohort.calls, options.stages
        doses = np.zeros((int(missing_per_sample(calls).sum()), 2), np.uint16)
        n_kept = schedule.chains * (schedule.iterations - schedule.burn_in)
        unit = DOSE_UNIT // n_kept  # whole numbers, so that two bytes a chance do
        kernel = kernel_for(options.device, self.kernel)
        begun = stages.resumed()
        with options.progress.task("haplotypes", schedule.chains * schedule.iterations) as task:
            for c in range(begun["chain"] if begun else 0, schedule.chains):
                chain = None  # the one before goes before the next comes
                chain = Chain(inputs, schedule, self.seed * 1000 + c, kernel, stages.ranks, self.rules)
                at = cell_offsets(calls, chain.windows)
                if begun:
                    chain.resume(begun["state"])
                    if stages.ranks.leads:  # those of all processes, which are summed at the end
                        doses[:] = begun["doses"].numpy()
                    task.advance(c * schedule.iterations + chain.iteration)
                    begun = None
                while chain.iteration < schedule.iterations:
                    stages.safe_point(partial(_state, c, chain, doses, stages.ranks))
                    before = chain.iteration
                    chain.iterate(pool, doses if before >= schedule.burn_in else doses[:0], at, unit, stages.is_due)
                    task.advance(chain.iteration - before, f"switch rate {chain.rate:.4f}")
        stages.ranks.add_counts(doses)
        _scale(doses, DOSE_UNIT / (unit * n_kept))
        assert chain is not None
        if inputs.cohort.evidence is not None and inputs.cohort.ploidy == 2:
            uncertain.before_own(doses, inputs.cohort, chain.paths == 2, chain.windows)
        return doses, chain


def _state(number: int, chain: Chain, doses: np.ndarray, ranks: Ranks) -> dict[str, Any]:
    """A run in its chain `number` as plain types and tensors; the doses of all processes pass to the first."""
    ranks.add_counts(doses)
    if not ranks.leads:
        doses[:] = 0
    return {"chain": number, "state": chain.state(), "doses": torch.from_numpy(doses)}


def _scale(doses: np.ndarray, factor: float) -> None:
    """Multiply doses, uint16, by a factor, in place, rounded."""
    for start in range(0, len(doses), SCALED_AT_ONCE):
        some = doses[start : start + SCALED_AT_ONCE]
        some[:] = np.rint(some * np.float32(factor))


def _posterior(
    hidden: HiddenCells, chain: Chain, doses: np.ndarray, haplotypes: np.ndarray, frequencies: np.ndarray
) -> HaplotypePosterior:
    """What a chain and its kin learned."""
    cohort = chain.cohort
    packed, ahead = packed_haplotypes(haplotypes, cohort.ploidy)
    return HaplotypePosterior(
        cohort.calls, hidden, cohort.ploidy, doses, packed, ahead, chain.schedule, chain.switch, frequencies
    )


def plain_inputs(cohort: Cohort) -> ChainInputs:
    """The cohort by itself, certain or not."""
    if cohort.evidence is None:
        return ChainInputs(cohort)
    frequency = uncertain.alt_frequencies(uncertain.genotype_frequencies(cohort.evidence))
    return ChainInputs(uncertain.certain_part(cohort), frequency=frequency)


def _without(cohort: Cohort, hidden: HiddenCells) -> Cohort:
    """A copy of the cohort that lacks some cells."""
    evidence = cohort.evidence
    cohort = cohort.with_calls(cohort.calls.copy())
    hidden.hide(cohort.calls)
    if evidence is not None:
        evidence = replace(evidence, codes=evidence.codes.copy())
        evidence.hide(hidden)
    return replace(cohort, evidence=evidence)


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
