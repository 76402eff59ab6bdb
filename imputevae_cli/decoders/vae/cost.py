"""What training the variational autoencoder in full will take."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.vae import rules as vae_rules
from imputevae_cli.decoders.vae.soft_calls import side_by_side
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.decoders.vae.untrained_loci import WideVae, trained_loci
from imputevae_cli.runtime.cost import Cost, timed
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.run_options import RunOptions

MOMENT_SAMPLES = 256
"""Samples that it is trained on for a moment."""
EPOCHS_RUN = 0.75
"""Share of the epochs that are run before a fit stops early."""


def training_cost(task: Task) -> Cost:
    """By an epoch and two more on some of the samples, and by reading them off at as many loci again."""
    cohort, config = task.cohort, task.config
    n_samples, n_loci = cohort.calls.shape
    thinned = trained_loci(n_loci)
    loci = np.arange(n_loci) if thinned is None else thinned
    samples = np.arange(min(n_samples, MOMENT_SAMPLES))
    some = cohort.subset(samples, loci)
    _, cells = task.validation.within(samples, loci)
    data = TrainingData.of(some, cells)

    def train(epochs: int) -> Member:
        short = config.replace({"train.max_epochs": epochs, "train.ensemble": 1})
        return train_members(data, short, RunOptions(device=task.device))[0]

    with kernel_threads(1):
        (one, member), (three, _) = (timed(partial(train, epochs)) for epochs in (1, 3))
        seconds = max(0.0, three - one) / 2 * EPOCHS_RUN * config.train.max_epochs
        if thinned is not None:
            seen = torch.arange(len(loci))
            codes = None if data.populations is None else data.populations.to(task.device)
            twice = side_by_side(data.observed)
            read_off, _ = timed(lambda: WideVae.fit(member.model, twice, seen, codes, config.train.decoder_l2))
            seconds += read_off * (n_loci - len(loci)) / len(loci)
    weights = 5 * 12 * config.model.hidden_units  # of a locus, with gradients, moments and the best so far
    batch = min(n_samples, config.train.batch_size)
    decoded = 4 * 30 * min(batch * some.n_loci, vae_rules.DEFAULT.training.cells_at_once)
    bytes_ = some.n_loci * (weights + 4 * 4 * batch) + decoded + 200 * n_loci
    return Cost(config.train.ensemble * seconds * n_samples / len(samples), bytes_)
