"""Genotypes by locus as the votes read them: certain, or where calls are uncertain how likely each is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_frequencies import posterior
from imputevae_cli.data.genotypes import MISSING

_WHOLE = 255
_BLOCK = 1024  # loci at a time, where copies of the calls are needed


@dataclass(frozen=True)
class Genotypes:
    """Counts of each locus's minor allele.

    calls: int8 (L, n), -1 missing or hidden; where uncertain, the likeliest. soft: uint8 (L, C, n), probabilities
    times 255 that sum to that, which count where a call is not missing; None where calls are certain.
    """

    calls: Tensor
    n_classes: int
    soft: Tensor | None = None

    @property
    def n_samples(self) -> int:
        return self.calls.shape[1]

    def of_samples(self, samples: Tensor) -> Genotypes:
        """Of some samples, int64."""
        soft = None if self.soft is None else self.soft.index_select(2, samples)
        return Genotypes(self.calls[:, samples], self.n_classes, soft)

    def without(self, loci: Tensor, samples: Tensor) -> Genotypes:
        """The same with some cells missing, int64 (M,) each."""
        calls = self.calls.clone()
        calls[loci, samples] = MISSING
        return Genotypes(calls, self.n_classes, self.soft)

    def tables(self, loci: Tensor, samples: Tensor | None = None) -> Tensor:
        """Probabilities of the genotypes, float32 (..., C, n), at loci of any shape; zeros where a call is missing.

        samples: int64 (n,); None takes all.
        """
        calls = self._picked(rows(self.calls, loci), samples)
        if self.soft is None:
            return one_hot(calls, self.n_classes, -2)
        soft = self._picked(rows(self.soft, loci), samples)
        return soft.float().div_(_WHOLE).mul_((calls != MISSING).unsqueeze(-2))

    def of_cells(self, loci: Tensor, samples: Tensor) -> Tensor:
        """Probabilities of the genotypes of single cells, float32 (..., C); int64 of one shape each."""
        calls = self.calls[loci, samples]
        if self.soft is None:
            return one_hot(calls, self.n_classes)
        return self.soft[loci, :, samples].float().div_(_WHOLE).mul_((calls != MISSING)[..., None])

    def dosage(self, loci: slice | Tensor, samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Minor alleles, int8 or float32 (n, l), expected ones where uncertain, and whether they are known, bool."""
        calls = self._picked(self.calls[loci], samples).T.contiguous()
        if self.soft is None:
            return calls, calls != MISSING
        soft = self._picked(self.soft[loci], samples).float().div_(_WHOLE)  # (l, C, n)
        alleles = torch.arange(self.n_classes).float()
        return torch.einsum("c,lcn->nl", alleles, soft).contiguous(), calls != MISSING

    def at_least(self, step: int, loci: slice, samples: Tensor | None = None) -> Tensor:
        """The chance of so many minor alleles or more, float32 (n, l), 0 where a call is missing."""
        calls = self._picked(self.calls[loci], samples).T.contiguous()
        if self.soft is None:
            return (calls >= step).float()
        soft = self._picked(self.soft[loci, step:], samples)
        return soft.float().sum(1).T.div(_WHOLE).mul_(calls != MISSING)

    def counts(self, samples: np.ndarray | None = None) -> Tensor:
        """Expected samples with each genotype, float32 (L, C), of all or of some, bool (n,); of uncertain calls."""
        chosen = None if samples is None else torch.from_numpy(np.flatnonzero(samples))
        pieces = torch.arange(len(self.calls)).split(_BLOCK)
        return torch.cat([self.tables(loci, chosen).sum(-1) for loci in pieces])

    @staticmethod
    def _picked(values: Tensor, samples: Tensor | None) -> Tensor:
        """Some samples, int64 (n,), of the last dimension, or all."""
        return values if samples is None else values.index_select(-1, samples)


def rows(table: Tensor, index: Tensor) -> Tensor:
    """table[index] along the first dimension, by whole rows, which `index_select` copies far faster."""
    return table.index_select(0, index.flatten()).view(*index.shape, *table.shape[1:])


def one_hot(calls: Tensor, n_classes: int, dim: int = -1) -> Tensor:
    """int8 calls -> float32 with the classes along `dim`; -1 becomes zeros."""
    dim %= calls.ndim + 1
    classes = torch.arange(n_classes, dtype=calls.dtype, device=calls.device)
    return (calls.unsqueeze(dim) == classes.view(-1, *[1] * (calls.ndim - dim))).float()


def uncertain_genotypes(evidence: Evidence, frequencies: np.ndarray, codes: np.ndarray, flipped: Tensor) -> Genotypes:
    """What evidence says under genotype frequencies, float32 (populations + 1, L, C).

    codes: int64 (n,), rows of these. flipped: bool (L,), loci whose ALT is the commoner allele.
    """
    n_samples, n_loci = evidence.codes.shape
    n_classes = evidence.n_classes
    calls = torch.empty(n_loci, n_samples, dtype=torch.int8)
    soft = torch.empty(n_loci, n_classes, n_samples, dtype=torch.uint8)
    size = max(1, min(_BLOCK, (1 << 20) // max(n_samples, 1)))
    for start in range(0, n_loci, size):
        stop = min(start + size, n_loci)
        shares = posterior(frequencies[codes, start:stop], evidence.block(slice(None), start, stop))
        turned = flipped[start:stop].numpy()
        shares[:, turned] = shares[:, turned, ::-1]
        best = shares.argmax(-1)
        whole = np.rint(shares * _WHOLE).astype(np.int16)
        rest = _WHOLE - whole.sum(-1) + np.take_along_axis(whole, best[..., None], -1)[..., 0]
        np.put_along_axis(whole, best[..., None], rest[..., None], -1)
        best[~evidence.known(slice(None), start, stop)] = MISSING
        calls[start:stop] = torch.from_numpy(best.T.astype(np.int8))
        soft[start:stop] = torch.from_numpy(whole.astype(np.uint8)).permute(1, 2, 0)
    return Genotypes(calls, n_classes, soft)
