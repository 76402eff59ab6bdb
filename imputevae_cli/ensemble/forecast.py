"""What a fit and its fill will take: each part is run for a moment on some of the data, and its cost scaled to it all.

Which parts will be fitted is known only once they are, but the glimpse that a fit starts with tells most of it.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import torch

from imputevae_cli.config import KnnSettings
from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.knn import rules as knn_rules
from imputevae_cli.decoders.knn.decoder import KnnModel
from imputevae_cli.decoders.vae import rules as vae_rules
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.decoders.vae.train_data import TrainingData, population_tensor
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.decoders.vae.untrained_loci import WideVae, trained_loci
from imputevae_cli.ensemble import fit as fitting
from imputevae_cli.ensemble import screen as glimpses
from imputevae_cli.ensemble.ensemble import DONORS, FREQUENCIES, GLOBAL, HAPLOTYPE, FrequencyPart, closeness
from imputevae_cli.ensemble.held_out import Evidence
from imputevae_cli.log import NullProgress
from imputevae_cli.runtime.cost import MOMENT_CELLS, Forecast, timed
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.run_options import RunOptions

STEPS = (4, 12)
ASKED = 400  # cells that the donors are asked for
GATE_SECONDS = 1.5  # of one fit of the gate; it hardly depends on the data
MOMENT_SAMPLES = 256  # on which the global decoder is trained for a moment
EPOCHS_RUN = 0.75  # share of the epochs that are run before a fit stops early


def forecast(task: Task) -> Forecast:
    """What `fit_mixture` and filling every missing call will take, about."""
    with task.hidden.hidden_in(task.cohort.calls), kernel_threads(1):
        task = replace(task, progress=NullProgress())
        seconds, (wanted, n_gates, outdone) = timed(lambda: _wanted(task))
        total = Forecast(seconds + GATE_SECONDS * n_gates, 0)
        seconds, (_, _, latent) = timed(
            lambda: fitting.fit_global(task, fitting.epochs_in_passing(task, wanted == {HAPLOTYPE}))
        )
        total += Forecast(seconds, 0)
        if DONORS in wanted:
            total += _donors(task, closeness(latent), fitting.donor_settings(task.config, outdone))
        if HAPLOTYPE in wanted:
            from imputevae_cli.decoders.copying.cost import forecast_haplotypes  # and with it their compiler

            total += forecast_haplotypes(task)
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
        return {DONORS, HAPLOTYPE}, 1, set()
    if outdone := glimpses.outdone(task, copied, []):
        return {DONORS, HAPLOTYPE} - outdone, 1, outdone
    plain = Evidence.of(task.cohort, {FREQUENCIES: FrequencyPart.of(task.cohort).cells}, task.validation)
    helps = HAPLOTYPE in plain.beside(HAPLOTYPE, copied).gate(task.config.io.seed).parts
    return ({DONORS, HAPLOTYPE} if helps else {DONORS}), 3, set()


def _donors(task: Task, near: np.ndarray, settings: KnnSettings) -> Forecast:
    """By trainings of a few steps on some of the loci, and by some cells that the donors are asked for."""
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    n_some = min(n_loci, max(MOMENT_CELLS // n_samples, settings.window * 8))
    first = (n_loci - n_some) // 2
    some = cohort.subset(np.arange(n_samples), np.arange(first, first + n_some))

    def train(steps: int) -> KnnModel:
        few = msgspec.structs.replace(settings, steps=steps, redraws=1)
        decoder = KnnModel(few, 1)
        return decoder.fit(some, similarity=near)

    took = [timed(lambda steps=steps: train(steps)) for steps in STEPS]
    per_step = max(0.0, (took[1][0] - took[0][0]) / (STEPS[1] - STEPS[0]))
    panel = max(0.0, took[0][0] - STEPS[0] * per_step) / 2  # one to train with, one to fill from
    asked, loci = (index[:ASKED] for index in np.nonzero((some.calls == MISSING).T)[::-1])
    took[1][1].cells(asked[:1], loci[:1])  # what holds for all loci is worked out with the first
    fill = timed(lambda: took[1][1].cells(asked, loci))[0] / max(len(asked), 1)
    cells, rules = cohort.calls.size, knn_rules.DEFAULT
    n_missing = int(missing_per_sample(cohort.calls).sum())
    n_asked = n_missing + len(task.validation.truth) + len(task.test.truth)
    trained = min(n_loci, rules.training.cells // n_samples) / n_some * settings.redraws
    seconds = panel * (trained + 2 * n_loci / n_some) + settings.steps * per_step + fill * n_asked
    links = 4 * min(n_samples, rules.panel.link_samples) * (min(n_loci, rules.panel.link_candidates) - n_some)
    # Hidden cells of the training take 8 bytes each, a few times over
    return Forecast(seconds, cells + links + (3 + 32 * settings.hide) * min(cells, rules.training.cells))


def _global(task: Task) -> Forecast:
    """By an epoch and two more on some of the samples, and by reading them off at as many loci again."""
    cohort, config = task.cohort, task.config
    n_samples, n_loci = cohort.calls.shape
    thinned = trained_loci(n_loci)
    loci = np.arange(n_loci) if thinned is None else thinned
    samples = np.arange(min(n_samples, MOMENT_SAMPLES))
    some = cohort.subset(samples, loci)
    _, cells = task.validation.within(samples, loci)
    calls, codes = torch.from_numpy(some.calls), population_tensor(some)
    data = TrainingData(calls, some.ploidy + 1, cells, codes, some.n_populations)

    def train(epochs: int) -> Member:
        short = config.replace({"train.max_epochs": epochs, "train.ensemble": 1})
        return train_members(data, short, RunOptions(device=task.device))[0]

    with kernel_threads(task.threads):
        (one, member), (three, _) = (timed(lambda epochs=epochs: train(epochs)) for epochs in (1, 3))
        seconds = max(0.0, three - one) / 2 * EPOCHS_RUN * config.train.max_epochs
        if thinned is not None:
            seen = torch.arange(len(loci))
            codes = None if codes is None else codes.to(task.device)
            twice = torch.cat([calls, calls], 1)
            read_off, _ = timed(lambda: WideVae.fit(member.model, twice, seen, codes, config.train.decoder_l2))
            seconds += read_off * (n_loci - len(loci)) / len(loci)
    weights = 5 * 12 * config.model.hidden_units  # of a locus, with gradients, moments and the best so far
    batch = min(n_samples, config.train.batch_size)
    decoded = 4 * 30 * batch * min(some.n_loci, vae_rules.DEFAULT.training.loci_at_once)
    bytes_ = some.n_loci * (weights + 4 * 4 * batch) + decoded + 200 * n_loci
    return Forecast(config.train.ensemble * seconds * n_samples / len(samples), bytes_)
