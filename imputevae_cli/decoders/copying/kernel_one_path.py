"""The steps of kernel.py where a sample follows one path: it is haploid, or homozygous there by descent.

The path is the first of the two: m[0], w[0] and b[t, 0]. A heterozygous call says nothing about it.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.kernel_numerics import BYTE, TINY, F, byte, inner, line, share


@inner
def record_usage_one(m: np.ndarray, b: np.ndarray, t: int, usage: np.ndarray) -> None:
    """As `record_usage` for one path."""
    z = F(0)
    for k in range(usage.shape[0]):
        usage[k] = m[0, k] * b[t, 0, k]
        z += usage[k]
    for k in range(usage.shape[0]):
        usage[k] /= max(z, TINY)


@inner
def backward_past_one(w: np.ndarray, rho: np.float32) -> None:
    """As `backward_past` for one path."""
    keep = F(1) - rho
    for k in range(w.shape[1]):
        w[0, k] = keep * w[0, k] + rho


@inner
def backward_one(
    theta: np.ndarray, t: int, error: float, alt: bool, rho: np.float32, pi: np.ndarray, w: np.ndarray
) -> np.float32:
    """w[0] <- the backward weights before a known allele, from those after it; R."""
    base, slope = line(alt, error, F(1.0 - 2.0 * error) * BYTE)
    s = F(0)
    for k in range(theta.shape[1]):
        s += pi[k] * (base + slope * F(theta[t, k])) * w[0, k]
    s = max(s, TINY)
    q = (F(1) - rho) / s
    base, slope = base * q, slope * q
    for k in range(theta.shape[1]):
        w[0, k] = (base + slope * F(theta[t, k])) * w[0, k] + rho
    return s


@inner
def forward_one(
    theta: np.ndarray, t: int, error: float, known: bool, alt: bool, m: np.ndarray, b: np.ndarray, rho: np.float32,
    pi: np.ndarray, work: np.ndarray,
) -> None:  # fmt: skip
    """m[0] <- the forward weights at the next locus, whose switch probability is rho; work[0] <- the chance of ALT
    that the others give, work[2] <- sum_k m e b."""
    span = F(1.0 - 2.0 * error) * BYTE
    base, slope = line(alt, error, span)
    s = z = p = F(0)
    for k in range(theta.shape[1]):
        th = F(theta[t, k])
        x = m[0, k]
        if known:
            x *= base + slope * th
            m[0, k] = x
        s += x
        y = x * b[t, 0, k]
        z += y
        p += y * th
    work[0] = F(error) + span * p / max(z, TINY)
    work[2] = z
    q = (F(1) - rho) / max(s, TINY)
    for k in range(theta.shape[1]):
        m[0, k] = m[0, k] * q + rho * pi[k]


@inner
def write_one(known: bool, alt: bool, work: np.ndarray, out0: np.ndarray, out1: np.ndarray, place: int) -> None:
    """Write the allele of a call that the path knows, or what is expected there, on both haplotypes."""
    out0[place] = np.uint8(255 * alt) if known else byte(work[0])
    out1[place] = out0[place]


@inner
def write_missing_one(alt: np.float32, inbreeding: np.float32, doses: np.ndarray, unit: int, at: int) -> None:
    """Add the chances of no ALT and of ALT alone at a missing call to row `at` of doses, where it has rows.

    inbreeding: F of the cell; its genotype is F * (1 - p, 0, p) + (1 - F) * Hardy-Weinberg.
    """
    if doses.shape[0] > 0:
        het = (F(1) - inbreeding) * alt * (F(1) - alt)
        doses[at, 0] += share(F(1) - alt - het, unit)
        doses[at, 1] += share(alt - het, unit)
