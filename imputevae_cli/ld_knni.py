"""LD-kNNi (Money et al. 2015, G3 5:2383, LinkImpute): the nearest samples at the loci most in LD vote.

Shapes: N samples, L loci. calls: int8 (N, L), ALT-allele count, -1 missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from imputevae_cli import baselines
from imputevae_cli.genotypes import MISSING
from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.masking_patterns import observed_like_hidden_cells
from imputevae_cli.metrics import log_loss

LOCI_TRIED = (5, 10, 20, 40)
NEIGHBOURS_TRIED = (3, 5, 10, 20, 40)
SHARES_TRIED = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
HIDDEN_SHARE = 0.05
LOCI_SCORED = 2000
"""l and k are chosen on hidden calls of at most so many loci."""
CHUNK = 1 << 24
"""Differences between samples held at a time, in bytes."""


def ld_knni(
    calls: np.ndarray,
    chrom_codes: np.ndarray,
    ploidy: int,
    samples: np.ndarray,
    loci: np.ndarray,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Calls int8 (M,), genotype probabilities float32 (M, C) of missing cells, and what was chosen.

    samples, loci: int (M,), the cells. chrom_codes: int32 (L,). The number l of loci and k of neighbours are those of
    the highest concordance on calls hidden for it, as in the paper. The paper gives calls alone; for probabilities, the
    shares of the votes are mixed with the locus's genotype frequencies, as much of them as has the least log loss.
    """
    n_classes = ploidy + 1
    with (progress or NullProgress()).task("LD-kNNi", 3 * calls.shape[1]) as task:
        l_best, k_best, mix = _choose(calls, chrom_codes, n_classes, rng, task)
        near = correlated_loci(calls, l_best)
        task.advance(calls.shape[1])
        shares = baselines.genotype_frequencies(calls, n_classes)[-1]  # (L, C)
        gp = np.zeros((len(samples), n_classes), np.float32)
        called = np.zeros(len(samples), np.int8)
        for locus, cells in _by_locus(loci):
            votes = votes_at(calls, locus, samples[cells], near[locus], (k_best,), n_classes)[0]
            called[cells] = votes.argmax(1)
            gp[cells] = (1 - mix) * votes + mix * shares[locus]
        task.advance(calls.shape[1])
    return called, gp, {"l": l_best, "k": k_best, "frequencies mixed in": mix}


def _choose(
    calls: np.ndarray, chrom_codes: np.ndarray, n_classes: int, rng: np.random.Generator, task
) -> tuple[int, int, float]:
    """l, k and the share of genotype frequencies that do best on hidden calls."""
    hidden = observed_like_hidden_cells(calls, chrom_codes, HIDDEN_SHARE, rng)
    seen = np.where(hidden, np.int8(MISSING), calls)
    most = min(max(LOCI_TRIED), calls.shape[1] - 1)
    near = correlated_loci(seen, most)
    task.advance(calls.shape[1])
    tried = {n: [] for n in LOCI_TRIED if n <= most} or {most: []}
    truth, frequency = [], []
    shares = baselines.genotype_frequencies(seen, n_classes)[-1]
    for locus in rng.permutation(np.flatnonzero(hidden.any(0)))[:LOCI_SCORED].tolist():
        rows = np.flatnonzero(hidden[:, locus])
        truth.append(calls[rows, locus])
        frequency.append(np.repeat(shares[locus][None], len(rows), 0))
        for n, found in tried.items():
            found.append(votes_at(seen, locus, rows, near[locus, :n], NEIGHBOURS_TRIED, n_classes))
    if not truth:  # too little to hide any of it
        return min(tried), NEIGHBOURS_TRIED[1], SHARES_TRIED[2]
    y, frequency = np.concatenate(truth), np.concatenate(frequency)
    votes = {n: np.concatenate(found, axis=1) for n, found in tried.items()}  # (k, cells, C)
    right = {(n, k): (votes[n][k].argmax(1) == y).mean() for n in votes for k in range(len(NEIGHBOURS_TRIED))}
    n, k = max(right, key=right.__getitem__)
    loss = {mix: log_loss(y, (1 - mix) * votes[n][k] + mix * frequency) for mix in SHARES_TRIED}
    return n, NEIGHBOURS_TRIED[k], min(loss, key=loss.__getitem__)


