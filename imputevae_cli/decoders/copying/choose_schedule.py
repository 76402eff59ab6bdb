"""A trial of the choices of a schedule that rules cannot make.

It runs a few schedules on a few stretches of the genome, on calls that it hides there, and keeps the one that gets most
of them right.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import first_of_records
from imputevae_cli.data.subsets import some_samples
from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.kernel_choice import Kernel
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.rules import CopyingRules, TrialRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.resumable import Stages


def overlaid(schedule: Schedule, settings: CopyingSettings) -> Schedule:
    """`schedule` with what the user has set."""
    names = ("iterations", "burn_in", "chains", "donors", "core", "halo")
    given = {name: value for name in names if (value := getattr(settings, name)) is not None}
    schedule = replace(schedule, **given, error=settings.error, global_share=settings.global_share or 0.0)
    return replace(schedule, burn_in=min(schedule.burn_in, schedule.iterations - 1))


@dataclass(frozen=True)
class Trial:
    """What schedules are tried on.

    inputs: two stretches of the loci of some samples, with calls hidden. truth: int8 like its calls, before that.
    hidden: bool like them. inbred: whether the whole cohort is mostly of inbred lines.
    """

    inputs: ChainInputs
    truth: np.ndarray
    hidden: np.ndarray
    inbred: bool
    seed: int
    pool: ThreadPoolExecutor
    kernel: Kernel
    rules: CopyingRules

    @classmethod
    def of(cls, inputs: ChainInputs, seed: int, pool: ThreadPoolExecutor, kernel: Kernel, rules: CopyingRules) -> Trial:
        """Choose the stretches and hide calls, by `seed`."""
        rng, trial = np.random.default_rng(seed), rules.trial
        samples = some_samples(len(inputs.cohort.calls), trial.samples, rng)
        small = inputs.two_stretches(samples, trial.cells // len(samples))
        truth = small.cohort.calls
        hidden = (rng.random(truth.shape) < trial.hidden)[:, first_of_records(small.cohort.records)]
        calls = np.where(hidden, MISSING, truth).astype(np.int8)
        hidden = (truth != MISSING) & (calls == MISSING)
        cohort = inputs.cohort
        f = inbreeding.coefficients(cohort.calls, cohort.ploidy, inputs.frequency, cohort.haploid)
        inbred = bool(np.median(f) > rules.inbreeding.mostly)
        return cls(small.with_calls(calls), truth, hidden, inbred, seed, pool, kernel, rules)

    def outcome(self, schedule: Schedule, ranks: Ranks) -> tuple[float, float]:
        """(share of hidden calls that a chain gets wrong, its switch rate)."""
        cohort = self.inputs.cohort
        chain = Chain(self.inputs, schedule, self.seed, self.kernel, ranks, self.rules)
        missing = cohort.calls == MISSING
        doses = np.zeros((int(missing.sum()), 2), np.uint16)
        n_kept = max(schedule.iterations - schedule.burn_in, 1)
        unit = DOSE_UNIT // n_kept
        at = cell_offsets(cohort.calls, chain.windows)
        for iteration in range(schedule.iterations):
            chain.iterate(self.pool, doses if iteration >= schedule.burn_in else doses[:0], at, unit)
        ranks.add_counts(doses)
        low, high = doses[self.hidden[missing]].T / (unit * n_kept)
        samples, loci = np.nonzero(self.hidden)
        two_paths = chain.paths[copying_windows.window_of(chain.windows)[loci], samples] == 2
        middle = np.where(two_paths, 1 - low - high, 0.0)
        called = np.stack([low, middle, high]).argmax(0)
        scored = self.truth[self.hidden] * (1 if cohort.ploidy == 2 else 2)
        return float((called != scored).mean()), chain.rate


def by_trial(trial: Trial, schedule: Schedule, stages: Stages) -> Schedule:
    """`schedule` with the cooling, rate floor and copying prior that do best on hidden calls of a few stretches."""
    rules, n_hidden = trial.rules.trial, trial.hidden.sum()
    if n_hidden < rules.least_hidden:
        return schedule

    def outcome(number: int, candidate: Schedule) -> tuple[float, float]:
        short = replace(candidate, iterations=rules.iterations, burn_in=rules.burn_in, chains=1)
        return stages.run_together(f"trial {number}", lambda: trial.outcome(short, stages.ranks))

    error, rate = outcome(0, schedule)
    for number, change in enumerate(_changes(trial, rules), 1):
        candidate = replace(schedule, **change)
        new_error, new_rate = outcome(number, candidate)
        if new_error < error - rules.standard_errors * np.sqrt(error / n_hidden):
            schedule, error, rate = candidate, new_error, new_rate
    return for_sparse_loci(schedule, rate, trial.inbred, rules)


def _changes(trial: Trial, rules: TrialRules) -> list[dict]:
    """What the trial tries, one after the other, on top of what it has kept."""
    plain = [{"cooling": None, "iterations": rules.plain_iterations, "burn_in": rules.plain_burn_in}]
    warm = [{"cooling": None, "start_rate": rules.warm_start_rate, "refresh": 1}]
    related = [{"relatedness": True}] if trial.inputs.similarity is not None else []
    floors = [{"rate_floor": floor, "cooling": None} for floor in rules.rate_floors]
    return warm + related + floors if trial.inbred else plain + warm + related


def for_sparse_loci(schedule: Schedule, rate: float, inbred: bool, rules: TrialRules) -> Schedule:
    """The schedule for loci so far apart that a chain without cooling switches at this rate: more donors, and where
    phase is drawn, shorter windows and more iterations."""
    if schedule.cooling is not None or rate <= rules.sparse:
        return schedule
    schedule = replace(schedule, donors=rules.more_donors * schedule.donors)
    if inbred:  # no phase is drawn, so that chains hardly differ
        return replace(schedule, chains=1)
    return replace(
        schedule,
        core=rules.sparse_core,
        halo=rules.sparse_halo,
        scales=rules.sparse_scales,
        iterations=rules.sparse_iterations,
        burn_in=rules.sparse_burn_in,
        chains=rules.sparse_chains,
    )
