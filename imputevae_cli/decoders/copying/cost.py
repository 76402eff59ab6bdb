"""What the copying decoder of a fit will cost. A module of its own, as it needs the compiler that others are spared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.kernel_choice import Kernel, kernel_for
from imputevae_cli.decoders.copying.model import CopyingModel, plain_inputs
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.run_chains import Span, refit_span
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.runtime.cost import MOMENT_CELLS, Cost, timed
from imputevae_cli.runtime.run_options import RunOptions


def fitting_cost(task: Task) -> Cost:
    """By two iterations, of the schedule that a trial chooses, on a stretch of the loci of all samples."""
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    decoder = CopyingModel(task.config.copying, 1)
    inputs = plain_inputs(cohort)
    cohort = inputs.cohort
    with ThreadPoolExecutor(task.threads) as pool:
        trial, schedule = timed(lambda: decoder.schedule_for(inputs, pool, RunOptions(device=task.device)))
        width = min(n_loci, max(MOMENT_CELLS // n_samples, 100))
        first = (n_loci - width) // 2
        some = task.cohort.subset(np.arange(n_samples), np.arange(first, first + width))
        seconds, _ = timed(lambda: _two_iterations(some, schedule, pool, kernel_for(task.device)))
    read = _read_loci(cohort.chrom_codes, schedule) / _read_loci(some.chrom_codes, schedule)
    n_missing = int(missing_per_sample(cohort.calls).sum())
    n_hidden = len(task.validation.truth) + len(task.test.truth)
    goes_on = decoder.rules.asks_for_refit(n_hidden, cohort.calls.size - n_missing + n_hidden)
    again = refit_span(schedule, decoder.rules.refit) if goes_on else Span(0, 0, 0)
    seconds *= read * schedule.chains * (schedule.iterations + again.stop - again.begin) / 2
    n_windows = len(copying_windows.windows(cohort.chrom_codes, schedule.core, schedule.halo))
    bytes_ = (
        cohort.ploidy * cohort.calls.size
        + 2 * min(decoder.rules.work.chunk_bytes, cohort.ploidy * cohort.calls.size)
        + 4 * n_missing * (1 + goes_on)
        + goes_on * (schedule.chains - 1) * cohort.ploidy * cohort.calls.size // 8
        + 8 * n_windows * n_samples * schedule.donors
        + cohort.calls.size // 8
        + (task.config.copying.global_share != 0) * 2 * cohort.calls.size
    )
    return Cost(trial + seconds, bytes_)


def _two_iterations(cohort: Cohort, schedule: Schedule, pool: ThreadPoolExecutor, kernel: Kernel) -> None:
    chain = Chain(plain_inputs(cohort), schedule, 1, kernel)
    cohort = chain.cohort
    doses = np.zeros((int((cohort.calls == MISSING).sum()), 2), np.uint16)
    for _ in range(2):
        chain.iterate(pool, doses, cell_offsets(cohort.calls, chain.windows), 1)


def _read_loci(chrom_codes: np.ndarray, schedule: Schedule) -> int:
    """Loci that one iteration reads, those of the halos more than once."""
    windows = copying_windows.windows(chrom_codes, schedule.core, schedule.halo)
    return int((windows[:, 3] - windows[:, 0]).sum())
