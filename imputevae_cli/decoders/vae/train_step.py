"""One step of the training of a VAE: the loss on a batch, its gradients, and the change of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.vae.loss import Objective
from imputevae_cli.decoders.vae.network import GenotypeVae, Latent
from imputevae_cli.decoders.vae.rules import DEFAULT
from imputevae_cli.decoders.vae.soft_calls import Calls, SoftCalls
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.training_state import Member, shared_by_loci
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.random_draws import Draws


class Batch(NamedTuple):
    """Some of the samples, int64 (B,), with their calls, (B, L)."""

    samples: Tensor
    calls: Calls


def training_step(
    member: Member, batch: Batch, data: TrainingData, config: Config, weights: Tensor, ranks: Ranks
) -> tuple[float, float]:
    """Change the weights by the loss on a batch.

    weights: of the classes, (C,). Each of the processes takes a part of the batch, and all take the same step. Returns
    the batch's sums of reconstruction and KL, in nats.
    """
    settings, model, device = config.train, member.model, weights.device
    samples, calls = batch
    rows = ranks.part(len(samples))
    populations = _batch_populations(data, samples, config, member.generator)
    shares = settings.input_mask_min, settings.input_mask_max
    visible = hide_inputs(calls, *shares, member.generator, data.first_of_records)
    draws = Draws(member.generator, len(samples), rows)
    if populations is not None:
        populations = populations[rows].to(device)
    with _precision(settings.precision, device):
        latent = Latent(*(part.float() for part in model.encode(visible[rows].to(device), populations, draws)))
        hidden = model.hidden(latent.sample(draws), populations).float()  # (b, H), of the rows alone
    calls = calls.to(device)
    if isinstance(calls, SoftCalls) and settings.weights_power:
        calls = calls.with_best(model.prior)
    objective = _objective(member, calls, config, weights)
    penalty = Penalty(settings.decoder_l2 / len(data.calls) / ranks.size, settings.l1_penalty / ranks.size)
    reconstruction, slope = decode_backward(
        model, hidden, calls[rows], objective, penalty, Decoding(settings.precision)
    )
    kl = latent.kl()
    others = shared_by_loci(model)
    for parameter in others:
        parameter.grad = None
    rest = penalty.with_l1(objective.mean(0.0, kl), others)
    # Its gradient by the hidden units is `slope`; to hand `slope` to torch as a gradient would import sympy, 20 MB
    ((hidden * slope).sum() + rest).backward()
    sums = torch.stack([reconstruction.sum(), kl.detach().sum()])
    ranks.add(sums, *(p.grad for p in model.parameters() if p.grad is not None))
    member.optimizer.step()
    return tuple(sums.tolist())


def _objective(member: Member, calls: Calls, config: Config, weights: Tensor) -> Objective:
    """Of a batch, calls (B, L), at the member's epoch."""
    settings = config.train
    beta = config.vae.kl_beta * _ramp(config.vae.kl_beta_schedule, member.epoch, settings.max_epochs)
    gamma = settings.gamma * _ramp(settings.gamma_schedule, member.epoch, settings.max_epochs)
    return Objective.of(calls, weights, gamma, beta)


class Penalty(NamedTuple):
    """Weights, in the objective of a batch, of the squared loadings and of the absolute values of all parameters."""

    loadings_l2: float
    l1: float

    def with_l1(self, loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
        """A loss and the penalty on the absolute values of some parameters."""
        return loss + self.l1 * sum(part.abs().sum() for part in parameters) if self.l1 else loss

    def added(self, slope: Tensor, parameter: Tensor, l2: float = 0.0) -> Tensor:
        """The slope of a loss by a parameter and that of its penalties, of which `l2` is on its squares."""
        slope = torch.add(slope, parameter, alpha=2 * l2) if l2 else slope
        return torch.add(slope, parameter.sign(), alpha=self.l1) if self.l1 else slope


class Decoding(NamedTuple):
    """How a batch goes through the decoder: the precision of its products, see `_precision`, and cells at a time."""

    precision: str = "float32"
    cells_at_once: int = DEFAULT.training.cells_at_once


@torch.no_grad()
def decode_backward(
    model: GenotypeVae, hidden: Tensor, calls: Calls, objective: Objective, penalty: Penalty, decoding: Decoding
) -> tuple[Tensor, Tensor]:
    """Reconstruction of each sample in nats, (b,), and the objective's gradient by its hidden units, (b, H).

    Puts the gradients of loadings and intercepts in place of those that were there. Given the hidden units, loci add
    up: some at a time go forward and back, so that nothing of the batch but its calls is as long as the file. calls:
    (b, L).
    """
    loadings_gradient, intercepts_gradient = _gradient(model.loadings), _gradient(model.intercepts)
    nats, slope = torch.zeros(len(hidden), device=hidden.device), torch.zeros_like(hidden)
    size = max(16, decoding.cells_at_once // max(len(hidden), 1))
    for start in range(0, model.shape.n_loci, size):
        loci = slice(start, start + size)
        loadings, intercepts = model.loadings[:, :, loci], model.intercepts[:, loci]
        with _precision(decoding.precision, hidden.device):
            logits = model.logits(hidden, loadings, intercepts).float()  # (C, b, l)
        some_nats, by_logits = objective.reconstruction(logits, calls[:, loci])
        by_logits /= objective.n_samples
        by_moves = torch.einsum("ec,cbl->ebl", model.effects, by_logits)
        with _precision(decoding.precision, hidden.device):
            by_loadings, by_hidden = hidden.T @ by_moves, by_moves @ loadings.mT
        loadings_gradient[:, :, loci] = penalty.added(by_loadings, loadings, penalty.loadings_l2)
        intercepts_gradient[:, loci] = penalty.added(by_logits[1:].sum(1), intercepts)
        nats += some_nats
        slope += by_hidden.sum(0)
    return nats, slope


def _gradient(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, to be written into; where it had none, of any content."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad


def _precision(name: str, device: torch.device) -> AbstractContextManager:
    """A context in which the factors of matrix products are rounded to bf16 where `name`, train.precision, says so."""
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else nullcontext()


def _ramp(scheduled: bool, epoch: int, max_epochs: int) -> float:
    return min(1.0, epoch / max(1.0, max_epochs / 2)) if scheduled else 1.0


def hide_inputs(
    calls: Calls, low: float, high: float, generator: torch.Generator, first_of_records: Tensor | None = None
) -> Calls:
    """Calls, (B, L), with a share of each sample's hidden, the share drawn uniformly from low..high.

    first_of_records: int64 (L,), the first locus of each one's record: those of one record are hidden together.
    """
    share = low + (high - low) * torch.rand((len(calls), 1), generator=generator)  # (B, 1)
    # Bytes are drawn in an eighth of the time of floats; 1/256 is fine enough a step for a share
    draws = torch.randint(0, 256, calls.shape, generator=generator, dtype=torch.uint8)
    hidden = draws < (share * 256).round().clamp_max(255).to(torch.uint8)
    hidden = hidden if first_of_records is None else hidden[:, first_of_records]
    return calls.without(hidden) if isinstance(calls, SoftCalls) else calls.masked_fill(hidden, MISSING)


def _batch_populations(data: TrainingData, batch: Tensor, config: Config, generator: torch.Generator) -> Tensor | None:
    """Population codes of a batch, int64 (B,), some replaced by the code for "none"."""
    if data.populations is None:
        return None
    withheld = torch.rand(len(batch), generator=generator) < config.model.population_dropout
    return data.populations[batch].masked_fill(withheld, data.n_populations)
