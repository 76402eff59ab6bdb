"""The accuracy that a user is told to expect."""

import dataclasses

import numpy as np
import pytest
from conftest import simulate_linked, tiny_config

from imputevae_cli import ImputeVAE
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.ensemble import expected as module
from imputevae_cli.ensemble.expected import (
    Expected,
    Predictions,
    ScoredCells,
    Unaided,
    expected_accuracy,
    some_missing,
)


@pytest.fixture(scope="module")
def held_out():
    """A task with its calls hidden, and some of these."""
    genotypes, _ = simulate_linked(40, 120, seed=3)
    _, _, task = ImputeVAE(tiny_config().replace({"model.decoder": "auto"}))._task(genotypes, None, None, None)
    with task.holding_out():
        yield task, task.test


def probabilities(test, right, seed=0):
    """float32 (M, 3): `right` at a genotype that is right so often."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(test.truth)) < right, test.truth, (test.truth + 1) % 3)
    return np.where(np.arange(3) == said[:, None], right, (1 - right) / 2).astype(np.float32)


def judged(test, gp, unaided, missing=None):
    """The expected accuracy and the curve, of cells of which the model and what needs none say so much."""
    return expected_accuracy(test, Predictions(gp, unaided), missing, "macro", 1)


def test_figures_stand_beside_those_that_need_no_model(held_out):
    task, test = held_out
    expected, curve = judged(test, probabilities(test, 0.9), Unaided.of(task, test))
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
        expected, _ = judged(test, probabilities(test, 0.8), unaided)
        widths.append(expected.high.concordance - expected.low.concordance)
    assert widths[1] < 0.3 * widths[0]


def test_by_dosage_other_calls_count(held_out):
    task, test = held_out
    gp = np.tile(np.float32([0.5, 0.1, 0.4]), (len(test.truth), 1))
    expected, _ = judged(test, gp, Unaided.of(task, test))
    assert expected.model.concordance == pytest.approx((test.truth == 0).mean())
    assert expected.by_dosage.concordance == pytest.approx((test.truth == 1).mean())
    assert expected.by_dosage.log_loss == expected.model.log_loss


def test_of_many_loci_ld_knni_is_not_asked(held_out, monkeypatch):
    task, test = held_out
    monkeypatch.setattr(module, "LD_KNNI_LOCI", 119)
    expected, _ = judged(test, probabilities(test, 0.9), Unaided.of(task, test))
    assert expected.ld_knni is None
    assert Expected.from_state(expected.state()).ld_knni is None


def plain(n):
    """What needs no model says nothing of n cells."""
    return Unaided(np.ones(n), np.full((n, 3), 1 / 3, np.float32), None)


def cells_of(sure, rng, wrong=0.0):
    """Hidden cells, four a locus, and gp float32 (M, 3): the likeliest genotype is right as often as it says, less
    `wrong`."""
    n = len(sure)
    call = rng.integers(0, 3, n)
    truth = np.where(rng.random(n) < sure - wrong, call, (call + rng.integers(1, 3, n)) % 3)
    gp = np.where(np.arange(3) == call[:, None], sure[:, None], (1 - sure[:, None]) / 2).astype(np.float32)
    return HiddenCells(np.arange(n) % 97, np.arange(n) // 4, truth), gp


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_what_is_promised_is_of_the_missing_calls(wrong):
    """These are easier than the hidden ones, and the model is as much too sure of both; what that costs in log loss is
    more where it is surer."""
    rng = np.random.default_rng(5)
    hidden, gp = cells_of(rng.uniform(0.6, 0.8, 4000), rng, wrong)
    missing, missing_gp = cells_of(rng.uniform(0.8, 1.0, 4000), rng, wrong)
    alone, _ = judged(hidden, gp, plain(4000))
    expected, curve = judged(hidden, gp, plain(4000), Predictions(missing_gp, plain(4000)))
    there = Predictions(missing_gp, plain(4000)).figures(missing.truth, "macro")["model"]
    for name in ("concordance", "nrd", "f1") if wrong else ("concordance", "nrd", "f1", "log_loss"):
        assert getattr(expected.model, name) == pytest.approx(getattr(there, name), abs=0.04)
        assert abs(getattr(alone.model, name) - getattr(there, name)) > 0.08
        assert getattr(expected.low, name) < getattr(expected.model, name) < getattr(expected.high, name)
    assert curve[0].accuracy == pytest.approx(expected.model.concordance, abs=1e-3)
    assert expected.model.n == 4000


def test_the_interval_holds_what_is_found():
    """In nineteen of twenty files, or so."""
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hidden, gp = cells_of(rng.uniform(0.5, 0.9, 400), rng)
        sure = rng.uniform(0.5, 0.9, 2000)
        expected, _ = judged(hidden, gp, plain(400), Predictions(cells_of(sure, rng)[1], plain(2000)))
        inside += expected.low.concordance <= sure.mean() <= expected.high.concordance
    assert 51 <= inside <= 60


def test_errors_that_come_by_the_sample_widen_the_interval():
    """A sample of which all calls are wrong counts as one error."""
    rng, n = np.random.default_rng(2), 2000
    samples = np.arange(n) % 40
    gp = np.tile(np.float32([0.8, 0.1, 0.1]), (n, 1))
    widths = []
    for wrong in (samples < 8, rng.permutation(n) < n // 5):
        expected, _ = judged(HiddenCells(samples, np.arange(n) // 40, wrong.astype(np.int64)), gp, plain(n))
        widths.append(expected.high.concordance - expected.low.concordance)
    assert widths[0] > 2 * widths[1]


def test_missing_calls_are_of_stretches_over_the_whole_file(held_out, monkeypatch):
    task, _ = held_out
    calls = task.cohort.calls
    every = some_missing(task.cohort, 1)
    assert len(every.truth) == (calls == -1).sum()
    assert (calls[every.samples, every.loci] == -1).all()
    assert (np.diff(every.loci) >= 0).all()
    monkeypatch.setattr(module, "MOST_MISSING", 50)
    assert len(some_missing(task.cohort, 1).truth) == 50
    monkeypatch.setattr(module, "STRETCH_CELLS", 1)
    assert some_missing(task.cohort, 1).loci.max() < task.cohort.n_loci


def test_no_missing_call_is_of_a_locus_without_any(held_out):
    task, _ = held_out
    calls = task.cohort.calls.copy()
    calls[:, 7] = -1
    missing = some_missing(dataclasses.replace(task.cohort, calls=calls), 1)
    assert 7 not in missing.loci
    assert {6, 8} <= set(missing.loci)


def test_where_few_of_the_known_calls_are_hidden_they_alone_count(monkeypatch):
    genotypes, _ = simulate_linked(40, 120, seed=3)
    _, _, task = ImputeVAE(tiny_config().replace({"model.decoder": "auto"}))._task(genotypes, None, None, None)
    assert module._hidden_share(task) == pytest.approx(0.1, abs=0.03)
    shares = iter((module.LEAST_SHARE, module.LEAST_SHARE / 2))
    monkeypatch.setattr(module, "_hidden_share", lambda _: next(shares))
    assert len(ScoredCells.of(task).missing.truth) > 100
    assert not len(ScoredCells.of(task).missing.truth)
