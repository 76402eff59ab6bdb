"""The choice of donors against plain numpy."""

import numpy as np

from imputevae_cli.engine import donor_choice


def test_similarity_counts_agreements_less_differences_of_sure_alleles():
    rng = np.random.default_rng(0)
    panel = rng.choice(np.array([0, 128, 255], np.uint8), (9, 150))
    rows = np.arange(9, dtype=np.int32)
    alt, sure = donor_choice.pack(panel, rows, 10, 140)
    scores = np.empty(9, np.int32)
    donor_choice.similarity(alt, sure, alt[:, 2].copy(), sure[:, 2].copy(), scores)
    sign = np.sign(panel[:, 10:140].astype(int) - 128)
    np.testing.assert_array_equal(scores, sign @ sign[2])


def test_best_takes_the_highest_scores():
    rng = np.random.default_rng(1)
    scores = rng.integers(-50, 50, 200).astype(np.int32)
    chosen = np.empty(20, np.int32)
    assert donor_choice.best(scores, 20, np.uint64(3), chosen) == 20
    assert len(set(chosen.tolist())) == 20
    np.testing.assert_array_equal(scores[chosen], np.sort(scores)[::-1][:20])


def test_best_breaks_ties_by_the_key():
    scores = np.zeros(100, np.int32)
    first, second = np.empty(5, np.int32), np.empty(5, np.int32)
    donor_choice.best(scores, 5, np.uint64(1), first)
    donor_choice.best(scores, 5, np.uint64(2), second)
    assert set(first.tolist()) != set(second.tolist())


def test_a_sample_never_copies_itself_and_finds_its_twin():
    rng = np.random.default_rng(2)
    panel = rng.choice(np.array([0, 255], np.uint8), (40, 128))
    panel[10] = panel[30]  # samples 5 and 15 share a haplotype
    rows = np.arange(40, dtype=np.int32)
    own = np.stack([2 * np.arange(20), 2 * np.arange(20) + 1], 1).astype(np.int32)
    donors = np.zeros((20, 4), np.int32)
    keys = np.arange(20).astype(np.uint64)
    stretches, samples = np.array([[0, 128], [0, 64]]), np.array([0, 20])
    donor_choice.choose(panel, rows, rows // 2, panel, own, stretches, samples, keys, donors)
    assert not (donors // 2 == np.arange(20)[:, None]).any()
    assert 30 in donors[5]
    assert 10 in donors[15]
    assert all(len(set(row)) == 4 for row in donors.tolist())
