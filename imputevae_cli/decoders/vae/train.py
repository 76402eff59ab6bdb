"""Training: mini-batches, AdamW, schedules, early stopping on simulated-missing calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from imputevae_cli.config import Config
from imputevae_cli.decoders.base import EpochResult
from imputevae_cli.decoders.vae.early_stopping import is_finished, keep_best, validation_loss
from imputevae_cli.decoders.vae.loss import class_weights
from imputevae_cli.decoders.vae.rules import DEFAULT
from imputevae_cli.decoders.vae.soft_calls import n_known
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.train_step import Batch, training_step
from imputevae_cli.decoders.vae.training_state import (
    Epoch,
    Member,
    member_from_state,
    member_state,
    new_member,
    optimizer_of,
)
from imputevae_cli.errors import TrainingError
from imputevae_cli.log import logger
from imputevae_cli.runtime.learning_rate import warm_up_then_cosine
from imputevae_cli.runtime.run_options import RunOptions


def train_members(
    data: TrainingData,
    config: Config,
    options: RunOptions,
    on_epoch: Callable[[EpochResult], Any] | None = None,
    name: str = "vae",
    together: bool = False,
) -> list[Member]:
    """Fit train.ensemble models, each from its own seed; every returned model holds its best weights.

    name: of the stages. together: whether all processes that share the fit train the same model, each on a part of
    every batch; else the first trains it. Raises TrainingError when the loss is not finite.
    """
    stages = options.stages
    run = stages.run_together if together else stages.run
    shape = (data.n_loci, data.n_classes, data.n_populations, config, options.device)
    return [
        run(
            f"{name} {index + 1}",
            partial(_train_member, index, data, config, options, on_epoch),
            member_state,
            lambda state: member_from_state(state, *shape),
        )
        for index in range(config.train.ensemble)
    ]


def _train_member(
    index: int,
    data: TrainingData,
    config: Config,
    options: RunOptions,
    on_epoch: Callable[[EpochResult], Any] | None,
) -> Member:
    member = _begun_member(options.stages.resumed(), index, data, config, options.device)
    name = "VAE" if config.train.ensemble == 1 else f"VAE {index + 1}/{config.train.ensemble}"
    with options.progress.task(name, config.train.max_epochs) as task:
        task.advance(member.epoch)
        while not is_finished(member, config):
            result = _run_epoch(member, data, config, options)
            task.advance(1, f"log loss {result.validation_loss:.4f}")
            logger.debug(
                "epoch %d: training %.4f, KL %.1f, validation %.4f",
                result.epoch + 1,
                result.training_loss,
                result.kl,
                result.validation_loss,
            )
            if on_epoch is not None:
                on_epoch(result)
        task.advance(config.train.max_epochs - member.epoch, f"best {member.best_loss:.4f}")
    member.model.load_state_dict(member.best_state)
    member.optimizer.zero_grad()  # nothing goes on from here, and weights are not all that takes memory
    member.optimizer, member.best_state = optimizer_of(member.model, config), {}
    return member


def _begun_state(member: Member) -> dict[str, Any]:
    """All of a member in training as plain types and tensors."""
    return member_state(member) | {"best_state": member.best_state, "running": vars(member.running)}


def _begun_member(
    state: dict[str, Any] | None, index: int, data: TrainingData, config: Config, device: torch.device
) -> Member:
    """A new member, or the one whose training was stopped at `state`."""
    if state is None:
        return new_member(index, data, config, device)
    member = member_from_state(state, data.n_loci, data.n_classes, data.n_populations, config, device)
    member.best_state = {name: value.to(device) for name, value in state["best_state"].items()}
    member.running = Epoch(**state["running"])
    return member


def _run_epoch(member: Member, data: TrainingData, config: Config, options: RunOptions) -> EpochResult:
    """One pass over all samples in random order, then the score on the validation cells."""
    settings, n, stages = config.train, len(data.calls), options.stages
    rate = settings.learning_rate * warm_up_then_cosine(member.epoch, settings.max_epochs, settings.warmup_epochs + 1)
    member.optimizer.lr = rate
    weights = class_weights(data.calls, data.n_classes, settings).to(options.device)
    epoch = member.running = member.running or Epoch(torch.randperm(n, generator=member.generator))
    for samples in epoch.order[epoch.done :].split(DEFAULT.training.batch_size(settings.batch_size, n)):
        stages.safe_point(lambda: _begun_state(member))
        batch = Batch(samples, data.rows(samples))
        reconstruction, kl = training_step(member, batch, data, config, weights, stages.ranks)
        epoch.done += len(samples)
        epoch.reconstruction += reconstruction
        epoch.kl += kl
        epoch.n_calls += n_known(batch.calls)
    if not math.isfinite(epoch.reconstruction):
        raise TrainingError(
            f"the loss is not finite at epoch {member.epoch + 1}; lower train.learning_rate "
            f"(now {settings.learning_rate:g}) or train.gamma"
        )
    result = EpochResult(
        member.index,
        member.epoch,
        epoch.reconstruction / max(epoch.n_calls, 1),
        epoch.kl / n,
        validation_loss(member, data, options.device, stages.ranks),
        rate,
    )
    keep_best(member, result)
    member.running = None
    return result
