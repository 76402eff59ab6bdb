"""The variational autoencoder: calls -> Gaussian latent of each sample -> genotype logits at every locus.

q(z | x) = N(mu(x), diag sigma(x)^2), p(z) = N(0, I), p(x_l | z) = softmax of logits linear in the decoder's
hidden units (Kingma & Welling 2014). Shapes: B samples in a batch, L loci, C genotype classes, D latent size,
H hidden units. Logits are class first, (C, B, L): sums over classes then run along contiguous memory.
"""

from __future__ import annotations

from itertools import pairwise
from math import comb
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imputevae_cli.config import ModelSettings
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.vae.rules import DEFAULT, StartRules
from imputevae_cli.decoders.vae.soft_calls import Calls, SoftCalls
from imputevae_cli.runtime.random_draws import Draws

LOGVAR_RANGE = (-8.0, 2.0)
"""Bounds of log sigma^2: a sigma outside .02 to 2.7 only makes gradients explode."""


def effects_of(n_classes: int) -> list[list[float]]:
    """What z may move at a locus: the additive effect of an ALT allele on the log odds, and, above haploids, the
    dominance effect, a surplus or a lack of heterozygotes; (effects, classes).

    >>> effects_of(5)
    [[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.75, 1.0, 0.75, 0.0]]
    """
    ploidy = n_classes - 1
    additive = [float(g) for g in range(n_classes)]
    dominance = [4 * g * (ploidy - g) / ploidy**2 for g in range(n_classes)]
    return [additive] if ploidy == 1 else [additive, dominance]


CELL_BLOCK = 1024
"""Loci that are decoded at a time where single cells are wanted, at most,"""
CELLS_AT_ONCE = 1 << 19
"""and so many cells, of as many samples as there are."""


class VaeShape(NamedTuple):
    """What the data say of the network's size. n_populations: 0 when populations are not modelled.

    reads_evidence: whether it is trained on evidence rather than on certain calls.
    """

    n_loci: int
    n_classes: int
    n_populations: int = 0
    reads_evidence: bool = False


class LocusStatistics(NamedTuple):
    """Of the known calls: dosage mean and spread, float32 (L,); genotype frequencies, float32 (L, C)."""

    mean: Tensor
    spread: Tensor
    frequencies: Tensor


class Latent(NamedTuple):
    """q(z | x): mean and log variance, float32 (B, D)."""

    mu: Tensor
    logvar: Tensor

    def sample(self, draws: Draws) -> Tensor:
        """One reparameterised draw of z = mu + sigma * eps, (B, D)."""
        eps = draws.normal(self.mu.shape[1]).to(self.mu.device)
        return self.mu + (0.5 * self.logvar).exp() * eps

    def kl(self) -> Tensor:
        """KL(q(z | x) || N(0, I)) in nats, (B,)."""
        return 0.5 * (self.mu.square() + self.logvar.exp() - 1.0 - self.logvar).sum(1)


def at_loci(calls: Calls, loci: Tensor | None) -> Calls:
    """Calls, (N, L), at some of the loci, int64; at all for None."""
    return calls if loci is None else calls.index_select(1, loci)


def genotype_totals(calls: Tensor, n_classes: int, loci: Tensor | None = None, at_once: int = 64) -> Tensor:
    """int64 (L, C): samples with each genotype at `loci`, int64, or at all; calls int8 (N, all loci).

    Some samples at a time, to hold little.
    """
    total = torch.zeros(calls.shape[1] if loci is None else len(loci), n_classes, dtype=torch.int64)
    for rows in calls.split(at_once):
        some = rows if loci is None else rows.index_select(1, loci)
        for genotype in range(n_classes):
            total[:, genotype] += (some == genotype).sum(0)
    return total


def locus_statistics(
    calls: Tensor, n_classes: int, loci: Tensor | None = None, pseudo_count: float = DEFAULT.start.pseudo_count
) -> LocusStatistics:
    """Statistics of the known calls of each of `loci`, int64, or of all; calls: int8 (N, all loci), -1 missing.

    Genotype frequencies are shrunk towards Hardy-Weinberg proportions by `pseudo_count` samples' worth, so
    that a genotype not yet seen at a locus keeps the probability that its allele frequency gives it.
    """
    counts = genotype_totals(calls, n_classes, loci).float()  # (L, C)
    n_known = counts.sum(1, keepdim=True)  # (L, 1)
    ploidy = n_classes - 1
    dosage = torch.arange(n_classes, dtype=torch.float32)  # (C,)
    allele = (counts @ dosage + 0.5)[:, None] / (ploidy * n_known + 1.0)  # (L, 1)
    orders = torch.tensor([float(comb(ploidy, g)) for g in range(n_classes)])  # (C,)
    # By powers, which round otherwise than the products of `data.frequencies.hardy_weinberg`
    expected = orders * allele**dosage * (1 - allele) ** (ploidy - dosage)  # (L, C)
    frequencies = (counts + pseudo_count * expected) / (n_known + pseudo_count)
    return statistics_of(frequencies)


