"""How many founders, how much work, and what each fit counts for."""

import numpy as np

from imputevae_cli.decoders.founders import averaging, choose


def test_a_fit_that_ended_badly_counts_for_little():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 800)
    right = np.full((800, 3), 0.2)
    right[np.arange(800), truth] = 0.6  # right oftener than it says
    wrong = rng.dirichlet(np.ones(3), 800)
    likelihoods = np.eye(3)[truth]
    powers, least = averaging.fit_powers(np.log([right, wrong]), likelihoods)
    assert powers[0] > 10 * powers[1]
    assert powers.sum() > 1
    assert least < averaging.loss(np.log([right, wrong]), likelihoods, np.array([0.5, 0.5]))[0]


def test_few_hidden_cells_change_nothing():
    powers, _ = averaging.fit_powers(np.zeros((4, 20, 3)), np.ones((20, 3)))
    assert powers.tolist() == [0.25] * 4


def test_the_gradient_of_the_loss_is_its_slope():
    rng = np.random.default_rng(2)
    logs, likelihoods = np.log(rng.dirichlet(np.ones(3), (3, 50))), rng.random((50, 3))
    powers, step = np.array([0.4, 0.2, 0.7]), np.array([0.0, 1e-5, 0.0])
    slope = (averaging.loss(logs, likelihoods, powers + step)[0] - averaging.loss(logs, likelihoods, powers)[0]) / 1e-5
    np.testing.assert_allclose(averaging.loss(logs, likelihoods, powers)[1][1], slope, rtol=1e-3)


def test_fewer_founders_win_where_more_do_not_clearly_help():
    noise = np.random.default_rng(3).normal(0, 0.3, (3, 1000))
    losses = {2: 0.6 + noise[0], 4: 0.501 + noise[1], 8: 0.5 + noise[1] + 0.1 * noise[2]}
    assert choose.fewest(losses) == 4


def test_costly_fits_are_fewer_and_shorter():
    assert choose.effort(400_000, 10) == (8, 60)
    assert choose.affordable(400_000) == 24
    assert choose.affordable(1_500_000) == 16
    assert choose.affordable(10**9) == 10
    starts, iterations = choose.effort(1_500_000, 24)
    assert starts == 3
    assert 30 <= iterations < 60
