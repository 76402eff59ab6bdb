"""What read counts say of a genotype: a binomial model with an error rate, or beta-binomial where reads are clumped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.evidence_frequencies import Tally, allele_frequencies, inbred_proportions, shrunk

LEAST_ERROR, MOST_ERROR = 1e-4, 0.1
SAFE_ERROR = 2e-4
"""Reads are never trusted more than this (phred 37), however few errors the data show, nor more than one error in all
reads would have it."""
LEAST_OVERDISPERSION, MOST_OVERDISPERSION = 1e-3, 0.5
STEPS = 10
"""Steps of a golden-section search: the range shrinks to a hundredth."""
GAIN = 10.0
"""Over-dispersion is used where it raises the log-likelihood of all cells by more than this many nats."""
HARDY_WEINBERG_WEIGHT = 5.0
"""Samples' worth of pseudo-counts in Hardy-Weinberg proportions at each locus. Much more, and the excess of homozygotes
where populations differ would pass for reads that depend on one another; much less, and single reads tell nothing."""
MOST_PHRED, TOLERANCE, FOLLOWING = 99, 2, 0.99
"""Likelihoods follow from counts where so large a share of phred values, up to the first, are this near at least."""
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class ReadModel:
    """error: the chance that a read shows the other allele. overdispersion: correlation of the reads of a cell, 0 for
    independent ones."""

    error: float = 0.01
    overdispersion: float = 0.0

    def log_likelihoods(self, ref: np.ndarray, alt: np.ndarray, ploidy: int) -> np.ndarray:
        """ln P(reads | g), float64 (K, ploidy + 1), but for the binomial coefficient; ref, alt: int (K,)."""
        dose = np.arange(ploidy + 1) / ploidy
        p = dose * (1 - self.error) + (1 - dose) * self.error  # of an ALT read
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
    """The read model under which all counts are likeliest, at genotype frequencies that are fitted with it.

    ref, alt: int (K,), the counts of each code of `tally`, whose likelihoods are not looked at.
    """
    return _fit(_Score(ref, alt, tally, ploidy))


def likelier_than(model: ReadModel, ref: np.ndarray, alt: np.ndarray, tally: Tally, ploidy: int) -> ReadModel | None:
    """What `fit_read_model` finds, if the counts are likelier under it than under `model` by GAIN nats; else None."""
    score = _Score(ref, alt, tally, ploidy)
    fitted = _fit(score)
    return fitted if score.settled(fitted) - score.settled(model) > GAIN else None


def assumed_error(phred: np.ndarray, ref: np.ndarray, alt: np.ndarray) -> float | None:
    """The error rate that a caller took for granted; None where its likelihoods do not follow from counts alone.

    phred: int (M, 3), of diploid cells, 0 for the likeliest genotype. ref, alt: int (M,), their reads. A binomial model
    puts the homozygotes (ref - alt) 10 log10((1 - error) / error) apart.
    """
    apart, surplus = np.abs(phred[:, 2] - phred[:, 0]), np.abs(ref - alt)
    telling = (phred.max(1) <= MOST_PHRED) & (surplus > 0)
    if not telling.any():
        return None
    error = 1 / (1 + 10 ** (apart[telling].sum() / surplus[telling].sum() / 10))
    logs = ReadModel(error).log_likelihoods(ref, alt, 2)
    expected = -10 / np.log(10) * (logs - logs.max(1, keepdims=True))
    near = np.abs(np.minimum(expected, MOST_PHRED) - np.minimum(phred, MOST_PHRED)) <= TOLERANCE
    return float(error) if near.all(1).mean() >= FOLLOWING else None


def _fit(score: _Score) -> ReadModel:
    def best_error(overdispersion: float) -> float:
        return _maximise(lambda error: score(ReadModel(error, overdispersion)), LEAST_ERROR, MOST_ERROR)

    least = max(SAFE_ERROR, min(1 / max(score.n_reads, 1), ReadModel().error))
    error = best_error(0.0)
    independent = score(ReadModel(error))
    overdispersion = _maximise(lambda rho: score(ReadModel(error, rho)), LEAST_OVERDISPERSION, MOST_OVERDISPERSION)
    if score(ReadModel(error, overdispersion)) - independent <= GAIN:
        return ReadModel(max(error, least))
    return ReadModel(max(best_error(overdispersion), least), overdispersion)


class _Score:
    """ln P(counts) under a read model, with genotype frequencies that go on from those of the model before."""

    def __init__(self, ref: np.ndarray, alt: np.ndarray, tally: Tally, ploidy: int):
        self._counts = ref, alt
        self._tally, self._ploidy = tally, ploidy
        self.n_reads = int(((ref + alt)[tally.codes] * tally.counts).sum())
        start, inbreeding = allele_frequencies(self._under(ReadModel())[0], ploidy)
        self._frequencies = inbred_proportions(start, ploidy, inbreeding)
        self.settled(ReadModel())

    def __call__(self, model: ReadModel) -> float:
        tally, best = self._under(model)
        alt = self._frequencies @ np.arange(self._ploidy + 1) / self._ploidy
        pseudo = HARDY_WEINBERG_WEIGHT * inbred_proportions(alt, self._ploidy)
        self._frequencies = shrunk(tally, pseudo, self._frequencies, n_steps=8)
        return tally.log_likelihood(self._frequencies) + float((best[tally.codes] * tally.counts).sum())

    def settled(self, model: ReadModel) -> float:
        """The same, with frequencies of this model alone."""
        return [self(model) for _ in range(4)][-1]

    def _under(self, model: ReadModel) -> tuple[Tally, np.ndarray]:
        """The cells under a model's likelihoods, each scaled to a maximum of 1, and the logarithms of these maxima."""
        logs = model.log_likelihoods(*self._counts, self._ploidy)
        best = logs.max(1)
        return self._tally.with_table(np.exp(logs - best[:, None])), best


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