def statistics_of(frequencies: Tensor) -> LocusStatistics:
    """Of loci with these genotype frequencies, float32 (L, C)."""
    dosage = torch.arange(frequencies.shape[1], dtype=torch.float32)  # (C,)
    mean = frequencies @ dosage
    spread = (frequencies @ dosage.square() - mean.square()).clamp_min(1e-3).sqrt()
    return LocusStatistics(mean, spread, frequencies)


class HiddenLayers(nn.Module):
    """Linear layers, each with an activation; dropout takes explicit draws, which nn.Dropout cannot."""

    def __init__(self, widths: list[int], settings: ModelSettings):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.activation = getattr(F, settings.activation)
        self.dropout_rate = settings.dropout_rate

    def forward(self, x: Tensor, dropout: Draws | None = None) -> Tensor:
        """x: (B, first width) -> (B, last width)."""
        for layer in self.layers:
            x = self.activation(layer(x))
            if dropout is not None and self.dropout_rate:
                kept = dropout.uniform(x.shape[1]).to(x.device) >= self.dropout_rate
                x = x * kept / (1.0 - self.dropout_rate)
        return x


class LinearInLoci(nn.Module):
    """A decoder whose logits are linear in hidden units at every locus.

    Subclasses have `shape`, `loadings` float32 (effects, H, L) and `intercepts` float32 (C - 1, L), and give the hidden
    units. effects: float32 (effects, C), see `effects_of`.
    """

    shape: VaeShape
    loadings: Tensor
    intercepts: Tensor
    effects: Tensor

    def __init__(self, effects: Tensor):
        super().__init__()
        self.register_buffer("effects", effects)

    def decode(self, z: Tensor, populations: Tensor | None = None, loci: slice | Tensor = slice(None)) -> Tensor:
        """Genotype logits, float32 (C, B, loci), of a slice or index of the loci, from z (B, D)."""
        return self.logits(self.hidden(z, populations), self.loadings[:, :, loci], self.intercepts[:, loci])

    def logits(self, hidden: Tensor, loadings: Tensor, intercepts: Tensor) -> Tensor:
        """Genotype logits, float32 (C, B, l): hidden units (B, H), and loadings (effects, H, l) and intercepts
        (C - 1, l) of some loci."""
        return self._combined(hidden @ loadings, intercepts[:, None])

    def decode_cells(self, z: Tensor, populations: Tensor | None, rows: Tensor, loci: Tensor) -> Tensor:
        """Genotype logits, float32 (C, M), of chosen cells: row of z and locus of each, int64 (M,), by rising locus.

        Whole blocks of loci are decoded and the cells picked: gathering the loadings of each cell takes longer.
        """
        hidden = self.hidden(z, populations)  # (B, H)
        # Filled in place: results kept one by one would lie between the blocks that are freed, and pin their memory
        chosen = torch.empty(len(self.loadings), len(loci), device=hidden.device)
        size = max(64, min(CELL_BLOCK, CELLS_AT_ONCE // max(len(z), 1)))
        for start in range(0, self.shape.n_loci, size):
            first, last = torch.searchsorted(loci, torch.tensor([start, start + size], device=loci.device)).tolist()
            moves = hidden @ self.loadings[:, :, start : start + size]  # (effects, B, l)
            chosen[:, first:last] = moves[:, rows[first:last], loci[first:last] - start]
        return self._combined(chosen, self.intercepts[:, loci])

    def _combined(self, moves: Tensor, intercepts: Tensor) -> Tensor:
        """Logits (C, ...) from the moved effects (effects, ...) and intercepts (C - 1, ...); class 0 is 0."""
        rest = [
            sum(weight * move for weight, move in zip(self.effects[:, g].tolist(), moves, strict=True) if weight)
            + intercepts[g - 1]
            for g in range(1, self.shape.n_classes)
        ]
        return torch.stack([torch.zeros_like(rest[0]), *rest])

    def encode(self, calls: Calls, populations: Tensor | None = None) -> Latent:
        """See `GenotypeVae.encode`."""
        raise NotImplementedError

    def hidden(self, z: Tensor, populations: Tensor | None = None) -> Tensor:
        """The decoder's last hidden units, float32 (B, H), of z (B, D)."""
        raise NotImplementedError


class GenotypeVae(LinearInLoci):
    """Encoder, latent and decoder of one model. Starting weights come from `generator` alone."""

    mean: Tensor
    scale: Tensor
    prior: Tensor  # None where it is trained on certain calls

    def __init__(
        self,
        shape: VaeShape,
        settings: ModelSettings,
        statistics: LocusStatistics,
        generator: torch.Generator,
        rules: StartRules = DEFAULT.start,
    ):
        super().__init__(torch.tensor(effects_of(shape.n_classes)))
        self.shape, self.rules = shape, rules
        population_dim = settings.population_dim if shape.n_populations else 0
        widths = hidden_widths(settings)
        self.register_buffer("mean", statistics.mean)
        self.register_buffer("scale", 1.0 / statistics.spread)
        self.register_buffer("prior", statistics.frequencies.clone() if shape.reads_evidence else None)
        # The last row stands for a sample of no population
        self.population = nn.Embedding(shape.n_populations + 1, population_dim) if population_dim else None
        self.encoder = HiddenLayers([shape.n_loci + population_dim, *widths], settings)
        self.to_latent = nn.Linear(widths[-1] if widths else shape.n_loci + population_dim, 2 * settings.latent_dim)
        self.decoder = HiddenLayers([settings.latent_dim + population_dim, *widths[::-1]], settings)
        n_hidden = widths[0] if widths else settings.latent_dim + population_dim
        self.loadings = nn.Parameter(torch.empty(len(self.effects), n_hidden, shape.n_loci))
        log_frequencies = statistics.frequencies.log().t()  # (C, L)
        self.intercepts = nn.Parameter((log_frequencies - log_frequencies[:1])[1:].contiguous())
        self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0.0, self.rules.first_weights, generator=generator)
        first = self.encoder.layers[0] if len(self.encoder.layers) else self.to_latent
        first.weight.normal_(0.0, self.rules.first_weights, generator=generator)  # type: ignore[operator]
        # Start as the genotype frequencies of each locus, and let z explain departures from them
        self.loadings.normal_(0.0, self.rules.loadings, generator=generator)

    def encode(self, calls: Calls, populations: Tensor | None = None, dropout: Draws | None = None) -> Latent:
        """q(z | x) from calls, (B, L), and population codes, int64 (B,).

        dropout: draws the hidden units to drop, in training; none are dropped without it.
        """
        inputs, n_known = self._inputs(calls)
        # Known calls alone carry weight: a sample with half of them missing is not pulled to the origin
        share = (n_known / self.shape.n_loci).clamp_min(1e-3)  # (B, 1)
        inputs.mul_(self.rules.input_scale / self.shape.n_loci**0.5).div_(share)
        hidden = self.encoder(self._with_population(inputs, populations), dropout)  # (B, H)
        mu, logvar = self.to_latent(hidden).chunk(2, 1)
        return Latent(mu, logvar.clamp(*LOGVAR_RANGE))

    def _inputs(self, calls: Calls) -> tuple[Tensor, Tensor]:
        """Standardised dosages, float32 (B, L), 0 where nothing is known; and how many loci are known, (B, 1).

        Of evidence: expected dosages under the frequencies of the loci, and the sum of their certainties.
        """
        if isinstance(calls, SoftCalls):
            dosage, certainty = calls.dosage(self.prior)
            return dosage.sub_(self.mean).mul_(self.scale), certainty.sum(1, keepdim=True)
        unknown = calls == MISSING  # (B, L)
        inputs = calls.float().sub_(self.mean).mul_(self.scale).masked_fill_(unknown, 0.0)  # (B, L), one copy of it
        return inputs, (~unknown).sum(1, keepdim=True)

    def hidden(self, z: Tensor, populations: Tensor | None = None) -> Tensor:
        """See `LinearInLoci.hidden`."""
        return self.decoder(self._with_population(z, populations))

    def _with_population(self, features: Tensor, populations: Tensor | None) -> Tensor:
        if self.population is None:
            return features
        if populations is None:
            populations = torch.full((len(features),), self.shape.n_populations, device=features.device)
        return torch.cat([features, self.population(populations)], 1)


@torch.no_grad()
def encode_in_batches(
    model: LinearInLoci, calls: Calls, populations: Tensor | None, loci: Tensor | None = None, size: int = 64
) -> Latent:
    """q(z | x) of all samples; calls: (N, L), of which the model sees `loci`, int64, or all.

    The dense float inputs exist for `size` samples at a time.
    """
    parts = []
    for start in range(0, max(len(calls), 1), size):
        rows = slice(start, start + size)
        part = at_loci(calls[rows], loci).to(model.loadings.device)
        parts.append(model.encode(part, None if populations is None else populations[rows]))
    return Latent(torch.cat([p.mu for p in parts]), torch.cat([p.logvar for p in parts]))


def hidden_widths(settings: ModelSettings) -> list[int]:
    """Widths of the encoder's hidden layers, from hidden_units down by the schedule."""
    n = settings.num_hidden_layers
    first = settings.hidden_units
    last = min(first, settings.latent_dim * settings.layer_scaling_factor)
    steps = [i / (n - 1) if n > 1 else 0.0 for i in range(n)]
    if settings.layer_schedule == "linear":
        return [max(1, round(first + (last - first) * step)) for step in steps]
    return [max(1, round(first * (last / first) ** step)) for step in steps]
