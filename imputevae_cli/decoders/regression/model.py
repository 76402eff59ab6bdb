"""The dosages at every locus, regressed on those at linked loci and on the ancestry of the samples, pass after pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.regression.one_locus import (
    Prediction,
    Prior,
    Sites,
    genotype_chances,
    moments,
    regress,
    sites_beside,
)
from imputevae_cli.decoders.regression.regressors import Regressors
from imputevae_cli.decoders.regression.rules import DEFAULT, RegressionRules
from imputevae_cli.runtime.resumable import State

BLOCK = 256
"""Loci at a time, where all cells of a block are looked up."""


@dataclass(frozen=True)
class Predicted:
    """Dosages of samples from all but a cell's own evidence; a `Posterior`. mean, variance: float32 (N, L)."""

    mean: np.ndarray
    variance: np.ndarray
    n_classes: int

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `Posterior`."""
        of_block = Prediction(self.mean[:, start:stop], self.variance[:, start:stop])
        return genotype_chances(of_block, self.n_classes).astype(np.float32)

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """Genotype probabilities of single cells, float32 (M, C)."""
        of_cells = Prediction(*(part[cells.samples, cells.loci] for part in (self.mean, self.variance)))
        return genotype_chances(of_cells, self.n_classes).astype(np.float32)


@dataclass(frozen=True)
class Samples:
    """Samples with the evidence of their cells, and how common genotypes are, float32 (L, C)."""

    evidence: Evidence
    frequencies: np.ndarray

    def dosages(self, predicted: Predicted | None, floor: float) -> Prediction:
        """Posterior of the dosages, float32 (N, L), beside predictions, or beside the frequencies alone."""
        shape = self.evidence.codes.shape
        out = Prediction(np.empty(shape, np.float32), np.empty(shape, np.float32))
        for start in range(0, shape[1], BLOCK):
            stop = min(start + BLOCK, shape[1])
            prior = self.frequencies[None, start:stop] if predicted is None else predicted.gp(start, stop)
            joint = (prior + 1e-12) * self.evidence.block(slice(None), start, stop)
            block = moments(joint / joint.sum(-1, keepdims=True), floor)
            out.mean[:, start:stop], out.variance[:, start:stop] = block
        return out


@dataclass(frozen=True)
class Passes:
    """What `number` passes over the loci have come to: predictions of the samples that are fitted, and of others, and
    the sites of the former, float32 (N, L) each."""

    number: int
    known: Predicted
    others: Predicted | None
    sites: Sites

    def state(self) -> State:
        """Plain types and tensors; without the others."""
        arrays = (self.known.mean, self.known.variance, *self.sites)
        tensors = [torch.from_numpy(array.copy()) for array in arrays]
        return {"number": self.number, "n_classes": self.known.n_classes, "arrays": tensors}

    @classmethod
    def from_state(cls, state: State) -> Passes:
        """What `state` wrote."""
        mean, variance, *sites = (tensor.numpy() for tensor in state["arrays"])
        return cls(state["number"], Predicted(mean, variance, state["n_classes"]), None, Sites(*sites))


def next_pass(
    fitted: Samples,
    others: Samples | None,
    chrom_codes: np.ndarray,
    residual: float,
    before: Passes | None = None,
    rules: RegressionRules = DEFAULT,
) -> Passes:
    """A pass over the loci: of the samples that are fitted, and of others, which teach nothing.

    residual: share of the variance that regressors do not explain. before: the passes before it; their sites are
    renewed in place.
    """
    dosages = fitted.dosages(before.known if before else None, rules.floor)
    dosages_of_others = None if others is None else others.dosages(before.others if before else None, rules.floor)
    regressors = Regressors.of(dosages, dosages_of_others, chrom_codes, rules)
    del dosages, dosages_of_others
    n_rows, n_loci = regressors.standard.shape
    n, n_classes = regressors.n_fitted, fitted.evidence.n_classes
    sites = before.sites if before else Sites(*np.zeros((2, n, n_loci), np.float32))
    mean, variance = np.empty((2, n_rows, n_loci), np.float32)
    for locus, likelihoods in _by_locus(fitted.evidence):
        prior = Prior(float(regressors.mean[locus]), residual * float(regressors.variance[locus]))
        if before is None:
            alone = Prediction(np.full(n, prior.mean), np.full(n, regressors.variance[locus]))
            own = sites_beside(alone, likelihoods, rules.floor)
        else:
            own = Sites(sites.precision[:, locus].astype(np.float64), sites.weighted[:, locus].astype(np.float64))
        columns = regressors.at(locus) * np.sqrt(1 - residual)
        predicted, own, beside = regress(columns, prior, likelihoods, own, rules.updates, rules.floor)
        sites.precision[:, locus], sites.weighted[:, locus] = own
        mean[:n, locus], variance[:n, locus] = predicted
        mean[n:, locus], variance[n:, locus] = beside
    known = Predicted(mean[:n], variance[:n], n_classes)
    of_others = None if others is None else Predicted(mean[n:], variance[n:], n_classes)
    return Passes(before.number + 1 if before else 1, known, of_others, sites)


def _by_locus(evidence: Evidence) -> Iterator[tuple[int, np.ndarray]]:
    """Each locus with the likelihoods of its cells, float64 (N, C)."""
    n_loci = evidence.codes.shape[1]
    for start in range(0, n_loci, BLOCK):
        block = evidence.block(slice(None), start, min(start + BLOCK, n_loci))
        for i in range(block.shape[1]):
            yield start + i, block[:, i].astype(np.float64)
