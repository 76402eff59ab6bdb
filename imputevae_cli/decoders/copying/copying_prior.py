"""How alike samples are over the whole genome, and the copying prior that follows from it."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.genotypes import MISSING

MAX_STEEPNESS = 30.0
LOCI_AT_ONCE = 1024


def correlations(calls: np.ndarray, ploidy: int, max_loci: int = 5000) -> np.ndarray:
    """float32 (N, N): correlation of the samples' standardised dosages (VanRaden 2008, scaled to 1 on the diagonal).

    calls: int8 (N, L), -1 missing, which counts as the mean. At most `max_loci` loci, evenly spaced, are read.
    """
    step = max(1, -(-calls.shape[1] // max_loci))
    some = calls[:, ::step]
    products = np.zeros((len(calls), len(calls)), np.float32)
    for start in range(0, some.shape[1], LOCI_AT_ONCE):
        x = _standardised(some[:, start : start + LOCI_AT_ONCE], ploidy)
        products += x @ x.T
    norms = np.maximum(np.sqrt(products.diagonal()), 1e-6)
    products /= norms[:, None]
    products /= norms
    return products


def _standardised(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """float32 (N, l): dosages of some loci, centred and scaled, missing ones at the mean; calls: int8 (N, l)."""
    known = calls != MISSING
    frequency = np.where(known, calls, 0).sum(0) / np.maximum(ploidy * known.sum(0), 1)  # (l,)
    scale = np.sqrt(frequency * (1 - frequency) + 0.02)
    x = np.empty(calls.shape, np.float32)
    for own, row, seen in zip(x, calls, known, strict=True):  # in double precision for one sample at a time
        own[:] = np.where(seen, row - ploidy * frequency, 0.0) / scale
    return x


def fit_steepness(likeness: np.ndarray, usage: np.ndarray, steps: int = 12) -> float:
    """tau in [0, 30] that maximises sum_k usage_k log pi_k, with pi_k proportional to exp(tau * likeness_k).

    The objective is concave, so its slope is bisected. likeness, usage: float (items, K): of each donor, how alike it
    is and how often it is copied.
    """
    low, high = 0.0, MAX_STEEPNESS
    total = usage.sum(1)  # (items,)
    wanted = float((usage * likeness).sum())
    for _ in range(steps):
        tau = (low + high) / 2
        weight = np.exp(tau * likeness)
        mean = (weight * likeness).sum(1) / weight.sum(1)  # (items,)
        low, high = (tau, high) if wanted > float(total @ mean) else (low, tau)
    return (low + high) / 2
