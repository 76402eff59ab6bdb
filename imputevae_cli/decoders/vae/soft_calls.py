"""Calls that are not certain, as the VAE reads them and is scored on them: codes of likelihood vectors, and a table.

Likelihoods are looked up for a batch, or for some of its loci, at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import FLAT, Evidence
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.genotypes import MISSING

_LEAST = 1e-30
_LEAST_ENTROPY = 1e-6


@dataclass(frozen=True)
class SoftCalls:
    """The evidence of some samples at some loci; it is cut like the tensor of calls whose place it takes.

    codes: int16 (B, L), the bits of `Evidence.codes`. table: float32 (C, K), likelihoods of each code. best: int8
    (B, L), the likeliest genotypes, -1 where nothing is known, or None where no one asks.
    """

    codes: Tensor
    table: Tensor
    best: Tensor | None = None

    @classmethod
    def of(cls, evidence: Evidence) -> SoftCalls:
        """The evidence of a cohort; what is hidden there later is hidden here."""
        return cls(torch.from_numpy(evidence.codes.view(np.int16)), torch.from_numpy(evidence.table.T.copy()))

    @property
    def shape(self) -> torch.Size:
        return self.codes.shape

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> SoftCalls:
        return SoftCalls(self.codes[index], self.table, None if self.best is None else self.best[index])

    def index_select(self, dim: int, index: Tensor) -> SoftCalls:
        """As of a tensor."""
        best = None if self.best is None else self.best.index_select(dim, index)
        return SoftCalls(self.codes.index_select(dim, index), self.table, best)

    def to(self, device: torch.device) -> SoftCalls:
        """As of a tensor."""
        best = None if self.best is None else self.best.to(device)
        return SoftCalls(self.codes.to(device), self.table.to(device), best)

    def without(self, hidden: Tensor) -> SoftCalls:
        """The same without what is known of some cells, bool (B, L)."""
        return SoftCalls(self.codes.masked_fill(hidden, FLAT), self.table)

    @property
    def known(self) -> Tensor:
        """bool (B, L): cells of which anything is known."""
        return self.codes != FLAT

    def likelihoods(self) -> Tensor:
        """Of each genotype, float32 (C, B, L), the greatest of a cell 1."""
        rows = (self.codes.to(torch.int32) & 0xFFFF).flatten()
        return self.table.index_select(1, rows).view(len(self.table), *self.codes.shape)

    def posterior(self, prior: Tensor) -> Tensor:
        """P(genotype | data), float32 (C, B, L), under genotype frequencies of the loci, (L, C)."""
        joint = self.likelihoods().mul_((prior + 1e-12).t()[:, None])
        return joint.div_(joint.sum(0).clamp_min(_LEAST))

    def dosage(self, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Expected ALT alleles of each cell, and how certain they are, float32 (B, L) each.

        Certainty is 1 less the entropy of the genotype under the cell's evidence over that under the frequencies alone.
        """
        posterior = self.posterior(prior)
        certainty = 1.0 - _entropy(posterior, 0) / _entropy(prior, 1).clamp_min(_LEAST_ENTROPY)
        counts = torch.arange(len(posterior), dtype=posterior.dtype, device=posterior.device)
        return torch.einsum("c,cbl->bl", counts, posterior), certainty.clamp_(0.0, 1.0).mul_(self.known)

    def with_best(self, prior: Tensor) -> SoftCalls:
        """The same with the likeliest genotypes."""
        best = self.posterior(prior).argmax(0).to(torch.int8).masked_fill_(~self.known, MISSING)
        return SoftCalls(self.codes, self.table, best)

    def frequencies(self) -> Tensor:
        """Genotype frequencies of the loci, float32 (L, C), by EM."""
        codes = self.codes.cpu().numpy().view(np.uint16)
        found = evidence_frequencies(Evidence(codes, self.table.t().cpu().numpy()))[-1]
        return torch.from_numpy(found).to(self.table.device)


Calls = Tensor | SoftCalls
"""What is known of samples: certain calls, int8 (B, L), -1 missing; or their evidence."""


def n_known(calls: Calls) -> int:
    """Cells of which anything is known."""
    return int((calls.known if isinstance(calls, SoftCalls) else calls != MISSING).sum())


def observed_of(cohort: Cohort, reads_evidence: bool = True) -> Calls:
    """What a model reads of a cohort: its evidence, if it has any and the model was trained on such; else its calls."""
    if cohort.evidence is not None and reads_evidence:
        return SoftCalls.of(cohort.evidence)
    return torch.from_numpy(cohort.calls)


def side_by_side(calls: Calls) -> Calls:
    """The same loci twice."""
    if isinstance(calls, SoftCalls):
        return SoftCalls(torch.cat([calls.codes, calls.codes], 1), calls.table)
    return torch.cat([calls, calls], 1)


def _entropy(probabilities: Tensor, dim: int) -> Tensor:
    p = probabilities.clamp_min(1e-12)
    return -(p * p.log()).sum(dim)
