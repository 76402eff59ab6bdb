import numpy as np
import pytest

from imputevae_cli.scoring import bootstrap as locus_sums
from imputevae_cli.scoring import metrics

BEYOND_SUMS = {"average_precision", "roc_auc"}


def scored_cells(n_classes=3, n=600, n_loci=20, seed=1) -> metrics.Cells:
    """Cells of which some are left missing, and some without probabilities."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(n_classes, n, p=np.array([0.6, 0.3, 0.1])[:n_classes] / sum([0.6, 0.3, 0.1][:n_classes]))
    gp = rng.dirichlet([0.5] * n_classes, n)
    gp[np.arange(n), truth] += 0.5
    gp /= gp.sum(1, keepdims=True)
    call = gp.argmax(1)
    call[rng.random(n) < 0.1] = -1
    gp[rng.random(n) < 0.05] = np.nan
    mean = np.full(n, 0.5)
    dosage = metrics.fill_dosage(metrics.dosage(gp), call, mean)
    return metrics.Cells(truth, gp, call, mean, rng.integers(n_loci, size=n), dosage)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_figures_from_sums_are_those_of_the_registry(n_classes):
    cells = scored_cells(n_classes)
    sums = locus_sums.added_up(locus_sums.sums_by_locus(cells, 25))
    got = locus_sums.figures(sums, n_classes)
    expected = metrics.score_cells(cells.truth, cells.gp, cells.call, cells.locus_mean, cells.locus, cells.dosage)
    assert got.keys() == expected.keys() - BEYOND_SUMS
    for name, value in got.items():
        assert float(value) == pytest.approx(expected[name]), name


def test_a_resampled_set_of_loci_scores_as_those_loci_would():
    cells = scored_cells()
    draws = np.zeros((2, 20), np.uint8)
    draws[0, [3, 4]] = 1, 2
    draws[1] = 1
    got = locus_sums.figures(locus_sums.resampled(locus_sums.sums_by_locus(cells, 20), draws), 3)
    parts = [np.flatnonzero(cells.locus == k) for k in (3, 4, 4)]
    some = np.concatenate(parts)
    expected = metrics.score_cells(cells.truth[some], cells.gp[some], cells.call[some], cells.locus_mean[some])
    for name in ("concordance", "nrd", "f1", "mcc", "skill_r2", "dosage_r2", "log_loss", "ece"):
        assert got[name][0] == pytest.approx(expected[name]), name
    assert got["concordance"][1] == pytest.approx((cells.truth == cells.call).mean())


def test_sums_regrouped_are_those_of_the_groups():
    cells = scored_cells()
    groups = np.arange(20) % 3
    got = locus_sums.regrouped(locus_sums.sums_by_locus(cells, 20), groups, 4)
    by_group = metrics.Cells(cells.truth, cells.gp, cells.call, cells.locus_mean, groups[cells.locus], cells.dosage)
    expected = locus_sums.sums_by_locus(by_group, 4)
    for name in expected.keys() - {"iqs", "iqs_cells", "iqs_calls", "iqs_calls_cells"}:  # scores of single loci
        assert got[name] == pytest.approx(expected[name]), name


def test_draws_of_loci_are_as_many_as_the_loci():
    draws = locus_sums.draws_of_loci(300, np.random.default_rng(1), 50)
    assert (draws.sum(1) == 300).all()
    assert draws.mean(0) == pytest.approx(1.0, abs=0.7)
    again = locus_sums.draws_of_loci(300, np.random.default_rng(1), 50)
    assert np.array_equal(draws, again)


def test_an_interval_covers_as_often_as_it_says():
    """Cells of a locus are right or wrong together, so that only loci are independent."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        right = np.repeat(rng.random(60) < 0.7, 10)
        truth = np.where(right, 1, 0)
        gp = np.tile([0.2, 0.8, 0.0], (600, 1))
        cells = metrics.Cells(truth, gp, np.ones(600, int), np.ones(600), np.repeat(np.arange(60), 10), gp[:, 1])
        low, high = locus_sums.intervals(locus_sums.sums_by_locus(cells, 60), locus_sums.draws_of_loci(60, rng), 3)[
            "concordance"
        ]
        covered += low <= 0.7 <= high
    assert 85 <= covered <= 99


def test_figures_of_nothing_are_undefined():
    empty = locus_sums.sums_by_locus(scored_cells(n=0), 4)
    assert all(np.isnan(value) for value in locus_sums.figures(locus_sums.added_up(empty), 3).values())