def _by_locus(loci: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each locus that has cells, with the places of its cells, int (m,)."""
    order = np.argsort(loci, kind="stable")
    edges = np.r_[0, np.flatnonzero(np.diff(loci[order])) + 1, len(order)]
    for first, last in pairwise(edges):
        if last > first:
            yield int(loci[order[first]]), order[first:last]


def correlated_loci(calls: np.ndarray, n: int, block: int = 512) -> np.ndarray:
    """The n loci most correlated with each locus, itself left out, int (L, n), best first.

    Correlated: by squared Pearson correlation of the calls, over the samples known at both loci.
    """
    n_loci = calls.shape[1]
    chosen = np.empty((n_loci, n), np.int64)
    for start in range(0, n_loci, block):
        here = slice(start, start + block)
        r2 = np.concatenate([_r2(calls[:, here], calls[:, s : s + 8 * block]) for s in range(0, n_loci, 8 * block)], 1)
        r2[np.arange(len(r2)), np.arange(start, start + len(r2))] = -1.0
        top = np.argpartition(-r2, n - 1, axis=1)[:, :n]
        chosen[here] = np.take_along_axis(top, np.argsort(-np.take_along_axis(r2, top, 1), axis=1, kind="stable"), 1)
    return chosen


def _r2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared correlations between loci, float32 (La, Lb); a, b: int8 (N, La), (N, Lb)."""
    known_a, known_b = ((x != MISSING).astype(np.float32) for x in (a, b))
    value_a, value_b = (np.where(x == MISSING, 0, x).astype(np.float32) for x in (a, b))
    pairs = np.maximum(known_a.T @ known_b, 1.0)
    mean_a, mean_b = value_a.T @ known_b / pairs, known_a.T @ value_b / pairs
    spread_a = np.square(value_a).T @ known_b / pairs - mean_a**2
    spread_b = known_a.T @ np.square(value_b) / pairs - mean_b**2
    covariance = value_a.T @ value_b / pairs - mean_a * mean_b
    return covariance**2 / np.maximum(spread_a * spread_b, 1e-6)


def votes_at(
    calls: np.ndarray, locus: int, rows: np.ndarray, near: np.ndarray, ks: tuple[int, ...], n_classes: int
) -> np.ndarray:
    """Shares of the votes for each genotype, float (len(ks), rows, C), of the k nearest samples with a call.

    Taxicab distance over the loci `near`, int (l,); a locus that either sample lacks counts 1. A vote weighs
    1 / distance; identical neighbours would weigh without bound and count as at distance 1/2.
    """
    donors = np.flatnonzero(calls[:, locus] != MISSING)
    genotype = calls[donors, locus]
    theirs = calls[np.ix_(donors, near)]  # (donors, l)
    shares = np.empty((len(ks), len(rows), n_classes))
    last = [min(k, len(donors)) - 1 for k in ks]
    size = max(1, CHUNK // theirs.size)
    for start in range(0, len(rows), size):
        some = slice(start, start + size)
        distance = _distance(calls[np.ix_(rows[some], near)], theirs)  # (rows, donors)
        order = np.argsort(distance, axis=1, kind="stable")[:, : max(ks)]
        weight = 1.0 / np.maximum(np.take_along_axis(distance, order, 1), 0.5)
        votes = np.cumsum(weight[:, :, None] * (genotype[order][:, :, None] == np.arange(n_classes)), axis=1)
        shares[:, some] = votes[:, last].transpose(1, 0, 2)
    return shares / shares.sum(2, keepdims=True)


def _distance(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Taxicab distances, int16 (rows, donors); ours, theirs: int8 (rows, l), (donors, l)."""
    a, b = ours[:, None], theirs[None]
    return np.where((a == MISSING) | (b == MISSING), np.int8(1), np.abs(a - b)).sum(2, dtype=np.int16)
