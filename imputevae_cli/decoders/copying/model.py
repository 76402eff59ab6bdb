"""The copying decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

`CopyingModel(settings, seed).fit(cohort)` gives a `HaplotypePosterior`: genotype probabilities of the missing calls,
phased haplotypes, and a panel that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

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
from imputevae_cli.decoders.copying.run_chains import ChainRun
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.errors import InputError
from imputevae_cli.runtime.run_options import RunOptions

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
        guides: what other decoders learned. schedule: to be followed; None: by rules and trial. options: their stages
        remember the trials, and the iterations done.
        """
        given, options = hidden is not None, options or RunOptions()
        if hidden is None:
            hidden = self._choose_hidden(cohort, np.random.default_rng(self.seed))
            cohort = _without(cohort, hidden)
        inputs = self._inputs_of(cohort, guides or CopyingGuides())
        bits_of = partial(_restored_bits, hidden)
        with ThreadPoolExecutor(options.threads) as pool:
            schedule = schedule or self.schedule_for(inputs, pool, options)
            run = self._chains(inputs, schedule, options)
            if self._asks_for_refit(cohort, hidden):
                run = replace(run, bits_of=lambda chain: bits_of(chain)[0])
            doses, chain, ends = run.run(pool)
        posterior = _posterior(hidden, chain, doses, bits_of(chain), _frequencies(inputs.cohort))
        posterior = replace(posterior, ends=ends)
        return posterior if given else posterior.calibrated(hidden, self.rules.calibration)

    def go_on(
        self,
        cohort: Cohort,
        earlier: HaplotypePosterior,
        *,
        guides: CopyingGuides | None = None,
        options: RunOptions | None = None,
    ) -> HaplotypePosterior:
        """Let the chains of an earlier fit of this model go on, with the calls put back that were hidden from it.

        earlier: one whose `ends` are there. Its schedule is followed, and its calibration kept. guides, options: see
        `fit`.
        """
        inputs, options = self._inputs_of(cohort, guides or CopyingGuides()), options or RunOptions()
        run = replace(self._chains(inputs, earlier.schedule, options), earlier=earlier)
        with ThreadPoolExecutor(options.threads) as pool:
            doses, chain, _ = run.run(pool)
        earlier.mix_into(doses, inputs.cohort.calls, self.rules.refit.earlier_share)
        nothing = HiddenCells.none()
        posterior = _posterior(nothing, chain, doses, _restored_bits(nothing, chain), _frequencies(inputs.cohort))
        return replace(posterior, calibration=earlier.calibration)

    def _asks_for_refit(self, cohort: Cohort, hidden: HiddenCells) -> bool:
        """Whether chains will go on once the hidden calls are put back; cohort: without them."""
        n_known = cohort.calls.size - int(missing_per_sample(cohort.calls).sum()) + len(hidden.truth)
        return len(hidden.truth) > 0 and self.rules.asks_for_refit(len(hidden.truth), n_known)

    def schedule_for(
        self, inputs: ChainInputs, pool: ThreadPoolExecutor, options: RunOptions | None = None
    ) -> Schedule:
        """What the settings, the rules and, unless it is switched off, a trial say."""
        cohort, is_uncertain = inputs.cohort, inputs.cohort.evidence is not None
        schedule = self.rules.size.schedule_for(len(cohort.calls), is_uncertain)
        if not is_uncertain and self.settings.core is None:
            schedule = schedule.with_core(copying_windows.core_for(cohort, schedule.core, self.rules.window))
        schedule = choose_schedule.overlaid(schedule, self.settings)
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
            doses, chain, _ = self._chains(inputs, schedule, options).run(pool)
        bits = packed_haplotypes(chain.haplotypes, ploidy)
        posterior = _posterior(HiddenCells.none(), chain, doses, bits, panel.frequencies[part])
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

    def _chains(self, inputs: ChainInputs, schedule: Schedule, options: RunOptions) -> ChainRun:
        """The chains of a fit that begin anew."""
        kernel = kernel_for(options.device, self.kernel)
        return ChainRun(inputs, schedule, self.seed * 1000, kernel, self.rules, options)


def _posterior(
    hidden: HiddenCells, chain: Chain, doses: np.ndarray, bits: tuple[np.ndarray, np.ndarray], frequencies: np.ndarray
) -> HaplotypePosterior:
    """What a chain and its kin learned; bits: of `packed_haplotypes`."""
    cohort = chain.cohort
    return HaplotypePosterior(
        cohort.calls, hidden, cohort.ploidy, doses, *bits, chain.schedule, chain.switch, frequencies
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


def _frequencies(cohort: Cohort) -> np.ndarray:
    """Of the genotypes of each locus, float32 (L, ploidy + 1)."""
    if cohort.evidence is None:
        return locus_frequencies(cohort.calls, cohort.ploidy + 1, pseudo_count=1.0)
    return uncertain.genotype_frequencies(cohort.evidence)


def _restored_bits(hidden: HiddenCells, chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """`packed_haplotypes` of a chain at its end, with every known call put back, be it hidden; see `restored`."""
    cohort = chain.cohort
    certain = uncertain.certain_cells(hidden, cohort.ploidy)
    return packed_haplotypes(restored(chain.haplotypes, cohort.calls, cohort.ploidy, certain), cohort.ploidy)


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
