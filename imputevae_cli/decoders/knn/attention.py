"""The learned attention by which neighbours vote: scores, votes and logits, with weights shared by all loci.

For a target call (n, l), neighbour m votes for its own genotype at l with weight softmax_m of

    sum over w in the context of l of omega_h(l, w) T_h[g_nw, g_mw]  +  c_h . K_nm  +  p_h [same population]

for each head h. The context of l is its neighbours on the chromosome and the loci most correlated with it
anywhere; omega_h(l, w) = a_h exp(-|w - l| / length_h) for the first and b_h (r2_lw)^power_h for the second.
T_h is a symmetric table of genotype pairs on the minor allele, K the samples' overall similarities.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor, nn

from imputevae_cli.decoders.knn.rules import AttentionRules

FAR = 1e6
"""Distance of a context locus that does not count by distance; finite, so that its gradient is zero, not NaN."""

NOBODY = 1e-2
"""Effective number of neighbours where nobody may vote."""

NEVER = -1e4
"""Score of a neighbour that may not vote: its weight underflows to zero."""


@dataclass
class Ballot:
    """What the neighbours' votes on a batch of loci rest on.

    B loci, Q queries each, N neighbours, W context loci, C classes.
    query, neighbour: float32 (B, W, C, Q) and (B, W, C, N), 1 where the sample has that many minor alleles at the
    context locus; all 0 where its call is missing or hidden, so that a pair with it adds nothing.
    distance: float32 (B, W), loci between target and context locus; `FAR` for one that counts by r2 alone.
    r2: float32 (B, W), squared correlation with the target; 0 for one that counts by distance alone.
    overall: float32 (B, H, Q, N), the part of the scores that no locus changes, from `NeighbourVotes.overall`.
    target: float32 (B, N, C), 1 at the neighbour's own call of the target locus; all 0 where it is missing.
    may_vote: bool (B, Q, N), False where a neighbour has no call or is the query itself; None when all may.
    held: int64 (R,), of the W x C rows of `neighbour` those that are not all 0, where B is 1; None to look at all.
    """

    query: Tensor
    neighbour: Tensor
    distance: Tensor
    r2: Tensor
    overall: Tensor
    target: Tensor
    may_vote: Tensor | None = None
    held: Tensor | None = None


class VotesShape(NamedTuple):
    """The sizes that data give to the votes' network.

    n_classes: genotype classes (3 diploid, 2 haploid). n_similarities: overall similarities. n_frequencies,
    n_covariates: genotype frequencies, and other numbers, that `NeighbourVotes.logits` is given beside the votes.
    """

    n_classes: int
    n_similarities: int
    n_frequencies: int
    n_covariates: int


class NeighbourVotes(nn.Module):
    """Logits of a target call from the votes of the neighbours.

    heads: of the attention. hidden: units of the network that corrects the votes. generator: of the starting weights.
    """

    def __init__(
        self,
        shape: VotesShape,
        heads: int,
        hidden: int,
        generator: torch.Generator,
        rules: AttentionRules | None = None,
    ):
        super().__init__()
        rules = rules or AttentionRules()
        n_classes, n_similarities, n_frequencies, n_covariates = shape
        self.n_classes, self.heads, self.power_bounds = n_classes, heads, rules.power
        self.tables = nn.Parameter(_initial_tables(heads, n_classes))  # (H, C, C)
        self.log_length = nn.Parameter(torch.linspace(*rules.log_lengths, heads))
        self.log_near = nn.Parameter(torch.zeros(heads))
        self.log_linked = nn.Parameter(torch.zeros(heads))
        self.power = nn.Parameter(torch.ones(heads))
        start = torch.linspace(*rules.similarity, heads)[:, None] / n_similarities
        self.similarity = nn.Parameter(start.repeat(1, n_similarities))  # (H, S)
        self.population = nn.Parameter(torch.full((heads,), rules.population))
        self.log_smoothing = nn.Parameter(torch.zeros(heads))
        opinions = heads + n_frequencies
        self.genotype_mix = nn.Parameter(torch.full((opinions,), 1.0 / opinions))
        self.allele_mix = nn.Parameter(torch.full((opinions,), rules.allele_mix / opinions))
        n_features = opinions * n_classes + heads + n_covariates
        self.correction = nn.Sequential(
            _linear(n_features, hidden, 1.0, generator), nn.GELU(), _linear(hidden, n_classes, 0.1, generator)
        )

    def poll(self, ballot: Ballot) -> tuple[Tensor, Tensor]:
        """Each head's vote, float32 (B, Q, H, C), and the effective number of neighbours behind it (B, Q, H)."""
        scores = self.scores(ballot)  # (B, H, Q, N)
        if ballot.may_vote is not None:
            scores = scores.masked_fill(~ballot.may_vote[:, None], NEVER)
        weights = torch.softmax(scores, -1)
        batch, heads, queries, neighbours = weights.shape
        votes = torch.bmm(weights.view(batch, heads * queries, neighbours), ballot.target)
        votes = votes.view(batch, heads, queries, -1).transpose(1, 2)
        effective = torch.linalg.vector_norm(weights, dim=-1).pow(-2).transpose(1, 2)  # (B, Q, H)
        if ballot.may_vote is not None:
            anyone = ballot.may_vote.any(-1)[..., None]  # where nobody may vote, the softmax is flat over all
            votes, effective = votes * anyone[..., None], torch.where(anyone, effective, NOBODY)
        return votes, effective

    def scores(self, ballot: Ballot) -> Tensor:
        """Attention scores before the softmax, float32 (B, H, Q, N)."""
        batch, width, classes, queries = ballot.query.shape
        tables = (self.tables + self.tables.transpose(1, 2)) / 2  # (H, C, C)
        omega = self.context_weights(ballot.distance, ballot.r2)  # (B, W, H)
        weighted = omega[:, :, None, :, None] * tables.permute(1, 0, 2)  # (B, W, C neighbour, H, C query)
        weighted = weighted.reshape(batch * width, classes * self.heads, classes)
        wanted = torch.bmm(weighted, ballot.query.reshape(batch * width, classes, queries))
        wanted = wanted.view(batch, width * classes, self.heads * queries)
        neighbour = ballot.neighbour.reshape(batch, width * classes, -1)
        if ballot.held is not None:
            wanted, neighbour = wanted.index_select(1, ballot.held), neighbour.index_select(1, ballot.held)
        overall = ballot.overall.reshape(batch, self.heads * queries, -1)
        return torch.baddbmm(overall, wanted.transpose(1, 2), neighbour).view_as(ballot.overall)

    def logits(self, votes: Tensor, effective: Tensor, frequencies: Tensor, covariates: Tensor) -> Tensor:
        """Logits (..., C): votes (..., H, C), effective (..., H), frequencies (..., F, C), covariates (..., V).

        The second of `frequencies` smooths the votes; see `panel.Panel.frequencies`.
        """
        pseudo = torch.exp(self.log_smoothing)  # (H,)
        smoothed = votes * effective[..., None] + pseudo[:, None] * frequencies[..., 1:2, :]
        smoothed = smoothed / smoothed.sum(-1, keepdim=True)
        opinions = torch.cat([smoothed, frequencies], -2)  # (..., H + F, C)
        log_opinions = torch.log(opinions.clamp_min(1e-6))
        features = torch.cat([log_opinions.flatten(-2) / 3, torch.log(effective) / 3, covariates], -1)
        mixed = (log_opinions * self.genotype_mix[:, None]).sum(-2)
        mixed = mixed + (log_hardy_weinberg(opinions) * self.allele_mix[:, None]).sum(-2)
        return mixed + self.correction(features)

    def overall(self, similarity: Tensor, same_population: Tensor | None) -> Tensor:
        """c_h . K + p_h [same population]: similarity (..., S), same_population (...) or None -> (..., H)."""
        scores = similarity @ self.similarity.T
        return scores if same_population is None else scores + same_population[..., None] * self.population

    def context_weights(self, distance: Tensor, r2: Tensor) -> Tensor:
        """omega of the module's formula: distance, r2 (B, W) -> (B, W, H)."""
        near = torch.exp(self.log_near - distance[..., None] / torch.exp(self.log_length))
        linked = torch.exp(self.log_linked) * r2[..., None].clamp_min(1e-6) ** self.power.clamp(*self.power_bounds)
        return near + torch.where(r2[..., None] > 0, linked, 0.0)


