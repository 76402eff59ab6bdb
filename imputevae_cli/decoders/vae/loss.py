"""The loss: masked focal cross-entropy over observed calls, or what their likelihoods make of it, plus beta x KL."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imputevae_cli.config import TrainSettings
from imputevae_cli.data.genotypes import MISSING
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

    def reconstruction(self, logits: Tensor, calls: Calls) -> Tensor:
        """Nats of each sample, (B,): logits (C, B, l) and calls, (B, l), of some loci."""
        if isinstance(calls, SoftCalls):
            return focal_likelihood_loss(logits, calls, self.weights, self.gamma).sum(1)
        return focal_cross_entropy(logits, calls, self.weights, self.gamma).sum(1)

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


def focal_cross_entropy(logits: Tensor, calls: Tensor, weights: Tensor, gamma: float) -> Tensor:
    """Focal cross-entropy (Lin et al. 2017) of each cell, float32 (B, L), 0 where the call is missing.

    logits: (C, B, L). calls: int8 (B, L), -1 missing. weights: (C,). gamma 0 is plain cross-entropy.
    """
    log_normaliser = torch.logsumexp(logits, 0)  # (B, L)
    picked = torch.zeros_like(log_normaliser)
    cell_weights = torch.zeros_like(log_normaliser)
    for genotype in range(len(logits)):
        here = calls == genotype
        picked = picked + logits[genotype] * here
        cell_weights = cell_weights + weights[genotype] * here
    surprise = log_normaliser * (calls != MISSING) - picked  # (B, L)
    if gamma:
        surprise = surprise * (1.0 - (-surprise).exp()).clamp_min(1e-6) ** gamma
    return surprise * cell_weights


def focal_likelihood_loss(logits: Tensor, calls: SoftCalls, weights: Tensor, gamma: float) -> Tensor:
    """-log sum_g p[g] L[g] of each cell, float32 (B, L), with the focal factor on that sum; logits: (C, B, L).

    Where likelihoods are one-hot it is `focal_cross_entropy`; 0 where they are flat. weights: (C,), of the likeliest
    genotype of each cell; none where the calls do not say which it is.
    """
    log_likelihoods = calls.likelihoods().clamp_min_(1e-30).log_()  # (C, B, L)
    surprise = torch.logsumexp(logits, 0) - torch.logsumexp(logits + log_likelihoods, 0)
    surprise = surprise * calls.known
    if gamma:
        surprise = surprise * (1.0 - (-surprise).exp()).clamp_min(1e-6) ** gamma
    return surprise if calls.best is None else surprise * weights[calls.best.clamp_min(0).long()]
