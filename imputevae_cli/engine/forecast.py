"""What a fit and its fill will take: each part is run for a moment on some of the data, and its cost scaled to it all.

Which parts will be fitted is known only once they are, but the glimpse that a fit starts with tells most of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from imputevae_cli.config import DonorSettings
from imputevae_cli.engine import copying_windows, fitting, glimpses
from imputevae_cli.engine.copying import HaplotypeDecoder
from imputevae_cli.engine.copying_chain import CHUNK_BYTES, Chain, Schedule
from imputevae_cli.engine.copying_chain import Cohort as ChainCohort
from imputevae_cli.engine.copying_frame import cell_offsets
from imputevae_cli.engine.device import kernel_threads
from imputevae_cli.engine.donor_panel import LINK_CANDIDATES, LINK_SAMPLES
from imputevae_cli.engine.donor_training import TRAINING_CELLS
from imputevae_cli.engine.donors import DonorDecoder
from imputevae_cli.engine.evidence import Evidence
from imputevae_cli.engine.mixture import DONORS, FREQUENCIES, GLOBAL, HAPLOTYPE, FrequencyPart, closeness
from imputevae_cli.engine.task import Task
from imputevae_cli.engine.wide import MOST_TRAINED
from imputevae_cli.genotypes import MISSING, missing_per_sample
from imputevae_cli.log import NullProgress

MOMENT_CELLS = 600_000
"""Cells on which the haplotypes and the donors are run for a moment."""
STEPS = (4, 12)
ASKED = 400  # cells that the donors are asked for
GATE_SECONDS = 1.5  # of one fit of the gate; it hardly depends on the data
WIDE_EPOCHS = 10  # what Newton's steps at one locus cost, in epochs of training
EPOCHS_RUN = 0.75  # share of the epochs that are run before a fit stops early


@dataclass(frozen=True)
class Forecast:
    """seconds: wall time of fitting and filling. bytes: what they need beside what is in memory now."""

    seconds: float
    bytes: float

    def __add__(self, other: Forecast) -> Forecast:
        """One after the other: times add up, and the larger need counts."""
        return Forecast(self.seconds + other.seconds, max(self.bytes, other.bytes))


def forecast(task: Task) -> Forecast:
    """What `fit_mixture` and filling every missing call will take, about."""
    with task.hidden.hidden_in(task.cohort.calls), kernel_threads(1):
        task = replace(task, progress=NullProgress())
        seconds, (wanted, n_gates, outdone) = _timed(lambda: _wanted(task))
        total = Forecast(seconds + GATE_SECONDS * n_gates, 0)
        seconds, (_, _, latent) = _timed(
            lambda: fitting.fit_global(task, fitting.epochs_in_passing(task, wanted == {HAPLOTYPE}))
        )
        total += Forecast(seconds, 0)
        if DONORS in wanted:
            total += _donors(task, closeness(latent), fitting.donor_settings(task.config, outdone))
        if HAPLOTYPE in wanted:
            total += _haplotypes(task)
        if GLOBAL in wanted:
            total += _global(task)
    return total


def _wanted(task: Task) -> tuple[set[str], int, set[str]]:
    """The parts that will be fitted in full, about, how often the gate will be fitted, and the parts outdone."""
    decoder = task.config.model.decoder
    if decoder != "auto":
        return {decoder} | ({GLOBAL} if fitting.needs_global(task.config, {decoder}) else set()), 1, set()
    if task.cohort.calls.size <= fitting.SMALL:
        return {GLOBAL, DONORS, HAPLOTYPE}, 2, set()
    copied = glimpses.of_haplotypes(task)
    if copied is None:
        return {DONORS}, 1, set()
    if outdone := glimpses.outdone(task, copied, []):
        return {DONORS, HAPLOTYPE} - outdone, 1, outdone
    plain = Evidence.of(task.cohort, {FREQUENCIES: FrequencyPart.of(task.cohort).cells}, task.validation)
    helps = HAPLOTYPE in plain.beside(HAPLOTYPE, copied).gate(task.config.io.seed).parts
    return ({DONORS, HAPLOTYPE} if helps else {DONORS}), 3, set()


def _haplotypes(task: Task) -> Forecast:
    """By two iterations, of the schedule that a trial chooses, on a stretch of the loci of all samples."""
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    decoder = HaplotypeDecoder(task.config.haplotype, 1)
    whole = ChainCohort(cohort.calls, cohort.chrom_codes, cohort.positions, cohort.ploidy)
    with ThreadPoolExecutor(task.threads) as pool:
        trial, schedule = _timed(lambda: decoder.schedule_for(whole, pool))
        width = min(n_loci, max(MOMENT_CELLS // n_samples, 100))
        first = (n_loci - width) // 2
        some = cohort.excerpt(np.arange(n_samples), np.arange(first, first + width))
        seconds, _ = _timed(lambda: _two_iterations(some, schedule, pool))
    read = _read_loci(cohort.chrom_codes, schedule) / _read_loci(some.chrom_codes, schedule)
    n_missing = int(missing_per_sample(cohort.calls).sum())
    n_hidden = len(task.validation.truth) + len(task.test.truth)
    runs = 1 + (n_hidden >= fitting.HIDDEN_TELLS * (cohort.calls.size - n_missing))
    seconds *= read * runs * schedule.chains * schedule.iterations / 2
    n_windows = len(copying_windows.windows(cohort.chrom_codes, schedule.core, schedule.halo))
    bytes_ = (
        cohort.ploidy * cohort.calls.size
        + 2 * min(CHUNK_BYTES, cohort.ploidy * cohort.calls.size)
        + 4 * n_missing
        + 8 * n_windows * n_samples * schedule.donors
        + cohort.calls.size // 8
        + (task.config.haplotype.global_share != 0) * 2 * cohort.calls.size
    )
    return Forecast(trial + seconds, bytes_)


def _two_iterations(cohort, schedule: Schedule, pool: ThreadPoolExecutor) -> None:
    chain = Chain(ChainCohort(cohort.calls, cohort.chrom_codes, cohort.positions, cohort.ploidy), schedule, 1)
    doses = np.zeros((int((cohort.calls == MISSING).sum()), 2), np.uint16)
    for _ in range(2):
        chain.iterate(pool, doses, cell_offsets(cohort.calls, chain.windows), 1)


def _read_loci(chrom_codes: np.ndarray, schedule: Schedule) -> int:
    """Loci that one iteration reads, those of the halos more than once."""
    windows = copying_windows.windows(chrom_codes, schedule.core, schedule.halo)
    return int((windows[:, 3] - windows[:, 0]).sum())


def _donors(task: Task, near: np.ndarray, settings: DonorSettings) -> Forecast:
    """By trainings of a few steps on some of the loci, and by some cells that the donors are asked for."""
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    n_some = min(n_loci, max(MOMENT_CELLS // n_samples, settings.window * 8))
    first = (n_loci - n_some) // 2
    some = cohort.excerpt(np.arange(n_samples), np.arange(first, first + n_some))

    def train(steps: int) -> DonorDecoder:
        few = msgspec.structs.replace(settings, steps=steps, redraws=1)
        decoder = DonorDecoder(few, 1)
        known = some.known_populations
        return decoder.fit(some.calls, some.chrom_codes, some.ploidy, populations=known, similarity=near)

    took = [_timed(lambda steps=steps: train(steps)) for steps in STEPS]
    per_step = max(0.0, (took[1][0] - took[0][0]) / (STEPS[1] - STEPS[0]))
    panel = max(0.0, took[0][0] - STEPS[0] * per_step) / 2  # one to train with, one to fill from
    asked, loci = (index[:ASKED] for index in np.nonzero((some.calls == MISSING).T)[::-1])
    fill = _timed(lambda: took[1][1].cells(asked, loci))[0] / max(len(asked), 1)
    cells = cohort.calls.size
    n_missing = int(missing_per_sample(cohort.calls).sum())
    n_asked = n_missing + len(task.validation.truth) + len(task.test.truth)
    trained = min(n_loci, TRAINING_CELLS // n_samples) / n_some * settings.redraws
    seconds = panel * (trained + 2 * n_loci / n_some) + settings.steps * per_step + fill * n_asked
    links = 4 * min(n_samples, LINK_SAMPLES) * (min(n_loci, LINK_CANDIDATES) - n_some)
    # Hidden cells of the training take 8 bytes each, a few times over
    return Forecast(seconds, cells + links + (3 + 32 * settings.hide) * min(cells, TRAINING_CELLS))


def _global(task: Task) -> Forecast:
    """By two epochs."""
    n_samples, n_loci = task.cohort.calls.shape
    epochs = task.config.train.max_epochs
    short = replace(
        task, config=task.config.replace({"train.max_epochs": 2, "train.ensemble": 1, "model.decoder": GLOBAL})
    )
    seconds, _ = _timed(lambda: fitting.fit_global(short, 2))
    thinned = min(n_loci, -(-fitting.LATENT_CELLS // n_samples))
    seconds *= task.config.train.ensemble * min(n_loci, MOST_TRAINED) / thinned * EPOCHS_RUN * epochs / 2
    if n_loci > MOST_TRAINED:
        seconds *= 1 + WIDE_EPOCHS / epochs * n_loci / MOST_TRAINED
    weights = 5 * 12 * task.config.model.hidden_units  # of a locus, with gradients, moments and the best so far
    batch = 4 * 20 * min(n_samples, task.config.train.batch_size)
    return Forecast(seconds, min(n_loci, MOST_TRAINED) * (weights + batch) + 200 * n_loci)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result
