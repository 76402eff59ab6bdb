"""The loss: masked focal cross-entropy over observed calls, or what their likelihoods make of it, plus beta x KL."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imputevae_cli.config import TrainSettings
from imputevae_cli.decoders.vae.network import genotype_totals
from imputevae_cli.decoders.vae.soft_calls import Calls, SoftCalls


class Objective(NamedTuple):
    """What a batch is trained on: the mean over its samples of reconstruction + beta x KL.

    The mean of the weighted focal cross-entropy over observed calls is scaled by the mean number of loci per
    sample that it was taken over, so that it stands to the KL as the log likelihood of a whole sample does.
    weights: of the classes, (C,), scaled to a mean of 1 over the batch's calls, as torch's cross-entropy does.
    gamma: of the focal loss. n_samples: of the batch. Both terms are sums over samples, and the first over loci too, so
    that they may be taken of some samples, and of some loci, at a time.
    """

    weights: Tensor
    gamma: float
    beta: float
    n_samples: int

    @classmethod
    def of(cls, batch: Calls, weights: Tensor, gamma: float, beta: float) -> Objective:
        """For the calls of a whole batch, (n, L), and class weights as they come, (C,)."""
        if isinstance(batch, SoftCalls):
            if batch.best is None:
                return cls(weights, gamma, beta, len(batch))
            return cls.of(batch.best, weights, gamma, beta)
        counts = torch.stack([(batch == g).sum() for g in range(len(weights))]).float()  # (C,)
        mean_weight = (counts @ weights) / counts.sum().clamp_min(1.0)
        return cls(weights / mean_weight.clamp_min(1e-12), gamma, beta, len(batch))

    def reconstruction(self, logits: Tensor, calls: Calls) -> tuple[Tensor, Tensor]:
        """Nats of each sample, (B,), of logits (C, B, l) and calls, (B, l), of some loci; and their sum's slope by
        the logits."""
        nats, slope = focal_loss(logits, calls, self.weights, self.gamma)
        return nats.sum(1), slope

    def mean(self, reconstruction: Tensor | float, kl: Tensor | float = 0.0) -> Tensor:
        """What these samples, (B,) each, in nats, add to the objective: a scalar."""
        return (reconstruction + self.beta * kl).sum() / self.n_samples  # type: ignore[union-attr]  # one is a tensor


def class_weights(calls: Tensor, n_classes: int, settings: TrainSettings) -> Tensor:
    """Weight of each genotype class, float32 (C,), from its frequency among known calls, int8 (N, L).

    weights_power 0 gives 1 for all; 1 gives the full inverse frequency (the frequency with weights_inverse).
    """
    if not settings.weights_power:
        return torch.ones(n_classes)
    counts = genotype_totals(calls, n_classes).sum(0).float()
    frequency = counts.clamp_min(1.0) / counts.clamp_min(1.0).sum()
    sign = 1.0 if settings.weights_inverse else -1.0
    weights = frequency ** (sign * settings.weights_power)
    if settings.weights_max_ratio is not None:
        weights = weights.clamp_max(weights.min() * settings.weights_max_ratio)
    return weights / weights.mean() if settings.weights_normalize else weights


def focal_loss(logits: Tensor, calls: Calls, weights: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Focal loss (Lin et al. 2017) of each cell, float32 (B, L), and the slope of their sum by the logits, (C, B, L).

    With s = -log sum_g p[g] L[g], for a certain call its cross-entropy, the loss is s (1 - exp(-s))^gamma times the
    weight of the genotype; 0 where nothing is known. logits: (C, B, L). weights: (C,), of no effect on evidence whose
    likeliest genotypes are not given (`SoftCalls.best`). The slope is spelt out here: autograd takes three times as
    long.
    """
    log_p = torch.log_softmax(logits, 0)
    surprise, given, cell_weights = _surprise(log_p, calls, weights)
    slope = log_p.exp().sub_(given)  # of the surprise
    if gamma:
        p = (-surprise).exp()
        rest = (1.0 - p).clamp_min(1e-6)
        slope = slope * (rest**gamma + gamma * surprise * p * rest ** (gamma - 1.0))
        surprise = surprise * rest**gamma
    return surprise * cell_weights, slope.mul_(cell_weights)


def _surprise(log_p: Tensor, calls: Calls, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """-log sum_g p[g] L[g] of each cell, (B, L), its genotypes' chances given L, (C, B, L), and its weight, (B, L)."""
    if isinstance(calls, SoftCalls):
        joint = log_p + calls.likelihoods().clamp_min_(1e-30).log_()  # (C, B, L)
        total = torch.logsumexp(joint, 0)
        known = calls.known.float()
        cell_weights = known if calls.best is None else known * weights[calls.best.clamp_min(0).long()]
        return -total, (joint - total).exp(), cell_weights
    genotypes = torch.arange(len(log_p), dtype=calls.dtype, device=calls.device)
    here = (calls == genotypes[:, None, None]).float()  # (C, B, L)
    return -(log_p * here).sum(0), here, torch.tensordot(weights, here, 1)
