"""The recursions against enumeration over all paths, and the two statements of them against each other."""

import itertools

import numpy as np
import pytest

from imputevae_cli.decoders.copying import kernel, kernel_torch
from imputevae_cli.decoders.copying.inbreeding import NOBODY
from imputevae_cli.decoders.copying.kernel_numerics import (
    fill_prior,
    gather,
    mix,
    mix_each,
    room_for_alleles,
    uniform,
    uniforms,
)
from imputevae_cli.decoders.copying.sweep_block import SweepBlock

ERROR = 0.01
UNIT = 65535
NO_PRIOR = np.zeros((0, 0), np.float32)
ALL_OF_ONE = np.full((1, 5), 255, np.uint8)


def random_case(seed, n_loci=5, n_donors=3, n_samples=1, missing=0.3):
    """(calls (N, T), panel (R, T), donors (N, K), switch (T,)) at random."""
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, 3, (n_samples, n_loci)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    panel = rng.choice(np.array([0, 0, 90, 255, 255], np.uint8), (2 * n_donors + 2, n_loci))
    donors = np.stack([rng.permutation(len(panel))[:n_donors] for _ in range(n_samples)]).astype(np.int32)
    switch = rng.uniform(0.05, 0.5, n_loci).astype(np.float32)
    return calls, panel, donors, switch


def run(
    calls, panel, donors, switch, *,
    by_descent=NOBODY, key=1, window=None, prior=NO_PRIOR, share=0.0, first_pass=False, state=None,
):  # fmt: skip
    """One sweep: (out, jumps, doses, flips, usage)."""
    n, n_loci = calls.shape
    window = np.array([0, 0, n_loci, n_loci] if window is None else window)
    state = np.zeros((2 * n, n_loci), np.uint8) if state is None else state
    out, jumps = state.copy(), np.zeros(n_loci, np.float32)
    missing = (calls[:, window[1] : window[2]] < 0).sum(1)
    at = np.concatenate([[0], np.cumsum(missing)[:-1]])
    doses = np.zeros((missing.sum(), 2), np.uint16)
    flips, usage = np.zeros((n, 2), np.uint8), np.zeros(donors.shape, np.float32)
    keys = mix_each(np.uint64(key), np.arange(n, dtype=np.uint64))
    kernel.sweep(
        calls, by_descent, panel, state, donors, prior, share, switch, ERROR, keys, first_pass, window,
        np.array([0, n]), at, doses, UNIT, out, 0, flips, jumps, usage,
    )  # fmt: skip
    return out, jumps, doses / UNIT, flips, usage


def path_weights(panel, donors, switch, pi):
    """(paths (P, T), their prior chances (P,)) of all ways through K donors, by the full K x K transition."""
    n_loci, k = panel.shape[1], len(donors)
    step = [rho * pi[None, :] + (1 - rho) * np.eye(k) for rho in switch]  # (K, K), from row to column
    paths = np.array(list(itertools.product(range(k), repeat=n_loci)))
    weight = pi[paths[:, 0]].copy()
    for t in range(1, n_loci):
        weight *= step[t][paths[:, t - 1], paths[:, t]]
    return paths, weight


def exact_one_path(calls, panel, donors, switch, pi, top=2):
    """Chance of ALT at each locus of one path, leaving out nothing: (T,), by enumeration."""
    paths, weight = path_weights(panel, donors, switch, pi)
    theta = ERROR + (1 - 2 * ERROR) * panel[donors] / 255.0  # (K, T)
    for t, call in enumerate(calls):
        if call in (0, top):
            p = theta[paths[:, t], t]
            weight = weight * (p if call == top else 1 - p)
    weight /= weight.sum()
    return np.array([(weight * theta[paths[:, t], t]).sum() for t in range(len(calls))])


