"""The accuracy that a user is told to expect."""

import numpy as np
import pytest
from conftest import simulate_linked, tiny_config

from imputevae_cli import ImputeVAE
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.ensemble import expected as module
from imputevae_cli.ensemble.expected import Expected, Unaided, expected_accuracy


@pytest.fixture(scope="module")
def held_out():
    """A task with its calls hidden, and those that measure."""
    genotypes, _ = simulate_linked(40, 120, seed=3)
    _, _, task = ImputeVAE(tiny_config().replace({"model.decoder": "auto"}))._task(genotypes, None, None, None)
    with task.holding_out():
        yield task, task.test


def probabilities(test, right, seed=0):
    """float32 (M, 3): `right` at a genotype that is right so often."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(test.truth)) < right, test.truth, (test.truth + 1) % 3)
    return np.where(np.arange(3) == said[:, None], right, (1 - right) / 2).astype(np.float32)


def test_figures_stand_beside_those_that_need_no_model(held_out):
    task, test = held_out
    expected, curve = expected_accuracy(test, probabilities(test, 0.9), Unaided.of(task), "macro", 1)
    assert expected.model.concordance == pytest.approx(0.9, abs=0.05)
    assert expected.low.concordance < expected.model.concordance < expected.high.concordance
    assert expected.low.log_loss < expected.model.log_loss < expected.high.log_loss
    assert expected.baseline.concordance < expected.ld_knni.concordance, "the loci are linked"
    assert curve[0].accuracy == expected.model.concordance
    assert Expected.from_state(expected.state()) == expected


def test_an_interval_is_narrower_where_there_are_more_loci(held_out):
    widths = []
    for n in (200, 20_000):
        loci = np.arange(n) // 4
        test = HiddenCells(np.zeros(n, np.int64), loci, np.random.default_rng(1).integers(0, 3, n))
        unaided = Unaided(np.ones(n), np.full((n, 3), 1 / 3, np.float32), None)
        expected, _ = expected_accuracy(test, probabilities(test, 0.8), unaided, "macro", 1)
        widths.append(expected.high.concordance - expected.low.concordance)
    assert widths[1] < 0.3 * widths[0]


def test_by_dosage_other_calls_count(held_out):
    task, test = held_out
    gp = np.tile(np.float32([0.5, 0.1, 0.4]), (len(test.truth), 1))
    expected, _ = expected_accuracy(test, gp, Unaided.of(task), "macro", 1)
    assert expected.model.concordance == pytest.approx((test.truth == 0).mean())
    assert expected.by_dosage.concordance == pytest.approx((test.truth == 1).mean())
    assert expected.by_dosage.log_loss == expected.model.log_loss


def test_of_many_loci_ld_knni_is_not_asked(held_out, monkeypatch):
    task, test = held_out
    monkeypatch.setattr(module, "LD_KNNI_LOCI", 119)
    expected, _ = expected_accuracy(test, probabilities(test, 0.9), Unaided.of(task), "macro", 1)
    assert expected.ld_knni is None
    assert Expected.from_state(expected.state()).ld_knni is None
