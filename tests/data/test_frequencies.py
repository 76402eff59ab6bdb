import numpy as np
import pytest

from imputevae_cli.data.frequencies import (
    alt_frequencies,
    alt_frequencies_of,
    alt_frequencies_of_counts,
    genotype_frequencies,
    hardy_weinberg,
    info_score,
    locus_frequencies,
    locus_means,
)
from imputevae_cli.data.genotypes import genotype_counts

CALLS = np.array([[0, 2], [0, -1], [1, -1], [-1, 2]], np.int8)


def test_frequencies_of_one_population_by_hand():
    frequencies = genotype_frequencies(CALLS, 3, np.zeros(4, int), 1, shrinkage=0.0)
    assert frequencies.shape == (2, 2, 3)
    assert frequencies.dtype == np.float32
    assert frequencies[0] == pytest.approx(np.array([[2 / 3, 1 / 3, 0], [0, 0, 1]]))


def test_without_populations_there_is_one_row_of_all_samples():
    frequencies = genotype_frequencies(CALLS, 3)
    assert frequencies.shape == (1, 2, 3)
    assert frequencies[0] == pytest.approx(np.array([[7 / 12, 4 / 12, 1 / 12], [1 / 9, 1 / 9, 7 / 9]]))


def test_shrinkage_is_towards_all_samples_and_those_towards_equal_shares():
    frequencies = genotype_frequencies(CALLS, 3, np.zeros(4, int), 1, shrinkage=2.0)
    overall = np.array([2 + 1 / 3, 1 + 1 / 3, 1 / 3]) / 4
    assert frequencies[0, 0] == pytest.approx((np.array([2, 1, 0]) + 2 * overall) / 5)
    assert frequencies[1, 0] == pytest.approx(overall)


def test_each_population_has_its_own():
    calls = np.repeat(np.array([[0], [2]], np.int8), 50, 0)
    codes = np.repeat([0, 1], 50)
    frequencies = genotype_frequencies(calls, 3, codes, 2)
    assert frequencies.shape == (3, 1, 3)
    assert frequencies[0, 0, 0] > 0.95
    assert frequencies[1, 0, 2] > 0.95
    assert genotype_frequencies(calls, 3)[0, 0] == pytest.approx([0.5, 0, 0.5], abs=0.01)


def test_a_population_without_a_call_has_the_frequencies_of_all():
    calls = np.array([[0], [0], [1], [-1]], np.int8)
    frequencies = genotype_frequencies(calls, 3, np.array([0, 0, 0, 1]), 2)
    assert frequencies[1, 0] == pytest.approx(np.array([2 + 1 / 3, 1 + 1 / 3, 1 / 3]) / 4)


def test_samples_of_no_population_count_in_the_last_row_alone():
    calls = np.array([[0], [0], [2], [2]], np.int8)
    frequencies = genotype_frequencies(calls, 3, np.array([0, 0, 1, 1]), 1)
    assert frequencies.shape == (2, 1, 3)
    assert frequencies[1, 0, 0] == frequencies[1, 0, 2]
    assert frequencies[0, 0] == pytest.approx(genotype_frequencies(calls[:2], 3)[0, 0], abs=0.3)
    assert frequencies[0, 0, 0] > 0.6


@pytest.mark.parametrize("n_classes", [2, 3])
def test_they_sum_to_one_and_none_is_nought(n_classes):
    calls = np.random.default_rng(0).integers(-1, n_classes, (20, 30)).astype(np.int8)
    calls[:, 0] = -1
    frequencies = genotype_frequencies(calls, n_classes, np.arange(20) % 4, 4)
    assert frequencies.sum(2) == pytest.approx(1.0)
    assert (frequencies > 0).all()
    assert frequencies[:, 0] == pytest.approx(1 / n_classes)


def test_locus_means():
    assert locus_means(CALLS) == pytest.approx([1 / 3, 2.0])
    assert locus_means(np.full((3, 1), -1, np.int8)) == pytest.approx([0.0])


def test_alt_frequencies_with_and_without_pseudo_counts():
    assert alt_frequencies(np.array([3, 0]), np.array([3, 0]), 2).tolist() == [0.5, 0.0]
    assert alt_frequencies(np.array([3, 0]), np.array([3, 0]), 2, pseudo_count=0.5).tolist() == [3.5 / 7, 0.5]
    for pseudo_count in (0.0, 0.5):
        found = alt_frequencies_of(CALLS, 2, pseudo_count)
        np.testing.assert_array_equal(found, alt_frequencies_of_counts(genotype_counts(CALLS), 2, pseudo_count))
    assert alt_frequencies_of(CALLS, 2).tolist() == [1 / 6, 1.0]


def test_frequencies_of_loci_with_a_pseudo_count():
    found = locus_frequencies(CALLS, 3, 1.0)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[3, 2, 1], [1, 1, 3]]) / [[6], [5]])


@pytest.mark.parametrize("ploidy", [1, 2])
def test_hardy_weinberg_sums_to_one_and_keeps_the_allele_frequency(ploidy):
    alt = np.array([0.0, 0.3, 1.0])
    chances = np.stack(hardy_weinberg(alt, ploidy))
    assert chances.sum(0) == pytest.approx(1)
    assert np.arange(ploidy + 1) @ chances / ploidy == pytest.approx(alt)


def test_info_score_at_its_ends():
    theta = np.array([0.0, 1.0, 0.5, 0.5, np.nan])
    score = info_score(theta, np.array([0.0, 0.0, 0.0, 99.0, 0.0]), np.full(5, 20))
    np.testing.assert_array_equal(score, [1, 1, 1, 0, np.nan])
