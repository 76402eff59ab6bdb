"""Genotype probabilities from the VAE: draws of z, averaged; block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae.network import GenotypeVae, Latent, encode_in_batches
from imputevae_cli.decoders.vae.soft_calls import Calls
from imputevae_cli.decoders.vae.untrained_loci import WideVae
from imputevae_cli.runtime.random_draws import Draws
from imputevae_cli.seeds import seed_for


class VaePosterior:
    """p(genotype | calls) of each sample at each locus, deterministic for a seed.

    The latents are encoded once; genotype probabilities are computed for the loci that are asked for, so
    nothing of size samples x loci is held.
    """

    def __init__(
        self,
        models: Sequence[GenotypeVae | WideVae],
        calls: Calls,
        populations: Tensor | None,
        *,
        draws: int,
        seed: int,
        identities: np.ndarray | None = None,
    ):
        """calls: (N, L). draws: draws of z to average over; 0 takes its mean. seed: of the draws.

        identities: uint64 (N,), what a sample's draws hang on beside the seed; None for its place among the samples.
        """
        self._models = list(models)
        device = self._models[0].loadings.device
        self._populations = None if populations is None else populations.to(device)
        self.latents = [encode_in_batches(model, calls, self._populations) for model in self._models]
        self._draws = [
            _draws(latent, draws, seed_for(seed, f"posterior {index}"), identities)
            for index, latent in enumerate(self.latents)
        ]

    @torch.no_grad()
    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, C)."""
        total: Tensor | None = None
        for model, draws in zip(self._models, self._draws, strict=True):
            for z in draws:
                gp = torch.softmax(model.decode(z, self._populations, slice(start, stop)), 0)  # (C, N, l)
                total = gp if total is None else total.add_(gp)
        assert total is not None
        return (total / total.sum(0)).permute(1, 2, 0).cpu().numpy()

    @torch.no_grad()
    def cells(self, cells: HiddenCells) -> np.ndarray:
        """Genotype probabilities of chosen cells, float32 (M, C)."""
        total = torch.zeros(self._models[0].shape.n_classes, len(cells.truth))
        for model, draws in zip(self._models, self._draws, strict=True):
            device = model.loadings.device
            rows, loci = torch.from_numpy(cells.samples).to(device), torch.from_numpy(cells.loci).to(device)
            for z in draws:
                total += torch.softmax(model.decode_cells(z, self._populations, rows, loci), 0).cpu()
        return (total / total.sum(0)).t().numpy()


def _draws(latent: Latent, draws: int, seed: int, identities: np.ndarray | None) -> list[Tensor]:
    """Draws of z, (N, D) each."""
    if not draws:
        return [latent.mu]
    if identities is None:
        random = Draws(torch.Generator().manual_seed(seed), len(latent.mu))
        return [latent.sample(random) for _ in range(draws)]
    size = (draws, latent.mu.shape[1])
    noise = [np.random.default_rng([seed, int(identity)]).standard_normal(size) for identity in identities]
    spread = (0.5 * latent.logvar).exp()
    stacked = torch.from_numpy(np.stack(noise, 1)).to(latent.mu)  # (draws, N, D)
    return [latent.mu + spread * eps for eps in stacked]
