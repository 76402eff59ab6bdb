"""Genotype probabilities from trained models: draws of z, averaged, with a temperature; block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.engine.trainer import HiddenCells
from imputevae_cli.engine.vae import GenotypeVae, Latent, encode_in_batches
from imputevae_cli.seeds import seed_for

TEMPERATURES = torch.logspace(-0.6, 0.6, 121, base=10.0)
"""Candidates for the temperature, .25 to 4 in steps of 2.3 %."""


class VaePosterior:
    """p(genotype | calls) of each sample at each locus, deterministic for a seed.

    The latents are encoded once; genotype probabilities are computed for the loci that are asked for, so
    nothing of size samples x loci is held.
    """

    def __init__(
        self,
        models: Sequence[GenotypeVae],
        calls: Tensor,
        populations: Tensor | None,
        *,
        draws: int,
        seed: int,
        temperature: float = 1.0,
    ):
        """calls: int8 (N, L). draws: draws of z to average over; 0 takes its mean. seed: of the draws."""
        self._models = list(models)
        self._temperature = temperature
        device = next(self._models[0].parameters()).device
        self._populations = None if populations is None else populations.to(device)
        self.latents = [encode_in_batches(model, calls, self._populations) for model in self._models]
        self._draws = [
            _draws(latent, draws, torch.Generator().manual_seed(seed_for(seed, f"posterior {index}")))
            for index, latent in enumerate(self.latents)
        ]

    @torch.no_grad()
    def gp(self, loci: np.ndarray) -> np.ndarray:
        """Genotype probabilities at the loci of an index, int64 (l,); float32 (N, l, C)."""
        chosen = _as_slice(loci)
        total: Tensor | None = None
        for model, draws in zip(self._models, self._draws, strict=True):
            for z in draws:
                gp = torch.softmax(model.decode(z, self._populations, chosen), 0)  # (C, N, l)
                total = gp if total is None else total.add_(gp)
        return apply_temperature(total, self._temperature).permute(1, 2, 0).cpu().numpy()

    @torch.no_grad()
    def cells(self, cells: HiddenCells) -> Tensor:
        """Genotype probabilities of chosen cells, float32 (M, C)."""
        total = torch.zeros(self._models[0].shape.n_classes, len(cells.truth))
        for model, draws in zip(self._models, self._draws, strict=True):
            device = model.loadings.device
            for z in draws:
                logits = model.decode_cells(z, self._populations, cells.samples.to(device), cells.loci.to(device))
                total += torch.softmax(logits, 0).cpu()
        return apply_temperature(total, self._temperature).t()


def apply_temperature(weights: Tensor, temperature: float) -> Tensor:
    """Probabilities (C, ...) in proportion to weights^(1 / temperature), (C, ...)."""
    if temperature != 1.0:
        weights = (weights / weights.sum(0)).clamp_min(1e-12) ** (1.0 / temperature)
    return weights / weights.sum(0)


def fit_temperature(gp: Tensor, truth: Tensor) -> float:
    """The temperature with the least log loss; gp: (M, C), truth: int64 (M,) (Guo et al. 2017)."""
    log_gp = gp.clamp_min(1e-12).log()  # (M, C)
    losses = [
        -torch.log_softmax(log_gp / temperature, 1).gather(1, truth[:, None]).mean() for temperature in TEMPERATURES
    ]
    return float(TEMPERATURES[int(torch.stack(losses).argmin())])


def _as_slice(index: np.ndarray) -> slice | Tensor:
    """The index as a slice where it is a rising run, which spares a copy of the loadings."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return slice(int(index[0]), int(index[0]) + len(index))
    return torch.from_numpy(index)


def _draws(latent: Latent, draws: int, generator: torch.Generator) -> list[Tensor]:
    return [latent.sample(generator) for _ in range(draws)] if draws else [latent.mu]
