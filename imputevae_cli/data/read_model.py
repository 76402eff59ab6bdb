"""What read counts say of a genotype: a binomial model with an error rate, or beta-binomial where reads are clumped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.evidence_frequencies import Tally, allele_frequencies

LEAST_ERROR, MOST_ERROR = 1e-4, 0.1
SAFE_ERROR = 1e-3
"""Reads are never trusted more than this, however few errors the data show: some are of another place in the genome."""
LEAST_OVERDISPERSION, MOST_OVERDISPERSION = 1e-3, 0.5
STEPS = 10
"""Steps of a golden-section search: the range shrinks to a hundredth."""
GAIN = 10.0
"""Over-dispersion is used where it raises the log-likelihood of all cells by more than this many nats."""
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class ReadModel:
    """error: the chance that a read shows the other allele. overdispersion: correlation of the reads of a cell, 0 for
    independent ones. log_bias: logarithm of how much likelier a REF read is to be seen than an ALT read."""

    error: float = 0.01
    overdispersion: float = 0.0
    log_bias: float = 0.0

    def log_likelihoods(self, ref: np.ndarray, alt: np.ndarray, ploidy: int) -> np.ndarray:
        """ln P(reads | g), float64 (K, ploidy + 1), but for the binomial coefficient; ref, alt: int (K,)."""
        dose = np.arange(ploidy + 1) / ploidy
        p = dose * (1 - self.error) + (1 - dose) * self.error  # of an ALT read
        if self.log_bias:
            p = p / (p + np.exp(self.log_bias) * (1 - p))
        if not self.overdispersion:
            return ref[:, None] * np.log(1 - p) + alt[:, None] * np.log(p)
        size = (1 - self.overdispersion) / self.overdispersion
        deepest = int((ref + alt).max(initial=0))
        for_alt, for_ref = (_rising(size * share, deepest) for share in (p, 1 - p))
        return for_alt[alt] + for_ref[ref] - _rising(np.array([size]), deepest)[ref + alt]

    def likelihoods(self, ref: np.ndarray, alt: np.ndarray, ploidy: int) -> np.ndarray:
        """P(reads | g), scaled to a maximum of 1, float32 (K, ploidy + 1)."""
        logs = self.log_likelihoods(ref, alt, ploidy)
        return np.exp(logs - logs.max(1, keepdims=True)).astype(np.float32)


def fit_read_model(ref: np.ndarray, alt: np.ndarray, tally: Tally, ploidy: int) -> ReadModel:
    """The read model under which all counts are likeliest, at Hardy-Weinberg frequencies that are fitted with it.

    ref, alt: int (K,), the counts of each code of `tally`, whose likelihoods are not looked at.
    """
    frequencies = np.full(tally.n_loci, 0.2)

    def score(model: ReadModel) -> float:
        nonlocal frequencies
        logs = model.log_likelihoods(ref, alt, ploidy)
        best = logs.max(1)
        now = tally.with_table(np.exp(logs - best[:, None]))
        frequencies, inbreeding = allele_frequencies(now, ploidy, frequencies, n_steps=8)
        return now.log_likelihood(frequencies, inbreeding, ploidy) + float((best[tally.codes] * tally.counts).sum())

    def best_error(overdispersion: float) -> float:
        return _maximise(lambda error: score(ReadModel(error, overdispersion)), LEAST_ERROR, MOST_ERROR)

    error = best_error(0.0)
    independent = score(ReadModel(error))
    overdispersion = _maximise(lambda rho: score(ReadModel(error, rho)), LEAST_OVERDISPERSION, MOST_OVERDISPERSION)
    if score(ReadModel(error, overdispersion)) - independent <= GAIN:
        return ReadModel(max(error, SAFE_ERROR))
    return ReadModel(max(best_error(overdispersion), SAFE_ERROR), overdispersion)


def _rising(start: np.ndarray, n: int) -> np.ndarray:
    """ln of start (start + 1) ... (start + k - 1) for k = 0..n, float64 (n + 1, C); start: float (C,)."""
    terms = np.log(start[None, :] + np.arange(n)[:, None])
    return np.concatenate([np.zeros((1, len(start))), terms.cumsum(0)])


def _maximise(score: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one peak is highest, by golden section on a log scale."""
    a, b = np.log(low), np.log(high)
    x, y = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    at_x, at_y = score(float(np.exp(x))), score(float(np.exp(y)))
    for _ in range(STEPS):
        if at_x >= at_y:
            b, y, at_y = y, x, at_x
            x = b - GOLDEN * (b - a)
            at_x = score(float(np.exp(x)))
        else:
            a, x, at_x = x, y, at_y
            y = a + GOLDEN * (b - a)
            at_y = score(float(np.exp(y)))
    return float(np.exp((a + b) / 2))
