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


@_jit
def popcount(x):
    """How many bits of a uint64 are set (Hacker's Delight, 5-1)."""
    x = x - ((x >> _U64(1)) & _U64(0x5555555555555555))
    x = (x & _U64(0x3333333333333333)) + ((x >> _U64(2)) & _U64(0x3333333333333333))
    x = (x + (x >> _U64(4))) & _U64(0x0F0F0F0F0F0F0F0F)
    return (x * _U64(0x0101010101010101)) >> _U64(56)


@_jit
def pack(panel, rows, start, stop):
    """Bit planes of the loci start..stop: (alt, sure), uint64 (words, len(rows)); panel uint8 (rows, loci)."""
    n_words = (stop - start + 63) // 64
    alt = np.zeros((n_words, rows.shape[0]), np.uint64)
    sure = np.zeros((n_words, rows.shape[0]), np.uint64)
    for i in range(rows.shape[0]):
        alleles = panel[rows[i]]
        for w in range(n_words):
            a = _U64(0)
            s = _U64(0)
            begin = start + 64 * w
            for t in range(min(64, stop - begin)):
                allele = alleles[begin + t]
                a |= _U64(allele >= 192) << _U64(t)
                s |= _U64(allele <= 64 or allele >= 192) << _U64(t)
            alt[w, i] = a
            sure[w, i] = s
    return alt, sure


@_jit
def similarity(alt, sure, own_alt, own_sure, scores):
    """scores int32 (rows,) <- agreements less differences with one haplotype, own_alt and own_sure uint64 (words,)."""
    scores[:] = 0
    for w in range(alt.shape[0]):
        a = own_alt[w]
        s = own_sure[w]
        for j in range(scores.shape[0]):
            both = sure[w, j] & s
            scores[j] += np.int32(popcount(both)) - np.int32(2) * np.int32(popcount((alt[w, j] ^ a) & both))


@_jit
def best(scores, k, key, chosen):
    """chosen int32 (>= k,) <- the indices of the k highest scores, highest first, ties broken by `key`; how many.

    scores int32 (rows,); a negative score below -2**20 is never chosen.
    """
    low, high = np.int32(2**30), np.int32(-(2**30))
    for j in range(scores.shape[0]):
        if scores[j] > -(2**20):
            low = min(low, scores[j])
            high = max(high, scores[j])
    if high < low:
        return 0
    counts = np.zeros(high - low + 2, np.int64)
    for j in range(scores.shape[0]):
        if scores[j] > -(2**20):
            counts[scores[j] - low] += 1
    places = np.zeros(high - low + 2, np.int64)
    cut, above = high, 0
    for v in range(high, low - 1, -1):
        places[v - low] = above
        above += counts[v - low]
        cut = v
        if above >= k:
            break
    total = min(above, k)
    begin = np.int64(mix(key, scores.shape[0]) % _U64(scores.shape[0]))
    for i in range(scores.shape[0]):
        j = i + begin
        if j >= scores.shape[0]:
            j -= scores.shape[0]
        if scores[j] >= cut:
            place = places[scores[j] - low]
            if place < total:
                chosen[place] = j
                places[scores[j] - low] = place + 1
    return total


@_jit
def choose(panel, rows, owners, queries, own_rows, stretches, samples, keys, donors):
    """donors int32 (N, K) <- rows of `panel` for the samples `samples[0]` .. `samples[1]`.

    panel uint8 (R, L); rows int32 (r,): the rows that may be donors, K or more beside a sample's own; owners int32
    (r,): the sample of each, -1 for none of the queries; queries uint8 (Q, L) with own_rows int32 (N, 2): each
    sample's haplotypes there (twice the same for one path); stretches int64 (S, 2): start and stop of each; keys
    uint64 (N,): of each sample's draws, which break ties.
    """
    n_rows = rows.shape[0]
    k = donors.shape[1]
    ranks = np.zeros((samples[1] - samples[0], n_rows), np.int32)
    scores = np.empty(n_rows, np.int32)
    chosen = np.empty(max(k, 1), np.int32)
    for s in range(stretches.shape[0]):
        alt, sure = pack(panel, rows, stretches[s, 0], stretches[s, 1])
        for n in range(samples[0], samples[1]):
            both = 1 if own_rows[n, 0] == own_rows[n, 1] else 2
            for h in range(both):
                own_alt, own_sure = pack(queries, own_rows[n, h : h + 1], stretches[s, 0], stretches[s, 1])
                similarity(alt, sure, own_alt[:, 0], own_sure[:, 0], scores)
                for j in range(n_rows):
                    if owners[j] == n:
                        scores[j] = -(2**24)
                found = best(scores, k, mix(keys[n], h * 64 + s), chosen)
                for i in range(found):
                    rank = np.int32(k - i)
                    place = ranks[n - samples[0], chosen[i]]
                    ranks[n - samples[0], chosen[i]] = max(place, rank)
    for n in range(samples[0], samples[1]):
        own = ranks[n - samples[0]]
        for j in range(n_rows):
            if owners[j] == n:
                own[j] = -(2**24)
        best(own, k, mix(keys[n], 127), chosen)
        for i in range(k):
            donors[n, i] = rows[chosen[i]]