@pytest.mark.parametrize("n_donors", [1, 8, 19])
@pytest.mark.parametrize("n_loci", [1, 8, 29])
def test_alleles_are_gathered_locus_by_locus(n_donors, n_loci):
    rng = np.random.default_rng(n_donors + n_loci)
    panel, start = rng.integers(0, 256, (30, 50)).astype(np.uint8), 7
    donors = rng.permutation(30)[:n_donors].astype(np.int32)
    panel[donors, start + n_loci // 2] = 90  # the same of all donors
    words, rows = room_for_alleles(n_loci, -(-n_donors // 8) * 8)
    alike = np.zeros(n_loci, bool)
    gather(panel, donors, start, n_loci, words, rows, alike)
    expected = panel[donors, start : start + n_loci].T  # (T, K)
    theta = words.view(np.uint8)[:n_loci]
    np.testing.assert_array_equal(theta[:, :n_donors], expected)
    beyond = theta[:, n_donors : -(-n_donors // 8) * 8]
    np.testing.assert_array_equal(beyond, np.broadcast_to(expected[:, :1], beyond.shape))
    np.testing.assert_array_equal(alike, (expected == expected[:, :1]).all(1))


@pytest.mark.parametrize("seed", range(5))
def test_one_path_equals_enumeration_with_the_full_transition(seed):
    calls, panel, donors, switch = random_case(seed)
    pi = np.full(3, 1 / 3)
    _, _, doses, _, _ = run(calls, panel, donors, switch, by_descent=ALL_OF_ONE)
    exact = exact_one_path(calls[0], panel, donors[0], switch, pi)
    np.testing.assert_allclose(doses[:, 1], exact[calls[0] < 0], atol=2e-5)


def test_a_copying_prior_weighs_the_donors():
    calls, panel, donors, switch = random_case(3)
    prior = np.random.default_rng(0).random((1, 4)).astype(np.float32)
    weights = prior[0, donors[0] // 2].astype(float)
    _, _, doses, _, _ = run(calls, panel, donors, switch, by_descent=ALL_OF_ONE, prior=prior)
    exact = exact_one_path(calls[0], panel, donors[0], switch, weights / weights.sum())
    np.testing.assert_allclose(doses[:, 1], exact[calls[0] < 0], atol=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_of_heterozygosity_is_mixed_in_where_one_path_is_followed(seed):
    calls, panel, donors, switch = random_case(seed)
    _, _, doses, _, _ = run(calls, panel, donors, switch, by_descent=np.full((1, 5), 204, np.uint8))
    p = exact_one_path(calls[0], panel, donors[0], switch, np.full(3, 1 / 3))[calls[0] < 0]
    np.testing.assert_allclose(doses[:, 0], 1 - p - 0.2 * p * (1 - p), atol=5e-5)
    np.testing.assert_allclose(doses[:, 1], p - 0.2 * p * (1 - p), atol=5e-5)


def exact_pair_loglik(panel, donors, switch, alleles):
    """log of the chance of one haplotype's alleles (T,), -1 where unknown."""
    paths, weight = path_weights(panel, donors, switch, np.full(len(donors), 1 / len(donors)))
    theta = ERROR + (1 - 2 * ERROR) * panel[donors] / 255.0
    for t, allele in enumerate(alleles):
        if allele >= 0:
            p = theta[paths[:, t], t]
            weight = weight * (p if allele else 1 - p)
    return np.log(weight.sum())


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_phase_draws_reach_the_exact_posterior(seed):
    rng = np.random.default_rng(seed)
    calls = np.array([[1, 0, 1, -1, 1]], np.int8)
    _, panel, donors, switch = random_case(seed, n_loci=5)
    panel = rng.choice(np.array([0, 255], np.uint8), panel.shape)
    switch[:] = 0.15

    hets = np.flatnonzero(calls[0] == 1)
    exact = {}
    for bits in itertools.product((0, 1), repeat=len(hets)):
        first = np.where(calls[0] == 2, 1, np.where(calls[0] == 0, 0, -1))
        second = first.copy()
        first[hets], second[hets] = bits, 1 - np.array(bits)
        relative = tuple(np.array(bits[1:]) ^ bits[0])
        total = sum(exact_pair_loglik(panel, donors[0], switch, x) for x in (first, second))
        exact[relative] = exact.get(relative, 0) + np.exp(total)
    norm = sum(exact.values())

    state = np.zeros((2, 5), np.uint8)
    state[1, hets] = 255
    counts = dict.fromkeys(exact, 0)
    n_draws = 6000
    for draw in range(n_draws + 50):
        state = run(calls, panel, donors, switch, key=draw + 1000 * seed, state=state)[0]
        if draw >= 50:
            bits = (state[0, hets] >= 128).astype(int)
            counts[tuple(bits[1:] ^ bits[0])] += 1
    for relative, weight in exact.items():
        assert abs(counts[relative] / n_draws - weight / norm) < 0.04


@pytest.mark.parametrize("mirrored", [False, True])
def test_where_one_path_becomes_two_both_may_have_come_of_it(mirrored):
    """The chance of ALT at a locus of one path, over all phases of the heterozygotes beside it, by enumeration."""
    calls = np.array([-1, 0, 1, -1, 1, 2])
    one = np.array([255, 255, 0, 0, 0, 0], np.uint8)
    _, panel, donors, switch = random_case(4, n_loci=6)
    switch[:] = 0.15
    start = 2  # of the path that is there in the loci of two alone
    if mirrored:
        calls, one, start = calls[::-1].copy(), one[::-1].copy(), 0
    stop = start + 4
    pi, hets, missing = np.full(3, 1 / 3), np.flatnonzero(calls == 1), 5 if mirrored else 0
    weights, chances = [], []
    for bits in itertools.product((0, 1), repeat=2):
        long = np.where(calls == 2, 1, np.where(calls == 0, 0, -1))
        short = long.copy()
        long[hets], short[hets] = bits, 1 - np.array(bits)
        part = slice(start, stop)
        short_loglik = exact_pair_loglik(panel[:, part], donors[0], switch[part], short[part])
        weights.append(np.exp(exact_pair_loglik(panel, donors[0], switch, long) + short_loglik))
        chances.append(exact_one_path(2 * long, panel, donors[0], switch, pi)[missing])
    exact = np.average(chances, weights=weights)
    state, drawn = np.zeros((2, 6), np.uint8), []
    state[1, hets] = 255
    for key in range(4000):
        state, _, doses, _, _ = run(
            calls[None].astype(np.int8), panel, donors, switch, by_descent=one[None], key=key, state=state
        )
        drawn.append(doses[-1 if mirrored else 0, 1])
    assert np.mean(drawn) == pytest.approx(exact, abs=0.02)


def test_expected_switches_equal_enumeration():
    calls, panel, donors, switch = random_case(7, missing=0.2)
    calls[calls == 1] = 0
    _, jumps, _, _, _ = run(calls, panel, donors, switch, by_descent=ALL_OF_ONE)
    for t in range(1, 5):  # a switch at t, by differencing the likelihood in rho_t

        def loglik(rho, t=t):
            changed = switch.astype(float).copy()
            changed[t] = rho
            alleles = np.where(calls[0] == 2, 1, np.where(calls[0] == 0, 0, -1))
            return exact_pair_loglik(panel, donors[0], changed, alleles)

        jumped = switch[t] * np.exp(loglik(1.0) - loglik(float(switch[t])))
        assert jumps[t] == pytest.approx(jumped, abs=2e-4)


def test_usage_sums_to_one_for_each_path():
    calls, panel, donors, switch = random_case(2, n_samples=2)
    _, _, _, _, usage = run(calls, panel, donors, switch, by_descent=np.array([[255] * 5, [0] * 5], np.uint8))
    np.testing.assert_allclose(usage.sum(1), [1, 2], atol=1e-5)


@pytest.mark.parametrize("ploidy", [1, 2])
def test_the_prior_of_the_last_donor_is_what_it_is_given(ploidy):
    prior, donors = np.array([[0.5, 0.25, 1.0]], np.float32), np.array([ploidy, 0, 3 * ploidy], np.int32)
    pi = np.empty(3, np.float32)
    fill_prior(prior, 0.4, 0, donors, ploidy, pi)
    np.testing.assert_allclose(pi, [0.2, 0.4, 0.4], atol=1e-6)
    fill_prior(NO_PRIOR, 0.4, 0, donors, ploidy, pi)
    np.testing.assert_allclose(pi, [0.3, 0.3, 0.4], atol=1e-6)
    fill_prior(NO_PRIOR, 0.0, 0, donors, ploidy, pi)
    np.testing.assert_allclose(pi, np.full(3, 1 / 3), atol=1e-6)


@pytest.mark.parametrize("first_pass", [False, True])
@pytest.mark.parametrize(("seed", "share"), [(0, 0.0), (1, 0.0), (2, 0.3)])
def test_the_kernel_equals_torch(seed, share, first_pass):
    rng = np.random.default_rng(seed)
    n, n_loci = 6, 60
    calls, _, _, switch = random_case(seed, n_loci=n_loci, n_samples=n)
    panel = rng.integers(0, 256, (3 * n, n_loci)).astype(np.uint8)
    donors = np.stack([rng.permutation(2 * n)[:7] for _ in range(n)]).astype(np.int32)
    if share:
        donors[:, -1] = 2 * n + np.arange(n)  # of no sample in the prior
    state = rng.choice(np.array([0, 255], np.uint8), (2 * n, n_loci))
    by_descent = np.zeros((n, n_loci), np.uint8)
    by_descent[2], by_descent[4, 20:], by_descent[5, :12], by_descent[0, 25:40] = 240, 250, 230, 200
    by_descent[3, ::9] = 255
    prior = rng.random((n, n)).astype(np.float32)
    window = np.array([5, 15, 45, 55])
    out, jumps, doses, flips, usage = run(
        calls, panel, donors, switch,
        by_descent=by_descent, key=9, window=window, prior=prior, share=share, first_pass=first_pass, state=state,
    )  # fmt: skip
    out2, jumps2, doses2, flips2 = (
        state.copy(),
        np.zeros_like(jumps),
        np.zeros(doses.shape, np.uint16),
        np.zeros_like(flips),
    )
    usage2 = np.zeros_like(usage)
    missing = (calls[:, 15:45] < 0).sum(1)
    keys = np.array([mix(np.uint64(9), i) for i in range(n)], np.uint64)  # as `run` makes them
    block = SweepBlock(
        calls, by_descent, panel, state, donors, prior, share, switch, ERROR, keys, first_pass, window,
        np.array([0, n]),
        np.concatenate([[0], np.cumsum(missing)[:-1]]), doses2, UNIT, out2, 0, flips2, jumps2, usage2,
    )  # fmt: skip
    kernel_torch.sweep(block, "cpu")
    np.testing.assert_allclose(usage, usage2, atol=1e-4)
    np.testing.assert_array_equal(flips, flips2)
    np.testing.assert_allclose(doses, doses2 / UNIT, atol=1e-4)
    np.testing.assert_allclose(jumps, jumps2, atol=1e-3)
    assert np.abs(out[:, 15:45].astype(int) - out2[:, 15:45]).max() <= 1
    np.testing.assert_array_equal(out[:, :15], state[:, :15])


def test_float32_holds_over_100000_loci():
    rng = np.random.default_rng(0)
    n_loci = 100_000
    panel = rng.choice(np.array([0, 255], np.uint8), (8, n_loci))
    calls = (panel[0] // 255 + panel[1] // 255)[None].astype(np.int8)
    calls[0, rng.random(n_loci) < 0.3] = -1
    switch = np.full(n_loci, 1e-4, np.float32)
    donors = np.arange(2, 8, dtype=np.int32)[None]  # none that fits: the hardest case for the scaling
    out, jumps, doses, _, _ = run(calls, panel, donors, switch)
    assert np.isfinite(doses).all()
    assert np.isfinite(jumps).all()
    assert ((doses >= 0) & (doses <= 1)).all()
    known = calls[0] >= 0
    np.testing.assert_array_equal((out[0, known] // 255 + out[1, known] // 255), calls[0, known])


def test_uniforms_are_those_of_each_key_and_locus():
    keys = np.array([3, 2**63 + 5], np.uint64)
    loci = np.arange(7)
    expected = [[uniform(key, locus) for key in keys] for locus in loci]
    np.testing.assert_array_equal(uniforms(keys, loci), np.array(expected, np.float32))
