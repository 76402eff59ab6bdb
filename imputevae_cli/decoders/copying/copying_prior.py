"""The similarity of samples over the whole genome, and the copying prior that follows from it."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.copying.rules import PriorRules

LOCI_AT_ONCE = 1024


def correlations(calls: np.ndarray, ploidy: int, rules: PriorRules | None = None) -> np.ndarray:
    """float32 (N, N): correlation of the samples' standardised dosages (VanRaden 2008, scaled to 1 on the diagonal).

    calls: int8 (N, L), -1 missing, which counts as the mean. At most `rules.max_loci` loci, evenly spaced, are read.
    """
    rules = rules or PriorRules()
    step = max(1, -(-calls.shape[1] // rules.max_loci))
    some = calls[:, ::step]
    products = np.zeros((len(calls), len(calls)), np.float32)
    for start in range(0, some.shape[1], LOCI_AT_ONCE):
        x = _standardised(some[:, start : start + LOCI_AT_ONCE], ploidy, rules)
        products += x @ x.T
    norms = np.maximum(np.sqrt(products.diagonal()), 1e-6)
    products /= norms[:, None]
    products /= norms
    return products


def _standardised(calls: np.ndarray, ploidy: int, rules: PriorRules) -> np.ndarray:
    """float32 (N, l): dosages of some loci, centred and scaled, missing ones at the mean; calls: int8 (N, l)."""
    known = calls != MISSING
    frequency = alt_frequencies(np.where(known, calls, 0).sum(0), known.sum(0), ploidy)  # (l,)
    scale = np.sqrt(frequency * (1 - frequency) + rules.least_variance)
    x = np.empty(calls.shape, np.float32)
    for own, row, seen in zip(x, calls, known, strict=True):  # in double precision for one sample at a time
        own[:] = np.where(seen, row - ploidy * frequency, 0.0) / scale
    return x


def fit_steepness(similarity: np.ndarray, usage: np.ndarray, rules: PriorRules | None = None) -> float:
    """tau, from 0 to a most, that maximises sum_k usage_k log pi_k, with pi_k proportional to exp(tau * similarity_k).

    The objective is concave, so its slope is bisected. similarity, usage: float (items, K): of each donor, how similar
    it is and how often it is copied.
    """
    rules = rules or PriorRules()
    low, high = 0.0, rules.max_steepness
    total = usage.sum(1)  # (items,)
    wanted = float((usage * similarity).sum())
    weight = np.empty_like(similarity)  # in the same place each time: to fetch new memory takes longer than to fill it
    for _ in range(rules.bisections):
        tau = (low + high) / 2
        np.exp(np.multiply(tau, similarity, out=weight), out=weight)
        sums = weight.sum(1)
        mean = np.multiply(weight, similarity, out=weight).sum(1) / sums  # (items,)
        low, high = (tau, high) if wanted > float(total @ mean) else (low, tau)
    return (low + high) / 2
