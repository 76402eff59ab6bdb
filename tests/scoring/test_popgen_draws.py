"""What draws from the posterior do to Ho, He, FIS, Fst and allele frequencies."""

import numpy as np
import pytest
from conftest import simulate

from imputevae_cli.scoring.popgen import bias
from imputevae_cli.scoring.popgen_draws import draws_in_words


def filled_and_drawn(n_draws=4):
    """Genotypes of which half are missing, their truth; filled with the commonest genotype, and drawn from frequencies
    of the true calls of each population."""
    genotypes, truth = simulate(60, 300, missing=0.5, n_populations=2)
    missing = genotypes.calls < 0
    shares = np.zeros((*truth.shape, 3))
    for name in set(genotypes.populations):
        there = genotypes.populations == name
        shares[there] = np.stack([(truth[there] == g).mean(0) for g in range(3)], 1)
    filled = np.where(missing, shares.argmax(2), truth).astype(np.int8)
    rng = np.random.default_rng(1)
    drawn = [
        np.where(missing, (shares.cumsum(2) < rng.random((*truth.shape, 1))).sum(2).clip(0, 2), truth).astype(np.int8)
        for _ in range(n_draws)
    ]
    return genotypes, truth, filled, drawn


def test_draws_keep_what_the_likeliest_genotypes_lose():
    genotypes, truth, filled, drawn = filled_and_drawn()
    found = bias(truth, genotypes.calls, filled, genotypes.populations, 2, iter(drawn))
    rows = {row["statistic"]: row for row in found["draws"]["rows"]}
    for name in ("ho", "he", "fst"):
        row = rows[name]
        assert abs(row["drawn"] - row["truth"]) < 0.5 * abs(row["imputed"] - row["truth"]), name
        assert row["spread"] > 0


def test_a_figure_of_draws_is_the_mean_over_them():
    genotypes, truth, filled, drawn = filled_and_drawn(3)
    found = bias(truth, genotypes.calls, filled, genotypes.populations, 2, drawn)
    each = [bias(truth, genotypes.calls, one, genotypes.populations, 2) for one in drawn]
    assert found["views"] == ["truth", "visible", "imputed", "drawn"]
    for i, row in enumerate(found["fst"]):
        assert row["drawn"] == pytest.approx(np.mean([one["fst"][i]["imputed"] for one in each]), abs=1e-6)
    for i, row in enumerate(found["heterozygosity"]):
        values = [one["heterozygosity"][i]["imputed"]["he"] for one in each]
        assert row["drawn"]["he"] == pytest.approx(np.mean(values), abs=1e-6)
    means = np.mean([one["spectrum"]["imputed"] for one in each], 0)
    np.testing.assert_allclose(found["spectrum"]["drawn"], means, atol=1e-6)
    fst = next(row for row in found["draws"]["rows"] if row["statistic"] == "fst")
    assert fst["spread"] == pytest.approx(np.std([one["fst"][0]["imputed"] for one in each], ddof=1), abs=1e-6)


def test_cells_that_truth_lacks_are_left_out_of_a_view_of_its_own():
    genotypes, truth, filled, drawn = filled_and_drawn(2)
    part = np.where(np.arange(300) < 200, truth, genotypes.calls)
    part[:, 250:] = -1
    found = bias(part, genotypes.calls, filled, genotypes.populations, 2, drawn)
    assert {"imputed_same_cells", "drawn_same_cells"} <= set(found["views"])
    he = next(row for row in found["draws"]["rows"] if row["statistic"] == "he")
    kept = [np.where(part < 0, np.int8(-1), one) for one in (filled, *drawn)]
    again = [bias(part, genotypes.calls, one, genotypes.populations, 2)["heterozygosity"] for one in kept]
    means = [np.mean([row["imputed"]["he"] for row in one]) for one in again]
    assert he["imputed_same_cells"] == pytest.approx(means[0], abs=1e-6)
    assert he["drawn_same_cells"] == pytest.approx(np.mean(means[1:]), abs=1e-6)
    assert he["imputed"] != he["imputed_same_cells"]


def test_without_a_truth_views_stand_beside_one_another():
    genotypes, _, filled, drawn = filled_and_drawn(1)
    found = bias(None, genotypes.calls, filled, genotypes.populations, 2, drawn)
    assert found["views"] == ["visible", "imputed", "drawn"]
    assert found["pca"] is None
    assert all(row["truth"] is None and row["spread"] is None for row in found["draws"]["rows"])
    assert draws_in_words(found["draws"]) is None
    assert bias(None, genotypes.calls, filled, None, 2)["draws"] is None


def test_haploid_samples_have_draws_without_heterozygotes():
    genotypes, truth = simulate(30, 40, ploidy=1)
    found = bias(truth, genotypes.calls, truth, genotypes.populations, 1, [truth, truth])
    rows = {row["statistic"]: row for row in found["draws"]["rows"]}
    assert "ho" not in rows
    assert rows["he"]["drawn"] == rows["he"]["truth"]
    assert rows["he"]["spread"] == 0
