"""The learned attention by which donors vote: scores, votes and logits, with weights shared by all loci.

For a target call (n, l), donor m votes for its own genotype at l with weight softmax_m of

    sum over w in the context of l of omega_h(l, w) T_h[g_nw, g_mw]  +  c_h . K_nm  +  p_h [same population]

for each head h. The context of l is its neighbours on the chromosome and the loci most correlated with it
anywhere; omega_h(l, w) = a_h exp(-|w - l| / length_h) for the first and b_h (r2_lw)^power_h for the second.
T_h is a symmetric table of genotype pairs on the minor allele, K the samples' overall similarities.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FAR = 1e6
"""Distance of a context locus that does not count by distance; finite, so that its gradient is zero, not NaN."""

NEVER = -1e4
"""Score of a donor that may not vote: its weight underflows to zero."""


@dataclass
class VoteInputs:
    """What the donors' votes on a batch of loci rest on. B loci, Q queries each, N donors, W context loci, C classes.

    query_calls, donor_calls: int8 (B, W, Q) and (B, W, N), minor-allele counts at the context loci, -1 missing.
    distance: float32 (B, W), loci between target and context locus; `FAR` for one that counts by r2 alone.
    r2: float32 (B, W), squared correlation with the target; 0 for one that counts by distance alone.
    overall: float32 (B, H, Q, N), the part of the scores that no locus changes, from `DonorVotes.overall`.
    donor_target: int8 (B, N), donors' calls at the target, -1 missing (no vote). allowed: bool (B, Q, N), False where
    the donor is the query itself.
    frequencies: float32 (B, Q, F, C), genotype frequencies of the query's population, of all, and perhaps others, the
    query left out.
    covariates: float32 (B, Q, V), what else says how far to trust the votes.
    """

    query_calls: Tensor
    donor_calls: Tensor
    distance: Tensor
    r2: Tensor
    overall: Tensor
    donor_target: Tensor
    allowed: Tensor
    frequencies: Tensor
    covariates: Tensor


class DonorVotes(nn.Module):
    """Logits of a target call from the votes of the donors.

    n_classes: genotype classes (3 diploid, 2 haploid). n_similarities: S. n_frequencies, n_covariates: F and V of
    VoteInputs.
    """

    def __init__(
        self,
        n_classes: int,
        n_similarities: int,
        n_frequencies: int,
        n_covariates: int,
        heads: int,
        hidden: int,
        generator: torch.Generator,
    ):
        super().__init__()
        self.n_classes, self.heads = n_classes, heads
        self.tables = nn.Parameter(_initial_tables(heads, n_classes))  # (H, C, C)
        self.log_length = nn.Parameter(torch.linspace(1.1, 4.1, heads))  # 3 to 60 loci
        self.log_near = nn.Parameter(torch.zeros(heads))
        self.log_linked = nn.Parameter(torch.zeros(heads))
        self.power = nn.Parameter(torch.ones(heads))
        start = torch.linspace(0.3, 1.5, heads)[:, None] / n_similarities
        self.similarity = nn.Parameter(start.repeat(1, n_similarities))  # (H, S)
        self.population = nn.Parameter(torch.full((heads,), 0.5))
        self.log_smoothing = nn.Parameter(torch.zeros(heads))
        opinions = heads + n_frequencies
        self.genotype_mix = nn.Parameter(torch.full((opinions,), 1.0 / opinions))
        self.allele_mix = nn.Parameter(torch.full((opinions,), 0.3 / opinions))
        n_features = opinions * n_classes + heads + n_covariates
        self.correction = nn.Sequential(
            _linear(n_features, hidden, 1.0, generator), nn.GELU(), _linear(hidden, n_classes, 0.1, generator)
        )

    def forward(self, x: VoteInputs) -> Tensor:
        """Logits, float32 (B, Q, C)."""
        votes, effective = self.votes(x)
        opinions = torch.cat([votes, x.frequencies], 2)  # (B, Q, H + F, C)
        log_opinions = torch.log(opinions.clamp_min(1e-6))
        features = torch.cat([log_opinions.flatten(2) / 3, torch.log(effective) / 3, x.covariates], -1)
        logits = torch.einsum("bqhc,h->bqc", log_opinions, self.genotype_mix)
        logits = logits + torch.einsum("bqhc,h->bqc", log_hardy_weinberg(opinions), self.allele_mix)
        return logits + self.correction(features)

    def votes(self, x: VoteInputs) -> tuple[Tensor, Tensor]:
        """Each head's vote (B, Q, H, C), smoothed by all frequencies, and its effective donors (B, Q, H)."""
        target = one_hot(x.donor_target, self.n_classes)  # (B, N, C)
        may_vote = (x.donor_target >= 0)[:, None] & x.allowed  # (B, Q, N)
        scores = self.scores(x).masked_fill(~may_vote[:, None], NEVER)  # (B, H, Q, N)
        weights = torch.softmax(scores, -1) * may_vote[:, None]
        batch, heads, queries, donors = weights.shape
        votes = torch.bmm(weights.view(batch, heads * queries, donors), target).view(batch, heads, queries, -1)
        effective = 1 / weights.square().sum(-1).clamp_min(1e-6)  # (B, H, Q)
        effective = torch.where(may_vote.any(-1)[:, None], effective, 1e-2)
        pseudo = torch.exp(self.log_smoothing)[:, None, None]  # (H, 1, 1)
        smoothed = votes * effective[..., None] + pseudo * x.frequencies[:, None, :, 1]
        smoothed = smoothed / smoothed.sum(-1, keepdim=True)
        return smoothed.transpose(1, 2), effective.transpose(1, 2)

    def scores(self, x: VoteInputs) -> Tensor:
        """Attention scores before the softmax, float32 (B, H, Q, N)."""
        batch, width, queries = x.query_calls.shape
        classes, heads = self.n_classes, self.heads
        tables = (self.tables + self.tables.transpose(1, 2)) / 2  # (H, C, C)
        omega = self.context_weights(x.distance, x.r2)  # (B, W, H)
        # a missing call is a row of zeros, so a pair with one adds nothing
        query = one_hot(x.query_calls, classes).transpose(2, 3).reshape(batch * width, classes, queries)
        donor = one_hot(x.donor_calls, classes).transpose(2, 3).reshape(batch, width * classes, -1)
        weighted = omega[:, :, None, :, None] * tables.permute(1, 0, 2)  # (B, W, C donor, H, C query)
        weighted = weighted.reshape(batch * width, classes * heads, classes)
        wanted = torch.bmm(weighted, query).view(batch, width * classes, heads * queries)
        return torch.bmm(wanted.transpose(1, 2), donor).view(batch, heads, queries, -1) + x.overall

    def overall(self, similarity: Tensor, same_population: Tensor | None) -> Tensor:
        """c_h . K + p_h [same population]: similarity (..., S), same_population (...) or None -> (..., H)."""
        scores = similarity @ self.similarity.T
        return scores if same_population is None else scores + same_population[..., None] * self.population

    def context_weights(self, distance: Tensor, r2: Tensor) -> Tensor:
        """omega of the module's formula: distance, r2 (B, W) -> (B, W, H)."""
        near = torch.exp(self.log_near - distance[..., None] / torch.exp(self.log_length))
        linked = torch.exp(self.log_linked) * r2[..., None].clamp_min(1e-6) ** self.power.clamp(0.3, 4.0)
        return near + torch.where(r2[..., None] > 0, linked, 0.0)


def one_hot(calls: Tensor, n_classes: int) -> Tensor:
    """int8 (...,) -> float32 (..., C); -1 becomes a row of zeros."""
    return (calls[..., None] == torch.arange(n_classes, dtype=calls.dtype, device=calls.device)).float()


def log_hardy_weinberg(genotypes: Tensor) -> Tensor:
    """Log genotype probabilities of two random draws (one, when haploid) of the allele frequency in (..., C)."""
    classes = genotypes.shape[-1]
    counts = torch.arange(classes, dtype=genotypes.dtype, device=genotypes.device)
    alt = ((genotypes * counts).sum(-1, keepdim=True) / (classes - 1)).clamp(1e-4, 1 - 1e-4)
    ways = torch.log(torch.tensor([1.0, 2.0, 1.0], device=genotypes.device) if classes == 3 else torch.ones(2))
    return counts * torch.log(alt) + (classes - 1 - counts) * torch.log1p(-alt) + ways


def _linear(inputs: int, outputs: int, scale: float, generator: torch.Generator) -> nn.Linear:
    """A layer with weights uniform in +-scale / sqrt(inputs), and no bias at the start."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
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


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean log loss: logits (B, Q, C), truth int64 (B, Q), weights (B, Q)."""
    losses = F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()
