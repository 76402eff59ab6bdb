"""What the dosages at a locus are regressed on: those at linked loci, and the axes of the samples' relationship."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.decoders.regression.one_locus import Prediction
from imputevae_cli.decoders.regression.rules import RegressionRules


@dataclass(frozen=True)
class Regressors:
    """Of N samples that are fitted and M others. standard: float32 (N + M, L), expected dosages, of mean 0 and variance
    1 but for what is not known of them. axes: float64 (N + M, D), scaled like one locus. mean, variance: float64 (L,),
    of the dosages of the N."""

    standard: np.ndarray
    axes: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    n_fitted: int
    chrom_codes: np.ndarray
    rules: RegressionRules

    @classmethod
    def of(
        cls, dosages: Prediction, others: Prediction | None, chrom_codes: np.ndarray, rules: RegressionRules
    ) -> Regressors:
        """dosages, others: (N, L) and (M, L), posteriors of the dosages."""
        n, n_loci = dosages.mean.shape
        mean = dosages.mean.mean(0, dtype=np.float64)
        variance = np.maximum(dosages.mean.var(0, dtype=np.float64) + dosages.variance.mean(0), rules.floor)
        rows = dosages.mean if others is None else np.concatenate([dosages.mean, others.mean])
        standard = ((rows - mean) / np.sqrt(variance)).astype(np.float32)
        values, vectors = np.linalg.eigh((standard[:n] @ standard[:n].T).astype(np.float64) / n_loci)
        kept = values[-rules.axes :] > 1e-6
        values, vectors = values[-rules.axes :][kept], vectors[:, -rules.axes :][:, kept]
        loadings = (standard[:n].T @ vectors) / (n_loci * np.sqrt(values))  # others lie where these put them
        axes = standard.astype(np.float64) @ loadings
        return cls(standard, axes, mean, variance, n, chrom_codes, rules)

    def at(self, locus: int) -> np.ndarray:
        """float64 (N + M, R), scaled so that weights have prior variance 1; the last is constant, for the mean."""
        rules, n = self.rules, self.n_fitted
        near = np.arange(max(0, locus - rules.window), min(len(self.mean), locus + rules.window + 1))
        near = near[(self.chrom_codes[near] == self.chrom_codes[locus]) & (near != locus)]
        r = self.standard[:n, near].T @ self.standard[:n, locus] / n
        prior = np.abs(r) ** rules.power * np.exp(-np.abs(near - locus) / rules.length)
        if len(near) > rules.linked:
            best = np.sort(np.argpartition(prior, -rules.linked)[-rules.linked :])
            near, prior = near[best], prior[best]
        prior = prior / max(float(prior.sum()), 1e-12)
        linked = self.standard[:, near] * np.sqrt((1 - rules.ancestry) * prior)
        columns = np.concatenate([linked, np.sqrt(rules.ancestry) * self.axes], 1)
        spread = np.square(columns[:n]).sum() / n
        scale = np.sqrt(self.variance[locus])
        columns *= scale / np.sqrt(max(float(spread), 1e-12))
        constant = np.full((len(columns), 1), np.sqrt(rules.mean_share) * scale)
        return np.concatenate([columns, constant], 1)
