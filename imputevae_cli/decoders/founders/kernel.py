"""The compiled recursions of the founder decoder for samples with two paths: sixteen samples at a time.

Each haplotype of a sample is a mosaic of K founders (fastPHASE, Scheet and Stephens 2006, doi:10.1086/502802; on
likelihoods, STITCH, Davies et al. 2016, doi:10.1038/ng.3594). theta[l, k] is the chance that founder k carries ALT,
w[k] how readily the sample copies it (its own, as in the linkage model of Falush et al. 2003,
doi:10.1093/genetics/164.4.1567) and r[l] the chance that a haplotype chooses anew before locus l. Of the ordered
pairs (i, j) of founders only i <= j are kept, one row of lanes each, as all is symmetric. With L[g] the likelihoods,

    u_i = (1 - theta_i) L[0] + theta_i L[1],  v_i = (1 - theta_i) L[1] + theta_i L[2],  d_i = v_i - u_i
    emission      e_ij = u_i + theta_j d_i
    forward       p_ij = (1-r)^2 f_ij + w_j M_i + w_i M_j,   M_i = r (1-r) sum_j f_ij + r^2 w_i / 2;   f = p e, scaled
    backward      b_ij <- (1-r)^2 x_ij + S_i + S_j,  x = e b,  R_i = sum_j w_j x_ij,
                  S_i = r (1-r) R_i + r^2 sum_i w_i R_i / 2

so a cell costs K^2 steps. With q = p b (what all but the cell itself says), Q_i = sum_j q_ij and
T_i = sum_j theta_j q_ij give the founders' shares u_i Q_i + d_i T_i, their ALT copies
theta_i (L[1] Q_i + (L[2] - L[1]) T_i) and the genotype's chances. Forward rows are kept at every `stride`-th locus
alone and worked out again from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imputevae_cli.decoders.founders.lanes import WIDTH, fill, load, store, total
from imputevae_cli.runtime.kernel_basics import TINY, F, fast, inner

LOGS_AT_ONCE = 4  # loci whose scales are multiplied before the logarithm: likelihoods are at least 1e-6


@inner
def emissions(lik: np.ndarray, t: int, theta: np.ndarray, u: np.ndarray, d: np.ndarray) -> None:
    """u, d float32 (K, WIDTH) <- u_i and d_i of locus t; lik float32 (T, 3, WIDTH)."""
    l0, l1, l2 = load(lik, 3 * t), load(lik, 3 * t + 1), load(lik, 3 * t + 2)
    for i in range(theta.shape[1]):
        x = l0 + theta[t, i] * (l1 - l0)
        store(u, i, x)
        store(d, i, (l1 + theta[t, i] * (l2 - l1)) - x)


@inner
def forward_pair(
    t: int, theta: np.ndarray, weights: np.ndarray, r: np.float32, scale: Any, state: tuple[np.ndarray, ...],
    kept: tuple[np.ndarray, np.ndarray], slot: int,
) -> Any:  # fmt: skip
    """One step of f, m in `state`; p of locus t goes to row `slot` of `kept`. Returns the new scale.

    scale: of f as it comes. state: (f (P, WIDTH), m (K, WIDTH), big_m, u, d); m_i = sum_j f_ij.
    kept: (p (slots * P, WIDTH), single (slots * K, WIDTH)), the latter sum_j p_ij.
    """
    f, m, big_m, u, d = state
    pairs, single = kept
    n_founders = theta.shape[1]
    stay = F(1) - r
    zero = fill(F(0))
    for i in range(n_founders):
        z = load(m, i) * scale
        store(big_m, i, (stay * r) * z + (F(0.5) * r * r) * load(weights, i))
        store(single, slot * n_founders + i, stay * z + r * load(weights, i))
        store(m, i, zero)
    both = scale * (stay * stay)
    row = 0
    out = slot * f.shape[0]
    whole = zero
    for i in range(n_founders):
        w_i, big_i, u_i, d_i, m_i = load(weights, i), load(big_m, i), load(u, i), load(d, i), load(m, i)
        p = both * load(f, row) + (F(2) * w_i) * big_i
        store(pairs, out + row, p)
        x = p * (u_i + theta[t, i] * d_i)
        store(f, row, x)
        m_i += x
        row += 1
        for j in range(i + 1, n_founders):
            p = both * load(f, row) + load(weights, j) * big_i + w_i * load(big_m, j)
            store(pairs, out + row, p)
            x = p * (u_i + theta[t, j] * d_i)
            store(f, row, x)
            m_i += x
            store(m, j, load(m, j) + x)
            row += 1
        store(m, i, m_i)
        whole += m_i
    return F(1) / (whole + TINY)


@inner
def meet_pair(
    t: int, theta: np.ndarray, both: Any, b: np.ndarray, s: np.ndarray, pairs: np.ndarray, slot: int, q: np.ndarray,
    tt: np.ndarray,
) -> None:  # fmt: skip
    """b <- both * x + S_i + S_j, b holding x of the locus after; q, tt float32 (K, WIDTH) <- Q and T."""
    n_founders = theta.shape[1]
    zero = fill(F(0))
    for i in range(n_founders):
        store(q, i, zero)
        store(tt, i, zero)
    row = 0
    at = slot * b.shape[0]
    for i in range(n_founders):
        th_i, s_i, q_i, t_i = theta[t, i], load(s, i), load(q, i), load(tt, i)
        x = both * load(b, row) + F(2) * s_i
        store(b, row, x)
        y = x * load(pairs, at + row)
        q_i += y
        t_i += th_i * y
        row += 1
        for j in range(i + 1, n_founders):
            x = both * load(b, row) + (s_i + load(s, j))
            store(b, row, x)
            y = x * load(pairs, at + row)
            q_i += y
            t_i += theta[t, j] * y
            store(q, j, load(q, j) + y)
            store(tt, j, load(tt, j) + th_i * y)
            row += 1
        store(q, i, q_i)
        store(tt, i, t_i)


@inner
def backward_pair(
    t: int, theta: np.ndarray, weights: np.ndarray, b: np.ndarray, rr: np.ndarray, u: np.ndarray, d: np.ndarray
) -> None:
    """b <- x = e b of locus t, and rr float32 (K, WIDTH) <- R."""
    n_founders = theta.shape[1]
    zero = fill(F(0))
    for i in range(n_founders):
        store(rr, i, zero)
    row = 0
    for i in range(n_founders):
        w_i, r_i, u_i, d_i = load(weights, i), load(rr, i), load(u, i), load(d, i)
        x = load(b, row) * (u_i + theta[t, i] * d_i)
        store(b, row, x)
        r_i += w_i * x
        row += 1
        for j in range(i + 1, n_founders):
            x = load(b, row) * (u_i + theta[t, j] * d_i)
            store(b, row, x)
            r_i += load(weights, j) * x
            store(rr, j, load(rr, j) + w_i * x)
            row += 1
        store(rr, i, r_i)


@inner
def count_pair(
    t: int, lik: np.ndarray, theta: np.ndarray, one: Any, q: np.ndarray, tt: np.ndarray, u: np.ndarray, d: np.ndarray,
    alt: np.ndarray, use: np.ndarray,
) -> None:  # fmt: skip
    """Add the expected copies of ALT and of any allele to alt, use float32 (T, K), and leave each lane's copies in q.

    one: each lane's weight over sum e q.
    """
    l1 = load(lik, 3 * t + 1)
    step = load(lik, 3 * t + 2) - l1
    for i in range(theta.shape[1]):
        q_i, t_i = load(q, i) * one, load(tt, i) * one
        share = load(u, i) * q_i + load(d, i) * t_i
        store(q, i, share)
        use[t, i] += F(2) * total(share)
        alt[t, i] += F(2) * theta[t, i] * total(l1 * q_i + step * t_i)


@inner
def genotypes_pair(t: int, theta: np.ndarray, q: np.ndarray, tt: np.ndarray, chances: np.ndarray) -> None:
    """chances float32 (T, 3, WIDTH) at t <- those of the genotypes, from all but the cell's own likelihoods."""
    p0 = p1 = p2 = fill(F(0))
    for i in range(theta.shape[1]):
        a, y = theta[t, i], load(tt, i)
        x = load(q, i) - y
        p0 += (F(1) - a) * x
        p1 += a * x + (F(1) - a) * y
        p2 += a * y
    one = F(1) / (p0 + p1 + p2 + TINY)
    store(chances, 3 * t, p0 * one)
    store(chances, 3 * t + 1, p1 * one)
    store(chances, 3 * t + 2, p2 * one)


