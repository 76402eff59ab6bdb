"""Genotypes drawn jointly along the chromosomes of a sample: forward filtering, backward sampling."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from imputevae_cli.compiled import compiled
from imputevae_cli.decoders.founders.em import Fit, switches
from imputevae_cli.decoders.founders.evidence_blocks import LEAST
from imputevae_cli.runtime.kernel_basics import mix, uniform


@compiled(nogil=True)
def _pick(weights: np.ndarray, u: np.float32) -> int:
    """The index that `u` in [0, 1) falls on, weights float32 (n,) not summing to 1."""
    u *= weights.sum()
    for i in range(len(weights) - 1):
        u -= weights[i]
        if u < 0:
            return i
    return len(weights) - 1


@compiled(nogil=True)
def _draw_pair(
    lik: np.ndarray, theta: np.ndarray, weights: np.ndarray, switch: np.ndarray, key: np.uint64, out: np.ndarray
) -> None:
    """int8 out (T,) <- genotypes of one diploid sample on one chromosome; lik float32 (T, 3), theta (T, K)."""
    n_loci, n = theta.shape
    f = np.empty((n_loci, n, n), np.float32)
    m = np.zeros(n, np.float32)
    for t in range(n_loci):
        r = switch[t] if t > 0 else np.float32(1)
        whole = np.float32(0)
        for i in range(n):
            u = (1 - theta[t, i]) * lik[t, 0] + theta[t, i] * lik[t, 1]
            v = (1 - theta[t, i]) * lik[t, 1] + theta[t, i] * lik[t, 2]
            for j in range(n):
                stay = (1 - r) * (1 - r) * f[t - 1, i, j] if t > 0 else np.float32(0)
                one = (1 - r) * r * (m[i] * weights[j] + weights[i] * m[j])
                f[t, i, j] = (stay + one + r * r * weights[i] * weights[j]) * (u + theta[t, j] * (v - u))
                whole += f[t, i, j]
        m[:] = 0
        for i in range(n):
            for j in range(n):
                f[t, i, j] /= whole
                m[i] += f[t, i, j]
    flat = np.empty(n * n, np.float32)
    i = j = 0
    for t in range(n_loci - 1, -1, -1):
        for a in range(n):
            for b in range(n):
                flat[a * n + b] = f[t, a, b]
                if t < n_loci - 1:
                    r = switch[t + 1]
                    to_i = r * weights[i] + (1 - r if a == i else 0)
                    to_j = r * weights[j] + (1 - r if b == j else 0)
                    flat[a * n + b] *= to_i * to_j
        pair = _pick(flat, uniform(key, 2 * t))
        i, j = pair // n, pair % n
        p, q = theta[t, i], theta[t, j]
        g = np.empty(3, np.float32)
        g[0], g[1], g[2] = (1 - p) * (1 - q) * lik[t, 0], (p * (1 - q) + q * (1 - p)) * lik[t, 1], p * q * lik[t, 2]
        out[t] = _pick(g, uniform(key, 2 * t + 1))


@compiled(nogil=True)
def _draw_one(
    lik: np.ndarray, genotypes: np.ndarray, theta: np.ndarray, weights: np.ndarray, switch: np.ndarray, key: np.uint64,
    out: np.ndarray,
) -> None:  # fmt: skip
    """As `_draw_pair` for one path; lik float32 (T, 2), genotypes float32 (T, 2, C): weights given the allele."""
    n_loci, n = theta.shape
    f = np.empty((n_loci, n), np.float32)
    for t in range(n_loci):
        r = switch[t] if t > 0 else np.float32(1)
        for i in range(n):
            before = (1 - r) * f[t - 1, i] if t > 0 else np.float32(0)
            f[t, i] = (before + r * weights[i]) * ((1 - theta[t, i]) * lik[t, 0] + theta[t, i] * lik[t, 1])
        f[t] /= f[t].sum()
    i = 0
    for t in range(n_loci - 1, -1, -1):
        chances = f[t].copy()
        if t < n_loci - 1:
            r = switch[t + 1]
            chances *= r * weights[i]
            chances[i] = f[t, i] * (r * weights[i] + 1 - r)
        i = _pick(chances, uniform(key, 2 * t))
        out[t] = _pick((1 - theta[t, i]) * genotypes[t, 0] + theta[t, i] * genotypes[t, 1], uniform(key, 2 * t + 1))


def sharper(fit: Fit, power: float) -> Fit:
    """The fit with founders as sure of their alleles as `averaging` found right: odds to the `power`."""
    alt, ref = fit.theta**power, (1 - fit.theta) ** power
    return replace(fit, theta=(alt / (alt + ref)).astype(np.float32))


def draw_sample(
    lik: np.ndarray, fit: Fit, sample: int, distance: np.ndarray, key: np.uint64, stray: float | None
) -> np.ndarray:
    """int8 (L,): one draw of a sample's genotypes given all its evidence.

    lik: float32 (L, C). stray: None where the sample follows as many paths as it has copies, else the chance that a
    cell of its one path is heterozygous all the same.
    """
    lik = np.maximum(lik, LEAST)
    n_loci, n_classes = lik.shape
    switch, weights = switches(fit.rate, distance), fit.own[sample]
    out = np.empty(n_loci, np.int8)
    edges = np.r_[np.flatnonzero(~np.isfinite(distance)), n_loci]
    for chromosome, (first, stop) in enumerate(pairwise(edges)):
        part = slice(first, stop)
        seed = np.uint64(mix(np.uint64(key), np.uint64(chromosome)))
        if n_classes == 3 and stray is None:
            _draw_pair(lik[part], fit.theta[part], weights, switch[part], seed, out[part])
            continue
        share = np.float32(stray or 0.0)
        genotypes = np.zeros((stop - first, 2, n_classes), np.float32)
        genotypes[:, 0, 0] = (1 - share) * lik[part, 0]
        genotypes[:, 1, -1] = (1 - share) * lik[part, -1]
        if n_classes == 3:
            genotypes[:, :, 1] = share * lik[part, 1:2]
        _draw_one(genotypes.sum(2), genotypes, fit.theta[part], weights, switch[part], seed, out[part])
    return out
