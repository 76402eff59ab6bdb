"""What the votes of kernel.py are counted from, and how it is laid out for one target locus."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imputevae_cli.runtime.kernel_basics import F, inner

WHOLE = F(1.0 / 255.0)
"""What one unit of a genotype's probability in `Samples` is."""

TOGETHER = 4
"""Rows that are summed in one pass over the voters."""

_EVEN = 32  # numbers that a compiled loop takes at once; what is over it takes one by one, which is slow


class Samples(NamedTuple):
    """What is known of the queries and of the neighbours, at L loci.

    shown: int8 (L, Q), minor alleles as the queries show them, -1 missing. votes: int8 (L, N), of the neighbours.
    shown_soft, votes_soft: uint8 (L, C, Q) and (L, C, N), probabilities times 255; of no loci where calls are certain.
    pairs: float32 (Q, S, N), what holds for a pair at every locus. own: int64 (Q,), which neighbour each query is, as
    nobody votes for himself; -1 for one that is none.
    """

    shown: np.ndarray
    votes: np.ndarray
    shown_soft: np.ndarray
    votes_soft: np.ndarray
    pairs: np.ndarray
    own: np.ndarray


class Cells(NamedTuple):
    """The calls that are asked for. loci: int64 (B,), target loci; around: int64 (B, W), their context loci.
    rows: int64 (M,), rising, which target locus each call is at; asked: int64 (M,), its query."""

    loci: np.ndarray
    around: np.ndarray
    rows: np.ndarray
    asked: np.ndarray

    def take(self, some: slice) -> Cells:
        """Some of the calls."""
        return self._replace(rows=self.rows[some], asked=self.asked[some])


class Weights(NamedTuple):
    """What the attention has learned, float32.

    omega: (B, W, H), of the context loci. tables: (C query, C neighbour, H). pairs: (S, H).
    """

    omega: np.ndarray
    tables: np.ndarray
    pairs: np.ndarray


class Locus(NamedTuple):
    """What one target locus is worked on with, for P voters: the neighbours, and some without any call (`padded`).

    voters: uint32 (P,), numbers of those with a call, without a sign, as indices with one are checked each time; calls:
    int8 (P,), theirs at one locus. rows: float32 (W * C, P), those of them who have a genotype at a context locus;
    row_of: int64 (W, C), -1 for none. target: float32 (C, P), their genotypes at the locus itself. used: int64
    (W * C + 4,), rows that count for a query; weights: float32 (W * C + 4, H), theirs. scores: float32 (H, P); pairs:
    float32 (S, N). exponents: int32 (N,).
    """

    voters: np.ndarray
    calls: np.ndarray
    rows: np.ndarray
    row_of: np.ndarray
    target: np.ndarray
    used: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    pairs: np.ndarray
    exponents: np.ndarray


@inner
def padded(n_voters: int) -> int:
    """The next multiple of _EVEN: so many, the last without any call, are gone through in the longest loops."""
    return (n_voters + _EVEN - 1) // _EVEN * _EVEN


@inner
def space_of(samples: Samples, weights: Weights) -> Locus:
    """Room for the work on a target locus."""
    width, heads = weights.omega.shape[1:]
    n_classes, n_neighbours = weights.tables.shape[0], samples.votes.shape[1]
    n_rows, n_padded = width * n_classes, padded(n_neighbours)
    return Locus(
        np.zeros(n_padded, np.uint32),
        np.empty(n_padded, np.int8),
        np.zeros((n_rows + 1, n_padded), np.float32),
        np.empty((width, n_classes), np.int64),
        np.empty((n_classes, n_padded), np.float32),
        np.zeros(n_rows + TOGETHER, np.int64),
        np.zeros((n_rows + TOGETHER, heads + heads % 2), np.float32),
        np.zeros((heads + heads % 2, n_padded), np.float32),
        np.empty((samples.pairs.shape[1], n_neighbours), np.float32),
        np.empty(n_neighbours, np.int32),
    )


@inner
def _have(
    soft: np.ndarray, locus: int, c: int, voters: np.ndarray, calls: np.ndarray, n_voters: int, out: np.ndarray
) -> np.float32:
    """out float32 (P,) <- the chances that the voters have genotype c, 0 where a call is missing, and their sum.

    soft: `Samples.votes_soft`. calls: theirs at the locus. Arrays and no tuples of them: a call counts references to
    every array of a tuple, which here would take longer than the work.
    """
    total = F(0)
    if soft.shape[0]:
        for v in range(n_voters):
            known = F(calls[v] >= 0)
            out[v] = F(soft[locus, c, voters[v]]) * WHOLE * known
            total += out[v]
    else:
        for v in range(n_voters):
            out[v] = F(calls[v] == c)
            total += out[v]
    return total


@inner
def lay_out(samples: Samples, cells: Cells, weights: Weights, b: int, space: Locus) -> int:
    """Fill in what is the same for all queries of target locus b, and the number of voters."""
    n_voters, n_rows, n_classes = 0, 0, space.row_of.shape[1]
    voters, calls, soft, around = space.voters, space.calls, samples.votes_soft, cells.around[b]
    for m in range(samples.votes.shape[1]):
        if samples.votes[cells.loci[b], m] >= 0:
            voters[n_voters] = m
            n_voters += 1
    n_padded = padded(n_voters)
    calls[n_voters:n_padded] = -1
    for v in range(n_voters):
        calls[v] = samples.votes[cells.loci[b], voters[v]]
    for c in range(n_classes):
        _have(soft, cells.loci[b], c, voters, calls, n_padded, space.target[c])
    for w in range(around.shape[0]):
        largest = F(0)
        for h in range(weights.omega.shape[2]):
            largest = max(largest, abs(weights.omega[b, w, h]))
        if largest > 0:
            for v in range(n_voters):
                calls[v] = samples.votes[around[w], voters[v]]
        for c in range(n_classes):
            held = largest > 0 and _have(soft, around[w], c, voters, calls, n_padded, space.rows[n_rows]) > 0
            space.row_of[w, c] = n_rows if held else -1
            if held:
                n_rows += 1
    return n_voters
