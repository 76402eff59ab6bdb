"""Inbreeding coefficients, and the windows in which a sample follows one path."""

import numpy as np

from imputevae_cli.decoders.copying import inbreeding

WINDOWS = np.array([[0, 0, 100, 110], [90, 100, 200, 200]])


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


def test_one_path_is_followed_where_heterozygotes_lack():
    followed = inbreeding.paths(calls_of(), WINDOWS, 2)
    np.testing.assert_array_equal(followed[:, 0], [1, 1])
    np.testing.assert_array_equal(followed[:, 1], [1, 2])
    assert (followed[:, 2:] == 2).all()
    assert (inbreeding.paths(np.minimum(calls_of(), 1), WINDOWS, 1) == 1).all()


def test_residual_coefficients_count_one_path_windows_alone():
    calls = calls_of()
    followed = inbreeding.paths(calls, WINDOWS, 2)
    left = inbreeding.residual_coefficients(calls, WINDOWS, followed, 2)
    assert left[0] > 0.98
    assert left[1] > 0.95
