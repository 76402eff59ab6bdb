"""Inbreeding coefficients, and where a sample is homozygous by descent."""

import numpy as np

from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying.rules import InbreedingRules

WINDOWS = np.array([[0, 0, 95, 100], [90, 95, 200, 200]])
DISTANCES = np.r_[0.0, np.ones(199)]
HALVES = InbreedingRules(least=0.3)  # where a sample counts that is inbred in half of its loci


def calls_of(seed=0, n=40):
    """int8 (n, 200) under random mating; sample 0 is a line, sample 1 a line in its first half."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.2, 0.8, 200)
    pair = rng.random((n, 2, 200)) < frequency
    pair[0, 1] = pair[0, 0]
    pair[1, 1, :110] = pair[1, 0, :110]
    calls = pair.sum(1).astype(np.int8)
    calls[rng.random(calls.shape) < 0.2] = -1
    return calls


def test_coefficients():
    f = inbreeding.coefficients(calls_of(), 2)
    assert f[0] == 1
    assert 0.35 < f[1] < 0.75
    assert f[2:].mean() < 0.15
    assert (inbreeding.coefficients(calls_of(), 1) == 1).all()


def test_a_sample_is_homozygous_by_descent_where_heterozygotes_lack():
    calls = calls_of()
    found = inbreeding.by_descent(calls, DISTANCES, 2, rules=HALVES)
    joined = found >= inbreeding.ONE_PATH
    assert joined[0].all()
    assert joined[1, :104].all()
    assert not joined[1, 116:].any()
    assert not joined[2:].any()
    assert inbreeding.by_descent(calls[2:], DISTANCES, 2).shape == (0, 0)
    assert inbreeding.by_descent(np.minimum(calls, 1), DISTANCES, 1).shape == (0, 0)
    np.testing.assert_array_equal(inbreeding.n_joined(found), joined.sum(0))
    assert inbreeding.n_joined(inbreeding.NOBODY) == 0


def test_single_heterozygotes_are_errors_and_stay_possible_on_one_path():
    calls = calls_of()
    calls[0, ::25] = 1
    found = inbreeding.by_descent(calls, DISTANCES, 2)[0]
    assert (found >= inbreeding.ONE_PATH).all()
    clean = inbreeding.by_descent(calls_of(), DISTANCES, 2)[0]
    assert 0.8 < found.mean() / 255 < clean.mean() / 255 < 1


def test_structure_is_no_inbreeding():
    rng = np.random.default_rng(3)
    # two populations that hardly share alleles
    frequency = np.where(np.arange(40)[:, None] < 20, 0.95, 0.05) * np.ones(200)
    calls = (rng.random((2, 40, 200)) < frequency).sum(0).astype(np.int8)
    assert np.median(inbreeding.coefficients(calls, 2)) > 0.6
    apart = InbreedingRules(mostly=0.9)
    assert inbreeding.by_descent(calls, DISTANCES, 2, rules=apart).shape == (0, 0)


def test_in_a_cohort_of_lines_each_sample_is_looked_at():
    calls = calls_of()
    calls[2:] = np.where(calls[2:] == 1, 2, calls[2:])
    joined = inbreeding.by_descent(calls, DISTANCES, 2) >= inbreeding.ONE_PATH
    assert joined[2:].all()
    assert not joined[1, 116:].any()


def test_chromosomes_are_apart():
    calls = calls_of()
    there = DISTANCES.copy()
    there[110] = 0
    apart = inbreeding.by_descent(calls, there, 2, rules=HALVES)[1]
    assert (apart[:110] >= inbreeding.ONE_PATH).all()
    assert not (apart[110:] >= inbreeding.ONE_PATH).any()


def test_one_path_is_followed_through_a_window_that_is_homozygous_all_along():
    followed = inbreeding.paths(inbreeding.by_descent(calls_of(), DISTANCES, 2, rules=HALVES), WINDOWS, 40, 2)
    np.testing.assert_array_equal(followed[:, 0], [1, 1])
    np.testing.assert_array_equal(followed[:, 1], [1, 2])
    assert (followed[:, 2:] == 2).all()
    assert (inbreeding.paths(inbreeding.NOBODY, WINDOWS, 3, 1) == 1).all()
