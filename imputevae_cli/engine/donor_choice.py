"""Which haplotypes a sample copies from in a window: the most alike, over several stretches around the window.

Alleles that are sure (byte <= 64 or >= 192) are packed into bit planes; the similarity of two haplotypes over a stretch
is the count of loci that agree less the count that differ. Each haplotype ranks all candidates in every stretch; a
sample takes the K rows whose best rank is highest.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from imputevae_cli.engine.copying_numerics import mix

_jit = njit(cache=True, nogil=True, error_model="numpy")
_U64 = np.uint64
NEVER = np.int32(-(2**24))
"""The score of a row that may not be chosen."""


@_jit
def popcount(x):
    """How many bits of a uint64 are set (Hacker's Delight, 5-1)."""
    x = x - ((x >> _U64(1)) & _U64(0x5555555555555555))
    x = (x & _U64(0x3333333333333333)) + ((x >> _U64(2)) & _U64(0x3333333333333333))
    x = (x + (x >> _U64(4))) & _U64(0x0F0F0F0F0F0F0F0F)
    return (x * _U64(0x0101010101010101)) >> _U64(56)


def pack(panel: np.ndarray, rows: np.ndarray, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bit planes (alt, sure), uint64 (words, len(rows)), of panel uint8 (R, L) at segments int64 (G, 2) of its loci.

    Each segment starts a word of its own and the rest of its last word is 0; see `words_before`.
    """
    words = words_before(segments)
    alt, sure = (np.zeros((len(rows), 8 * words[-1]), np.uint8) for _ in range(2))
    for (start, stop), word in zip(segments.tolist(), words.tolist(), strict=False):
        alleles = panel[rows, start:stop]
        place = slice(8 * word, 8 * word + -(-(stop - start) // 8))
        alt[:, place] = np.packbits(alleles >= 192, axis=1, bitorder="little")
        sure[:, place] = np.packbits((alleles <= 64) | (alleles >= 192), axis=1, bitorder="little")
    return tuple(np.ascontiguousarray(plane.view("<u8").T) for plane in (alt, sure))


def words_before(segments: np.ndarray) -> np.ndarray:
    """int64 (G + 1,): the first 64-bit word of each of the segments, int64 (G, 2), and the number of all words."""
    return np.r_[0, np.cumsum(-(-(segments[:, 1] - segments[:, 0]) // 64))]


def cut(stretches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches int64 (S, 2), which overlap, as segments int64 (G, 2) that do not: the segments, in order, and spans
    int64 (S, 2), the first segment of each stretch and one past its last. Every locus between them is in a segment.
    """
    edges = np.unique(stretches)
    return np.stack([edges[:-1], edges[1:]], 1), np.searchsorted(edges, stretches)


@_jit
def similarity(alt, sure, words, own_alt, own_sure, sums):
    """sums int32 (H, G + 1, rows): agreements less differences with H haplotypes over the segments before each.

    alt, sure uint64 (words, rows), of which segment g has words[g] .. words[g + 1]; own_alt, own_sure (words, H).
    """
    sums[:, 0] = 0
    for g in range(words.shape[0] - 1):
        sums[:, g + 1] = sums[:, g]
        for w in range(words[g], words[g + 1]):
            for h in range(sums.shape[0]):  # within the words, so that each is fetched from far once
                a = own_alt[w, h]
                s = own_sure[w, h]
                for j in range(sums.shape[2]):
                    both = sure[w, j] & s
                    differ = (alt[w, j] ^ a) & both
                    sums[h, g + 1, j] += np.int32(popcount(both)) - np.int32(2) * np.int32(popcount(differ))


@_jit
def threshold(scores, k):
    """The highest score that `k` or more of scores int32 (n,) reach, or else the lowest above NEVER; NEVER if none."""
    low, high = np.int32(2**30), NEVER
    for j in range(scores.shape[0]):
        low = min(low, scores[j] if scores[j] > NEVER else np.int32(2**30))
        high = max(high, scores[j])
    low = min(low, high)
    while low < high:
        middle = np.int32(high - (high - low) // 2)
        count = np.int32(0)
        for j in range(scores.shape[0]):
            count = np.int32(count + np.int32(scores[j] >= middle))
        if count >= k:
            low = middle
        else:
            high = np.int32(middle - 1)
    return low


@_jit
def best(scores, k, key, chosen):
    """chosen int32 (>= k,) <- the indices of the k highest scores, highest first, ties broken by `key`; how many.

    scores int32 (rows,); a score of NEVER or less is never chosen.
    """
    n_rows = scores.shape[0]
    cut = max(threshold(scores, k), np.int32(NEVER + 1))
    level = np.int64(k)  # how many of those at the cut itself are taken
    for j in range(n_rows):
        level -= scores[j] > cut
    begin = np.int64(mix(key, n_rows) % _U64(n_rows))
    found = 0
    for start, stop in ((begin, n_rows), (0, begin)):
        for j in range(start, stop):
            if scores[j] > cut or (scores[j] == cut and level > 0):
                level -= scores[j] == cut
                chosen[found] = j
                found += 1
    for i in range(1, found):  # by insertion, which keeps the order of ties
        place = chosen[i]
        j = i
        while j > 0 and scores[chosen[j - 1]] < scores[place]:
            chosen[j] = chosen[j - 1]
            j -= 1
        chosen[j] = place
    return found


def choose(panel, rows, owners, queries, own_rows, stretches, samples, keys, donors):
    """donors int32 (N, K) <- rows of `panel` for the samples `samples[0]` .. `samples[1]`.

    panel uint8 (R, L); rows int32 (r,): the rows that may be donors, K or more beside a sample's own; owners int32
    (r,): the sample of each, -1 for none of the queries; queries uint8 (Q, L) with own_rows int32 (N, 2): each
    sample's haplotypes there (twice the same for one path); stretches int64 (S, 2): start and stop of each; keys
    uint64 (N,): of each sample's draws, which break ties.
    """
    segments, spans = cut(stretches)
    some = slice(*samples)
    own = pack(queries, own_rows[some].ravel(), segments)
    planes = pack(panel, rows, segments)
    _rank(*planes, *own, words_before(segments), spans, rows, owners, own_rows[some], samples, keys[some], donors[some])


@_jit
def _rank(alt, sure, own_alt, own_sure, words, spans, rows, owners, own_rows, samples, keys, donors):
    """The compiled part of `choose`, for n samples from `samples[0]` on; own_alt, own_sure uint64 (words, 2n)."""
    n_rows, k = rows.shape[0], donors.shape[1]
    sums = np.empty((2, words.shape[0], n_rows), np.int32)
    scores = np.empty(n_rows, np.int32)
    ranks = np.empty(n_rows, np.int32)
    chosen = np.empty(max(k, 1), np.int32)
    for n in range(donors.shape[0]):
        itself = np.flatnonzero(owners == samples[0] + n)
        ranks[:] = 0
        paths = 1 if own_rows[n, 0] == own_rows[n, 1] else 2
        own = slice(2 * n, 2 * n + paths)
        similarity(alt, sure, words, own_alt[:, own], own_sure[:, own], sums[:paths])
        for h in range(paths):
            for s in range(spans.shape[0]):
                until, before = sums[h, spans[s, 1]], sums[h, spans[s, 0]]
                for j in range(n_rows):
                    scores[j] = until[j] - before[j]
                for j in itself:
                    scores[j] = NEVER
                found = best(scores, k, mix(keys[n], h * 64 + s), chosen)
                for i in range(found):
                    ranks[chosen[i]] = max(ranks[chosen[i]], np.int32(k - i))
        for j in itself:
            ranks[j] = NEVER
        best(ranks, k, mix(keys[n], 127), chosen)
        for i in range(k):
            donors[n, i] = rows[chosen[i]]
