"""How samples resemble each other over all loci, and what that alone says of a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from imputevae_cli.decoders.knn.genotypes import Genotypes
from imputevae_cli.decoders.knn.rules import PanelRules

_BLOCK_CELLS = 1 << 18  # cells per step where float copies of the calls are needed, 1 MB each
_REGRESSION_CELLS = 500_000  # entries of the normal matrices held at a time
MOST_LEVERAGE = 0.9
"""What a call weighs at most in its own prediction, where it is left out of that."""


class Neighbours(Protocol):
    """What is asked of a panel (panel.py), which holds a `Structure` of its own once it is made.

    shown: of all samples. neighbours: int64 (N,), columns of `shown`. mean: float32 (L,). populations: int64
    (samples,) or None. population_counts: (populations, L, C).
    """

    shown: Genotypes
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
        self._of_neighbours = self.features(self.of_neighbours, codes)  # (N, D)
        self._regress(panel)

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

    def allele_frequency(
        self, features: Tensor, loci: Tensor, ploidy: int, own: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Predicted minor-allele frequency of queries with `features` (B, Q, D) at `loci` (B,): (B, Q, ridges).

        own: what a query's own call weighs in the regression, (B, Q, ridges), and its standardised dosage, (B, Q), to
        be left out; None where it had no part in it.
        """
        standard = torch.einsum("bqd,rbd->bqr", features, self.effects[:, loci])
        if own is not None:
            standard = (standard - own[0] * own[1][..., None]) / (1 - own[0])
        frequency = (self.mean[loci, None, None] + standard * self.scale[loci, None, None]) / ploidy
        least = (self.mean[loci, None, None] / ploidy * 0.1).clamp_min(1e-3)
        return torch.maximum(torch.minimum(frequency, 1 - least), least)

    def leverage(self, panel: Neighbours, features: Tensor, loci: Tensor) -> Tensor:
        """What own calls of neighbours weigh in their predictions, float32 (M, ridges).

        features: (M, D). loci: int64 (M,), rising.
        """
        width, own = self._width, self._of_neighbours
        distinct, lengths = torch.unique_consecutive(loci, return_counts=True)
        known = panel.shown.dosage(distinct, panel.neighbours)[1]
        normal = (known.float().T @ (own[:, :, None] * own[:, None]).flatten(1)).view(-1, width, width)
        eye = torch.eye(width)
        out = torch.empty(len(loci), len(self.rules.ridges))
        pieces = list(zip(features.split(lengths.tolist()), out.split(lengths.tolist()), strict=True))
        for r, ridge in enumerate(self.rules.ridges):
            for inverse, (some, weights) in zip(torch.linalg.inv(normal + ridge * eye), pieces, strict=True):
                weights[:, r] = ((some @ inverse) * some).sum(1)
        return out.clamp_(0.0, MOST_LEVERAGE)

    def _regress(self, panel: Neighbours) -> None:
        """Solve the ridge regressions of all loci."""
        width, features = self._width, self._of_neighbours
        products = (features[:, :, None] * features[:, None]).flatten(1)  # (N, D * D)
        eye = torch.eye(width)
        step = max(1, _REGRESSION_CELLS // width**2)
        for a in range(0, panel.n_loci, step):
            part = slice(a, a + step)
            neighbours, known = panel.shown.dosage(part, panel.neighbours)
            residual = torch.where(known, (neighbours - self.mean[part]) / self.scale[part], 0.0)
            normal = (known.float().T @ products).view(-1, width, width)
            right = (residual.T @ features)[..., None]
            for effects, ridge in zip(self.effects, self.rules.ridges, strict=True):
                effects[part] = torch.linalg.solve(normal + ridge * eye, right)[..., 0]


def overall_similarity(
    panel: Neighbours,
    related: Tensor,
    calls: Genotypes,
    own: Tensor,
    latent: Tensor | None,
    scale: Tensor | None,
    more: bool = False,
) -> tuple[Tensor, Tensor]:
    """Similarities of queries and neighbours over all loci, float32 (Q, S, N), centred, scaled; and the scale (2, S).

    related: float32 (Q, N), relationships with the query itself at 0. calls: of the queries. own: int64 (Q,),
    each query's index among the samples, -1 if new. latent: float32 (Q, N) or None. The similarities: genomic
    relationship (VanRaden 2008, weighted by locus), identity by state, similarity of two samples' profiles of
    relationship to the neighbours (distance and cosine), and `latent`. more: leave room for one more after them.
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
    similarity = torch.empty(len(related), len(channels) + more, related.shape[1])
    for s, channel in enumerate(channels):
        values = channel()
        if not given:
            pairs = values[~itself]
            scale[0, s], scale[1, s] = pairs.mean(), pairs.std().clamp_min(1e-6)
        torch.sub(values, scale[0, s], out=similarity[:, s]).div_(scale[1, s])
    return similarity, scale


def relationship(panel: Neighbours, calls: Genotypes, samples: Tensor | None = None) -> Tensor:
    """Mean product of centred, scaled dosages over the loci known in both, float32 (Q, N).

    samples: int64, those of `calls` to take; None takes all.
    """
    scale = _scale(panel)
    n_queries = calls.n_samples if samples is None else len(samples)
    total, shared = torch.zeros(2, n_queries, panel.n_neighbours)
    for part in _parts(panel.n_loci, n_queries):
        own, known = calls.dosage(part, samples)
        neighbours, neighbour_known = panel.shown.dosage(part, panel.neighbours)
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


def _identity_by_state(panel: Neighbours, calls: Genotypes) -> Tensor:
    """Minus the mean difference in allele count over the loci known in both, float32 (Q, N)."""
    difference, shared = torch.zeros(2, calls.n_samples, panel.n_neighbours)
    for part in _parts(panel.n_loci, calls.n_samples):
        x_known, y_known = calls.at_least(0, part), panel.shown.at_least(0, part, panel.neighbours)
        shared += x_known @ y_known.T
        for step in range(1, panel.ploidy + 1):  # |x - y| counts the steps that one has and the other has not
            x_has, y_has = calls.at_least(step, part), panel.shown.at_least(step, part, panel.neighbours)
            difference += x_has @ (y_known - y_has).T + (x_known - x_has) @ y_has.T
    return -difference / shared.clamp_min(1)


def _scale(panel: Neighbours) -> Tensor:
    """Spread of a locus's dosage under Hardy-Weinberg, float32 (L,), with a floor for rare alleles."""
    return (panel.mean * (1 - panel.mean / panel.ploidy)).clamp_min(0.02).sqrt()
