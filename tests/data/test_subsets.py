"""Some of the loci, and the chromosomes that they are on."""

import numpy as np
from conftest import simulate

from imputevae_cli.data.subsets import chromosomes_of, even_stretches, matrix_subset, some_samples, two_stretches


def test_two_stretches_lie_around_the_quarters():
    np.testing.assert_array_equal(two_stretches(100, 10), [*range(20, 30), *range(70, 80)])
    np.testing.assert_array_equal(two_stretches(10, 10), range(10))  # where they meet, each locus once


def test_even_stretches_reach_both_ends():
    np.testing.assert_array_equal(even_stretches(100, 3, 4), [0, 1, 2, 3, 48, 49, 50, 51, 96, 97, 98, 99])


def test_a_gap_and_a_chromosome_each_start_anew():
    chrom_codes = np.array([0, 0, 0, 0, 0, 3, 3, 3], np.int32)
    codes = chromosomes_of(chrom_codes, np.array([0, 1, 3, 4, 5, 7]))
    np.testing.assert_array_equal(codes, [0, 0, 1, 1, 2, 3])
    np.testing.assert_array_equal(chromosomes_of(chrom_codes, np.arange(8)), [0, 0, 0, 0, 0, 1, 1, 1])


def test_some_samples_rise_and_are_all_where_there_are_few():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(some_samples(5, 5, rng), range(5))
    some = some_samples(100, 7, rng)
    assert len(some) == 7
    assert (np.diff(some) > 0).all()


def test_a_subset_of_a_matrix_splits_chromosomes_at_gaps():
    genotypes, _ = simulate(10, 30)
    samples, loci = np.array([1, 4]), np.array([2, 3, 7])
    subset = matrix_subset(genotypes, samples, loci)
    np.testing.assert_array_equal(subset.calls, genotypes.calls[np.ix_(samples, loci)])
    assert subset.samples == (genotypes.samples[1], genotypes.samples[4])
    codes = subset.loci.chrom_codes
    assert codes[0] == codes[1] < codes[2]
