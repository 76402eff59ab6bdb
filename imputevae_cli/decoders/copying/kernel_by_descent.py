"""The compiled part of `inbreeding.by_descent`: one forward and backward pass of its two-state HMM."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")


@_jit
def along_chromosomes(
    calls: np.ndarray, samples: np.ndarray, het: np.ndarray, distances: np.ndarray, f: np.ndarray, rate: float,
    error: float, residual: np.ndarray, found: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Forward and backward over each of some samples; found uint8 (N, L), where it has rows: see
    `inbreeding.by_descent`, whose other names these are.

    Returns float64 (samples, 4): loci in the state, changes of state (draws of a new one), heterozygous calls in it,
    and those expected there under random mating.
    """
    n_loci = calls.shape[1]
    odds, ahead = np.empty((n_loci, 2)), np.empty((n_loci, 2))
    sums = np.zeros((len(samples), 4))
    for i in range(len(samples)):
        row, prior = calls[samples[i]], np.array([1.0 - f[i], f[i]])
        for t in range(n_loci):
            odds[t, 0] = 1.0 if row[t] < 0 else het[t] if row[t] == 1 else 1.0 - het[t]
            odds[t, 1] = 1.0 if row[t] < 0 else error * het[t] if row[t] == 1 else 1.0 - error * het[t]
        for t in range(n_loci):  # forward: the state before its own call is read
            stay = 0.0 if t == 0 or distances[t] == 0.0 else np.exp(-rate * distances[t])
            if stay == 0.0:
                ahead[t] = prior
                continue
            total = ahead[t - 1, 0] * odds[t - 1, 0] + ahead[t - 1, 1] * odds[t - 1, 1]
            for s in range(2):
                ahead[t, s] = stay * ahead[t - 1, s] * odds[t - 1, s] / total + (1.0 - stay) * prior[s]
        back0 = back1 = 1.0
        for t in range(n_loci - 1, -1, -1):
            x0, x1 = odds[t, 0] * back0, odds[t, 1] * back1
            z = ahead[t, 0] * x0 + ahead[t, 1] * x1
            inside = ahead[t, 1] * x1 / z
            stay = 0.0 if t == 0 or distances[t] == 0.0 else np.exp(-rate * distances[t])
            drawn = prior[0] * x0 + prior[1] * x1
            if stay > 0.0:
                sums[i, 1] += (1.0 - stay) * drawn / z
            sums[i, 0] += inside
            if row[t] >= 0:
                sums[i, 2] += inside * (row[t] == 1)
                sums[i, 3] += inside * het[t]
            if found.shape[0]:
                found[samples[i], t] = np.uint8(254.0 * inside * (1.0 - residual[i]) + 0.5)
            back0, back1 = (stay * x0 + (1.0 - stay) * drawn) / drawn, (stay * x1 + (1.0 - stay) * drawn) / drawn
    return sums
