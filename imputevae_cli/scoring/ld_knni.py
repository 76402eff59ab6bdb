"""LD-kNNi (Money et al. 2015, G3 5:2383, LinkImpute): the nearest samples at the loci most in LD vote.

Shapes: N samples, L loci. calls: int8 (N, L), ALT-allele count, -1 missing.
"""

from __future__ import annotations

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
LOCI_SCORED, CELLS_SCORED = 2000, 30_000
"""l and k are chosen on hidden calls of at most so many loci, and on so many calls."""
CELLS_AT_ONCE = 100_000
"""The votes for so many cells are held at a time."""
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
    for start in range(0, len(samples), CELLS_AT_ONCE):
        some = slice(start, start + CELLS_AT_ONCE)
        votes = votes_for(calls, samples[some], loci[some], near, (l_best,), (k_best,), n_classes)[0, 0]
        called[some] = votes.argmax(1)
        gp[some] = (1 - mix) * votes + mix * shares[loci[some]]
    return called, gp, {"l": l_best, "k": k_best, "frequencies mixed in": mix}


def _choose(
    calls: np.ndarray,
    chrom_codes: np.ndarray,
    n_classes: int,
    rng: np.random.Generator,
    records: np.ndarray | None,
) -> tuple[np.ndarray, int, int, float]:
    """The correlated loci, int (L, most); l, k and the share of genotype frequencies that do best on hidden calls."""
    seen, samples, loci = _with_some_hidden(calls, chrom_codes, rng)
    most = min(max(LOCI_TRIED), calls.shape[1] - 1)
    near = correlated_loci(seen, most, records=records)
    lengths = tuple(n for n in LOCI_TRIED if n <= most) or (most,)
    if not len(samples):  # too little to hide any of it
        return near, lengths[0], NEIGHBOURS_TRIED[1], SHARES_TRIED[2]
    y, frequency = calls[samples, loci], baselines.genotype_frequencies(seen, n_classes)[-1][loci]
    votes = votes_for(seen, samples, loci, near, lengths, NEIGHBOURS_TRIED, n_classes)
    right = (votes.argmax(3) == y).mean(2)  # (l, k)
    n, k = np.unravel_index(right.argmax(), right.shape)
    loss = {mix: log_loss(y, (1 - mix) * votes[n, k] + mix * frequency) for mix in SHARES_TRIED}
    return near, lengths[n], NEIGHBOURS_TRIED[k], min(loss, key=loss.__getitem__)


