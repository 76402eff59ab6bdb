"""Heterozygosity, Fst and allele frequencies before and after imputation."""

import json

import numpy as np
import pytest
from conftest import simulate
from test_pca import CALLS

from imputevae_cli.scoring import popgen
from imputevae_cli.scoring.popgen import bias, fst_parts

TWO = np.array(["a"] * 4 + ["b"] * 3, object)


def test_the_figures_are_those_of_scikit_allel():
    found = bias(CALLS, CALLS, CALLS, TWO, 2)
    # allel 1.3.13: heterozygosity_observed, heterozygosity_expected x n / (n - 1), weir_cockerham_fst
    a, b = found["heterozygosity"]
    assert (a["population"], a["samples"], b["population"], b["samples"]) == ("a", 4, "b", 3)
    assert [a["truth"][k] for k in ("ho", "he", "fis")] == [0.4, 0.540952, 0.260563]
    assert [b["truth"][k] for k in ("ho", "he", "fis")] == [0.333333, 0.577778, 0.423077]
    assert found["fst"] == [{"population_1": "a", "population_2": "b"} | dict.fromkeys(found["views"], -0.257693)]


def theta(calls: np.ndarray, codes: np.ndarray) -> float:
    """Weir and Cockerham (1984), equations 1 to 4, locus by locus, for any number of populations."""
    above = below = 0.0
    r = codes.max() + 1
    for column in calls.T:
        groups = [column[(codes == k) & (column >= 0)] for k in range(r)]
        if min(map(len, groups)) < 2:
            continue
        n = np.array([len(g) for g in groups], float)
        p = np.array([g.mean() / 2 for g in groups])
        h = np.array([(g == 1).mean() for g in groups])
        n_bar = n.mean()
        n_c = (r * n_bar - (n**2).sum() / (r * n_bar)) / (r - 1)
        p_bar = (n * p).sum() / (r * n_bar)
        s2 = (n * (p - p_bar) ** 2).sum() / ((r - 1) * n_bar)
        h_bar = (n * h).sum() / (r * n_bar)
        rest = p_bar * (1 - p_bar) - (r - 1) / r * s2
        a = n_bar / n_c * (s2 - (rest - h_bar / 4) / (n_bar - 1))
        b = n_bar / (n_bar - 1) * (rest - (2 * n_bar - 1) / (4 * n_bar) * h_bar)
        above += a
        below += a + b + h_bar / 2
    return above / below


def test_fst_and_heterozygosity_agree_with_a_plain_count(monkeypatch):
    monkeypatch.setattr(popgen, "_BLOCK_CELLS", 300)  # several blocks
    genotypes, _ = simulate(30, 80, missing=0.3)
    calls, populations = genotypes.calls, genotypes.populations
    found = bias(calls, calls, calls, populations, 2)
    for row in found["fst"]:
        pair = (row["population_1"], row["population_2"])
        of_pair = np.isin(populations, pair)
        codes = (populations[of_pair] == pair[1]).astype(int)
        assert row["truth"] == pytest.approx(theta(calls[of_pair], codes), abs=1e-6)
    for row in found["heterozygosity"]:
        columns = [c[c >= 0] for c in calls[populations == row["population"]].T]
        columns = [c for c in columns if len(c) >= 2]
        he = [2 * c.mean() / 2 * (1 - c.mean() / 2) * 2 * len(c) / (2 * len(c) - 1) for c in columns]
        ho = [(c == 1).mean() for c in columns]
        assert row["truth"] == {
            "ho": round(np.mean(ho), 6), "he": round(np.mean(he), 6),
            "fis": round(1 - np.mean(ho) / np.mean(he), 6), "loci": len(columns),
        }  # fmt: skip


def test_populations_fixed_for_other_alleles_have_fst_one_and_alike_ones_none():
    n, h = np.full((2, 1), 10.0), np.zeros((2, 1))
    for ploidy in (1, 2):
        above, below = fst_parts(n, np.array([[0.0], [1.0]]), h, ploidy)
        assert above / below == pytest.approx(1)
        above, below = fst_parts(n, np.array([[0.5], [0.5]]), h + 0.5, ploidy)
        assert above / below < 0.01


