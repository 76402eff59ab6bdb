import numpy as np
import pytest

from imputevae_cli.scoring.likelihood_score import likelihood_loss, likelihood_losses
from imputevae_cli.scoring.metrics import log_loss

GP = np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.0, 0.0, 1.0]])


def test_certain_cells_score_the_log_loss():
    truth = np.array([0, 1, 1])
    assert likelihood_loss(GP, np.eye(3)[truth]) == pytest.approx(log_loss(truth, GP))


def test_reads_that_say_nothing_cost_nothing_and_others_by_hand():
    losses = likelihood_losses(GP[:2], np.array([[1, 1, 1], [1, 0.5, 0.01]]))
    assert losses == pytest.approx([0, -np.log(0.05 + 0.45 + 0.0005)])
    assert np.isnan(likelihood_loss(GP[:0], GP[:0]))
