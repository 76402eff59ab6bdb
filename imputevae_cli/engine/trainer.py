"""Training: mini-batches, AdamW, schedules, early stopping on simulated-missing calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.config import Config
from imputevae_cli.engine.cells import HiddenCells
from imputevae_cli.engine.draws import Draws
from imputevae_cli.engine.loss import Objective, class_weights
from imputevae_cli.engine.optim import AdamW
from imputevae_cli.engine.ranks import Ranks
from imputevae_cli.engine.stages import Stages
from imputevae_cli.engine.vae import GenotypeVae, Latent, VaeShape, at_loci, encode_in_batches, locus_statistics
from imputevae_cli.engine.wide import WideVae
from imputevae_cli.errors import TrainingError
from imputevae_cli.genotypes import MISSING
from imputevae_cli.log import Progress, logger
from imputevae_cli.seeds import seed_for

LOCI_AT_ONCE = 2048
"""Loci of a batch that go through the decoder, forward and back, at a time."""


@dataclass(frozen=True)
class TrainingData:
    """calls: int8 (N, all loci), -1 where missing or hidden. loci: int64 (L,), those to train on, or None for all.

    validation: cells by their place among these. populations: int64 (N,) codes, or None.
    """

    calls: Tensor
    n_classes: int
    validation: HiddenCells
    populations: Tensor | None = None
    n_populations: int = 0
    loci: Tensor | None = None

    @property
    def n_loci(self) -> int:
        return self.calls.shape[1] if self.loci is None else len(self.loci)

    def rows(self, samples: Tensor) -> Tensor:
        """Calls of some samples, int64 (B,): int8 (B, L)."""
        return at_loci(self.calls[samples], self.loci)


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave. Losses are in nats per call, kl in nats per sample."""

    member: int
    epoch: int
    training_loss: float
    kl: float
    validation_loss: float
    learning_rate: float


@dataclass
class Epoch:
    """A pass over all samples: order, int64 (N,); how many of them are done; sums over these, in nats, and calls."""

    order: Tensor
    done: int = 0
    reconstruction: float = 0.0
    kl: float = 0.0
    n_calls: int = 0


@dataclass(eq=False)
class Member:
    """One model of the ensemble, with all that its training needs to go on.

    best_state: the weights at `best_epoch`, the epoch with the lowest validation loss. running: the epoch at work.
    """

    index: int
    model: GenotypeVae
    optimizer: AdamW
    generator: torch.Generator
    epoch: int = 0
    best_epoch: int = -1
    best_loss: float = math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[EpochResult] = field(default_factory=list)
    running: Epoch | None = None
    wide: WideVae | None = None

    @property
    def decoder(self) -> GenotypeVae | WideVae:
        """The model of all loci: `wide` where `model` was trained on some of them."""
        return self.model if self.wide is None else self.wide


def train_members(
    data: TrainingData,
    config: Config,
    device: torch.device,
    progress: Progress,
    on_epoch: Callable[[EpochResult], Any] | None = None,
    stages: Stages | None = None,
    name: str = "global",
    together: bool = False,
) -> list[Member]:
    """Fit train.ensemble models, each from its own seed; every returned model holds its best weights.

    name: of the stages. together: whether all processes that share the fit train the same model, each on a part of
    every batch; else the first trains it. Raises TrainingError when the loss is not finite.
    """
    stages = stages or Stages()
    run = stages.run_together if together else stages.run
    shape = (data.n_loci, data.n_classes, data.n_populations, config, device)
    return [
        run(
            f"{name} {index + 1}",
            lambda index=index: _train_member(index, data, config, device, progress, on_epoch, stages),
            member_state,
            lambda state: member_from_state(state, *shape),
        )
        for index in range(config.train.ensemble)
    ]


def _train_member(
    index: int,
    data: TrainingData,
    config: Config,
    device: torch.device,
    progress: Progress,
    on_epoch: Callable[[EpochResult], Any] | None,
    stages: Stages,
) -> Member:
    member = _begun_member(stages.resumed(), index, data, config, device)
    name = "Training" if config.train.ensemble == 1 else f"Training {index + 1}/{config.train.ensemble}"
    with progress.task(name, config.train.max_epochs) as task:
        task.advance(member.epoch)
        while not _finished(member, config):
            result = _run_epoch(member, data, config, device, stages)
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
    member.optimizer, member.best_state = _optimizer(member.model, config), {}
    return member


