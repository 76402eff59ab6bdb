"""The loss: masked focal cross-entropy over observed calls, plus beta x KL."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imputevae_cli.config import TrainSettings
from imputevae_cli.engine.vae import Latent
from imputevae_cli.genotypes import MISSING


class Loss(NamedTuple):
    """Reconstruction and KL, float32 (B,) each, in nats per sample, and their weighted mean, a scalar."""

    reconstruction: Tensor
    kl: Tensor
    total: Tensor


def class_weights(calls: Tensor, n_classes: int, settings: TrainSettings) -> Tensor:
    """Weight of each genotype class, float32 (C,), from its frequency among known calls, int8 (N, L).

    weights_power 0 gives 1 for all; 1 gives the full inverse frequency (the frequency with weights_inverse).
    """
    if not settings.weights_power:
        return torch.ones(n_classes)
    counts = torch.stack([(calls == g).sum() for g in range(n_classes)]).float()
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


def vae_loss(
    logits: Tensor,
    calls: Tensor,
    latent: Latent,
    weights: Tensor,
    gamma: float,
    beta: float,
    batch: Tensor | None = None,
) -> Loss:
    """The loss of one batch, or of some of its samples.

    The mean of the weighted focal cross-entropy over observed calls is scaled by the mean number of loci per
    sample that it was taken over, so that it stands to the KL as the log likelihood of a whole sample does.
    batch: int8 (n, L), the calls of the whole batch, where `calls` are those of some of its samples: the totals of its
    parts then sum to the total of the whole.
    """
    batch = calls if batch is None else batch
    cells = focal_cross_entropy(logits, calls, weights, gamma)  # (B, L)
    counts = torch.stack([(batch == g).sum() for g in range(len(weights))]).float()  # (C,)
    mean_weight = (counts @ weights) / counts.sum().clamp_min(1.0)
    reconstruction = cells.sum(1) / mean_weight.clamp_min(1e-12)  # (B,)
    kl = latent.kl()  # (B,)
    return Loss(reconstruction, kl, reconstruction.sum() / len(batch) + beta * (kl.sum() / len(batch)))