@inner
def leave_pair(
    t: int, r: np.float32, weights: np.ndarray, rows: tuple[np.ndarray, ...], kept: tuple[np.ndarray, int], one: Any,
    counts: tuple[np.ndarray, np.ndarray, Any],
) -> Any:  # fmt: skip
    """S of the locus before t, and the scale of b there, which is returned; counts switches where asked to.

    rows: (R, S, lane copies by founder), each float32 (K, WIDTH). kept: (sum_j p_ij, its first row at t). one: 1 over
    sum e q. counts: (jumps float32 (T,) or of no rows, chosen float32 (K, WIDTH), lane weights).
    """
    rr, s, share = rows
    single, first_row = kept
    jumps, chosen, lanes = counts
    n_founders = weights.shape[0]
    jumped = any_founder = fill(F(0))
    for i in range(n_founders):
        any_founder += load(weights, i) * load(rr, i)
        jumped += load(rr, i) * load(single, first_row + i)
    jumped *= (F(2) * r) * one
    if jumps.shape[0] > 0:
        jumps[t] += total(lanes * jumped)
        for i in range(n_founders):
            store(chosen, i, load(chosen, i) + jumped * load(share, i))
    for i in range(n_founders):
        store(s, i, (((F(1) - r) * r) * load(rr, i) + (F(0.5) * r * r) * any_founder) * one)
    return ((F(1) - r) * (F(1) - r)) * one


