"""How samples resemble each other over all loci, and what that alone says of a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.knn.rules import PanelRules

_BLOCK_CELLS = 1 << 18  # cells per step where float copies of the calls are needed, 1 MB each
_REGRESSION_CELLS = 500_000  # entries of the normal matrices held at a time


class Neighbours(Protocol):
    """What is asked of a panel (panel.py), which holds a `Structure` of its own once it is made.

    shown: int8 (L, samples). neighbours: int64 (N,), columns of `shown`. mean: float32 (L,). populations: int64
    (samples,) or None. population_counts: (populations, L, C).
    """

    shown: Tensor
    neighbours: Tensor
    mean: Tensor
    populations: Tensor | None
    population_counts: Tensor | None
    ploidy: int
    n_loci: int
    rules: PanelRules
    structure: Structure

    @property
    def n_neighbours(self) -> int: ...


class Structure:
    """Allele frequencies that a sample's ancestry predicts: ridge regression of each locus on the main axes.

    The axes are the leading eigenvectors of the neighbours' relationship; a sample's coordinates are the projection of
    its relationships (Nystrom), so that new samples have them too. of_neighbours: float32 (N, N), relationships with 0
    on the diagonal. effects: float32 (ridges, L, D), D being an intercept, the axes and the populations.
    """

    def __init__(self, panel: Neighbours):
        self.of_neighbours = relationship(panel, panel.shown, panel.neighbours).fill_diagonal_(0)  # (N, N)
        values, vectors = torch.linalg.eigh((self.of_neighbours + self.of_neighbours.T) / 2)
        self.rules, axes = panel.rules, panel.rules.axes
        values, vectors = values[-axes:].clamp_min(1e-6), vectors[:, -axes:]
        self.basis = vectors / values.sqrt()  # (N, axes)
        self.n_populations = 0 if panel.population_counts is None else len(panel.population_counts)
        codes = None if panel.populations is None else panel.populations[panel.neighbours]
        self.mean, self.scale = panel.mean, _scale(panel)
        self.effects = torch.stack([torch.empty(panel.n_loci, self._width) for _ in self.rules.ridges])
        self._regress(self.features(self.of_neighbours, codes), panel)

    @property
    def _width(self) -> int:
        return 1 + self.basis.shape[1] + self.n_populations

    def features(self, related: Tensor, codes: Tensor | None) -> Tensor:
        """Regressors, float32 (Q, D), from relationships to the neighbours (Q, N) and population codes (Q,)."""
        features = torch.zeros(len(related), self._width)
        axes = self.basis.shape[1]
        features[:, 0] = 3.0  # a weak prior on the intercept
        features[:, 1 : 1 + axes] = related @ self.basis
        if codes is not None:
            rows = torch.nonzero(codes >= 0)[:, 0]
            features[rows, 1 + axes + codes[rows]] = self.rules.population
        return features

    def allele_frequency(self, features: Tensor, loci: Tensor, ploidy: int) -> Tensor:
        """Predicted minor-allele frequency of queries with `features` (B, Q, D) at `loci` (B,): (B, Q, ridges)."""
        standard = torch.einsum("bqd,rbd->bqr", features, self.effects[:, loci])
        frequency = (self.mean[loci, None, None] + standard * self.scale[loci, None, None]) / ploidy
        least = (self.mean[loci, None, None] / ploidy * 0.1).clamp_min(1e-3)
        return torch.maximum(torch.minimum(frequency, 1 - least), least)

    def _regress(self, features: Tensor, panel: Neighbours) -> None:
        """Solve the ridge regressions of all loci: features (N, D) of the neighbours."""
        width = self._width
        products = (features[:, :, None] * features[:, None]).flatten(1)  # (N, D * D)
        eye = torch.eye(width)
        step = max(1, _REGRESSION_CELLS // width**2)
        for a in range(0, panel.n_loci, step):
            part = slice(a, a + step)
            neighbours = _block(panel.shown, part, panel.neighbours)
            known = neighbours != MISSING
            residual = torch.where(known, (neighbours - self.mean[part]) / self.scale[part], 0.0)
            normal = (known.float().T @ products).view(-1, width, width)
            right = (residual.T @ features)[..., None]
            for effects, ridge in zip(self.effects, self.rules.ridges, strict=True):
                effects[part] = torch.linalg.solve(normal + ridge * eye, right)[..., 0]


def overall_similarity(
    panel: Neighbours, related: Tensor, calls: Tensor, own: Tensor, latent: Tensor | None, scale: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Similarities of queries and neighbours over all loci, float32 (Q, N, S), centred, scaled; and the scale (2, S).

    related: float32 (Q, N), relationships with the query itself at 0. calls: int8 (L, Q), oriented. own: int64 (Q,),
    each query's index among the samples, -1 if new. latent: float32 (Q, N) or None. The similarities: genomic
    relationship (VanRaden 2008, weighted by locus), identity by state, similarity of two samples' profiles of
    relationship to the neighbours (distance and cosine), and `latent`.
    scale: None to take it from these pairs; the members' scale keeps the meaning for new samples.
    """
    itself = panel.neighbours == own[:, None]
    of_neighbours = panel.structure.of_neighbours
    norms = related.square().sum(1)[:, None], of_neighbours.square().sum(1)
    products = related @ of_neighbours.T
    channels = [  # made one after the other: each takes 4 bytes a pair
        lambda: related,
        lambda: _identity_by_state(panel, calls),
        lambda: 2 * products - norms[0] - norms[1],
        lambda: products / (norms[0] * norms[1]).sqrt().clamp_min(1e-6),
    ]
    if latent is not None:
        channels.append(lambda: latent)
    given = scale is not None
    scale = torch.empty(2, len(channels)) if scale is None else scale
    similarity = torch.empty(*related.shape, len(channels))
    for s, channel in enumerate(channels):
        values = channel()
        if not given:
            pairs = values[~itself]
            scale[0, s], scale[1, s] = pairs.mean(), pairs.std().clamp_min(1e-6)
        torch.sub(values, scale[0, s], out=similarity[..., s]).div_(scale[1, s])
    return similarity, scale


