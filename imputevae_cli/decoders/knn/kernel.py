"""The compiled attention of the votes: scores, votes and their gradients, one asked call at a time.

The formula is in attention.py. Of a target locus, the genotypes of those who have a call there are laid out once, a row
for each genotype of each context locus that counts; the scores of a query are a weighted sum of the rows of the loci
that it has a call at. Whatever is not there (missing calls, genotypes that nobody has, loci without weight) costs
nothing.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.knn.kernel_layout import (
    TOGETHER,
    WHOLE,
    Cells,
    Locus,
    Samples,
    Weights,
    lay_out,
    padded,
    space_of,
)
from imputevae_cli.runtime.kernel_basics import F, fast, inner

NOBODY = 1e-2
"""Effective number of neighbours where nobody may vote."""

_LEAST = F(-1e30)  # the score of one who may not vote
_LOG2_E = F(1.4426950408889634)
# 2^f between 0 and 1, by least squares: relative error 5e-9, less than float32 rounds by
_P1, _P2, _P3 = F(6.93147028e-01), F(2.40229401e-01), F(5.54853207e-02)
_P4, _P5, _P6 = F(9.67454989e-03), F(1.24828400e-03), F(2.15406697e-04)


@inner
def _range(soft: np.ndarray, call: int, n_classes: int) -> tuple[int, int]:
    """First and last + 1 of the genotypes that a query may have whose call is known. soft: `Samples.shown_soft`."""
    return (0, n_classes) if soft.shape[0] else (call, call + 1)


@inner
def _share(soft: np.ndarray, locus: int, query: int, g: int) -> np.float32:
    """The chance that a query has genotype g, one of `_range`. soft: `Samples.shown_soft`."""
    return F(soft[locus, g, query]) * WHOLE if soft.shape[0] else F(1)


@inner
def _weigh(samples: Samples, cells: Cells, weights: Weights, b: int, query: int, space: Locus) -> int:
    """Fill in the rows that count for a query and their weights, and the number of them, a multiple of TOGETHER."""
    n, heads, n_classes = 0, weights.omega.shape[2], weights.tables.shape[0]
    soft, omega, tables, out = samples.shown_soft, weights.omega[b], weights.tables, space.weights
    for w in range(cells.around.shape[1]):
        locus = cells.around[b, w]
        call = samples.shown[locus, query]
        if call < 0:
            continue
        first, last = _range(soft, call, n_classes)
        for c in range(n_classes):
            if space.row_of[w, c] < 0:
                continue
            space.used[n] = space.row_of[w, c]
            for h in range(heads):
                of_table = F(0)
                for g in range(first, last):
                    of_table += _share(soft, locus, query, g) * tables[g, c, h]
                out[n, h] = omega[w, h] * of_table
            n += 1
    while n % TOGETHER:
        space.used[n] = 0
        for h in range(heads):
            space.weights[n, h] = F(0)
        n += 1
    return n


@inner
def _take_pairs(samples: Samples, query: int, n_voters: int, space: Locus) -> None:
    """Fill in what holds for a query and each of the voters."""
    for s in range(space.pairs.shape[0]):
        for v in range(n_voters):
            space.pairs[s, v] = samples.pairs[query, s, space.voters[v]]


@inner
def _score(samples: Samples, weights: Weights, query: int, n_used: int, n_voters: int, space: Locus) -> int:
    """Fill in the scores of a query's voters; the query's own place among these, -1 where it is not there."""
    heads, scores, rows, own = weights.omega.shape[2], space.scores, space.rows, -1
    n_padded = padded(n_voters)
    _take_pairs(samples, query, n_voters, space)
    for h in range(heads):
        for v in range(n_padded):
            scores[h, v] = F(0)
        for s in range(space.pairs.shape[0]):
            of_pair = weights.pairs[s, h]
            for v in range(n_voters):
                scores[h, v] += of_pair * space.pairs[s, v]
    for u in range(0, n_used, TOGETHER):
        i, j, k, m = space.used[u], space.used[u + 1], space.used[u + 2], space.used[u + 3]
        for h in range(0, heads, 2):  # two at a time; the one beyond the last is not looked at
            a, b, c, d = space.weights[u, h], space.weights[u + 1, h], space.weights[u + 2, h], space.weights[u + 3, h]
            p, q, r, s = (
                space.weights[u, h + 1], space.weights[u + 1, h + 1], space.weights[u + 2, h + 1],
                space.weights[u + 3, h + 1],
            )  # fmt: skip
            for v in range(n_padded):
                x, y, z, t = rows[i, v], rows[j, v], rows[k, v], rows[m, v]
                scores[h, v] += a * x + b * y + c * z + d * t
                scores[h + 1, v] += p * x + q * y + r * z + s * t
    for v in range(n_voters):
        if space.voters[v] == samples.own[query]:
            own = v
    return own


@inner
def _softmax(x: np.ndarray, exponents: np.ndarray, n: int, without: int) -> None:
    """Turn the first n scores into weights that sum to 1; `without` is the place of one that gets none, or -1.

    2^t is taken apart into 2^floor(t), written as a float's exponent, and a polynomial of the rest, as compilers turn
    that into vector instructions and `exp` not.
    """
    if without >= 0:
        x[without] = _LEAST
    largest = _LEAST
    for v in range(n):
        largest = max(largest, x[v])
    for v in range(n):
        t = max((x[v] - largest) * _LOG2_E, F(-126.0))
        whole = np.floor(t)
        f = t - whole
        exponents[v] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[v] = F(1.0) + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    powers = exponents.view(np.float32)
    total = F(0)
    for v in range(n):
        x[v] *= powers[v]
    if without >= 0:
        x[without] = F(0)
    for v in range(n):
        total += x[v]
    for v in range(n):
        x[v] /= total


@fast
def poll(
    samples: Samples, cells: Cells, weights: Weights, votes: np.ndarray, effective: np.ndarray, shares: np.ndarray
) -> None:
    """Each head's vote on each call, votes float32 (M, H, C), and the effective number of neighbours behind it (M, H).

    shares: float32 (M, H, N), the voters' weights in the order of those who have a call, for `gradients`; of no calls
    where they are not wanted. Where nobody may vote the votes are 0, and NOBODY the number.
    """
    space, before, n_voters = space_of(samples, weights), -1, 0
    heads, n_classes = votes.shape[1:]
    for i in range(cells.rows.shape[0]):
        b, query = cells.rows[i], cells.asked[i]
        if b != before:
            n_voters, before = lay_out(samples, cells, weights, b, space), b
        n_used = _weigh(samples, cells, weights, b, query, space)
        own = _score(samples, weights, query, n_used, n_voters, space)
        if n_voters - (own >= 0) <= 0:
            votes[i] = F(0)
            effective[i] = F(NOBODY)
            continue
        for h in range(heads):
            x = space.scores[h]
            _softmax(x, space.exponents, n_voters, own)
            squares = F(0)
            for v in range(n_voters):
                squares += x[v] * x[v]
            effective[i, h] = F(1) / squares
            for c in range(n_classes):
                total = F(0)
                for v in range(n_voters):
                    total += x[v] * space.target[c, v]
                votes[i, h, c] = total
            if shares.shape[0]:
                for v in range(n_voters):
                    shares[i, h, v] = x[v]


@inner
def _score_gradients(
    n_voters: int, space: Locus, shares: np.ndarray, of_votes: np.ndarray, of_effective: np.ndarray
) -> None:
    """space.scores <- the gradients of a call's scores from those of its votes (H, C) and effective numbers (H,)."""
    for h in range(shares.shape[0]):
        x, out = shares[h], space.scores[h]
        squares, mean = F(0), F(0)
        for v in range(n_voters):
            squares += x[v] * x[v]
        slope = F(-2) * of_effective[h] / (squares * squares)
        for v in range(n_voters):
            out[v] = slope * x[v]
        for c in range(of_votes.shape[1]):
            for v in range(n_voters):
                out[v] += of_votes[h, c] * space.target[c, v]
        for v in range(n_voters):
            mean += x[v] * out[v]
        for v in range(n_voters):
            out[v] = x[v] * (out[v] - mean)


