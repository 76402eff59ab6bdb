import numpy as np
import pytest
from conftest import simulate
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from imputevae_cli.config import SimSettings
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.masking.strategies import MIN_HIDDEN, hide, simulate_mask
from imputevae_cli.masking.trees import Clades

WEIGHTED = ("random", "random_weighted", "random_weighted_inv")
STRATEGIES = ("observed", *WEIGHTED)


def mask_of(genotypes, strategy="random", prop=0.2, split=0.5, seed=1, max_hidden=10**9):
    settings = SimSettings(sim_strategy=strategy, sim_prop=prop, max_hidden=max_hidden)
    return simulate_mask(genotypes, settings, split, np.random.default_rng(seed))


def polymorphic(calls, ploidy):
    """bool (loci,): both alleles are seen."""
    known = calls != MISSING
    return ((calls < ploidy) & known).any(0) & (calls > 0).any(0)


cohorts = st.builds(
    simulate,
    n_samples=st.integers(12, 40),
    n_loci=st.integers(20, 60),
    ploidy=st.sampled_from([1, 2]),
    missing=st.floats(0.0, 0.6),
    seed=st.integers(0, 2**32 - 1),
).map(lambda pair: pair[0])


@settings(max_examples=40, deadline=None)
@given(cohorts, st.sampled_from(STRATEGIES), st.floats(0.15, 0.6), st.integers(0, 2**32 - 1))
def test_what_holds_of_every_mask(genotypes, strategy, prop, seed):
    known = genotypes.calls != MISSING
    try:
        mask = mask_of(genotypes, strategy, prop, seed=seed)
    except InputError:
        assert prop * known.sum() < 5 * MIN_HIDDEN
        reject()
    left = np.where(mask.hidden, MISSING, genotypes.calls)
    assert not (mask.hidden & ~known).any()
    if strategy != "observed":  # which draws each call, or each run of calls, by itself
        assert mask.hidden.sum() <= round(prop * known.sum())
    assert not (mask.validation & ~mask.hidden).any()
    assert not (mask.validation & mask.test).any()
    assert np.array_equal(mask.validation | mask.test, mask.hidden)
    # A locus with hidden calls still shows both alleles, and a sample that had a call still has one
    assert polymorphic(left, genotypes.ploidy)[mask.hidden.any(0)].all()
    assert ((left != MISSING).any(1) == known.any(1)).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("prop", [0.1, 0.3])
def test_the_share_that_was_asked_for_is_hidden(strategy, prop):
    # Alleles are common here, so that hardly a locus is left out
    genotypes, _ = simulate(80, 100, n_populations=1, seed=3)
    common = genotypes.with_calls(np.random.default_rng(0).integers(-1, 3, genotypes.calls.shape).astype(np.int8))
    mask = mask_of(common, strategy, prop)
    wanted = prop * (common.calls != MISSING).sum()
    noise = 5 * np.sqrt(wanted) if strategy == "observed" else 0.01 * wanted
    assert mask.hidden.sum() == pytest.approx(wanted, abs=noise)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_more_are_hidden_than_the_most_that_was_asked_for(strategy):
    genotypes, _ = simulate(80, 100, n_populations=1, seed=3)
    common = genotypes.with_calls(np.random.default_rng(0).integers(-1, 3, genotypes.calls.shape).astype(np.int8))
    hidden = mask_of(common, strategy, 0.5, max_hidden=400).hidden.sum()
    assert hidden == pytest.approx(400, abs=5 * np.sqrt(400) if strategy == "observed" else 1)


def test_observed_hides_runs_where_runs_are_missing():
    genotypes, truth = simulate(80, 200, seed=3)
    in_runs = np.random.default_rng(0).random((80, 40)) < 0.2
    mask = mask_of(genotypes.with_calls(np.where(np.repeat(in_runs, 5, 1), MISSING, truth).astype(np.int8)), "observed")
    beside = mask.hidden[:, 1:][mask.hidden[:, :-1]].mean()
    assert beside > 2 * mask.hidden.mean()


@pytest.mark.parametrize("split", [0.2, 0.5, 0.8])
def test_the_share_of_validation(split):
    genotypes, _ = simulate(100, 300)
    mask = mask_of(genotypes, prop=0.3, split=split)
    n = mask.hidden.sum()
    assert abs(mask.validation.sum() - split * n) < 5 * np.sqrt(n * split * (1 - split))


def test_random_hides_every_genotype_alike():
    rates = hidden_rates("random")
    assert rates[0] == pytest.approx(rates[1], rel=0.15)


def test_weighted_strategies_prefer_common_or_rare_genotypes():
    common, rare = hidden_rates("random_weighted")
    assert common > 2 * rare
    common, rare = hidden_rates("random_weighted_inv")
    assert rare > 2 * common