def test_haploid_samples_have_diversity_but_no_heterozygotes():
    genotypes, truth = simulate(40, 60, ploidy=1, missing=0.2)
    found = bias(truth, genotypes.calls, truth, genotypes.populations, 1)
    row = found["heterozygosity"][0]
    assert row["truth"]["ho"] is None
    assert row["truth"]["fis"] is None
    ours = truth[genotypes.populations == row["population"]]
    n, p = len(ours), ours.mean(0)
    assert row["truth"]["he"] == pytest.approx((2 * p * (1 - p) * n / (n - 1)).mean(), abs=1e-6)
    # Weir (1996) for genes: mean squares between and within
    pair = found["fst"][0]
    x, y = (truth[genotypes.populations == pair[f"population_{k}"]].astype(float) for k in (1, 2))
    n = np.array([len(x), len(y)], float)
    mean = (x.sum(0) + y.sum(0)) / n.sum()
    between = n[0] * (x.mean(0) - mean) ** 2 + n[1] * (y.mean(0) - mean) ** 2
    within = (x.var(0) * n[0] + y.var(0) * n[1]) / (n.sum() - 2)
    n_c = n.sum() - (n**2).sum() / n.sum()
    assert pair["truth"] == pytest.approx((between - within).sum() / (between + (n_c - 1) * within).sum(), abs=1e-6)


def test_the_truth_view_has_the_hidden_calls_put_back_and_no_others():
    genotypes, truth = simulate(30, 50)
    hidden = (genotypes.calls < 0) & (np.arange(50) < 25)
    known = np.where(hidden | (genotypes.calls >= 0), truth, -1).astype(np.int8)
    found = bias(np.where(hidden, truth, genotypes.calls), genotypes.calls, truth, genotypes.populations, 2)
    again = bias(known, known, known, genotypes.populations, 2)
    assert [row["truth"] for row in found["heterozygosity"]] == [row["truth"] for row in again["heterozygosity"]]
    # All that is known is filled in right here, so on the same cells nothing differs
    assert all(row["truth"] == row["imputed_same_cells"] for row in found["fst"])
    assert any(row["truth"] != row["imputed"] for row in found["fst"])


def test_views_of_a_complete_truth_and_a_perfect_imputation():
    genotypes, truth = simulate(30, 50)
    found = bias(truth, genotypes.calls, truth, None, 2)
    assert found["views"] == ["truth", "visible", "imputed"]
    assert [row["population"] for row in found["heterozygosity"]] == [popgen.EVERYONE]
    assert found["fst"] == []
    assert found["heterozygosity"][0]["truth"] == found["heterozygosity"][0]["imputed"]
    assert found["spectrum"]["truth"] == found["spectrum"]["imputed"]
    assert any("(Ho) hardly changes" in sentence for sentence in found["sentences"])
    json.dumps(found, allow_nan=False)


def test_the_spectrum_is_folded_and_counts_loci_of_one_allele():
    columns = [[0] * 10, [2] * 10, [1] + [0] * 9, [1] + [2] * 9, [1] * 10, [2] * 3 + [0] * 7, [-1] * 10]
    calls = np.array(columns, np.int8).T
    found = bias(calls, calls, calls, None, 2)
    # MAF 0, 0, .05, .05, .5, .3; the last locus has no call
    assert found["spectrum"]["edges"] == [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]
    np.testing.assert_allclose(found["spectrum"]["truth"], np.array([2, 0, 2, 0, 0, 1, 0, 1]) / 6, atol=1e-6)


def test_imputation_that_makes_every_call_common_is_seen_and_said():
    genotypes, truth = simulate(40, 200, missing=0.5, n_populations=2)
    filled = np.where(genotypes.calls < 0, 0, genotypes.calls).astype(np.int8)
    found = bias(truth, genotypes.calls, filled, genotypes.populations, 2)
    assert all(row["imputed"]["ho"] < row["truth"]["ho"] - 0.01 for row in found["heterozygosity"])
    assert any(sentence.startswith("Observed heterozygosity (Ho) falls from") for sentence in found["sentences"])


def test_fst_is_kept_to_the_largest_populations(monkeypatch):
    monkeypatch.setattr(popgen, "MAX_POPULATIONS", 2)
    genotypes, truth = simulate(30, 20)
    populations = np.array(["small"] * 4 + ["x"] * 13 + ["y"] * 13, object)
    found = bias(truth, genotypes.calls, truth, populations, 2)
    assert [(row["population_1"], row["population_2"]) for row in found["fst"]] == [("x", "y")]
    assert len(found["heterozygosity"]) == 3


def test_a_population_of_one_sample_has_no_figures():
    genotypes, truth = simulate(10, 20)
    populations = np.array(["one"] + ["many"] * 9, object)
    found = bias(truth, genotypes.calls, truth, populations, 2)
    one = next(row for row in found["heterozygosity"] if row["population"] == "one")
    assert one["truth"] == {"ho": None, "he": None, "fis": None, "loci": 0}
    assert found["fst"][0]["truth"] is None
