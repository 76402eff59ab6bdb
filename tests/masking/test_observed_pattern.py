import numpy as np
import pytest

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.masking.observed_pattern import (
    PatternRules,
    as_matrix,
    clumping,
    lost_shares,
    missing_runs,
    observed_like_hidden_cells,
)

TAGS = np.repeat(np.arange(50), 4).astype(np.int32)


def random_calls(rng, n_samples=40):
    frequency = rng.uniform(0.2, 0.5, len(TAGS))
    return rng.binomial(2, frequency, (n_samples, len(TAGS))).astype(np.int8)


def hide_tags(calls, rng, share=0.3):
    gone = (rng.random((len(calls), 50)) < share)[:, TAGS]
    return np.where(gone, -1, calls).astype(np.int8)


def test_clumping_is_one_by_chance_and_more_where_tags_go_missing_together():
    rng = np.random.default_rng(1)
    calls = random_calls(rng)
    scattered = np.where(rng.random(calls.shape) < 0.3, -1, calls).astype(np.int8)
    assert clumping(scattered, TAGS) == pytest.approx(1, abs=0.06)
    assert clumping(hide_tags(calls, rng), TAGS) > 2
    assert clumping(calls, TAGS) == 1
    assert clumping(np.full_like(calls, -1), TAGS) == 1


def test_a_badly_sequenced_sample_is_not_clumping():
    rng = np.random.default_rng(1)
    calls = random_calls(rng)
    rate = np.where(np.arange(len(calls)) < 10, 0.8, 0.1)[:, None]
    assert clumping(np.where(rng.random(calls.shape) < rate, -1, calls).astype(np.int8), TAGS) < 1.06


def test_runs_end_at_chromosomes():
    calls = np.array([0, -1, -1, -1, 1, -1], np.int8)
    starts, ends = missing_runs(calls, np.array([0, 0, 0, 1, 1, 1]))
    assert list(zip(starts, ends, strict=True)) == [(1, 3), (3, 4), (5, 6)]


def test_whole_tags_are_hidden_where_tags_go_missing():
    rng = np.random.default_rng(2)
    calls = hide_tags(random_calls(rng), rng)
    hidden = as_matrix(observed_like_hidden_cells(calls, TAGS, 0.1, rng), calls.shape)
    assert not (hidden & (calls < 0)).any()
    assert hidden.sum() == pytest.approx(0.1 * (calls >= 0).sum(), rel=0.1)
    by_tag = hidden.reshape(len(calls), 50, 4).sum(2)
    assert (by_tag[by_tag > 0] == 4).mean() > 0.95


def test_every_sample_keeps_a_call_and_every_varying_locus_varies():
    rng = np.random.default_rng(3)
    calls = rng.binomial(2, 0.05, (15, 30)).astype(np.int8)
    hidden = as_matrix(observed_like_hidden_cells(calls, np.zeros(30, np.int32), 0.5, rng), calls.shape)
    left = np.ma.array(calls, mask=hidden)
    varied = calls.min(0) < calls.max(0)
    assert (left.min(0) < left.max(0)).filled(False)[varied].all()
    assert (~hidden).any(1).all()


def test_one_seed_hides_the_same_cells():
    calls = hide_tags(random_calls(np.random.default_rng(4)), np.random.default_rng(4))
    first, second = (observed_like_hidden_cells(calls, TAGS, 0.1, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()


def test_loci_that_whole_populations_lack_are_told_from_chance():
    rng = np.random.default_rng(5)
    calls = random_calls(rng)
    populations = np.repeat([0, 1], 20)
    scattered = np.where(rng.random(calls.shape) < 0.3, -1, calls).astype(np.int8)
    assert lost_shares(scattered, populations).sum() < 0.01
    lost = scattered.copy()
    lost[:20, ::4] = -1
    share = 20 * 50 / (lost < 0).sum()
    np.testing.assert_allclose(lost_shares(lost, populations), [share, 0], atol=0.01)


def test_whole_populations_lose_loci_where_they_do_so():
    rng = np.random.default_rng(6)
    calls = random_calls(rng)
    calls[:20, ::4] = -1
    populations = np.repeat([0, 1], 20)
    hidden = as_matrix(observed_like_hidden_cells(calls, TAGS, 0.1, rng, populations), calls.shape)
    assert not (hidden & (calls < 0)).any()
    assert hidden.sum() == pytest.approx(0.1 * (calls >= 0).sum(), rel=0.15)
    assert hidden[:20].all(0).sum() > 5
    assert not hidden[20:].all(0).any()


# --- the rules, on either side of their thresholds


def test_runs_are_hidden_above_the_threshold_of_clumping_and_single_cells_up_to_it():
    rng = np.random.default_rng(2)
    calls = hide_tags(random_calls(rng), rng)
    found = clumping(calls, TAGS)

    def share_of_whole_tags(clumped):
        rules = PatternRules(clumped=clumped)
        cells = observed_like_hidden_cells(calls, TAGS, 0.1, np.random.default_rng(0), rules=rules)
        by_tag = as_matrix(cells, calls.shape).reshape(len(calls), 50, 4).sum(2)
        return (by_tag[by_tag > 0] == 4).mean()

    assert share_of_whole_tags(np.nextafter(found, 0)) > 0.95
    assert share_of_whole_tags(found) < 0.05
    assert PatternRules().clumped == 1.08


def lost_by_the_first(n_first, n_others=20):
    calls = np.random.default_rng(6).binomial(2, 0.4, (n_first + n_others, 200)).astype(np.int8)
    calls[:n_first, ::4] = -1
    return calls, np.repeat([0, 1], [n_first, n_others])


@pytest.mark.parametrize(("n_first", "counts"), [(5, True), (4, False)])
def test_populations_of_five_samples_may_lose_loci(n_first, counts):
    assert (lost_shares(*lost_by_the_first(n_first))[0] > 0) is np.bool_(counts)


def test_whole_loci_are_hidden_where_the_lost_shares_exceed_the_threshold():
    calls, populations = lost_by_the_first(20)
    found = lost_shares(calls, populations).sum()
    whole = []
    for lost in (np.nextafter(found, 0), found):
        rules, rng = PatternRules(lost=lost), np.random.default_rng(0)
        cells = observed_like_hidden_cells(calls, np.arange(200, dtype=np.int32), 0.1, rng, populations, rules)
        whole.append(as_matrix(cells, calls.shape)[:20].all(0).sum())
    assert whole[0] > 5
    assert whole[1] == 0
    assert PatternRules().lost == 0.05


@pytest.mark.parametrize(("most", "seen"), [(200, True), (100, False)])
def test_lost_loci_are_sought_among_some(most, seen):
    calls, populations = lost_by_the_first(20)
    calls[:20] = np.abs(calls[:20])
    calls[:20, 1::4] = -1  # none of them among every second
    assert (lost_shares(calls, populations, PatternRules(spread_loci=most))[0] > 0) is np.bool_(seen)


def test_runs_that_lie_over_few_loci_hide_what_they_can():
    """More calls are asked for than there are at the loci where any is missing."""
    calls = np.random.default_rng(1).integers(0, 3, (12, 60)).astype(np.int8)
    calls[:4, 10:14] = MISSING
    one_chromosome, as_runs = np.zeros(60, np.int32), PatternRules(clumped=0.0)
    cells = observed_like_hidden_cells(calls, one_chromosome, 0.5, np.random.default_rng(1), rules=as_runs)
    assert 8 <= len(cells) <= 20  # half of 32, by runs of four, less what a locus cannot spare
    assert set(cells % 60) <= set(range(10, 14))
