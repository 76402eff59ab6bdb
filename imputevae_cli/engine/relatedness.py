"""How alike samples are over the whole genome, and the copying prior that follows from it."""

from __future__ import annotations

import numpy as np

from imputevae_cli.genotypes import MISSING

MAX_STEEPNESS = 30.0


def correlations(calls: np.ndarray, ploidy: int, max_loci: int = 5000) -> np.ndarray:
    """float32 (N, N): correlation of the samples' standardised dosages (VanRaden 2008, scaled to 1 on the diagonal).

    calls: int8 (N, L), -1 missing, which counts as the mean. At most `max_loci` loci, evenly spaced, are read.
    """
    step = max(1, -(-calls.shape[1] // max_loci))
    some = calls[:, ::step]
    known = some != MISSING
    frequency = np.where(known, some, 0).sum(0) / np.maximum(ploidy * known.sum(0), 1)  # (L',)
    scale = np.sqrt(frequency * (1 - frequency) + 0.02)
    x = np.empty(some.shape, np.float32)  # (N, L')
    for own, row, seen in zip(x, some, known, strict=True):  # in double precision for one sample at a time
        own[:] = np.where(seen, row - ploidy * frequency, 0.0) / scale
    x /= np.maximum(np.sqrt(np.einsum("nl,nl->n", x, x)), 1e-6)[:, None]  # no second matrix, as norm would make
    return x @ x.T


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
