"""The compiled recursions of the founder decoder for samples with one path: haploids, and inbred diploids.

As `kernel`, with founders in place of pairs: e_i = (1 - theta_i) A[0] + theta_i A[1], where A[a] is the likelihood of
the path's allele; p_i = (1-r) f_i + r w_i; b_i <- (1-r) e_i b_i + r sum_k w_k e_k b_k. A cell costs K steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imputevae_cli.decoders.founders.kernel import LOGS_AT_ONCE
from imputevae_cli.decoders.founders.lanes import WIDTH, fill, load, store, total
from imputevae_cli.runtime.kernel_basics import TINY, F, fast, inner


@inner
def forward_one(
    t: int, lik: np.ndarray, theta: np.ndarray, weights: np.ndarray, r: np.float32, scale: Any, f: np.ndarray,
    predicted: np.ndarray, slot: int,
) -> Any:  # fmt: skip
    """One step of f float32 (K, WIDTH); p of locus t goes to row `slot` of `predicted`. Returns the new scale."""
    n_founders = theta.shape[1]
    l0 = load(lik, 2 * t)
    step = load(lik, 2 * t + 1) - l0
    keep = scale * (F(1) - r)
    whole = fill(F(0))
    for i in range(n_founders):
        p = keep * load(f, i) + r * load(weights, i)
        store(predicted, slot * n_founders + i, p)
        x = p * (l0 + theta[t, i] * step)
        store(f, i, x)
        whole += x
    return F(1) / (whole + TINY)


@inner
def count_one(
    t: int, lik: np.ndarray, theta: np.ndarray, b: np.ndarray, predicted: np.ndarray, slot: int, one: Any,
    alt: np.ndarray, use: np.ndarray, share: np.ndarray,
) -> None:  # fmt: skip
    """Add the expected copies of ALT and of any allele to alt, use float32 (T, K); each lane's go to share."""
    n_founders = theta.shape[1]
    l0, l1 = load(lik, 2 * t), load(lik, 2 * t + 1)
    for i in range(n_founders):
        a = theta[t, i]
        y = load(b, i) * load(predicted, slot * n_founders + i) * one
        store(share, i, y * (l0 + a * (l1 - l0)))
        use[t, i] += total(y * (l0 + a * (l1 - l0)))
        alt[t, i] += a * total(y * l1)


@fast
def sweep_one(
    lik: np.ndarray, theta: np.ndarray, weights: np.ndarray, switch: np.ndarray, lane_weight: np.ndarray, stride: int,
    alt: np.ndarray, use: np.ndarray, jumps: np.ndarray, chosen: np.ndarray, chances: np.ndarray,
    log_likelihood: np.ndarray,
) -> None:  # fmt: skip
    """As `kernel.sweep_pair`, for one path: lik float32 (T, 2, WIDTH) and chances like it, of REF and ALT."""
    n_loci, n_founders = theta.shape
    n_marks = (n_loci + stride - 1) // stride
    marks = np.empty((n_marks, n_founders + 1, WIDTH), np.float32)
    predicted = np.empty((stride * n_founders, WIDTH), np.float32)
    f = np.zeros((n_founders, WIDTH), np.float32)
    b = np.ones((n_founders, WIDTH), np.float32)
    share = np.zeros((n_founders, WIDTH), np.float32)
    held = np.empty((1, WIDTH), np.float32)
    scale = product = fill(F(1))
    log_likelihood[:] = F(0)
    for t in range(n_loci):
        if t % stride == 0:
            marks[t // stride, :n_founders] = f
            store(marks, (t // stride) * (n_founders + 1) + n_founders, scale)
        scale = forward_one(t, lik, theta, weights, switch[t], scale, f, predicted, 0)
        product *= scale
        if t % LOGS_AT_ONCE == LOGS_AT_ONCE - 1 or t == n_loci - 1:
            store(held, 0, product)
            product = fill(F(1))
            for lane in range(WIDTH):
                log_likelihood[lane] -= np.log(held[0, lane])
    lanes = load(lane_weight, 0)
    for mark in range(n_marks - 1, -1, -1):
        first = mark * stride
        stop = min(n_loci, first + stride)
        f[:] = marks[mark, :n_founders]
        scale = load(marks, mark * (n_founders + 1) + n_founders)
        for t in range(first, stop):
            scale = forward_one(t, lik, theta, weights, switch[t], scale, f, predicted, t - first)
        for t in range(stop - 1, first - 1, -1):
            l0 = load(lik, 2 * t)
            step = load(lik, 2 * t + 1) - l0
            whole = ref = alternative = any_founder = fill(F(0))
            for i in range(n_founders):
                a = theta[t, i]
                e, q = l0 + a * step, load(b, i) * load(predicted, (t - first) * n_founders + i)
                whole += e * q
                ref += (F(1) - a) * q
                alternative += a * q
                any_founder += load(weights, i) * e * load(b, i)
            one = F(1) / (whole + TINY)
            r = switch[t]
            if chances.shape[0] > 0:
                sure = F(1) / (ref + alternative + TINY)
                store(chances, 2 * t, ref * sure)
                store(chances, 2 * t + 1, alternative * sure)
            if alt.shape[0] > 0:
                count_one(t, lik, theta, b, predicted, t - first, lanes * one, alt, use, share)
                jumped = r * any_founder * one
                jumps[t] += total(lanes * jumped)
                for i in range(n_founders):
                    store(chosen, i, load(chosen, i) + jumped * load(share, i))
            for i in range(n_founders):
                x = load(b, i) * (l0 + theta[t, i] * step)
                store(b, i, ((F(1) - r) * x + r * any_founder) * one)
