from dataclasses import replace

import numpy as np
import pytest
from conftest import simulate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imputevae_cli import imputed as module
from imputevae_cli.data.evidence import CALL, FIRST_FREE, FLAT, HAS_ALT, HAS_REF, Evidence, call_codes, special_table
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.thousandths import to_thousandths
from imputevae_cli.errors import ConfigError
from imputevae_cli.imputed import ImputedGenotypes


def imputation(ploidy=2, min_gp=0.0, silent=(), n_samples=12, n_loci=50):
    """An imputation of simulated genotypes with random GP; `silent` samples have no call. And the GP asked for."""
    genotypes, _ = simulate(n_samples, n_loci, ploidy=ploidy, missing=0.4, seed=2)
    calls = genotypes.calls.copy()
    calls[list(silent)] = MISSING
    gp = np.random.default_rng(1).dirichlet(np.full(ploidy + 1, 0.7), calls.shape).astype(np.float32)
    return ImputedGenotypes(genotypes.with_calls(calls), lambda start, stop: gp[:, start:stop], min_gp), gp


probabilities = hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(2, 3)), elements=st.floats(0, 1)).map(
    lambda a: (a + 1e-9) / (a + 1e-9).sum(1, keepdims=True)
)


@given(probabilities)
def test_thousandths_sum_to_a_thousand_and_are_near(gp):
    whole = to_thousandths(gp)
    assert whole.dtype == np.uint16
    assert (whole.sum(1) == 1000).all()
    assert np.abs(whole / 1000 - gp).max() < 0.001 + 1e-9
    # The likeliest genotype stays among the likeliest
    assert (whole[np.arange(len(gp)), gp.argmax(1)] == whole.max(1)).all()


@given(probabilities)
def test_thousandths_of_float32(gp):
    assert (to_thousandths(gp.astype(np.float32)).sum(1) == 1000).all()


def test_thousandths_by_hand():
    assert to_thousandths(np.array([[1 / 3, 1 / 3, 1 / 3]])).tolist() == [[334, 333, 333]]
    assert to_thousandths(np.array([[0.0, 0.0, 1.0], [0.9996, 0.0002, 0.0002]])).tolist() == [
        [0, 0, 1000],
        [1000, 0, 0],
    ]
    assert to_thousandths(np.array([[0.123, 0.877]])).tolist() == [[123, 877]]


def test_genotypes_without_the_allele_that_a_half_call_shows_have_no_probability():
    calls = np.zeros((3, 4), np.int8)
    calls[0] = MISSING
    calls[1, :2] = MISSING
    genotypes, _ = simulate(3, 4)
    codes = call_codes(calls)
    codes[0], codes[1, 0] = [HAS_ALT, HAS_ALT, HAS_REF, HAS_ALT], HAS_REF
    genotypes = replace(genotypes, calls=calls, evidence=Evidence(codes, special_table(2, 0.0)))
    gp = np.zeros((3, 4, 3), np.float32) + np.float32([0.8, 0.15, 0.05])
    imputed = ImputedGenotypes(genotypes, lambda start, stop: gp[:, start:stop], has_calls=np.ones(3, bool))
    expected = [[0, 0.75, 0.25], [0, 0.75, 0.25], [0.842, 0.158, 0], [0, 0.75, 0.25]]
    assert np.allclose(imputed.gp[0], expected, atol=1e-6)
    assert imputed.gp[1, 0].tolist() == pytest.approx([0.842, 0.158, 0], abs=1e-6)
    assert imputed.calls[:2].tolist() == [[1, 1, 0, 1], [0, 0, 0, 0]]
    assert imputed.block(1, 3).gp[0].tolist() == [[0, 750, 250], [842, 158, 0]], "a block of its own says the same"
    assert gp[0, 0].tolist() == pytest.approx([0.8, 0.15, 0.05]), "what the model gave stays as it was"


@pytest.mark.parametrize("ploidy", [1, 2])
def test_known_calls_stay_and_missing_ones_are_the_likeliest(ploidy):
    imputed, gp = imputation(ploidy)
    before = imputed.genotypes.calls
    known = before != MISSING
    assert np.array_equal(imputed.calls[known], before[known])
    assert (imputed.gp[known, before[known]] == 1).all()
    assert np.array_equal(imputed.imputed, ~known)
    assert np.array_equal(imputed.calls, imputed.gp.argmax(2))
    assert np.abs(imputed.gp[~known] - gp[~known]).max() < 0.00101


