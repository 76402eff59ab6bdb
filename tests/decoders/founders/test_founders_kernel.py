"""The recursions of the founder decoder against sums over all pairs of founders, written without any shortcut."""

import numpy as np
import pytest

from imputevae_cli.decoders.founders.kernel import sweep_pair
from imputevae_cli.decoders.founders.kernel_one_path import sweep_one
from imputevae_cli.decoders.founders.lanes import WIDTH

LANE = 5


def random_case(seed, n_loci=23, n_founders=3, n_classes=3):
    """(lik (T, C, WIDTH), theta (T, K), weights (K, WIDTH), switch (T,)), two chromosomes."""
    rng = np.random.default_rng(seed)
    lik = np.maximum(rng.random((n_loci, n_classes, WIDTH)), 1e-3).astype(np.float32)
    theta = rng.random((n_loci, n_founders)).astype(np.float32)
    weights = np.ascontiguousarray(rng.dirichlet(np.ones(n_founders), WIDTH).T, np.float32)
    switch = rng.uniform(0.05, 0.4, n_loci).astype(np.float32)
    switch[[0, 9]] = 1.0
    return lik, theta, weights, switch


def run(sweep, lik, theta, weights, switch, stride):
    """(alt, use, jumps, chosen, chances, log likelihood) of lane LANE alone."""
    n_loci, n_founders = theta.shape
    lanes = np.zeros((1, WIDTH), np.float32)
    lanes[0, LANE] = 1
    alt, use = np.zeros((2, n_loci, n_founders), np.float32)
    jumps, chosen = np.zeros(n_loci, np.float32), np.zeros((n_founders, WIDTH), np.float32)
    chances, score = np.zeros_like(lik), np.zeros(WIDTH, np.float32)
    sweep(lik, theta, weights, switch, lanes, stride, alt, use, jumps, chosen, chances, score)
    return alt, use, jumps, chosen[:, LANE], chances[:, :, LANE], score[LANE]


def transition(r, w):
    return (1 - r) * np.eye(len(w)) + r * w[None]


def by_pairs(lik, theta, w, switch):
    """As `run`, over the K^2 x K^2 transitions; lik (T, 3), w (K,)."""
    n_loci, n_founders = theta.shape
    a, b = theta[:, :, None], theta[:, None, :]
    by_genotype = np.stack([(1 - a) * (1 - b), a * (1 - b) + b * (1 - a), a * b], 3)
    e = np.einsum("tijg,tg->tij", by_genotype, lik)
    move = [np.kron(transition(r, w), transition(r, w)) for r in switch]
    states = n_founders**2
    e_flat = e.reshape(n_loci, states)
    f, back = np.zeros((n_loci, states)), np.ones((n_loci, states))
    f[0] = np.kron(w, w) * e_flat[0]
    for t in range(1, n_loci):
        f[t] = (f[t - 1] @ move[t]) * e_flat[t]
    for t in range(n_loci - 2, -1, -1):
        back[t] = move[t + 1] @ (e_flat[t + 1] * back[t + 1])
    whole = f[-1].sum()
    share = (f * back / whole).reshape(e.shape)
    apart = share / e
    alt = 2 * np.einsum("tij,ti,tij->ti", apart, theta, (1 - b) * lik[:, 1, None, None] + b * lik[:, 2, None, None])
    chances = np.einsum("tij,tijg->tg", apart, by_genotype)
    jumps = np.full(n_loci, 2.0)
    for t in range(1, n_loci):
        stay = (1 - switch[t]) * np.kron(np.eye(n_founders), transition(switch[t], w))
        jumps[t] = 2 - 2 * f[t - 1] @ stay @ (e_flat[t] * back[t]) / whole
    use = share.sum(1) + share.sum(2)
    return alt, use, jumps, use.T @ jumps / 2, chances / chances.sum(1, keepdims=True), np.log(whole)


def by_paths(lik, theta, w, switch):
    """As `run`, one path; lik (T, 2)."""
    n_loci, n_founders = theta.shape
    e = (1 - theta) * lik[:, :1] + theta * lik[:, 1:]
    f, back = np.zeros((n_loci, n_founders)), np.ones((n_loci, n_founders))
    f[0] = w * e[0]
    for t in range(1, n_loci):
        f[t] = (f[t - 1] @ transition(switch[t], w)) * e[t]
    for t in range(n_loci - 2, -1, -1):
        back[t] = transition(switch[t + 1], w) @ (e[t + 1] * back[t + 1])
    whole = f[-1].sum()
    use = f * back / whole
    jumps = np.ones(n_loci)
    for t in range(1, n_loci):
        jumps[t] = 1 - (1 - switch[t]) * (f[t - 1] * e[t] * back[t]).sum() / whole
    chances = np.stack([(use / e * (1 - theta)).sum(1), (use / e * theta).sum(1)], 1)
    return (use / e * theta * lik[:, 1:], use, jumps, use.T @ jumps, chances / chances.sum(1, keepdims=True),
            np.log(whole))  # fmt: skip


@pytest.mark.parametrize("stride", [5, 8, 64])
@pytest.mark.parametrize(("sweep", "slow", "n_classes"), [(sweep_pair, by_pairs, 3), (sweep_one, by_paths, 2)])
def test_counts_and_chances_are_the_exact_sums(sweep, slow, n_classes, stride):
    lik, theta, weights, switch = random_case(1, n_classes=n_classes)
    fast = run(sweep, lik, theta, weights, switch, stride)
    exact = slow(*(x.astype(np.float64) for x in (lik[:, :, LANE], theta, weights[:, LANE], switch)))
    for ours, theirs in zip(fast, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def test_chances_leave_the_cell_itself_out():
    lik, theta, weights, switch = random_case(2)
    before = run(sweep_pair, lik, theta, weights, switch, 8)[4]
    lik[7] = 1.0
    after = run(sweep_pair, lik, theta, weights, switch, 8)[4]
    np.testing.assert_allclose(before[7], after[7], atol=1e-6)
    assert abs(before[6] - after[6]).max() > 1e-4


def test_chromosomes_do_not_touch():
    lik, theta, weights, switch = random_case(3)
    before = run(sweep_pair, lik, theta, weights, switch, 8)[4]
    lik[:9] = np.random.default_rng(4).random((9, 3, WIDTH))
    after = run(sweep_pair, lik, theta, weights, switch, 8)[4]
    np.testing.assert_allclose(before[9:], after[9:], atol=1e-6)


def test_many_improbable_loci_stay_finite():
    lik, theta, weights, switch = random_case(5, n_loci=400, n_founders=10)
    lik[:] = 1e-6
    theta[:] = 1e-3
    lik[:, 0] = 1.0
    lik[200:, 0], lik[200:, 2] = 1e-6, 1.0
    for result in run(sweep_pair, lik, theta, weights, switch, 16):
        assert np.isfinite(result).all()
