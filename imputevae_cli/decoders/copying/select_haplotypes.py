"""Which haplotypes a sample copies from in a window: the most similar, over several stretches around the window.

Alleles that are sure (byte <= 64 or >= 192) are packed into bit planes; the similarity of two haplotypes over a stretch
is the count of loci that agree less the count that differ. Each haplotype ranks all candidates in every stretch; a
sample takes the K rows whose best rank is highest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numba.extending import intrinsic

from imputevae_cli.compiled import compiled
from imputevae_cli.decoders.copying.kernel_numerics import mix
from imputevae_cli.decoders.copying.pbwt import NO_ORDER, Order, gather, near, order_of

_jit = compiled(nogil=True, error_model="numpy")
_U64 = np.uint64
_intrinsic: Any = intrinsic  # for compiled code alone, which calls what it makes without the typing context
NEVER = np.int32(-(2**24))
"""The score of a row that may not be chosen."""
NOBODY = np.zeros(0, np.int64)


@_intrinsic
def popcount(typing_context: Any, x: Any) -> Any:
    """How many bits of a uint64 are set, by the processor's own instruction where it has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return x(x), generate


def pack(panel: np.ndarray, rows: np.ndarray, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bit planes (alt, sure), uint64 (words, len(rows)), of panel uint8 (R, L) at segments int64 (G, 2) of its loci.

    Each segment starts a word of its own and the rest of its last word is 0; see `words_before`.
    """
    words = words_before(segments)
    planes = np.empty((2, words[-1], len(rows)), np.uint64)
    _fill_planes(panel, rows, segments, words, planes)
    return planes[0], planes[1]


@_jit
def _fill_planes(
    panel: np.ndarray, rows: np.ndarray, segments: np.ndarray, words: np.ndarray, planes: np.ndarray
) -> None:
    for j in range(rows.shape[0]):
        for g in range(segments.shape[0]):
            for w in range(words[g], words[g + 1]):
                start = segments[g, 0] + 64 * (w - words[g])
                alleles = panel[rows[j], start : min(start + 64, segments[g, 1])]
                alt = sure = _U64(0)
                for i in range(alleles.shape[0]):
                    is_alt = alleles[i] >= 192
                    alt |= _U64(is_alt) << _U64(i)
                    sure |= _U64(is_alt | (alleles[i] <= 64)) << _U64(i)
                planes[0, w, j], planes[1, w, j] = alt, sure


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
def similarity(
    alt: np.ndarray, sure: np.ndarray, words: np.ndarray, own_alt: np.ndarray, own_sure: np.ndarray, sums: np.ndarray
) -> None:
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
def room_to_place(n_rows: int, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """What `place_by_score` works in, of so many rows and scores from -highest to highest. To fetch it anew each time
    would take as long as a third of placing a hundred rows."""
    return np.empty(n_rows + 1, np.int32), np.empty(2 * highest + 3, np.int32)


@_jit
def place_by_score(
    scores: np.ndarray, k: int, key: np.uint64, places: np.ndarray, room: tuple[np.ndarray, np.ndarray]
) -> None:
    """places int32 (rows,) <- how many rows come before each by falling score, ties broken by `key`.

    scores int32 (rows,) lie in a narrow range, so that rows are counted, not compared. The places from `k` on are not
    told apart; a row of NEVER or less has none before. room: of `room_to_place`.
    """
    taken, before = room
    n_rows = scores.shape[0]
    low = high = np.int32(0)
    for j in range(n_rows):
        low = min(low, scores[j] if scores[j] > NEVER else np.int32(0))
        high = max(high, scores[j])
    last = high - low + 1  # below the lowest score
    before[: last + 2] = 0  # of each score from the highest on, first how many have the one above
    for j in range(n_rows):
        before[_U64(min(high - scores[j], last) + 1)] += 1  # an index that may not be negative is not checked for that
    cut = 0  # the highest score below which no row is among the first k
    while cut < last and before[cut] + before[cut + 1] < k:
        before[cut + 1] += before[cut]
        cut += 1
    begin = np.int64(mix(key, n_rows) % _U64(n_rows))
    least = np.int32(high - cut)
    found = _U64(0)  # without a branch, which would go wrong at every other row
    for first, some in ((begin, scores[begin:]), (0, scores[:begin])):
        for j in range(some.shape[0]):
            taken[found] = first + j
            found += _U64(some[j] >= least)
    places[:] = k
    for j in taken[: np.int64(found)]:
        s = high - scores[j]
        places[j] = before[s]
        before[s] += 1


@dataclass(frozen=True)
class Candidates:
    """Which rows may be copied: rows int32 (r,), rising, of the panel; owners int32 (r,), rising, the sample that each
    belongs to (none that is imputed: -1, or N for rows beside the samples'); own_rows int32 (N, 2), each sample's own
    haplotypes (twice the same for one path)."""

    rows: np.ndarray
    owners: np.ndarray
    own_rows: np.ndarray

    @classmethod
    def of(cls, paths: np.ndarray, ploidy: int, panel: np.ndarray | None, n_beside: int = 0) -> Candidates:
        """All rows of the panel, uint8 (R, L), or, without one, of the samples themselves, and `n_beside` rows that
        follow them; a sample of one path, uint8 (N,), is there once."""
        n = np.arange(len(paths), dtype=np.int32)
        own = np.stack([n * ploidy, n * ploidy + (paths == 2)], 1).astype(np.int32)
        if panel is not None:
            rows = np.arange(len(panel), dtype=np.int32)
            return cls(rows, np.full_like(rows, -1), own)
        beside = len(paths) * ploidy + np.arange(n_beside, dtype=np.int32)
        rows = np.concatenate([np.unique(own), beside]).astype(np.int32)
        return cls(rows, np.minimum(rows // np.int32(ploidy), np.int32(len(paths))), own)

    def drawn(self, most: int, seed: int) -> Candidates:
        """At most `most` of the rows, drawn by `seed`."""
        if len(self.rows) <= most:
            return self
        some = np.sort(np.random.default_rng(seed).choice(len(self.rows), most, replace=False))
        return replace(self, rows=self.rows[some], owners=self.owners[some])


class Packed(NamedTuple):
    """What donors of a window are chosen by; see `pack` and `cut`.

    alt, sure uint64 (words, r): alleles of the candidates. own_alt, own_sure uint64 (words, 2N): of the samples' own.
    words, spans: of the stretches.
    """

    candidates: Candidates
    alt: np.ndarray
    sure: np.ndarray
    own_alt: np.ndarray
    own_sure: np.ndarray
    words: np.ndarray
    spans: np.ndarray
    order: Order

    @classmethod
    def of(
        cls, candidates: Candidates, panel: np.ndarray, queries: np.ndarray, stretches: np.ndarray, sort: bool = False
    ) -> Packed:
        """panel uint8 (R, L); queries uint8 (Q, L), which hold the samples' own haplotypes; stretches int64 (S, 2):
        start and stop of each. sort: compare each only with those that stand near it in the order of `pbwt`."""
        segments, spans = cut(stretches)
        asking = candidates.own_rows.ravel()
        own = pack(queries, asking, segments)
        planes = (
            own
            if panel is queries and np.array_equal(candidates.rows, asking)
            else pack(panel, candidates.rows, segments)
        )
        order = order_of(planes[0], own[0]) if sort else NO_ORDER
        return cls(candidates, *planes, *own, words_before(segments), spans, order)


def choose(packed: Packed, samples: np.ndarray, keys: np.ndarray, donors: np.ndarray) -> None:
    """donors int32 (N, K) <- rows of the panel for the samples `samples[0]` .. `samples[1]`.

    keys uint64 (N,): of each sample's draws, which break ties. Where the packed rows are in order, the donors that are
    there are compared as well.
    """
    some, candidates = slice(*samples), packed.candidates
    own_alt, own_sure = (plane[:, 2 * some.start : 2 * some.stop] for plane in (packed.own_alt, packed.own_sure))
    arguments = (
        packed.alt, packed.sure, own_alt, own_sure, packed.words, packed.spans, candidates.rows, candidates.owners,
        candidates.own_rows[some], samples, keys[some], donors[some],
    )  # fmt: skip
    if len(packed.order.order):
        _rank_near(*arguments, *packed.order)
    else:
        _rank_all(*arguments)


@_jit
def _of(owners: np.ndarray, sample: int) -> np.ndarray:
    """The places of a sample in owners int32 (r,), which rise."""
    return np.arange(np.searchsorted(owners, sample), np.searchsorted(owners, sample, side="right"))


@_jit
def _rank_all(
    alt: np.ndarray, sure: np.ndarray, own_alt: np.ndarray, own_sure: np.ndarray, words: np.ndarray, spans: np.ndarray,
    rows: np.ndarray, owners: np.ndarray, own_rows: np.ndarray, samples: np.ndarray, keys: np.ndarray,
    donors: np.ndarray,
) -> None:  # fmt: skip
    """The compiled part of `choose`, for n samples from `samples[0]` on; own_alt, own_sure uint64 (words, 2n)."""
    k = donors.shape[1]
    chosen, room = np.empty(max(k, 1), np.int32), room_to_place(alt.shape[1], max(64 * alt.shape[0], k))
    for n in range(donors.shape[0]):
        paths = 1 if own_rows[n, 0] == own_rows[n, 1] else 2
        own = slice(2 * n, 2 * n + paths)
        sums = np.empty((paths, words.shape[0], alt.shape[1]), np.int32)
        similarity(alt, sure, words, own_alt[:, own], own_sure[:, own], sums)
        _rank(sums, spans, _of(owners, samples[0] + n), keys[n], k, chosen, room)
        for i in range(k):
            donors[n, i] = rows[chosen[i]]


@_jit
def _rank_near(
    alt: np.ndarray, sure: np.ndarray, own_alt: np.ndarray, own_sure: np.ndarray, words: np.ndarray, spans: np.ndarray,
    rows: np.ndarray, owners: np.ndarray, own_rows: np.ndarray, samples: np.ndarray, keys: np.ndarray,
    donors: np.ndarray, order: np.ndarray, place: np.ndarray,
) -> None:  # fmt: skip
    """As `_rank_all`, but among the rows that stand near a sample's haplotypes in the order, and its donors so far."""
    n_words, n_rows = alt.shape
    k = donors.shape[1]
    most = min(n_rows, 2 * near(order) + 3 * k)  # beside both haplotypes, donors before, and draws up to 2 k
    planes = np.empty((2, n_words * most), np.uint64)
    chosen, room = np.empty(max(k, 1), np.int32), room_to_place(most, max(64 * n_words, k))
    stamp = np.full(n_rows, -1, np.int32)
    found = np.empty(n_rows, np.int32)
    for n in range(donors.shape[0]):
        paths = 1 if own_rows[n, 0] == own_rows[n, 1] else 2
        for j in _of(owners, samples[0] + n):
            stamp[j] = n
        askers = 2 * (samples[0] + n) + np.arange(paths)
        before = np.searchsorted(rows, donors[n])
        before = before[before < n_rows]  # not the sample's row of the VAE, which comes after all
        count = gather(order, place, askers, before, 2 * k, mix(keys[n], 126), stamp, n, found)
        own = slice(2 * n, 2 * n + paths)
        sums = np.empty((paths, words.shape[0], count), np.int32)
        some_alt, some_sure = planes[0, : n_words * count], planes[1, : n_words * count]
        for w in range(n_words):
            for j in range(count):
                some_alt[w * count + j] = alt[w, _U64(found[j])]
                some_sure[w * count + j] = sure[w, _U64(found[j])]
        similarity(
            some_alt.reshape(n_words, count), some_sure.reshape(n_words, count), words, own_alt[:, own],
            own_sure[:, own], sums,
        )  # fmt: skip
        _rank(sums, spans, NOBODY, keys[n], k, chosen, room)
        for i in range(k):
            donors[n, i] = rows[found[chosen[i]]]


@_jit
def _rank(
    sums: np.ndarray, spans: np.ndarray, itself: np.ndarray, key: np.uint64, k: int, chosen: np.ndarray,
    room: tuple[np.ndarray, np.ndarray],
) -> None:  # fmt: skip
    """chosen int32 (k,) <- the rows whose best rank, over all stretches and paths, is highest.

    sums: int32 (paths, G + 1, rows), see `similarity`. itself: rows that are never chosen. room: of `room_to_place`.
    """
    n_rows = sums.shape[2]
    scores, places = np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    ranks, most = np.zeros(n_rows, np.int32), np.int32(k)
    for h in range(sums.shape[0]):
        for s in range(spans.shape[0]):
            until, before = sums[h, spans[s, 1]], sums[h, spans[s, 0]]
            for j in range(n_rows):
                scores[j] = until[j] - before[j]
            for j in itself:
                scores[j] = NEVER
            place_by_score(scores, k, mix(key, h * 64 + s), places, room)
            for j in range(n_rows):
                ranks[j] = max(ranks[j], most - places[j])
    for j in itself:
        ranks[j] = NEVER
    place_by_score(ranks, k, mix(key, 127), places, room)
    for j in range(n_rows):
        if places[j] < k:
            chosen[places[j]] = j