@inner
def _row_gradients(heads: int, n_used: int, n_voters: int, space: Locus) -> None:
    """space.weights <- the gradients of the rows' weights from those of the scores."""
    scores, rows, n_padded = space.scores, space.rows, padded(n_voters)
    for u in range(0, n_used, TOGETHER):
        i, j, k, m = space.used[u], space.used[u + 1], space.used[u + 2], space.used[u + 3]
        for h in range(0, heads, 2):
            a, b, c, d, p, q, r, s = F(0), F(0), F(0), F(0), F(0), F(0), F(0), F(0)
            for v in range(n_padded):
                x, y = scores[h, v], scores[h + 1, v]
                a += x * rows[i, v]
                b += x * rows[j, v]
                c += x * rows[k, v]
                d += x * rows[m, v]
                p += y * rows[i, v]
                q += y * rows[j, v]
                r += y * rows[k, v]
                s += y * rows[m, v]
            space.weights[u, h], space.weights[u + 1, h] = a, b
            space.weights[u + 2, h], space.weights[u + 3, h] = c, d
            space.weights[u, h + 1], space.weights[u + 1, h + 1] = p, q
            space.weights[u + 2, h + 1], space.weights[u + 3, h + 1] = r, s


@inner
def _pass_on(
    samples: Samples, cells: Cells, weights: Weights, b: int, query: int, space: Locus, omega: np.ndarray,
    tables: np.ndarray,
) -> None:  # fmt: skip
    """Add the gradients of a call's rows (`space.weights`) to those of omega (W, H) and of the tables (C, C, H)."""
    n, n_classes, soft = 0, weights.tables.shape[0], samples.shown_soft
    for w in range(cells.around.shape[1]):
        locus = cells.around[b, w]
        call = samples.shown[locus, query]
        if call < 0:
            continue
        first, last = _range(soft, call, n_classes)
        for c in range(n_classes):
            if space.row_of[w, c] < 0:
                continue
            for g in range(first, last):
                share = _share(soft, locus, query, g)
                for h in range(omega.shape[1]):
                    x = share * space.weights[n, h]
                    omega[w, h] += x * weights.tables[g, c, h]
                    tables[g, c, h] += x * weights.omega[b, w, h]
            n += 1