def _begun_state(member: Member) -> dict[str, Any]:
    """All of a member in training as plain types and tensors."""
    return member_state(member) | {"best_state": member.best_state, "running": vars(member.running)}


def _begun_member(
    state: dict[str, Any] | None, index: int, data: TrainingData, config: Config, device: torch.device
) -> Member:
    """A new member, or the one whose training was stopped at `state`."""
    if state is None:
        return _new_member(index, data, config, device)
    member = member_from_state(state, data.n_loci, data.n_classes, data.n_populations, config, device)
    member.best_state = {name: value.to(device) for name, value in state["best_state"].items()}
    member.running = Epoch(**state["running"])
    return member


def _new_member(index: int, data: TrainingData, config: Config, device: torch.device) -> Member:
    generator = torch.Generator().manual_seed(seed_for(config.io.seed, f"member {index}"))
    shape = VaeShape(data.n_loci, data.n_classes, data.n_populations)
    statistics = locus_statistics(data.calls, data.n_classes, data.loci)
    model = GenotypeVae(shape, config.model, statistics, generator).to(device)
    return Member(index, model, _optimizer(model, config), generator)


def _optimizer(model: GenotypeVae, config: Config) -> AdamW:
    # The loadings have their own prior, decoder_l2
    groups = [(_shared_by_loci(model), config.train.weight_decay), ([model.loadings, model.intercepts], 0.0)]
    return AdamW(groups, config.train.learning_rate)


def _shared_by_loci(model: GenotypeVae) -> list[Tensor]:
    """The parameters of the encoder and of the hidden layers."""
    return [p for p in model.parameters() if p is not model.loadings and p is not model.intercepts]


def _finished(member: Member, config: Config) -> bool:
    settings = config.train
    if member.epoch >= settings.max_epochs:
        return True
    stale = member.epoch - 1 - member.best_epoch >= settings.early_stop_gen
    return stale and member.epoch >= settings.min_epochs