def _with_some_hidden(
    calls: np.ndarray, chrom_codes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The calls without hidden ones, int8 (N, L), and of these some to choose l and k on: samples, loci, int64 (M,)."""
    hidden = as_matrix(observed_like_hidden_cells(calls, chrom_codes, HIDDEN_SHARE, rng), calls.shape)
    seen = np.where(hidden, np.int8(MISSING), calls)
    scored = rng.permutation(np.flatnonzero(hidden.any(0)))[:LOCI_SCORED]
    place, samples = np.nonzero(hidden.T[scored])
    if len(place) > CELLS_SCORED:
        some = np.sort(rng.choice(len(place), CELLS_SCORED, replace=False))
        place, samples = place[some], samples[some]
    return seen, samples, scored[place]


def correlated_loci(calls: np.ndarray, n: int, block: int = 64, records: np.ndarray | None = None) -> np.ndarray:
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
        n_known = known[:, start:stop].T @ known[:, low:high]
        r2 /= np.maximum(n_known, 1.0, out=n_known)
        np.square(r2, out=r2)
        r2[np.arange(stop - start), np.arange(start - low, stop - low)] = -1.0
        if records is not None:
            r2[records[start:stop, None] == records[low:high]] = -1.0
        falling = np.negative(r2, out=r2)
        top = np.argpartition(falling, n - 1, axis=1)[:, :n]
        best = np.argsort(np.take_along_axis(falling, top, 1), axis=1, kind="stable")
        chosen[start:stop] = low + np.take_along_axis(top, best, 1)
    return chosen


def _standardised(calls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calls of mean 0 and variance 1 at each locus, 0 where missing, and which are known; float32 (N, L) each.

    In whole eighths, 16 at most: sums of MOST_SAMPLES products of them are exact in float32, the same in any order of
    adding up, so the result does not hang on the number of threads.
    """
    known = (calls != MISSING).astype(np.float32)
    values, means = np.empty(calls.shape, np.float32), baselines.locus_means(calls)
    for own, row, seen in zip(values, calls, known, strict=True):  # in double precision for one sample at a time
        own[:] = np.where(seen, row - means, 0.0)
    spread = np.maximum(np.sqrt(np.square(values).sum(0) / np.maximum(known.sum(0, dtype=np.int64), 1)), 1e-6)
    for own in values:
        own[:] = np.rint(8 * own / spread).clip(-128, 128) / 8
    return values, known


def votes_for(
    calls: np.ndarray,
    samples: np.ndarray,
    loci: np.ndarray,
    near: np.ndarray,
    lengths: tuple[int, ...],
    ks: tuple[int, ...],
    n_classes: int,
) -> np.ndarray:
    """Shares of the votes for each genotype of cells, float64 (lengths, ks, M, C), of the k nearest with a call.

    samples, loci: int (M,), the cells. near: int (L, at least lengths[-1]), of which the first of each length, rising,
    serve. Taxicab distance over these; a locus that either sample lacks counts 1. A vote weighs 1 / distance; identical
    neighbours would weigh without bound and count as at distance 1/2.
    """
    votes = np.zeros((len(lengths), len(ks), len(samples), n_classes))
    _count_votes(np.ascontiguousarray(calls.T), samples, loci, near, np.array(lengths), np.array(ks), votes)
    votes /= votes.sum(3, keepdims=True)
    return votes


@compiled(nogil=True)
def _count_votes(
    by_locus: np.ndarray,
    samples: np.ndarray,
    loci: np.ndarray,
    near: np.ndarray,
    lengths: np.ndarray,
    ks: np.ndarray,
    votes: np.ndarray,
) -> None:
    """votes, see `votes_for`, += those of the nearest samples, ties by their order. by_locus: int8 (L, N)."""
    distance = np.empty(by_locus.shape[1], np.int16)
    start = np.empty(votes.shape[3] * lengths[-1] + 2, np.int64)
    nearest = np.empty(ks[-1], np.int64)
    for cell in range(len(samples)):
        genotype = by_locus[loci[cell]]
        distance[:] = 0
        done = 0
        for i in range(len(lengths)):
            for j in range(done, lengths[i]):
                _add_distance(by_locus[near[loci[cell], j]], samples[cell], distance)
            done = lengths[i]
            n_found = _find_nearest(distance, genotype, start, nearest)
            for k in range(len(ks)):
                for place in range(min(ks[k], n_found)):
                    donor = nearest[place]
                    votes[i, k, cell, genotype[donor]] += 1.0 / max(distance[donor], 0.5)


@compiled(nogil=True)
def _add_distance(calls: np.ndarray, sample: int, distance: np.ndarray) -> None:
    """distance int16 (N,) += that between one sample and each at a locus whose calls are int8 (N,)."""
    ours = calls[sample]
    for d in range(len(calls)):
        theirs = calls[d]
        distance[d] += 1 if ours < 0 or theirs < 0 else abs(ours - theirs)


@compiled(nogil=True)
def _find_nearest(distance: np.ndarray, genotype: np.ndarray, start: np.ndarray, nearest: np.ndarray) -> int:
    """Fill `nearest` with the samples of the least distance that have a genotype; how many there are, of its length.

    By a counting sort; start: int64, as long as the greatest distance and two.
    """
    start[:] = 0
    for d in range(len(distance)):
        if genotype[d] >= 0:
            start[distance[d] + 1] += 1
    for t in range(1, len(start)):
        start[t] += start[t - 1]
    n_found = min(len(nearest), start[len(start) - 1])
    for d in range(len(distance)):
        if genotype[d] >= 0:
            place = start[distance[d]]
            start[distance[d]] += 1
            if place < n_found:
                nearest[place] = d
    return n_found