def hidden_rates(strategy):
    """The share hidden of the commonest genotype (80 %) and of the two others (10 % each)."""
    genotypes, _ = simulate(200, 100)
    calls = np.random.default_rng(5).choice([0, 1, 2], genotypes.calls.shape, p=[0.8, 0.1, 0.1]).astype(np.int8)
    hidden = mask_of(genotypes.with_calls(calls), strategy, 0.1).hidden
    return hidden[calls == 0].mean(), hidden[calls > 0].mean()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_seed_decides(strategy):
    genotypes, _ = simulate()
    one, same, other = (mask_of(genotypes, strategy, seed=seed) for seed in (7, 7, 8))
    for name in ("hidden", "validation"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.hidden, other.hidden)


def test_the_only_carrier_of_an_allele_is_never_hidden():
    genotypes, _ = simulate(30, 40)
    calls = np.zeros((30, 40), np.int8)
    calls[:, 20:] = np.random.default_rng(0).integers(0, 3, (30, 20))
    calls[4, :20] = 1  # one heterozygote a locus
    for seed in range(20):
        hidden = mask_of(genotypes.with_calls(calls), prop=0.5, seed=seed).hidden
        assert not hidden[4, :20].any()


def test_a_sample_keeps_its_last_call():
    genotypes, truth = simulate(30, 60)
    calls = truth.copy()
    calls[0, 1:] = MISSING
    for seed in range(20):
        assert not mask_of(genotypes.with_calls(calls), prop=0.6, seed=seed).hidden[0].any()


def test_too_few_calls_are_refused():
    genotypes, truth = simulate(4, 5)
    with pytest.raises(InputError, match=f"too few to hide 20% .*{MIN_HIDDEN} at least") as error:
        mask_of(genotypes.with_calls(truth))
    assert "\n" not in str(error.value)


def test_the_genotypes_are_left_alone():
    genotypes, _ = simulate()
    before = genotypes.calls.copy()
    mask_of(genotypes)
    assert np.array_equal(genotypes.calls, before)


def test_clades_lose_loci_together():
    genotypes, _ = simulate(24, 300, missing=0.0, seed=2)
    members = np.zeros((2, 24), bool)
    members[0, :4] = members[1, 4:10] = True
    tree = Clades(members, np.array([1.0, 0.0]))
    by_length = hide(genotypes, "nonrandom_weighted", 0.05, np.random.default_rng(1), tree)
    assert by_length[:4].all(0).sum() > 50
    assert not by_length[4:].any()  # the other clade's branch has no length
    alike = hide(genotypes, "nonrandom", 0.1, np.random.default_rng(1), tree)
    assert alike[4:10].any()
    for group in (slice(0, 4), slice(4, 10)):
        assert (alike[group].all(0) == alike[group].any(0)).all()


def test_clades_come_from_the_genotypes_where_no_tree_is_given():
    genotypes, _ = simulate(30, 200, missing=0.1, seed=3)
    hidden = hide(genotypes, "nonrandom", 0.2, np.random.default_rng(1))
    assert hidden.sum() == pytest.approx(0.2 * (genotypes.calls != MISSING).sum(), rel=0.3)
    # Samples of one population are missing together more often than those of two
    together = hidden.astype(float) @ hidden.T
    same = genotypes.populations[:, None] == genotypes.populations
    off_diagonal = ~np.eye(30, dtype=bool)
    assert together[same & off_diagonal].mean() > 2 * together[~same].mean()


def test_dropout_takes_a_locus_from_one_population_rare_alleles_first():
    genotypes, _ = simulate(60, 400, missing=0.1, seed=4)
    hidden = hide(genotypes, "dropout", 0.05, np.random.default_rng(1))
    known = genotypes.calls != MISSING
    lost = np.flatnonzero(hidden.any(0))
    for locus in lost:
        (population,) = set(genotypes.populations[hidden[:, locus]])
        there = genotypes.populations == population
        assert np.array_equal(hidden[:, locus], there & known[:, locus])
    frequency = np.where(known, genotypes.calls, 0).sum(0) / (2 * known.sum(0))
    maf = np.minimum(frequency, 1 - frequency)
    kept = np.setdiff1d(np.flatnonzero(polymorphic(genotypes.calls, 2)), lost)
    assert maf[lost].mean() < 0.8 * maf[kept].mean()


def test_dropout_needs_populations():
    genotypes, _ = simulate(popmap=False)
    with pytest.raises(ConfigError, match="popmap"):
        hide(genotypes, "dropout", 0.1, np.random.default_rng(1))