def relationship(panel: Neighbours, calls: Tensor, samples: Tensor | None = None) -> Tensor:
    """Mean product of centred, scaled dosages over the loci known in both, float32 (Q, N).

    calls: int8 (L, Q), oriented. samples: int64, the columns to take of them; None takes all.
    """
    scale = _scale(panel)
    n_queries = calls.shape[1] if samples is None else len(samples)
    total, shared = torch.zeros(2, n_queries, panel.n_neighbours)
    for part in _parts(panel.n_loci, n_queries):
        own, neighbours = _block(calls, part, samples), _block(panel.shown, part, panel.neighbours)
        known, neighbour_known = own != MISSING, neighbours != MISSING
        x = torch.where(known, (own - panel.mean[part]) / scale[part], 0.0)
        y = torch.where(neighbour_known, (neighbours - panel.mean[part]) / scale[part], 0.0)
        total += x @ y.T
        shared += known.float() @ neighbour_known.float().T
    return total / shared.clamp_min(1)


def _parts(n_loci: int, n_samples: int) -> Iterator[slice]:
    """The loci in pieces that keep float copies small."""
    size = min(max(_BLOCK_CELLS // n_samples, 128), 4096)
    for start in range(0, n_loci, size):
        yield slice(start, start + size)


def _block(by_locus: Tensor, loci: slice, samples: Tensor | None) -> Tensor:
    """Some loci and samples of int8 (L, Q) as int8 (samples, loci)."""
    block = by_locus[loci]
    return (block if samples is None else block.index_select(1, samples)).T.contiguous()


def _identity_by_state(panel: Neighbours, calls: Tensor) -> Tensor:
    """Minus the mean difference in allele count over the loci known in both, float32 (Q, N)."""
    difference, shared = torch.zeros(2, calls.shape[1], panel.n_neighbours)
    for part in _parts(panel.n_loci, calls.shape[1]):
        x, y = _block(calls, part, None), _block(panel.shown, part, panel.neighbours)
        x_known, y_known = (x != MISSING).float(), (y != MISSING).float()
        shared += x_known @ y_known.T
        for step in range(1, panel.ploidy + 1):  # |x - y| counts the steps that one has and the other has not
            x_has, y_has = (x >= step).float(), (y >= step).float()
            difference += x_has @ (y_known - y_has).T + (x_known - x_has) @ y_has.T
    return -difference / shared.clamp_min(1)


def _scale(panel: Neighbours) -> Tensor:
    """Spread of a locus's dosage under Hardy-Weinberg, float32 (L,), with a floor for rare alleles."""
    return (panel.mean * (1 - panel.mean / panel.ploidy)).clamp_min(0.02).sqrt()