def rows(table: Tensor, index: Tensor) -> Tensor:
    """table[index] along the first dimension, by whole rows, which `index_select` copies far faster."""
    return table.index_select(0, index.flatten()).view(*index.shape, *table.shape[1:])


def one_hot(calls: Tensor, n_classes: int, dim: int = -1) -> Tensor:
    """int8 calls -> float32 with the classes along `dim`; -1 becomes zeros."""
    dim %= calls.ndim + 1
    classes = torch.arange(n_classes, dtype=calls.dtype, device=calls.device)
    return (calls.unsqueeze(dim) == classes.view(-1, *[1] * (calls.ndim - dim))).float()


def log_hardy_weinberg(genotypes: Tensor) -> Tensor:
    """Log genotype probabilities of as many random draws as the ploidy of the allele frequency in (..., C)."""
    classes = genotypes.shape[-1]
    counts = torch.arange(classes, dtype=genotypes.dtype, device=genotypes.device)
    alt = ((genotypes * counts).sum(-1, keepdim=True) / (classes - 1)).clamp(1e-4, 1 - 1e-4)
    ways = torch.log(torch.tensor([float(comb(classes - 1, g)) for g in range(classes)], device=genotypes.device))
    return counts * torch.log(alt) + (classes - 1 - counts) * torch.log1p(-alt) + ways


def _linear(inputs: int, outputs: int, scale: float, generator: torch.Generator) -> nn.Linear:
    """A layer with weights uniform in +-scale / sqrt(inputs), and no bias at the start."""
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.uniform_(-scale * inputs**-0.5, scale * inputs**-0.5, generator=generator)
        layer.bias.zero_()
    return layer


def _initial_tables(heads: int, n_classes: int) -> Tensor:
    """Even heads only punish opposite homozygotes; odd heads grade the difference and prize a shared minor allele."""
    counts = torch.arange(n_classes).float()
    graded = 0.5 - (counts[:, None] - counts).abs() + torch.diag(0.3 * counts)
    opposite = torch.zeros(n_classes, n_classes)
    opposite[0, -1] = opposite[-1, 0] = -1.0
    return torch.stack([graded if head % 2 else opposite for head in range(heads)])