@fast
def gradients(
    samples: Samples, cells: Cells, weights: Weights, shares: np.ndarray, of_votes: np.ndarray,
    of_effective: np.ndarray, omega: np.ndarray, tables: np.ndarray, pairs: np.ndarray,
) -> None:  # fmt: skip
    """The gradients of what `poll` was given from those of what it gave.

    shares: as `poll` left them. of_votes: float32 (M, H, C), of_effective: (M, H). Filled in, zeros before: omega
    (B, W, H), tables (B, C, C, H) and pairs (B, S, H), of each target locus by itself, so that their sums do not hang
    on how the loci are shared out.
    """
    space, before, n_voters = space_of(samples, weights), -1, 0
    heads = weights.omega.shape[2]
    for i in range(cells.rows.shape[0]):
        b, query = cells.rows[i], cells.asked[i]
        if b != before:
            n_voters, before = lay_out(samples, cells, weights, b, space), b
        if n_voters == 0 or (n_voters == 1 and space.voters[0] == samples.own[query]):
            continue
        n_used = _weigh(samples, cells, weights, b, query, space)
        _score_gradients(n_voters, space, shares[i], of_votes[i], of_effective[i])
        _row_gradients(heads, n_used, n_voters, space)
        _pass_on(samples, cells, weights, b, query, space, omega[b], tables[b])
        _take_pairs(samples, query, n_voters, space)
        for s in range(pairs.shape[1]):
            for h in range(heads):
                total = F(0)
                for v in range(n_voters):
                    total += space.scores[h, v] * space.pairs[s, v]
                pairs[b, s, h] += total