@fast
def sweep_pair(
    lik: np.ndarray, theta: np.ndarray, weights: np.ndarray, switch: np.ndarray, lane_weight: np.ndarray, stride: int,
    alt: np.ndarray, use: np.ndarray, jumps: np.ndarray, chosen: np.ndarray, chances: np.ndarray,
    log_likelihood: np.ndarray,
) -> None:  # fmt: skip
    """Forward and backward over all loci of WIDTH samples.

    lik float32 (T, 3, WIDTH), at least 1e-6; theta float32 (T, K); weights float32 (K, WIDTH), each lane's sum 1;
    switch float32 (T,), 1 where a chromosome begins; lane_weight float32 (1, WIDTH), 0 for a lane of no sample.
    Where alt has rows, adds to alt, use (T, K) and jumps (T,) the expected copies of ALT, copies and switches, and to
    chosen (K, WIDTH) each lane's switches by the founder found after them. Writes chances (T, 3, WIDTH), see
    `genotypes_pair`, where it has rows, and log_likelihood float32 (WIDTH,) of each lane.
    """
    n_loci, n_founders = theta.shape
    n_pairs = n_founders * (n_founders + 1) // 2
    n_marks = (n_loci + stride - 1) // stride
    marks_f = np.empty((n_marks, n_pairs, WIDTH), np.float32)
    marks_m = np.empty((n_marks, n_founders + 1, WIDTH), np.float32)
    pairs = np.empty((stride * n_pairs, WIDTH), np.float32)
    single = np.empty((stride * n_founders, WIDTH), np.float32)
    f = np.zeros((n_pairs, WIDTH), np.float32)
    b = np.ones((n_pairs, WIDTH), np.float32)
    work = np.zeros((8, n_founders, WIDTH), np.float32)
    m, big_m, u, d, q, tt, rr, s = work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7]
    state, kept = (f, m, big_m, u, d), (pairs, single)
    held = np.empty((1, WIDTH), np.float32)
    scale = fill(F(1))
    product = fill(F(1))
    log_likelihood[:] = F(0)
    for t in range(n_loci):
        if t % stride == 0:
            marks_f[t // stride] = f
            marks_m[t // stride, :n_founders] = m
            store(marks_m, (t // stride) * (n_founders + 1) + n_founders, scale)
        emissions(lik, t, theta, u, d)
        scale = forward_pair(t, theta, weights, switch[t], scale, state, kept, 0)
        product *= scale
        if t % LOGS_AT_ONCE == LOGS_AT_ONCE - 1 or t == n_loci - 1:
            store(held, 0, product)
            product = fill(F(1))
            for lane in range(WIDTH):
                log_likelihood[lane] -= np.log(held[0, lane])
    both = fill(F(1))
    lanes = load(lane_weight, 0)
    for mark in range(n_marks - 1, -1, -1):
        first = mark * stride
        stop = min(n_loci, first + stride)
        f[:] = marks_f[mark]
        m[:] = marks_m[mark, :n_founders]
        scale = load(marks_m, mark * (n_founders + 1) + n_founders)
        for t in range(first, stop):
            emissions(lik, t, theta, u, d)
            scale = forward_pair(t, theta, weights, switch[t], scale, state, kept, t - first)
        for t in range(stop - 1, first - 1, -1):
            emissions(lik, t, theta, u, d)
            meet_pair(t, theta, both, b, s, pairs, t - first, q, tt)
            whole = fill(F(0))
            for i in range(n_founders):
                whole += load(u, i) * load(q, i) + load(d, i) * load(tt, i)
            one = F(1) / (whole + TINY)
            counted = lanes * one
            if chances.shape[0] > 0:
                genotypes_pair(t, theta, q, tt, chances)
            if alt.shape[0] > 0:
                count_pair(t, lik, theta, counted, q, tt, u, d, alt, use)
            backward_pair(t, theta, weights, b, rr, u, d)
            counts = (jumps, chosen, lanes) if alt.shape[0] > 0 else (jumps[:0], chosen, lanes)
            both = leave_pair(t, switch[t], weights, (rr, s, q), (single, (t - first) * n_founders), one, counts)