def test_shapes_and_types():
    imputed, _ = imputation()
    assert (imputed.calls.dtype, imputed.calls.shape) == (np.int8, (12, 50))
    assert (imputed.gp.dtype, imputed.gp.shape) == (np.float32, (12, 50, 3))
    assert (imputed.dosage.dtype, imputed.dosage.shape) == (np.float32, (12, 50))
    assert imputed.imputed.dtype == bool


def test_dosage_is_that_of_the_rounded_gp():
    imputed, _ = imputation()
    assert imputed.dosage == pytest.approx(imputed.gp @ [0, 1, 2], abs=1e-6)
    known = imputed.genotypes.calls != MISSING
    assert np.array_equal(imputed.dosage[known], imputed.genotypes.calls[known])


def test_a_sample_without_any_call_stays_missing():
    imputed, _ = imputation(silent=[3, 7])
    assert (imputed.calls[[3, 7]] == MISSING).all()
    assert not imputed.gp[[3, 7]].any()
    assert not imputed.imputed[[3, 7]].any()
    assert np.isnan(imputed.dosage[[3, 7]]).all()
    others = np.delete(np.arange(12), [3, 7])
    assert (imputed.calls[others] != MISSING).all()
    assert imputed.n_imputed == imputed.imputed.sum() == imputed.n_missing - 100


def test_min_gp_leaves_doubtful_calls_missing_and_keeps_their_gp():
    free, _ = imputation()
    strict, _ = imputation(min_gp=0.8)
    best = (free.gp * 1000).round().max(2)
    missing = free.genotypes.calls == MISSING
    doubtful = missing & (best < 800)
    assert 0 < doubtful.sum() < missing.sum()
    assert np.array_equal(strict.calls == MISSING, doubtful)
    assert np.array_equal(strict.imputed, missing & ~doubtful)
    assert np.array_equal(strict.gp, free.gp)
    assert np.array_equal(strict.dosage, free.dosage)
    assert strict.n_imputed == strict.imputed.sum() < strict.n_missing == free.n_missing


def test_calls_by_dosage_are_the_nearest_and_leave_gp_and_ds_alone():
    by_map, _ = imputation()
    by_dosage = ImputedGenotypes(by_map.genotypes, by_map._gp, call="dosage")
    filled = by_dosage.imputed
    assert np.array_equal(by_dosage.gp, by_map.gp)
    assert np.array_equal(by_dosage.calls[~filled], by_map.calls[~filled])
    off = np.abs(by_dosage.calls - by_dosage.dosage)[filled]
    assert ((off <= 0.5 + 1e-6) | (by_dosage.gp[filled][:, 1] == 0)).all()
    assert (by_dosage.calls != by_map.calls).any()


def test_calls_by_dosage_by_hand():
    genotypes, _ = simulate(4, 6, missing=0.5)
    calls = np.full((4, 6), MISSING, np.int8)
    calls[:, 0] = 0  # a sample without any call would stay missing
    given = np.zeros((4, 6, 3), np.float32)
    given[:] = [[0, 0, 1], [0.5, 0.3, 0.2], [0.5, 0.5, 0], [0.65, 0.3, 0.05], [0.5, 0, 0.5], [0.3, 0.3, 0.4]]
    imputed = ImputedGenotypes(genotypes.with_calls(calls), lambda start, stop: given[:, start:stop], call="dosage")
    assert imputed.calls[0].tolist() == [0, 1, 1, 0, 0, 1], "the greater of two; none that GP excludes"
    with pytest.raises(ConfigError, match=r"give map .* or dosage"):
        ImputedGenotypes(genotypes, lambda start, stop: given[:, start:stop], call="mode")


def test_min_gp_is_met_by_the_threshold_itself():
    genotypes, _ = simulate(4, 6, missing=0.5)
    gp = np.zeros((4, 6, 3), np.float32)
    gp[...] = [0.2, 0.7, 0.1]
    at = ImputedGenotypes(genotypes, lambda start, stop: gp[:, start:stop], 0.7)
    above = ImputedGenotypes(genotypes, lambda start, stop: gp[:, start:stop], 0.701)
    assert at.n_imputed == at.n_missing
    assert above.n_imputed == 0


def test_min_gp_of_one_still_leaves_known_calls():
    imputed, _ = imputation(min_gp=1.0)
    known = imputed.genotypes.calls != MISSING
    assert np.array_equal(imputed.calls[known], imputed.genotypes.calls[known])


