"""Rules that set the decoder's schedule from the data, and a trial of the choices that rules cannot make.

The trial runs a few schedules on a few stretches of the genome, on calls that it hides there, and keeps the one that
gets most of them right.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.subsets import chromosomes_of, two_stretches
from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.chain import Chain, Cohort
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.resumable import Stages

TRIAL_CELLS = 400_000
TRIAL_SAMPLES = 500
TRIAL_HIDDEN = 0.1
SPARSE = 0.014  # switches per mean distance above which loci are far apart: more donors, chosen anew each time


def by_rule(n_samples: int) -> Schedule:
    """The schedule for so many samples, before the trial: small cohorts get more chains and cool more slowly."""
    if n_samples <= 150:
        return Schedule(16, 7, 4, core=256, halo=64, scales=(150, 400), start_rate=0.2, cooling=0.75, refresh=1)
    if n_samples <= 700:
        return Schedule(13, 7, 3, core=512, halo=96, scales=(300, 600), start_rate=0.1, cooling=0.6)
    chains = 2 if n_samples <= 2000 else 1
    wide = (300, 600, 1200)
    return Schedule(13, 8, chains, core=1500, halo=150, pieces=8, scales=wide, start_rate=0.05, cooling=0.6)


def overlaid(schedule: Schedule, settings: CopyingSettings) -> Schedule:
    """`schedule` with what the user has set."""
    names = ("iterations", "burn_in", "chains", "donors", "core", "halo")
    given = {name: value for name in names if (value := getattr(settings, name)) is not None}
    schedule = replace(schedule, **given, error=settings.error, global_share=settings.global_share or 0.0)
    return replace(schedule, burn_in=min(schedule.burn_in, schedule.iterations - 1))


def by_trial(cohort: Cohort, schedule: Schedule, seed: int, pool: ThreadPoolExecutor, stages: Stages) -> Schedule:
    """`schedule` with the cooling, rate floor and relatedness that do best on hidden calls of a few stretches."""
    small, truth = _excerpt(cohort, np.random.default_rng(seed))
    hidden = (truth != MISSING) & (small.calls == MISSING)
    if hidden.sum() < 200:
        return schedule

    def outcome(number: int, candidate: Schedule) -> tuple[float, float]:
        short = replace(candidate, iterations=14, burn_in=7, chains=1)
        return stages.run_together(
            f"trial {number}", lambda: _error_rate(small, short, truth, hidden, seed, pool, stages.ranks)
        )

    error, rate = outcome(0, schedule)
    for number, change in enumerate(_changes(cohort), 1):
        candidate = replace(schedule, **change)
        new_error, new_rate = outcome(number, candidate)
        if new_error < error - np.sqrt(error / hidden.sum()):  # by a standard error
            schedule, error, rate = candidate, new_error, new_rate
    if schedule.cooling is None and rate > SPARSE:
        schedule = replace(schedule, donors=2 * schedule.donors)
        if _mostly_inbred(cohort):  # no phase is drawn, so that chains hardly differ
            schedule = replace(schedule, chains=1)
        else:
            schedule = replace(schedule, core=256, halo=64, scales=(100, 250))
            schedule = replace(schedule, iterations=18, burn_in=8, chains=2)
    return schedule


def _mostly_inbred(cohort: Cohort) -> bool:
    return bool(np.median(inbreeding.coefficients(cohort.calls, cohort.ploidy, cohort.frequency)) > 0.5)


def _changes(cohort: Cohort) -> list[dict]:
    """What the trial tries, one after the other, on top of what it has kept."""
    plain = [{"cooling": None, "iterations": 16, "burn_in": 8}]
    warm = [{"cooling": None, "start_rate": 0.05, "refresh": 1}]
    related = [{"relatedness": True}] if cohort.likeness is not None else []
    floor = [{"rate_floor": 0.1, "cooling": None}, {"rate_floor": 0.25, "cooling": None}]
    return warm + related + floor if _mostly_inbred(cohort) else plain + warm + related


def _excerpt(cohort: Cohort, rng: np.random.Generator) -> tuple[Cohort, np.ndarray]:
    """Two stretches of the loci of some samples, with calls hidden, and the calls before (int8, like the excerpt)."""
    n, n_loci = cohort.calls.shape
    samples = np.sort(rng.choice(n, min(n, TRIAL_SAMPLES), replace=False))
    loci = two_stretches(n_loci, min(TRIAL_CELLS // len(samples), n_loci) // 2)
    truth = np.ascontiguousarray(cohort.calls[np.ix_(samples, loci)])
    calls = np.where(rng.random(truth.shape) < TRIAL_HIDDEN, MISSING, truth).astype(np.int8)
    likeness = None if cohort.likeness is None else cohort.likeness[np.ix_(samples, samples)]
    prior = cohort.prior if not cohort.prior.size else np.ascontiguousarray(cohort.prior[np.ix_(samples, samples)])
    codes = chromosomes_of(cohort.chrom_codes, loci)
    small = Cohort(calls, codes, cohort.positions[loci], cohort.ploidy, prior, likeness)
    return small, truth


def _error_rate(
    cohort: Cohort, schedule: Schedule, truth, hidden, seed: int, pool: ThreadPoolExecutor, ranks: Ranks
) -> tuple[float, float]:
    """(share of hidden calls that a chain gets wrong, its switch rate); truth int8 (N, L), hidden bool (N, L)."""
    chain = Chain(cohort, schedule, seed, ranks=ranks)
    missing = cohort.calls == MISSING
    doses = np.zeros((int(missing.sum()), 2), np.uint16)
    unit = DOSE_UNIT // max(schedule.iterations - schedule.burn_in, 1)
    at = cell_offsets(cohort.calls, chain.windows)
    for iteration in range(schedule.iterations):
        chain.iterate(pool, doses if iteration >= schedule.burn_in else doses[:0], at, unit)
    ranks.add_counts(doses)
    low, high = doses[hidden[missing]].T / (unit * max(schedule.iterations - schedule.burn_in, 1))
    samples, loci = np.nonzero(hidden)
    two_paths = chain.paths[copying_windows.window_of(chain.windows)[loci], samples] == 2
    middle = np.where(two_paths, 1 - low - high, 0.0)
    called = np.stack([low, middle, high]).argmax(0)
    scored = truth[hidden] if cohort.ploidy == 2 else 2 * truth[hidden]
    return float((called != scored).mean()), chain.rate
