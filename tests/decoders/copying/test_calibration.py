"""Temperature and blend, fitted on hidden calls."""

import numpy as np

from imputevae_cli.decoders.copying import calibration
from imputevae_cli.decoders.copying.copying_prior import correlations, fit_steepness


def test_an_overconfident_decoder_is_tempered():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([0.6, 0.4, 0.5], 6000).astype(np.float32)
    calls = (rng.random(6000)[:, None] > honest.cumsum(1)).sum(1).clip(max=2).astype(np.int8)
    sharp = honest**2 / (honest**2).sum(1, keepdims=True)
    base = np.full_like(honest, 1 / 3)
    fitted = calibration.fit(sharp, base, calls)
    assert 1.6 < fitted.temperature < 2.4
    assert fitted.blend < 0.05
    assert np.abs(fitted.apply(sharp, base) - honest).mean() < 0.03


def test_few_hidden_calls_change_little():
    gp = np.array([[0.9, 0.1, 0.0]], np.float32)
    fitted = calibration.fit(gp, gp, np.array([0], np.int8))
    np.testing.assert_allclose(fitted.apply(gp, gp), gp, atol=0.02)


def test_steepness_is_recovered():
    rng = np.random.default_rng(1)
    similarity = rng.uniform(-0.2, 0.5, (4000, 10))
    weight = np.exp(6.0 * similarity)
    assert abs(fit_steepness(similarity, weight / weight.sum(1, keepdims=True)) - 6.0) < 0.1


def test_correlations_are_one_with_oneself():
    calls = np.random.default_rng(2).integers(-1, 3, (8, 300)).astype(np.int8)
    similarity = correlations(calls, 2)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-5)
    assert np.abs(similarity - np.diag(np.diag(similarity))).max() < 0.4
