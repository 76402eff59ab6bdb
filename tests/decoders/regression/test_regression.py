"""Regression on linked loci: against what is known exactly, and on simulated tetraploids."""

import numpy as np
import pytest
import torch
from conftest import simulate_linked

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Context, Inputs, Task
from imputevae_cli.decoders.regression.decoder import RegressionDecoder
from imputevae_cli.decoders.regression.one_locus import (
    Prediction,
    Prior,
    Sites,
    genotype_chances,
    moments,
    regress,
    sites_beside,
)
from imputevae_cli.decoders.regression.rules import DEFAULT
from imputevae_cli.log import NullProgress
from imputevae_cli.scoring.metrics import log_loss

CONFIG = Config()


def test_genotype_chances_have_their_peak_at_the_mean():
    chances = genotype_chances(Prediction(np.array([1.9, 0.2]), np.array([0.2, 5.0])), 5)
    assert chances.sum(1) == pytest.approx(1)
    assert chances.argmax(1).tolist() == [2, 0]
    assert moments(chances, 0.0).variance[1] > moments(chances, 0.0).variance[0]


def test_a_site_that_says_nothing_has_no_precision():
    alone = Prediction(np.array([2.0, 2.0]), np.array([1.0, 1.0]))
    sites = sites_beside(alone, np.array([np.ones(5), np.eye(5)[3]]), 0.01)
    assert sites.precision[0] == pytest.approx(0, abs=0.1)
    assert sites.weighted[1] / sites.precision[1] == pytest.approx(3, abs=0.02)


def test_predictions_are_those_of_a_gaussian_process_with_the_cell_left_out():
    rng = np.random.default_rng(1)
    regressors, prior, residual = rng.normal(size=(12, 3)), 2.0, 0.3
    precision = rng.uniform(0.5, 3, 12)
    value = rng.normal(2, 1, 12)
    sites = Sites(precision, precision * value)
    flat = np.ones((10, 5))
    fitted = Sites(sites.precision[:10], sites.weighted[:10])
    predicted, _, others = regress(regressors, Prior(prior, residual), flat, fitted, updates=1, floor=0.01)
    covariance = regressors @ regressors.T + residual * np.eye(12)
    for cell in range(12):
        rest = np.array([n for n in range(10) if n != cell])
        noise = np.diag(1 / precision[rest])
        gain = covariance[cell, rest] @ np.linalg.inv(covariance[np.ix_(rest, rest)] + noise)
        mean = prior + gain @ (value[rest] - prior)
        variance = covariance[cell, cell] - gain @ covariance[rest, cell]
        found = [part[cell] if cell < 10 else other[cell - 10] for part, other in zip(predicted, others, strict=True)]
        assert found == pytest.approx([mean, variance], rel=1e-6)


def task_of(ploidy=4, seed=0, n_samples=60):
    genotypes, truth = simulate_linked(n_samples, 160, ploidy=ploidy, seed=seed)
    calls, loci = genotypes.calls.copy(), genotypes.loci
    cells = np.sort(np.random.default_rng(1).choice(np.flatnonzero(calls.ravel() >= 0), 600, replace=False))
    cohort = Cohort(calls, loci.chrom_codes, loci.positions, ploidy)
    validation, test = (HiddenCells.at(some, calls) for some in (cells[::2], cells[1::2]))
    return Task(cohort, validation, test, CONFIG, torch.device("cpu"), NullProgress(), 1), truth


@pytest.mark.parametrize("ploidy", [3, 4, 6])
def test_it_is_far_better_than_frequencies_where_loci_are_linked(ploidy):
    task, _ = task_of(ploidy)
    with task.holding_out():
        fitted = RegressionDecoder().fit(task, Inputs({}))
        gp = fitted.gp_of(task.test)
        plain = evidence_frequencies(Evidence.certain(task.cohort.calls, ploidy))[-1][task.test.loci]
    assert log_loss(task.test.truth, gp) < 0.7 * log_loss(task.test.truth, plain)
    assert fitted.residual in DEFAULT.residuals


def test_new_samples_are_predicted_as_well_as_those_of_the_fit():
    task, truth = task_of(n_samples=90)
    calls = task.cohort.calls
    parts = [Cohort(part, task.cohort.chrom_codes, task.cohort.positions, 4) for part in (calls[:70], calls[70:])]
    cells = HiddenCells.of(np.zeros(parts[0].calls.shape, bool), parts[0].calls)
    small = Task(parts[0], cells, cells, CONFIG, torch.device("cpu"), NullProgress(), 1)
    from imputevae_cli.decoders.regression.decoder import FittedRegression

    fitted = FittedRegression(small.cohort, 0.2)
    gp = fitted.for_samples(parts[1], Context(CONFIG, {})).gp(0, 160)
    missing = parts[1].calls < 0
    plain = evidence_frequencies(Evidence.certain(parts[0].calls, 4))[-1]
    expected = np.broadcast_to(plain, gp.shape)[missing]
    assert log_loss(truth[70:][missing], gp[missing]) < 0.8 * log_loss(truth[70:][missing], expected)
