"""LD-kNNi (Money et al. 2015, G3 5:2383, LinkImpute): the nearest samples at the loci most in LD vote.

Shapes: N samples, L loci. calls: int8 (N, L), ALT-allele count, -1 missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from imputevae_cli.compiled import compiled
from imputevae_cli.data import frequencies as baselines
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.masking.observed_pattern import as_matrix, observed_like_hidden_cells
from imputevae_cli.scoring.metrics import log_loss

LOCI_TRIED = (5, 10, 20, 40)
NEIGHBOURS_TRIED = (3, 5, 10, 20, 40)
SHARES_TRIED = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
HIDDEN_SHARE = 0.05
LOCI_SCORED = 2000
"""l and k are chosen on hidden calls of at most so many loci."""
MOST_SAMPLES = 500
"""Correlations between loci are taken over at most so many samples."""
ALL_PAIRS, REACH = 20_000, 2_500
"""Of more loci than the first, only those as near in the file as the second may be correlated."""


def ld_knni(
    calls: np.ndarray,
    chrom_codes: np.ndarray,
    ploidy: int,
    samples: np.ndarray,
    loci: np.ndarray,
    rng: np.random.Generator,
    records: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Calls int8 (M,), genotype probabilities float32 (M, C) of missing cells, and what was chosen.

    samples, loci: int (M,), the cells. chrom_codes: int32 (L,). records: int (L,), see `Loci.records`: loci of one do
    not vote for each other. The number l of loci and k of neighbours are those of
    the highest concordance on calls hidden for it, as in the paper. The paper gives calls alone; for probabilities, the
    shares of the votes are mixed with the locus's genotype frequencies, as much of them as has the least log loss.
    """
    n_classes = ploidy + 1
    near, l_best, k_best, mix = _choose(calls, chrom_codes, n_classes, rng, records)
    shares = baselines.genotype_frequencies(calls, n_classes)[-1]  # (L, C)
    gp = np.zeros((len(samples), n_classes), np.float32)
    called = np.zeros(len(samples), np.int8)
    for locus, cells in _by_locus(loci):
        votes = votes_at(calls, locus, samples[cells], near[locus, :l_best], (k_best,), n_classes)[0]
        called[cells] = votes.argmax(1)
        gp[cells] = (1 - mix) * votes + mix * shares[locus]
    return called, gp, {"l": l_best, "k": k_best, "frequencies mixed in": mix}


def _choose(
    calls: np.ndarray,
    chrom_codes: np.ndarray,
    n_classes: int,
    rng: np.random.Generator,
    records: np.ndarray | None,
) -> tuple[np.ndarray, int, int, float]:
    """The correlated loci, int (L, most); l, k and the share of genotype frequencies that do best on hidden calls."""
    hidden = as_matrix(observed_like_hidden_cells(calls, chrom_codes, HIDDEN_SHARE, rng), calls.shape)
    seen = np.where(hidden, np.int8(MISSING), calls)
    most = min(max(LOCI_TRIED), calls.shape[1] - 1)
    near = correlated_loci(seen, most, records=records)
    tried: dict[int, list[np.ndarray]] = {n: [] for n in LOCI_TRIED if n <= most} or {most: []}
    truth, expected = [], []
    shares = baselines.genotype_frequencies(seen, n_classes)[-1]
    for locus in rng.permutation(np.flatnonzero(hidden.any(0)))[:LOCI_SCORED].tolist():
        rows = np.flatnonzero(hidden[:, locus])
        truth.append(calls[rows, locus])
        expected.append(np.repeat(shares[locus][None], len(rows), 0))
        for n, found in tried.items():
            found.append(votes_at(seen, locus, rows, near[locus, :n], NEIGHBOURS_TRIED, n_classes))
    if not truth:  # too little to hide any of it
        return near, min(tried), NEIGHBOURS_TRIED[1], SHARES_TRIED[2]
    y, frequency = np.concatenate(truth), np.concatenate(expected)
    votes = {n: np.concatenate(found, axis=1) for n, found in tried.items()}  # (k, cells, C)
    right = {(n, k): (votes[n][k].argmax(1) == y).mean() for n in votes for k in range(len(NEIGHBOURS_TRIED))}
    n, k = max(right, key=right.__getitem__)
    loss = {mix: log_loss(y, (1 - mix) * votes[n][k] + mix * frequency) for mix in SHARES_TRIED}
    return near, n, NEIGHBOURS_TRIED[k], min(loss, key=loss.__getitem__)


