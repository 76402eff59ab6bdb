"""The learned attention by which neighbours vote: scores, votes and logits, with weights shared by all loci.

For a target call (n, l), neighbour m votes for its own genotype at l with weight softmax_m of

    sum over w in the context of l of omega_h(l, w) T_h[g_nw, g_mw]  +  c_h . K_nm  +  p_h [same population]

for each head h. The context of l is its neighbours on the chromosome and the loci most correlated with it
anywhere; omega_h(l, w) = a_h exp(-|w - l| / length_h) for the first and b_h (r2_lw)^power_h for the second.
T_h is a symmetric table of genotype pairs on the minor allele, K the samples' overall similarities.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, starmap
from math import comb
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from imputevae_cli.decoders.knn import kernel
from imputevae_cli.decoders.knn.kernel_layout import Cells, Samples, Weights
from imputevae_cli.decoders.knn.rules import AttentionRules, Ramps

FAR = 1e6
"""Distance of a context locus that does not count, and minus the log r2 of one; finite, so that its gradient is zero,
not NaN."""
_LOCI_A_TASK = 16  # of a thread; of 8 the handing out took an eighth of a training's time


class Context(NamedTuple):
    """The loci around B target loci that the votes on these look at.

    around: int64 (B, W), context loci: V that count by distance, then W - V that count by correlation. distance:
    float32 (B, V), loci between target and context locus. log_r2: float32 (B, W - V), of the squared correlation.
    """

    around: Tensor
    distance: Tensor
    log_r2: Tensor

    def of(self, rows: Tensor) -> Context:
        """Of some of the target loci, int64."""
        return Context(*(part[rows] for part in self))


@dataclass(frozen=True)
class Ballot:
    """The calls that are voted on: those of M cells at B target loci, by the neighbours among `samples`.

    loci: int64 (B,). context: theirs. rows: int64 (M,), rising, which of `loci` each call is at; asked: int64 (M,), its
    query. pool: threads that share the loci out, or None; what is voted does not hang on it.
    """

    samples: Samples
    loci: Tensor
    context: Context
    rows: Tensor
    asked: Tensor
    pool: ThreadPoolExecutor | None = None

    @property
    def cells(self) -> Cells:
        """The calls as the kernel takes them."""
        parts = (self.loci, self.context.around, self.rows, self.asked)
        return Cells(*(np.ascontiguousarray(part.numpy()) for part in parts))

    def share_out(self, function: Callable[[slice], None]) -> None:
        """Call `function` for all of the calls, in stretches that hold whole loci."""
        if self.pool is None:
            function(slice(None))
            return
        edges = np.searchsorted(self.rows.numpy(), range(0, len(self.loci) + _LOCI_A_TASK, _LOCI_A_TASK)).tolist()
        list(self.pool.map(function, starmap(slice, pairwise(edges))))


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
        self.tables = nn.Parameter(_initial_tables(heads, n_classes, rules))  # (H, C, C)
        self.log_length = nn.Parameter(torch.linspace(*rules.log_lengths, heads))
        self.log_near = _by_kind(rules.log_near, heads)
        self.log_linked = _by_kind(rules.log_linked, heads)
        self.power = _by_kind(rules.powers, heads)
        start = torch.linspace(*rules.similarity, heads)[:, None] / n_similarities
        self.similarity = nn.Parameter(start.repeat(1, n_similarities))  # (H, S)
        self.population = nn.Parameter(torch.full((heads,), rules.population))
        self.log_smoothing = _by_kind(rules.log_smoothing, heads)
        opinions = heads + n_frequencies
        self.genotype_mix = _by_kind(rules.genotype_mix, heads, n_frequencies)
        self.allele_mix = _by_kind(rules.allele_mix, heads, n_frequencies)
        n_features = opinions * n_classes + heads + n_covariates
        self.correction = nn.Sequential(
            _linear(n_features, hidden, 1.0, generator), nn.GELU(), _linear(hidden, n_classes, 0.1, generator)
        )

    def poll(self, ballot: Ballot) -> tuple[Tensor, Tensor]:
        """Each head's vote, float32 (M, H, C), and the effective number of neighbours behind it (M, H)."""
        omega = self.context_weights(ballot.context.distance, ballot.context.log_r2)
        tables = ((self.tables + self.tables.transpose(1, 2)) / 2).permute(1, 2, 0)  # (C, C, H)
        pairs = self.similarity.T  # (S, H)
        if ballot.samples.pairs.shape[1] > len(pairs):
            pairs = torch.cat([pairs, self.population[None]])
        return _Poll.apply(ballot, omega, tables, pairs)

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

    def context_weights(self, distance: Tensor, log_r2: Tensor) -> Tensor:
        """omega of the module's formula: distance (B, V), log_r2 (B, W - V) -> (B, W, H)."""
        near = torch.exp(self.log_near - distance[..., None] / torch.exp(self.log_length))
        linked = torch.exp(self.log_linked + self.power.clamp(*self.power_bounds) * log_r2[..., None])
        return torch.cat([near, linked], 1)


