"""PCA of genotypes and the drift of samples with many missing calls."""

import numpy as np
import pytest
from conftest import simulate

from imputevae_cli.scoring import pca
from imputevae_cli.scoring.pca import drift, principal_coordinates, pull_to_origin, relationship, rotated_onto

CALLS = np.array(
    [
        [1, 2, -1, 2, 0, 1], [1, 0, 2, -1, 0, 0], [1, 0, -1, -1, -1, -1], [-1, 2, -1, 1, 2, -1],
        [0, 0, 0, 2, -1, 2], [2, 2, -1, 0, 1, 0], [1, 1, 1, -1, 2, 1],
    ],
    np.int8,
)  # fmt: skip


def test_the_coordinates_are_those_of_scikit_allel():
    grams, _ = relationship(lambda: [{"truth": CALLS}], 2)
    axes, shares = principal_coordinates(grams["truth"], 2)
    # allel.pca(scaler="patterson") 1.3.13, missing calls at the mean, over sqrt(2) for the ploidy
    expected = np.array(
        [[-0.091907, 0.103074], [0.188855, 2.650757], [0.851935, 0.649003], [-1.151894, -1.547845],
         [3.011158, -0.883874], [-2.800512, 0.061917], [-0.007635, -1.033032]]
    )  # fmt: skip
    np.testing.assert_allclose(axes * np.sqrt(CALLS.shape[1]), expected, atol=1e-4)
    np.testing.assert_allclose(shares, [0.4788, 0.2949], atol=1e-4)


def test_blocks_of_loci_add_up_to_the_whole():
    genotypes, _ = simulate(20, 60)
    whole, missing = relationship(lambda: [{"truth": genotypes.calls}], 2)
    parts = [{"truth": genotypes.calls[:, start : start + 7]} for start in range(0, 60, 7)]
    pieces, missing_too = relationship(lambda: parts, 2)
    np.testing.assert_allclose(whole["truth"], pieces["truth"], atol=1e-5)
    np.testing.assert_allclose(missing["truth"], missing_too["truth"])


def test_axes_that_are_not_there_are_zero():
    axes, shares = principal_coordinates(np.diag([2.0, 1.0, 0.0]), 5)
    assert axes.shape == (3, 5)
    assert (axes[:, 2:] == 0).all()
    np.testing.assert_allclose(shares, [2 / 3, 1 / 3, 0, 0, 0])
    assert axes[0, 0] > 0


def test_a_rotated_and_reflected_copy_comes_back():
    rng = np.random.default_rng(3)
    reference = rng.normal(size=(12, 4))
    turned = reference @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    np.testing.assert_allclose(rotated_onto(turned, reference), reference, atol=1e-9)
    np.testing.assert_allclose(rotated_onto(3 * turned, reference), 3 * reference, atol=1e-9)


def test_pull_is_one_where_calls_are_at_the_mean_and_zero_where_they_are_right():
    rng = np.random.default_rng(4)
    place, missing = rng.normal(size=(50, 2)), rng.uniform(0, 0.7, 50)
    none = np.zeros(50)
    assert pull_to_origin(place * (1 - missing)[:, None], place, none, missing) == (1, 0)
    assert pull_to_origin(place, place, none, missing) == (0, 0)
    assert pull_to_origin(place * (1 - missing / 2)[:, None], place, none, missing) == (0.5, 0)
    assert pull_to_origin(place, place, none, none) == (None, None)


def test_pull_sees_through_calls_that_the_truth_itself_lacks():
    rng = np.random.default_rng(5)
    place, before = rng.normal(size=(50, 2)), rng.uniform(0, 0.5, 50)
    missing = before + 0.2
    shrunk = place * (1 - before)[:, None]
    assert pull_to_origin(place * (1 - missing)[:, None], shrunk, before, missing)[0] == pytest.approx(1)
    assert pull_to_origin(place, shrunk, before, missing)[0] == pytest.approx(0)


def samples_with_uneven_missingness(n_samples=60, n_loci=400):
    genotypes, truth = simulate(n_samples, n_loci, missing=0)
    rng = np.random.default_rng(6)
    hidden = rng.random(truth.shape) < rng.uniform(0.05, 0.8, n_samples)[:, None]
    return genotypes, truth, np.where(hidden, -1, truth).astype(np.int8)


def test_samples_with_many_missing_calls_drift_before_imputation_and_not_after_a_perfect_one():
    genotypes, truth, visible = samples_with_uneven_missingness()
    codes = np.unique(genotypes.populations, return_inverse=True)[1]
    views = {"truth": truth, "visible": visible, "imputed": truth}
    found = pca.pca_of_views(lambda: [views], codes, ["a", "b", "c"], 2)
    before, after = found["drift"]["visible"], found["drift"]["imputed"]
    assert before["pull"] == pytest.approx(1, abs=0.1)
    assert before["correlation"] < -0.9
    assert after["pull"] == pytest.approx(0, abs=0.01)
    assert abs(after["correlation"]) < 0.4
    assert "no longer drift" in found["drift"]["sentence"]
    assert found["coordinates"]["truth"] == found["coordinates"]["imputed"]
    assert len(found["coordinates"]["visible"]) == len(found["missing"]) == 60


def test_filling_in_the_commonest_genotype_leaves_the_drift():
    genotypes, truth, visible = samples_with_uneven_missingness()
    commonest = np.array([np.bincount(column[column >= 0], minlength=3).argmax() for column in visible.T], np.int8)
    views = {"truth": truth, "visible": visible, "imputed": np.where(visible < 0, commonest, visible)}
    codes = np.unique(genotypes.populations, return_inverse=True)[1]
    found = pca.pca_of_views(lambda: [views], codes, ["a", "b", "c"], 2)
    assert found["drift"]["imputed"]["pull"] > 0.5
    assert "drift" in found["drift"]["sentence"]
    assert "no longer" not in found["drift"]["sentence"]


def test_nothing_is_said_where_nothing_is_missing_or_too_few_samples_are_there():
    axes = {view: np.eye(4)[:, :2] for view in ("truth", "visible", "imputed")}
    none = {view: np.zeros(4) for view in axes}
    found = drift(axes, none, np.zeros(4, int))
    assert found["visible"] == {"pull": None, "pull_error": None, "correlation": None}
    assert "No sample lacks a call" in found["sentence"]
    two = np.array([[0, 1], [1, 0]], np.int8)
    assert pca.pca_of_views(lambda: [dict.fromkeys(axes, two)], np.zeros(2, int), ["a"], 2) is None
    alike = np.ones((4, 3), np.int8) * 2
    assert pca.pca_of_views(lambda: [dict.fromkeys(axes, alike)], np.zeros(4, int), ["a"], 2) is None
