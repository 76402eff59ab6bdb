"""The dosages at every locus, regressed on those at linked loci and on the ancestry of the samples, pass after pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

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
        """Of single cells, float32 (M, C)."""
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


def predict(
    fitted: Samples,
    others: Samples | None,
    chrom_codes: np.ndarray,
    residual: float,
    rules: RegressionRules = DEFAULT,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[Predicted, Predicted | None]:
    """Predictions of the samples that are fitted, and of others, which teach nothing.

    residual: share of the variance that regressors do not explain. advance: called with the loci done, BLOCK or fewer.
    """
    known = others_known = None
    sites = Sites(*np.zeros((2, *fitted.evidence.codes.shape), np.float32))
    for number in range(rules.passes):
        dosages = fitted.dosages(known, rules.floor)
        of_others = None if others is None else others.dosages(others_known, rules.floor)
        regressors = Regressors.of(dosages, of_others, chrom_codes, rules)
        del dosages, of_others
        known, others_known = _pass(fitted, others, regressors, residual, sites, number == 0, advance)
    assert known is not None  # there is a pass
    return known, others_known


def _pass(
    fitted: Samples,
    others: Samples | None,
    regressors: Regressors,
    residual: float,
    sites: Sites,
    is_first: bool,
    advance: Callable[[int], object],
) -> tuple[Predicted, Predicted | None]:
    """One pass over the loci; `sites`, float32 (N, L) each, are renewed in place."""
    rules, (n_rows, n_loci) = regressors.rules, regressors.standard.shape
    n, n_classes = regressors.n_fitted, fitted.evidence.n_classes
    mean, variance = np.empty((2, n_rows, n_loci), np.float32)
    for locus, likelihoods in _by_locus(fitted.evidence, advance):
        prior = Prior(float(regressors.mean[locus]), residual * float(regressors.variance[locus]))
        if is_first:
            alone = Prediction(np.full(n, prior.mean), np.full(n, regressors.variance[locus]))
            own = sites_beside(alone, likelihoods, rules.floor)
        else:
            own = Sites(sites.precision[:, locus].astype(np.float64), sites.weighted[:, locus].astype(np.float64))
        columns = regressors.at(locus) * np.sqrt(1 - residual)
        predicted, own, of_others = regress(columns, prior, likelihoods, own, rules.updates, rules.floor)
        sites.precision[:, locus], sites.weighted[:, locus] = own
        mean[:n, locus], variance[:n, locus] = predicted
        mean[n:, locus], variance[n:, locus] = of_others
    found = Predicted(mean[:n], variance[:n], n_classes)
    return found, None if others is None else Predicted(mean[n:], variance[n:], n_classes)


def _by_locus(evidence: Evidence, advance: Callable[[int], object]) -> Iterator[tuple[int, np.ndarray]]:
    """Each locus with the likelihoods of its cells, float64 (N, C)."""
    n_loci = evidence.codes.shape[1]
    for start in range(0, n_loci, BLOCK):
        block = evidence.block(slice(None), start, min(start + BLOCK, n_loci))
        for i in range(block.shape[1]):
            yield start + i, block[:, i].astype(np.float64)
        advance(block.shape[1])
