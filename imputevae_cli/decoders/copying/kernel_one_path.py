"""The steps of kernel.py where a sample follows one path: it is haploid, or homozygous there by descent.

The path is the first of the two: m[0], w[0] and b[t, 0]. A heterozygous call says nothing about it.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.kernel_numerics import BYTE, TINY, F, byte, inner, share


@inner
def record_usage_one(
    m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray, t: int, usage: np.ndarray
) -> None:
    """As `record_usage` for one path."""
    scale, rest = affine[0, 0], affine[0, 1]
    z = F(0)
    for k in range(usage.shape[0]):
        usage[k] = (scale * m[0, k] + rest * pi[k]) * b[t, 0, k]
        z += usage[k]
    for k in range(usage.shape[0]):
        usage[k] /= max(z, TINY)


@inner
def backward_one(
    theta: np.ndarray, t: int, base: np.float32, slope: np.float32, rho: np.float32, pi: np.ndarray, w: np.ndarray,
    affine: np.ndarray,
) -> np.float32:  # fmt: skip
    """As `backward_known` for one path, whose emission is base + slope * theta; R."""
    scale, shift = affine[0, 0], affine[0, 1]
    s = F(0)
    for k in range(theta.shape[1]):
        x = (base + slope * F(theta[t, k])) * (scale * w[0, k] + shift)
        w[0, k] = x
        s += pi[k] * x
    s = max(s, TINY)
    affine[0, 0], affine[0, 1] = (F(1) - rho) / s, rho
    return s


@inner
def advance_one(
    theta: np.ndarray, t: int, base: np.float32, slope: np.float32, m: np.ndarray, affine: np.ndarray, rho: np.float32,
    pi: np.ndarray,
) -> np.float32:  # fmt: skip
    """As `advance` for one path, whose emission is base + slope * theta; sum_k m e."""
    scale, rest = affine[0, 0], affine[0, 1]
    s = F(0)
    for k in range(theta.shape[1]):
        x = (base + slope * F(theta[t, k])) * (scale * m[0, k] + rest * pi[k])
        m[0, k] = x
        s += x
    s = max(s, TINY)
    affine[0, 0], affine[0, 1] = (F(1) - rho) / s, rho
    return s


@inner
def open_one(
    theta: np.ndarray, t: int, error: float, m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray
) -> np.float32:
    """The chance of ALT that the others give."""
    scale, rest = affine[0, 0], affine[0, 1]
    z = p = F(0)
    for k in range(theta.shape[1]):
        y = (scale * m[0, k] + rest * pi[k]) * b[t, 0, k]
        z += y
        p += y * F(theta[t, k])
    return F(error) + F(1.0 - 2.0 * error) * BYTE * p / max(z, TINY)


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
