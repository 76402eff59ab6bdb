"""A trial of the choices of a schedule that rules cannot make.

It runs a few schedules on a few stretches of the genome, on calls that it hides there, and keeps the one that gets most
of them right.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import first_of_records
from imputevae_cli.data.subsets import some_samples
from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.kernel_choice import Kernel
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.rules import CopyingRules, TrialRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.resumable import Stages, State
from imputevae_cli.runtime.serialise import as_arrays, as_tensors


def overlaid(schedule: Schedule, settings: CopyingSettings) -> Schedule:
    """`schedule` with what the user has set."""
    names = ("iterations", "burn_in", "chains", "donors", "core", "halo", "error")
    given = {name: value for name in names if (value := getattr(settings, name)) is not None}
    schedule = replace(schedule, **given, global_share=settings.global_share or 0.0)
    return replace(schedule, burn_in=min(schedule.burn_in, schedule.iterations - 1))


@dataclass(frozen=True)
class Outcome:
    """Of a chain on one stretch. wrong: bool (M,), which of the hidden calls it gets wrong. rate: its switch rate."""

    wrong: np.ndarray
    rate: float

    def state(self) -> State:
        """As plain types and tensors."""
        return as_tensors({"wrong": self.wrong, "rate": self.rate})

    @classmethod
    def of(cls, state: State) -> Outcome:
        """The outcome that `state` took down."""
        return cls(**as_arrays(state))

    def gain_of(self, other: Outcome) -> np.ndarray:
        """int64 (M,): 1 where another schedule is right instead, -1 where it is wrong."""
        return self.wrong.astype(np.int64) - other.wrong


@dataclass(frozen=True)
class Trial:
    """What schedules are tried on.

    inputs: two stretches of the loci of some samples, with calls hidden. truth: int8 like its calls, before that.
    hidden: bool like them. inbred: whether the whole cohort is mostly of inbred lines. n_samples: of the whole cohort.
    """

    inputs: ChainInputs
    truth: np.ndarray
    hidden: np.ndarray
    inbred: bool
    n_samples: int
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
        f = inbreeding.coefficients(cohort.diploid_calls, cohort.ploidy, inputs.frequency)
        inbred = bool(np.median(f) > rules.inbreeding.mostly)
        return cls(small.with_calls(calls), truth, hidden, inbred, len(cohort.calls), seed, pool, kernel, rules)

    @cached_property
    def halves(self) -> tuple[Trial, ...]:
        """The two stretches, each by itself; of less than two loci, the whole."""
        n_samples, n_loci = self.truth.shape
        if n_loci < 2:
            return (self,)
        found = []
        for loci in np.array_split(np.arange(n_loci), 2):
            cohort = self.inputs.cohort.subset(np.arange(n_samples), loci)
            part = slice(loci[0], loci[-1] + 1)
            inputs = replace(self.inputs, cohort=cohort)
            found.append(replace(self, inputs=inputs, truth=self.truth[:, part], hidden=self.hidden[:, part]))
        return tuple(found)

    def outcome(self, schedule: Schedule, ranks: Ranks) -> Outcome:
        """How a chain does that follows the schedule."""
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
        middle = 1 - low - high if cohort.ploidy == 2 else np.zeros_like(low)
        called = np.stack([low, middle, high]).argmax(0)
        scored = self.truth[self.hidden] * (1 if cohort.ploidy == 2 else 2)
        return Outcome(called != scored, chain.rate)


def by_trial(trial: Trial, schedule: Schedule, stages: Stages, settings: CopyingSettings | None = None) -> Schedule:
    """`schedule` with the cooling, rate floor, prior and donors that do best on calls that are hidden.

    Of lines only rate floors are tried. They are not cooled: what cooling finds is phase, which homozygotes do not
    have; and lines that are alike copy each other more often, which was better wherever it was tried. A trial has too
    few hidden calls to tell these from the alternatives, so that chance would choose.
    settings: what the user has set, which is not varied.
    """
    rules, settings = trial.rules.trial, settings or CopyingSettings()
    if trial.inbred:
        is_similar = trial.inputs.similarity is not None
        schedule = overlaid(replace(_without_cooling(schedule, rules), relatedness=is_similar), settings)
    if trial.hidden.sum() < rules.least_hidden:
        return schedule
    race = _Race(trial, schedule, stages, settings)
    return _best_of_lines(race, trial) if trial.inbred else _best_of_outbred(race, trial)


class _Race:
    """A trial as it goes on. best: the schedule that has won so far.

    A stretch is run only where it may decide: the second one, once a schedule does as well as the best on the first.
    """

    def __init__(self, trial: Trial, schedule: Schedule, stages: Stages, settings: CopyingSettings):
        self._trial, self._stages, self._settings, self._runs = trial, stages, settings, 0
        self.best, self._outcomes = schedule, [self._run(schedule, trial.halves[0])]

    @property
    def rate(self) -> float:
        """The switch rate of the best schedule."""
        return float(np.mean([outcome.rate for outcome in self._outcomes]))

    def _run(self, schedule: Schedule, half: Trial) -> Outcome:
        rules, ranks = self._trial.rules.trial, self._stages.ranks
        short = replace(schedule, iterations=rules.iterations, burn_in=rules.burn_in, chains=1)
        name = f"trial {self._runs}"
        self._runs += 1
        return self._stages.run_together(name, lambda: half.outcome(short, ranks), Outcome.state, Outcome.of)

    def _gain(self, outcomes: list[Outcome]) -> np.ndarray:
        """int64: `Outcome.gain_of` over the best, on the stretches that both were run on."""
        return np.concatenate([best.gain_of(one) for best, one in zip(self._outcomes, outcomes, strict=False)])

    def try_out(self, schedule: Schedule) -> float:
        """Run another schedule, and keep it if it is better by enough standard errors; by how many it is."""
        schedule = overlaid(schedule, self._settings)
        if schedule == self.best:
            return 0.0
        first, *rest = self._trial.halves
        outcomes = [self._run(schedule, first)]
        if self._gain(outcomes).sum() >= 0:
            self._outcomes += [self._run(self.best, half) for half in self._trial.halves[len(self._outcomes) :]]
            outcomes += [self._run(schedule, half) for half in rest]
        gain = self._gain(outcomes)  # of the same calls, so that most differences are 0
        better_by = float(gain.sum() / np.sqrt(max(np.square(gain).sum(), 1)))
        if better_by > self._trial.rules.trial.standard_errors:
            self.best, self._outcomes = schedule, outcomes
        return better_by


def _without_cooling(schedule: Schedule, rules: TrialRules) -> Schedule:
    """`schedule` with chains that are not cooled, and with as many iterations as those need."""
    return replace(schedule, cooling=None, iterations=rules.plain_iterations, burn_in=rules.plain_burn_in)


def _try_without_cooling(race: _Race, rules: TrialRules) -> float:
    """Try chains without cooling, and a warm start too unless rates have to be held down: then it never was better.

    Returns by how many standard errors chains without cooling do better.
    """
    better_by = race.try_out(_without_cooling(race.best, rules))
    if better_by > -rules.standard_errors:
        race.try_out(replace(race.best, cooling=None, start_rate=rules.warm_start_rate, refresh=1))
    return better_by


def _best_of_lines(race: _Race, trial: Trial) -> Schedule:
    """The schedule of a cohort of lines: the race began with all but the rate floor."""
    rules = trial.rules.trial
    for floor in rules.rate_floors:
        if race.try_out(replace(race.best, rate_floor=floor)) <= rules.standard_errors:
            break  # a higher one never was better where this was not
    if race.rate <= rules.sparse:
        return race.best
    return for_sparse_loci_of_lines(race.best, trial.n_samples, trial.rules)


def _best_of_outbred(race: _Race, trial: Trial) -> Schedule:
    """The schedule of any other cohort."""
    rules = trial.rules.trial
    is_long = _try_without_cooling(race, rules) < -rules.standard_errors
    if trial.inputs.similarity is not None:
        race.try_out(replace(race.best, relatedness=True))
    if race.best.cooling is not None:
        return trial.rules.size.where_long(race.best, trial.n_samples) if is_long else race.best
    if race.rate > rules.sparse:
        return for_sparse_loci(race.best, rules)
    race.try_out(replace(race.best, donors=rules.more_donors * race.best.donors))
    return race.best


def for_sparse_loci_of_lines(schedule: Schedule, n_samples: int, rules: CopyingRules) -> Schedule:
    """The schedule of so many lines where loci are far apart: one chain, as no phase is drawn and chains hardly differ,
    and more donors, unless lines are so few that this would make donors of them all."""
    more = rules.trial.more_donors if n_samples > rules.size.small else 1
    return replace(schedule, donors=more * schedule.donors, chains=1)


def for_sparse_loci(schedule: Schedule, rules: TrialRules) -> Schedule:
    """The schedule of outbred samples where loci are far apart: more donors, and a few long chains with windows that
    are not long. They start hot, whatever did better in a short one."""
    if schedule.core > rules.sparse_core:
        schedule = replace(schedule, core=rules.sparse_core, halo=rules.sparse_halo, scales=rules.sparse_scales)
    return replace(
        schedule,
        donors=rules.sparse_donors,
        start_rate=rules.sparse_start_rate,
        refresh=rules.sparse_refresh,
        iterations=rules.sparse_iterations,
        burn_in=rules.sparse_burn_in,
        chains=min(schedule.chains, rules.sparse_chains),
    )