def test_blocks_agree_with_the_whole(monkeypatch):
    imputed, _ = imputation(silent=[1], min_gp=0.5)
    whole = {name: getattr(imputed, name) for name in ("calls", "gp", "dosage", "imputed")}
    count = imputed.n_imputed
    monkeypatch.setattr(module, "BLOCK", 7)
    assert [loci.start for loci, _ in imputed.blocks()] == list(range(0, 50, 7))
    for name, values in whole.items():
        assert np.array_equal(getattr(imputed, name), values, equal_nan=name == "dosage"), name
    assert imputed.n_imputed == count
    block = imputed.block(11, 13)
    assert np.array_equal(block.calls, whole["calls"][:, 11:13])
    assert block.gp.dtype == np.uint16


def test_the_input_is_left_alone():
    imputed, _ = imputation()
    before = imputed.genotypes.calls.copy()
    assert (imputed.calls != before).any()
    assert np.array_equal(imputed.genotypes.calls, before)


def test_iupac():
    imputed, _ = imputation(silent=[0])
    codes = imputed.iupac()
    loci = imputed.genotypes.loci
    two = {frozenset("AC"): "M", frozenset("AG"): "R", frozenset("AT"): "W", frozenset("CG"): "S"}
    two |= {frozenset("CT"): "Y", frozenset("GT"): "K"}
    for j, (ref, alt) in enumerate(zip(loci.ref, loci.alt, strict=True)):
        expected = {0: ref, 1: two[frozenset(ref + alt)], 2: alt, -1: "N"}
        assert codes[:, j].tolist() == [expected[c] for c in imputed.calls[:, j]]


def with_evidence(refine, min_gp=0.0):
    """Calls 0/0, 0/1, missing; a certain 1/1, an open 0/0, a half-call ./1. GP is .1, .6, .3 of all of them."""
    genotypes, _ = simulate(2, 3, missing=0.0)
    calls = np.array([[0, 1, -1], [2, 0, -1]], np.int8)
    rows = np.array([[1, 0.5, 0.01]], np.float32)
    codes = np.array([[FIRST_FREE, CALL + 1, FLAT], [CALL + 2, FIRST_FREE, HAS_ALT]], np.uint16)
    evidence = Evidence(codes, np.concatenate([special_table(2, 0.0), rows]))
    gp = np.broadcast_to(np.array([0.1, 0.6, 0.3], np.float32), (2, 3, 3))
    genotypes = replace(genotypes, calls=calls, evidence=evidence)
    return ImputedGenotypes(genotypes, lambda start, stop: gp[:, start:stop], min_gp, refine=refine)


def test_uncertain_visible_calls_have_a_posterior_and_stay():
    imputed = with_evidence(refine=False)
    block = imputed.block(0, 3)
    assert block.calls.tolist() == [[0, 1, 1], [2, 0, 1]]
    assert block.uncertain.tolist() == [[True, False, False], [False, True, False]]
    assert not block.refined.any()
    assert block.gp[0].tolist() == [[100, 600, 300], [0, 1000, 0], [100, 600, 300]]
    assert imputed.dosage[0] == pytest.approx([1.2, 1, 1.2])
    assert imputed.n_refined == 0


def test_a_half_call_never_loses_its_allele():
    assert with_evidence(refine=False).block(2, 3).gp[1, 0].tolist() == [0, 667, 333]


def test_refining_rewrites_what_the_posterior_says_otherwise():
    imputed = with_evidence(refine=True)
    assert imputed.calls.tolist() == [[1, 1, 1], [2, 1, 1]]
    assert imputed.block(0, 3).refined.tolist() == [[True, False, False], [False, True, False]]
    assert imputed.n_refined == 2
    assert imputed.imputed.tolist() == [[False, False, True], [False, False, True]]
    assert with_evidence(refine=True, min_gp=0.65).calls.tolist() == [[0, 1, -1], [2, 0, 1]]


def test_where_the_model_is_silent_frequencies_answer_for_a_visible_call():
    imputed = with_evidence(refine=False)
    imputed._gp = lambda start, stop: np.zeros((2, stop - start, 3), np.float32)
    gp = imputed.block(0, 1).gp[0, 0]
    assert gp.sum() == 1000
    assert gp[1] > gp[0] * 0.05
