"""The choice of donors against plain numpy."""

import numpy as np
import pytest

from imputevae_cli.decoders.copying import select_haplotypes


def test_similarity_counts_agreements_less_differences_of_sure_alleles():
    rng = np.random.default_rng(0)
    panel = rng.choice(np.array([0, 128, 255], np.uint8), (9, 150))
    segments = np.array([[10, 90], [90, 140]])
    alt, sure = select_haplotypes.pack(panel, np.arange(9, dtype=np.int32), segments)
    words = select_haplotypes.words_before(segments)
    sums = np.empty((2, 3, 9), np.int32)
    select_haplotypes.similarity(alt, sure, words, alt[:, 2:4], sure[:, 2:4], sums)
    sign = np.sign(panel.astype(int) - 128)
    for own, found in zip((2, 3), sums, strict=True):
        np.testing.assert_array_equal(found[1], sign[:, 10:90] @ sign[own, 10:90])
        np.testing.assert_array_equal(found[2], sign[:, 10:140] @ sign[own, 10:140])


def test_stretches_are_cut_where_any_of_them_ends():
    stretches = np.array([[5, 20], [20, 40], [0, 30]])
    segments, spans = select_haplotypes.cut(stretches)
    np.testing.assert_array_equal(segments, [[0, 5], [5, 20], [20, 30], [30, 40]])
    for stretch, (first, last) in zip(stretches, spans, strict=True):
        np.testing.assert_array_equal(stretch, [segments[first, 0], segments[last - 1, 1]])


def places_of(scores, k, key=1):
    """The places of scores; the room for them is no larger than asked for, and not empty before."""
    scores, places = np.array(scores, np.int32), np.empty(len(scores), np.int32)
    possible = scores[scores > select_haplotypes.NEVER]
    room = select_haplotypes.room_to_place(len(scores), int(np.abs(possible).max(initial=0)))
    for held in room:
        held[:] = 99
    select_haplotypes.place_by_score(scores, k, np.uint64(key), places, room)
    return places


@pytest.mark.parametrize("spread", [1, 7, 5000])
@pytest.mark.parametrize("k", [1, 20, 90])
def test_the_highest_scores_come_first(spread, k):
    scores = np.random.default_rng(spread).integers(-spread, spread, 90)
    places = places_of(scores, k)
    first = np.flatnonzero(places < k)
    assert sorted(places[first].tolist()) == list(range(k))
    np.testing.assert_array_equal(scores[first][np.argsort(places[first])], np.sort(scores)[::-1][:k])


def test_what_may_not_be_chosen_comes_after_all_others():
    scores = np.full(10, select_haplotypes.NEVER)
    assert (places_of(scores, 5) >= 5).all()
    scores[[2, 7]] = -4, -3
    places = places_of(scores, 5)
    assert (places[7], places[2]) == (0, 1)
    assert (np.delete(places, [2, 7]) >= 5).all()


def test_ties_are_broken_by_the_key():
    first, second = (set(np.flatnonzero(places_of(np.zeros(100), 5, key) < 5).tolist()) for key in (1, 2))
    assert len(first) == len(second) == 5
    assert first != second


@pytest.mark.parametrize("sort", [False, True])
def test_a_sample_never_copies_itself_and_finds_its_twin(sort):
    rng = np.random.default_rng(2)
    panel = rng.choice(np.array([0, 255], np.uint8), (40, 128))
    panel[10] = panel[30]  # samples 5 and 15 share a haplotype
    rows = np.arange(40, dtype=np.int32)
    own = np.stack([2 * np.arange(20), 2 * np.arange(20) + 1], 1).astype(np.int32)
    donors, keys = np.tile(rows[:4], (20, 1)), np.arange(20, dtype=np.uint64)
    donors[:2] = [36, 37, 38, 39]
    candidates = select_haplotypes.Candidates(rows, rows // 2, own)
    packed = select_haplotypes.Packed.of(candidates, panel, panel, np.array([[0, 128], [0, 64]]), sort)
    select_haplotypes.choose(packed, np.array([0, 20]), keys, donors)
    assert not (donors // 2 == np.arange(20)[:, None]).any()
    assert 30 in donors[5]
    assert 10 in donors[15]
    assert all(len(set(row)) == 4 for row in donors.tolist())


def test_what_one_sample_gets_does_not_hang_on_the_others_that_ask():
    rng = np.random.default_rng(3)
    panel = rng.choice(np.array([0, 255], np.uint8), (400, 128))
    queries = rng.choice(np.array([0, 255], np.uint8), (8, 128))
    rows = np.arange(400, dtype=np.int32)
    found = []
    for asking in ([0, 1, 2, 3], [2]):
        own = np.array([[2 * n, 2 * n + 1] for n in asking], np.int32)
        donors = np.tile(rows[:6], (len(asking), 1))
        candidates = select_haplotypes.Candidates(rows, np.full(400, -1, np.int32), own)
        packed = select_haplotypes.Packed.of(candidates, panel, queries, np.array([[0, 128]]), True)
        keys = np.array(asking, np.uint64)
        select_haplotypes.choose(packed, np.array([0, len(asking)]), keys, donors)
        found.append(donors[asking.index(2)])
    np.testing.assert_array_equal(*found)
