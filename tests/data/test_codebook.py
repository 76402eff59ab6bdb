import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imputevae_cli.data import codebook
from imputevae_cli.data.codebook import LAST_PHRED, Codebook, VectorBook
from imputevae_cli.data.evidence import FIRST_FREE


def round_trip(phred, n_classes=3):
    phred = np.array(phred)
    levels = codebook.levels_of(phred - phred.min(-1, keepdims=True))
    return codebook.likelihoods_of_keys(codebook.keys_of_levels(levels), n_classes)


def test_phred_values_up_to_99_are_exact():
    values = np.arange(100)
    got = round_trip(np.stack([values, np.zeros(100, int), values], 1))
    assert got[:, 0] == pytest.approx(10 ** (-values / 10), rel=1e-6)
    assert (got[:, 1] == 1).all()


@given(st.tuples(st.integers(0, 270), st.integers(0, 270)))
def test_phred_values_beyond_are_off_by_two_at_most(pair):
    got = round_trip([[0, *pair]])[0]
    assert got[0] == 1
    assert -10 * np.log10(got[1:].astype(float)) == pytest.approx(pair, abs=2.001)


def test_what_is_hopeless_is_impossible():
    assert round_trip([[0, 300, 5000]]).tolist() == [[1, 0, 0]]


def test_codes_are_handed_out_once_and_stay():
    book = Codebook(100)
    first = book.encode(np.array([[7, 3], [7, 9]]))
    assert first.dtype == np.uint16
    second = book.encode(np.array([9, 50, 3]))
    assert first[0, 0] == first[1, 0]
    assert second[0] == first[1, 1]
    assert second[2] == first[0, 1]
    assert np.array_equal(book.keys[second - FIRST_FREE], [9, 50, 3])
    assert sorted(book.keys) == [3, 7, 9, 50]


def test_all_three_genotypes_at_any_level_fit_into_two_bytes():
    n = codebook.N_LEVELS
    assert n**3 - (n - 1) ** 3 + FIRST_FREE <= 1 << 16
    assert (codebook.MAX_COUNT + 1) ** 2 + FIRST_FREE <= 1 << 16


def test_counts_keep_their_ratio_where_they_are_scaled_down():
    keys = codebook.keys_of_counts(np.array([0, 3, 254, 1000]), np.array([0, 1, 7, 500]))
    ref, alt = codebook.counts_of_keys(keys)
    assert ref.tolist() == [0, 3, 254, 254]
    assert alt.tolist() == [0, 1, 7, 127]


def test_vectors_of_polyploids_come_back_and_share_codes():
    book = VectorBook()
    phred = np.array([[0, 7, 40, 98, 150], [12, 0, 3, 30, LAST_PHRED], [0, 7, 40, 98, 300]])
    codes = book.encode(phred)
    assert codes.tolist() == [FIRST_FREE, FIRST_FREE + 1, FIRST_FREE], "beyond 99 nothing is told apart"
    assert book.encode(phred[1:2]).tolist() == [FIRST_FREE + 1]
    assert book.likelihoods[0] == pytest.approx(10 ** (-np.array([0, 7, 40, 98, 99]) / 10), rel=1e-5)
    assert book.likelihoods[1, 4] == 0


def test_too_many_vectors_are_rounded_and_stay_within_two_bytes():
    rng = np.random.default_rng(1)
    book = VectorBook()
    phred = rng.integers(0, 90, (40_000, 5))
    phred[np.arange(len(phred)), rng.integers(0, 5, len(phred))] = 0
    codes = book.encode(phred)
    back = -10 * np.log10(book.likelihoods[codes - FIRST_FREE])
    assert np.abs(back - phred).max() <= 10
    assert np.median(np.abs(back - phred)) <= 4
