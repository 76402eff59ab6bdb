import numpy as np
import pytest

from imputevae_cli.scoring.curves import calibration
from imputevae_cli.scoring.likelihood_score import (
    estimated_calibration,
    estimated_figures,
    genotype_shares,
    likelihood_loss,
    likelihood_losses,
)
from imputevae_cli.scoring.metrics import concordance, log_loss, non_reference_discordance

GP = np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.0, 0.0, 1.0]])


def test_certain_cells_score_the_log_loss():
    truth = np.array([0, 1, 1])
    assert likelihood_loss(GP, np.eye(3)[truth]) == pytest.approx(log_loss(truth, GP))


def test_reads_that_say_nothing_cost_nothing_and_others_by_hand():
    losses = likelihood_losses(GP[:2], np.array([[1, 1, 1], [1, 0.5, 0.01]]))
    assert losses == pytest.approx([0, -np.log(0.05 + 0.45 + 0.0005)])
    assert np.isnan(likelihood_loss(GP[:0], GP[:0]))


def cells_with_reads(n=20_000, depth=1.5, seed=1):
    """True genotypes, likelihoods of Poisson reads, and probabilities that are right as often as they say."""
    rng = np.random.default_rng(seed)
    gp = rng.dirichlet([0.4, 0.3, 0.2], n)
    truth = (gp.cumsum(1) < rng.random((n, 1))).sum(1)
    chance = np.array([0.01, 0.5, 0.99])
    reads = rng.poisson(depth, n)
    alt = rng.binomial(reads, chance[truth])[:, None]
    likelihoods = chance**alt * (1 - chance) ** (reads[:, None] - alt)
    return truth, likelihoods / likelihoods.max(1, keepdims=True), gp


def test_shares_of_true_genotypes_are_found_where_single_reads_tell_little():
    truth, likelihoods, gp = cells_with_reads()
    group = gp.argmax(1)
    shares = genotype_shares(group, likelihoods, 4)
    for k in range(3):
        assert shares[k] == pytest.approx(np.bincount(truth[group == k], minlength=3) / (group == k).sum(), abs=0.03)
    assert shares[3] == pytest.approx([1 / 3] * 3)  # no cell is in it


def test_accuracy_is_estimated_where_the_calls_of_the_reads_would_mislead():
    truth, likelihoods, gp = cells_with_reads()
    call = gp.argmax(1)
    call[:200] = -1
    found = estimated_figures(call, likelihoods, gp)
    assert found["estimated_concordance"] == pytest.approx(concordance(truth, call), abs=0.02)
    assert found["estimated_nrd"] == pytest.approx(non_reference_discordance(truth, call), abs=0.02)
    calls_of_reads = likelihoods.argmax(1)
    assert abs(concordance(calls_of_reads, call) - concordance(truth, call)) > 0.05
    without = estimated_figures(call, likelihoods)
    assert without["estimated_concordance"] == pytest.approx(concordance(truth, call), abs=0.02)


def test_certain_reads_give_the_figures_themselves():
    truth, _, gp = cells_with_reads(2000)
    call = gp.argmax(1)
    found = estimated_figures(call, np.eye(3)[truth], gp)
    assert found["estimated_concordance"] == pytest.approx(concordance(truth, call))
    assert found["estimated_nrd"] == pytest.approx(non_reference_discordance(truth, call))
    for ours, theirs in zip(estimated_calibration(gp, np.eye(3)[truth]), calibration(truth, gp), strict=True):
        assert ours == pytest.approx(theirs)


def test_a_method_that_promises_too_much_is_found_out():
    """Its own probabilities do not make it look right."""
    truth, likelihoods, gp = cells_with_reads()
    bold = gp**4 / (gp**4).sum(1, keepdims=True)
    for row in estimated_calibration(bold, likelihoods):
        right = (bold.argmax(1) == truth)[(bold.max(1) >= row["low"]) & (bold.max(1) < row["high"])]
        if len(right) > 1000:
            assert row["accuracy"] == pytest.approx(right.mean(), abs=0.06)
            assert row["confidence"] > row["accuracy"] + 0.03