def _by_locus(loci: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each locus that has cells, with the places of its cells, int (m,)."""
    order = np.argsort(loci, kind="stable")
    edges = np.r_[0, np.flatnonzero(np.diff(loci[order])) + 1, len(order)]
    for first, last in pairwise(edges):
        if last > first:
            yield int(loci[order[first]]), order[first:last]


def correlated_loci(calls: np.ndarray, n: int, block: int = 256, records: np.ndarray | None = None) -> np.ndarray:
    """The n loci most correlated with each locus, itself and others of its record left out, int (L, n), best first.

    Correlated: by squared correlation of the calls over the samples known at both loci, with the mean and variance of
    each locus over all its known calls. At most MOST_SAMPLES samples serve, evenly chosen; of more than ALL_PAIRS loci,
    those up to REACH places away are looked at.
    """
    standard, known = _standardised(calls[:: -(-len(calls) // MOST_SAMPLES)])
    n_loci = calls.shape[1]
    reach = n_loci if n_loci <= ALL_PAIRS else REACH
    chosen = np.empty((n_loci, n), np.int64)
    for start in range(0, n_loci, block):
        stop = min(start + block, n_loci)
        low, high = max(0, start - reach), min(n_loci, stop + reach)
        r2 = standard[:, start:stop].T @ standard[:, low:high]
        r2 /= np.maximum(known[:, start:stop].T @ known[:, low:high], 1.0)
        np.square(r2, out=r2)
        r2[np.arange(stop - start), np.arange(start - low, stop - low)] = -1.0
        if records is not None:
            r2[records[start:stop, None] == records[low:high]] = -1.0
        top = np.argpartition(-r2, n - 1, axis=1)[:, :n]
        best = np.argsort(-np.take_along_axis(r2, top, 1), axis=1, kind="stable")
        chosen[start:stop] = low + np.take_along_axis(top, best, 1)
    return chosen


def _standardised(calls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calls of mean 0 and variance 1 at each locus, 0 where missing, and which are known; float32 (N, L) each.

    In whole eighths, 16 at most: sums of MOST_SAMPLES products of them are exact in float32, the same in any order of
    adding up, so the result does not hang on the number of threads.
    """
    known = calls != MISSING
    values = np.where(known, calls - baselines.locus_means(calls), 0.0).astype(np.float32)
    spread = np.sqrt(np.square(values).sum(0) / np.maximum(known.sum(0), 1))
    eighths = np.rint(8 * values / np.maximum(spread, 1e-6)).clip(-128, 128)
    return eighths / 8, known.astype(np.float32)


def votes_at(
    calls: np.ndarray, locus: int, rows: np.ndarray, near: np.ndarray, ks: tuple[int, ...], n_classes: int
) -> np.ndarray:
    """Shares of the votes for each genotype, float (len(ks), rows, C), of the k nearest samples with a call.

    Taxicab distance over the loci `near`, int (l,); a locus that either sample lacks counts 1. A vote weighs
    1 / distance; identical neighbours would weigh without bound and count as at distance 1/2.
    """
    donors = np.flatnonzero(calls[:, locus] != MISSING)
    around = calls[:, near].T  # (l, N)
    votes = np.zeros((len(ks), len(rows), n_classes))
    _count_votes(
        np.ascontiguousarray(around[:, rows].T), np.ascontiguousarray(around[:, donors]), calls[donors, locus],
        np.minimum(ks, len(donors)), votes,
    )  # fmt: skip
    return votes / votes.sum(2, keepdims=True)


@compiled(nogil=True)
def _count_votes(ours: np.ndarray, theirs: np.ndarray, genotype: np.ndarray, ks: np.ndarray, votes: np.ndarray) -> None:
    """votes float64 (K, rows, C) += those of the ks[i] nearest donors, ties by their order; ks int (K,), rising.

    ours int8 (rows, l); theirs int8 (l, donors); genotype int8 (donors,), known.
    """
    n_near, n_donors = theirs.shape
    distance = np.empty(n_donors, np.int16)
    start = np.empty(votes.shape[2] * n_near + 2, np.int64)  # of each distance among the donors in order of distance
    nearest = np.empty(ks[-1], np.int64)
    for row in range(len(ours)):
        distance[:] = 0
        for j in range(n_near):
            a = ours[row, j]
            for d in range(n_donors):
                b = theirs[j, d]
                distance[d] += 1 if a < 0 or b < 0 else abs(a - b)
        start[:] = 0
        for d in range(n_donors):
            start[distance[d] + 1] += 1
        for t in range(1, len(start)):
            start[t] += start[t - 1]
        for d in range(n_donors):
            place = start[distance[d]]
            start[distance[d]] += 1
            if place < len(nearest):
                nearest[place] = d
        for i in range(len(ks)):
            for place in range(ks[i]):
                d = nearest[place]
                votes[i, row, genotype[d]] += 1.0 / max(distance[d], 0.5)
