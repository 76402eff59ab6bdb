"""The compiled part of `inbreeding.by_descent`: one forward and backward pass of its two-state HMM."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")
AT_ONCE = 16
"""Samples that are read side by side, as the processor computes with several numbers at once."""


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
    stays = np.zeros(n_loci)
    for t in range(1, n_loci):
        stays[t] = 0.0 if distances[t] == 0.0 else np.exp(-rate * distances[t])
    sums = np.zeros((4, len(samples)))
    for a in range(0, len(samples), AT_ONCE):
        some = samples[a : a + AT_ONCE]
        rows = np.empty((n_loci, len(some)), np.int8)
        for i in range(len(some)):
            rows[:, i] = calls[some[i]]
        inside = _pass(rows, het, stays, f[a : a + AT_ONCE], error, sums[:, a : a + AT_ONCE])
        if found.shape[0]:
            for i in range(len(some)):
                found[some[i]] = 254.0 * inside[:, i] * (1.0 - residual[a + i]) + 0.5
    return sums.T


@_jit
def _pass(
    rows: np.ndarray, het: np.ndarray, stays: np.ndarray, f: np.ndarray, error: float, sums: np.ndarray
) -> np.ndarray:
    """float64 (L, n): the chance that each of n samples is in the state; rows int8 (L, n): their calls. stays float64
    (L,): the chance of no draw of a new state before a locus. sums float64 (4, n): as `along_chromosomes` returns."""
    n_loci, n = rows.shape
    outside, inside = np.empty((n_loci, n)), np.empty((n_loci, n))  # first before a locus's own call is read
    for t in range(n_loci):
        stay, out_now, in_now = stays[t], outside[t], inside[t]
        for i in range(n):
            out_now[i], in_now[i] = 1.0 - f[i], f[i]
        if stay == 0.0:
            continue
        own, out_before, in_before, h = rows[t - 1], outside[t - 1], inside[t - 1], het[t - 1]
        for i in range(n):
            x0, x1 = _odds(own[i], h, error)
            total = out_before[i] * x0 + in_before[i] * x1
            out_now[i] = stay * out_before[i] * x0 / total + (1.0 - stay) * out_now[i]
            in_now[i] = stay * in_before[i] * x1 / total + (1.0 - stay) * in_now[i]
    back0, back1 = np.ones(n), np.ones(n)
    loci, changes, hets, expected = sums
    for t in range(n_loci - 1, -1, -1):
        stay, own, out_now, in_now, h = stays[t], rows[t], outside[t], inside[t], het[t]
        for i in range(n):
            x0, x1 = _odds(own[i], h, error)
            x0, x1 = x0 * back0[i], x1 * back1[i]
            z = out_now[i] * x0 + in_now[i] * x1
            drawn = (1.0 - f[i]) * x0 + f[i] * x1
            chance = in_now[i] * x1 / z
            in_now[i] = chance
            loci[i] += chance
            changes[i] += (1.0 - stay) * drawn / z if stay > 0.0 else 0.0
            hets[i] += chance if own[i] == 1 else 0.0
            expected[i] += chance * h if own[i] >= 0 else 0.0
            back0[i], back1[i] = (stay * x0 + (1.0 - stay) * drawn) / drawn, (stay * x1 + (1.0 - stay) * drawn) / drawn
    return inside


@_jit
def _odds(call: int, het: float, error: float) -> tuple[float, float]:
    """The chance of a call, 1 where it is missing, out of the state and in it."""
    if call < 0:
        return 1.0, 1.0
    return (het, error * het) if call == 1 else (1.0 - het, 1.0 - error * het)
