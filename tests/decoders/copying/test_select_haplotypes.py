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


def test_best_takes_the_highest_scores():
    rng = np.random.default_rng(1)
    scores = rng.integers(-50, 50, 200).astype(np.int32)
    chosen = np.empty(20, np.int32)
    assert select_haplotypes.best(scores, 20, np.uint64(3), chosen) == 20
    assert len(set(chosen.tolist())) == 20
    np.testing.assert_array_equal(scores[chosen], np.sort(scores)[::-1][:20])


def test_best_never_takes_what_may_not_be_chosen():
    scores = np.full(10, select_haplotypes.NEVER, np.int32)
    chosen = np.empty(5, np.int32)
    assert select_haplotypes.best(scores, 5, np.uint64(1), chosen) == 0
    scores[[2, 7]] = 3, 4
    assert select_haplotypes.best(scores, 5, np.uint64(1), chosen) == 2
    assert chosen[:2].tolist() == [7, 2]


def test_best_breaks_ties_by_the_key():
    scores = np.zeros(100, np.int32)
    first, second = np.empty(5, np.int32), np.empty(5, np.int32)
    select_haplotypes.best(scores, 5, np.uint64(1), first)
    select_haplotypes.best(scores, 5, np.uint64(2), second)
    assert set(first.tolist()) != set(second.tolist())


@pytest.mark.parametrize("spread", [1, 7, 5000])
def test_rows_come_by_falling_score_and_ties_as_they_were(spread):
    rng = np.random.default_rng(spread)
    scores, taken = rng.integers(-spread, spread, 90).astype(np.int32), rng.permutation(90)[:40].astype(np.int32)
    chosen = np.zeros(40, np.int32)
    select_haplotypes.in_order(scores, taken, scores[taken].min() - 1, chosen)
    np.testing.assert_array_equal(chosen, taken[np.argsort(-scores[taken], kind="stable")])


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