def _run_epoch(member: Member, data: TrainingData, config: Config, device: torch.device, stages: Stages) -> EpochResult:
    """One pass over all samples in random order, then the score on the validation cells."""
    settings, n = config.train, len(data.calls)
    rate = settings.learning_rate * rate_factor(member.epoch, settings.warmup_epochs, settings.max_epochs)
    member.optimizer.lr = rate
    weights = class_weights(data.calls, data.n_classes, settings).to(device)
    epoch = member.running = member.running or Epoch(torch.randperm(n, generator=member.generator))
    for batch in epoch.order[epoch.done :].split(min(settings.batch_size, max(1, -(-n // 4)))):
        stages.safe_point(lambda: _begun_state(member))
        calls = data.rows(batch)
        reconstruction, kl = _step(member, batch, calls, data, config, weights, stages.ranks)
        epoch.done += len(batch)
        epoch.reconstruction += reconstruction
        epoch.kl += kl
        epoch.n_calls += int((calls != MISSING).sum())
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
        _validation_loss(member, data, device, stages.ranks),
        rate,
    )
    _keep_best(member, result)
    member.running = None
    return result


def _step(
    member: Member, batch: Tensor, calls: Tensor, data: TrainingData, config: Config, weights: Tensor, ranks: Ranks
) -> tuple[float, float]:
    """Change the weights by the loss on a batch, int64 (B,) of the samples, with their calls, int8 (B, L).

    weights: of the classes, (C,). Each of the processes takes a part of the batch, and all take the same step. Returns
    the batch's sums of reconstruction and KL, in nats.
    """
    settings, model, device = config.train, member.model, weights.device
    rows = ranks.part(len(batch))
    populations = _batch_populations(data, batch, config, member.generator)
    visible = hide_inputs(calls, settings.input_mask_min, settings.input_mask_max, member.generator)
    draws = Draws(member.generator, len(batch), rows)
    if populations is not None:
        populations = populations[rows].to(device)
    with _precision(settings.precision, device):
        latent = Latent(*(part.float() for part in model.encode(visible[rows].to(device), populations, draws)))
        hidden = model.hidden(latent.sample(draws), populations).float()  # (b, H), of the rows alone
    objective = _objective(member, calls.to(device), config, weights)
    penalty = _Penalty(settings.decoder_l2 / len(data.calls) / ranks.size, settings.l1_penalty / ranks.size)
    reconstruction, slope = _decode_backward(
        model, hidden, calls[rows].to(device), objective, penalty, settings.precision
    )
    kl = latent.kl()
    others = _shared_by_loci(model)
    for parameter in others:
        parameter.grad = None
    rest = objective.mean(torch.zeros_like(kl), kl)
    if penalty.l1:
        rest = rest + penalty.l1 * sum(p.abs().sum() for p in others)
    # Its gradient by the hidden units is `slope`; to hand `slope` to torch as a gradient would import sympy, 20 MB
    ((hidden * slope).sum() + rest).backward()
    sums = torch.stack([reconstruction.sum(), kl.detach().sum()])
    ranks.add(sums, *(p.grad for p in model.parameters() if p.grad is not None))
    member.optimizer.step()
    return tuple(sums.tolist())


def _objective(member: Member, calls: Tensor, config: Config, weights: Tensor) -> Objective:
    """Of a batch, calls int8 (B, L), at the member's epoch."""
    settings = config.train
    beta = config.vae.kl_beta * _ramp(config.vae.kl_beta_schedule, member.epoch, settings.max_epochs)
    gamma = settings.gamma * _ramp(settings.gamma_schedule, member.epoch, settings.max_epochs)
    return Objective.of(calls, weights, gamma, beta)


class _Penalty(NamedTuple):
    """Weights, in the objective of a batch, of the squared loadings and of the absolute values of all parameters."""

    loadings_l2: float
    l1: float


def _decode_backward(
    model: GenotypeVae, hidden: Tensor, calls: Tensor, objective: Objective, penalty: _Penalty, precision: str
) -> tuple[Tensor, Tensor]:
    """Reconstruction of each sample in nats, (b,), and the objective's gradient by its hidden units, (b, H).

    Puts the gradients of loadings and intercepts in place of those that were there. Given the hidden units, loci add
    up: some at a time go forward and back, so that nothing of the batch but its calls is as long as the file. calls:
    int8 (b, L).
    """
    top = hidden.detach().requires_grad_()
    per_locus = [model.loadings, model.intercepts]
    for parameter in per_locus:
        parameter.grad = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
    nats = torch.zeros(len(top), device=top.device)
    for start in range(0, model.shape.n_loci, LOCI_AT_ONCE):
        loci = slice(start, start + LOCI_AT_ONCE)
        some = [parameter.detach()[..., loci].requires_grad_() for parameter in per_locus]
        with _precision(precision, top.device):
            logits = model.logits(top, *some)  # (C, b, l)
        reconstruction = objective.reconstruction(logits.float(), calls[:, loci])
        loss = objective.mean(reconstruction) + penalty.loadings_l2 * some[0].square().sum()
        if penalty.l1:
            loss = loss + penalty.l1 * sum(part.abs().sum() for part in some)
        loss.backward()
        for parameter, part in zip(per_locus, some, strict=True):
            parameter.grad[..., loci] = part.grad
        nats += reconstruction.detach()
    return nats, top.grad


def _precision(name: str, device: torch.device) -> AbstractContextManager:
    """A context in which the factors of matrix products are rounded to bf16 where `name`, train.precision, says so."""
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else nullcontext()


def rate_factor(epoch: int, warmup: int, max_epochs: int) -> float:
    """Share of the learning rate at an epoch (0-based): linear warm-up, then cosine to 0 at max_epochs."""
    return min(1.0, (epoch + 1) / (warmup + 1)) * 0.5 * (1.0 + math.cos(math.pi * epoch / max_epochs))


def _ramp(scheduled: bool, epoch: int, max_epochs: int) -> float:
    return min(1.0, epoch / max(1.0, max_epochs / 2)) if scheduled else 1.0


def hide_inputs(calls: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Calls with a share of each sample's hidden, the share drawn uniformly from low..high; int8 (B, L)."""
    share = low + (high - low) * torch.rand((len(calls), 1), generator=generator)  # (B, 1)
    # Bytes are drawn in an eighth of the time of floats; 1/256 is fine enough a step for a share
    draws = torch.randint(0, 256, calls.shape, generator=generator, dtype=torch.uint8)
    return calls.masked_fill(draws < (share * 256).round().clamp_max(255).to(torch.uint8), MISSING)


def _batch_populations(data: TrainingData, batch: Tensor, config: Config, generator: torch.Generator) -> Tensor | None:
    """Population codes of a batch, int64 (B,), some replaced by the code for "none"."""
    if data.populations is None:
        return None
    withheld = torch.rand(len(batch), generator=generator) < config.model.population_dropout
    return data.populations[batch].masked_fill(withheld, data.n_populations)


@torch.no_grad()
def _validation_loss(member: Member, data: TrainingData, device: torch.device, ranks: Ranks) -> float:
    """Log loss in nats per validation cell, z at its posterior mean; each process takes some of the samples."""
    some = ranks.part(len(data.calls))
    populations = None if data.populations is None else data.populations[some].to(device)
    latent = encode_in_batches(member.model, data.calls[some], populations, data.loci)
    cells = data.validation
    cells = cells.take(np.flatnonzero((cells.samples >= some.start) & (cells.samples < some.stop)))
    rows, loci = torch.from_numpy(cells.samples - some.start).to(device), torch.from_numpy(cells.loci).to(device)
    log_gp = torch.log_softmax(member.model.decode_cells(latent.mu, populations, rows, loci), 0).cpu()  # (C, M)
    loss = -log_gp.gather(0, torch.from_numpy(cells.truth)[None]).sum()
    ranks.add(loss)
    return float(loss / len(data.validation.truth))


def _keep_best(member: Member, result: EpochResult) -> None:
    if result.validation_loss < member.best_loss:
        member.best_loss, member.best_epoch = result.validation_loss, result.epoch
        for name, value in member.model.state_dict().items():
            if name in member.best_state:
                member.best_state[name].copy_(value)  # in place: the weights are most of the memory
            else:
                member.best_state[name] = value.detach().clone()
    member.epoch = result.epoch + 1
    member.history.append(result)


def member_state(member: Member) -> dict[str, Any]:
    """All of a member as plain types and tensors, for a checkpoint."""
    return {
        "index": member.index,
        "weights": {name: value.cpu() for name, value in member.model.state_dict().items()},
        "optimizer": member.optimizer.state_dict(),
        "generator": member.generator.get_state(),
        "epoch": member.epoch,
        "best_epoch": member.best_epoch,
        "best_loss": member.best_loss,
        "history": [asdict(result) for result in member.history],
        "wide": None if member.wide is None else member.wide.state(),
    }


def member_from_state(
    state: dict[str, Any], n_loci: int, n_classes: int, n_populations: int, config: Config, device: torch.device
) -> Member:
    """The member that `member_state` took down. Raises KeyError, RuntimeError or ValueError where it does not fit."""
    generator, wide = torch.Generator(), state["wide"]
    n_loci = n_loci if wide is None else len(wide["seen"])
    shape = VaeShape(n_loci, n_classes, n_populations)
    blank = locus_statistics(torch.full((1, n_loci), MISSING, dtype=torch.int8), n_classes)
    model = GenotypeVae(shape, config.model, blank, generator).to(device)
    model.load_state_dict(state["weights"])
    optimizer = _optimizer(model, config)
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    history = [EpochResult(**result) for result in state["history"]]
    return Member(
        state["index"],
        model,
        optimizer,
        generator,
        state["epoch"],
        state["best_epoch"],
        state["best_loss"],
        {},
        history,
        wide=None if wide is None else WideVae(model, **wide).to(device),
    )
