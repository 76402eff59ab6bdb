import numpy as np
import pytest

from imputevae_cli.data.frequencies import genotype_frequencies, locus_means

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