class _Poll(torch.autograd.Function):
    """The kernel's votes, with gradients."""

    @staticmethod
    def forward(ctx: Any, ballot: Ballot, *weights: Tensor) -> tuple[Tensor, Tensor]:
        """See `NeighbourVotes.poll`; weights: omega, tables and pairs of `Weights`."""
        given = Weights(*(np.ascontiguousarray(part.detach().numpy()) for part in weights))
        heads, n_classes, cells = given.omega.shape[2], given.tables.shape[0], ballot.cells
        votes = np.empty((len(cells.rows), heads, n_classes), np.float32)
        n_kept = len(cells.rows) if any(ctx.needs_input_grad) else 0
        shares = np.empty((n_kept, heads, ballot.samples.votes.shape[1]), np.float32)
        effective = np.empty(votes.shape[:2], np.float32)

        def poll(some: slice) -> None:
            kernel.poll(ballot.samples, cells.take(some), given, votes[some], effective[some], shares[some])

        ballot.share_out(poll)
        ctx.saved = ballot, cells, given, shares
        return torch.from_numpy(votes), torch.from_numpy(effective)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        """Gradients of omega, tables and pairs."""
        ballot, cells, given, shares = ctx.saved
        n_loci = len(cells.loci)
        omega = np.zeros_like(given.omega)
        tables, pairs = (np.zeros((n_loci, *part.shape), np.float32) for part in given[1:])
        of_votes, of_effective = (np.ascontiguousarray(part.numpy()) for part in grad_outputs)

        def pass_on(some: slice) -> None:
            of_these = cells.take(some), given, shares[some], of_votes[some], of_effective[some]
            kernel.gradients(ballot.samples, *of_these, omega, tables, pairs)

        ballot.share_out(pass_on)
        return None, torch.from_numpy(omega), torch.from_numpy(tables.sum(0)), torch.from_numpy(pairs.sum(0))


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


def _by_kind(values: Ramps, heads: int, more: int = 0) -> nn.Parameter:
    """Values of the even and of the odd heads, each from the first head's to the last's, then zeros: (H + more,)."""
    even, odd = (torch.linspace(*ends, heads) for ends in values)
    return nn.Parameter(torch.cat([torch.where(torch.arange(heads) % 2 == 1, odd, even), torch.zeros(more)]))


def _initial_tables(heads: int, n_classes: int, rules: AttentionRules) -> Tensor:
    """Even heads only punish opposite homozygotes; odd heads punish any difference and prize a shared minor allele."""
    counts = torch.arange(n_classes)
    difference = (counts[:, None] - counts).abs().float()
    shared = torch.where(counts > 0, rules.shared_minor, rules.shared_major)
    graded = torch.where(difference == 0, shared, rules.different + rules.difference * difference)
    opposite = torch.zeros(n_classes, n_classes)
    opposite[0, -1] = opposite[-1, 0] = rules.opposite
    return torch.stack([graded if head % 2 else opposite for head in range(heads)])
