"""The steps of kernel.py from one locus to the next, where a sample follows two paths.

Weights over the K donors are kept as they were left by the last call that tells donors apart, with two numbers for each
path, `affine` float32 (2, 2): backward they are affine[h, 0] * w[h] + affine[h, 1], forward affine[h, 0] * m[h] +
affine[h, 1] * pi. So a call that says the same of all donors costs nothing that grows with K, and one pass over them
does for any other. w, m: float32 (2, K).
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.kernel_numerics import BYTE, TINY, F, byte, inner, share


@inner
def alleles_of(call: int, first_is_alt: bool) -> tuple[bool, bool]:
    """Whether each of a known call's two alleles is ALT; first_is_alt: of a heterozygote's first."""
    alt0 = call == 2 or (call == 1 and first_is_alt)
    alt1 = call == 2 or (call == 1 and not alt0)
    return alt0, alt1


@inner
def start(affine: np.ndarray, w: np.ndarray) -> None:
    """Weights of 1, or for the forward recursion of pi."""
    w[:] = F(0)
    affine[:, 0] = F(0)
    affine[:, 1] = F(1)


@inner
def backward_past(affine: np.ndarray, rho: np.float32) -> None:
    """The backward weights before a call that says the same of all donors, from those after it."""
    keep = F(1) - rho
    for h in range(2):
        affine[h, 0] *= keep
        affine[h, 1] = keep * affine[h, 1] + rho


@inner
def backward_known(
    theta: np.ndarray, t: int, lines: tuple[np.float32, np.float32, np.float32, np.float32], rho: np.float32,
    pi: np.ndarray, w: np.ndarray, affine: np.ndarray,
) -> tuple[np.float32, np.float32]:  # fmt: skip
    """The backward weights before a call, from those after it; R of both paths.

    lines: (base, slope) of each haplotype's emission, one after the other.
    """
    base0, slope0, base1, slope1 = lines
    scale0, shift0, scale1, shift1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    s0 = s1 = F(0)
    for k in range(theta.shape[1]):
        th = F(theta[t, k])
        x0 = (base0 + slope0 * th) * (scale0 * w[0, k] + shift0)
        x1 = (base1 + slope1 * th) * (scale1 * w[1, k] + shift1)
        w[0, k] = x0
        w[1, k] = x1
        s0 += pi[k] * x0
        s1 += pi[k] * x1
    s0 = max(s0, TINY)
    s1 = max(s1, TINY)
    affine[0, 0], affine[1, 0] = (F(1) - rho) / s0, (F(1) - rho) / s1
    affine[0, 1] = affine[1, 1] = rho
    return s0, s1


@inner
def keep_weights(w: np.ndarray, affine: np.ndarray, b: np.ndarray, t: int) -> None:
    """b[t] <- the weights of both paths."""
    scale0, shift0, scale1, shift1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for k in range(w.shape[1]):
        b[t, 0, k] = scale0 * w[0, k] + shift0
        b[t, 1, k] = scale1 * w[1, k] + shift1


@inner
def part_backward(w: np.ndarray, affine: np.ndarray, joined: bool) -> None:
    """The weights at the last locus of two paths before one (joined: False), or of one before two (joined: True).

    The one path goes on as either of the two, which are alike before their phase is drawn."""
    if joined:
        for k in range(w.shape[1]):
            w[0, k] = F(0.5) * (affine[0, 0] * w[0, k] + affine[0, 1] + affine[1, 0] * w[1, k] + affine[1, 1])
        affine[0, 0], affine[0, 1] = F(1), F(0)
    affine[1, 0], affine[1, 1] = F(0), F(1)


@inner
def paired(
    theta: np.ndarray, t: int, error: float, m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray
) -> tuple[F, F, F, F, F, F, F, F]:
    """sum_k m[x] b[y], and the part of it with ALT, for each haplotype x of the left part and slot y of the right:
    x, y = 00, 01, 10, 11 of the first, then of the second."""
    t00 = t01 = t10 = t11 = F(0)
    u00 = u01 = u10 = u11 = F(0)
    scale0, rest0, scale1, rest1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for k in range(theta.shape[1]):
        th = F(theta[t, k])
        m0 = scale0 * m[0, k] + rest0 * pi[k]
        m1 = scale1 * m[1, k] + rest1 * pi[k]
        x00 = m0 * b[t, 0, k]
        x01 = m0 * b[t, 1, k]
        x10 = m1 * b[t, 0, k]
        x11 = m1 * b[t, 1, k]
        t00 += x00
        t01 += x01
        t10 += x10
        t11 += x11
        u00 += x00 * th
        u01 += x01 * th
        u10 += x10 * th
        u11 += x11 * th
    span = F(1.0 - 2.0 * error) * BYTE
    eps = F(error)
    a00, a01, a10, a11 = eps * t00 + span * u00, eps * t01 + span * u01, eps * t10 + span * u10, eps * t11 + span * u11
    return t00, t01, t10, t11, a00, a01, a10, a11


@inner
def draw_phase(
    theta: np.ndarray, t: int, error: float, m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray,
    u: np.float32, work: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Draw the phase of a heterozygous call: (allele of haplotype 0, its slot of b), each 0 or 1.

    Haplotype i of the left part, m[i], goes on as slot i ^ swap of the right part, b[t]; its weight is
    A^v[0, swap] * A^(1-v)[1, 1-swap] with A^v[x, y] = sum_k m[x] e(v) b[y]. u: a uniform draw.
    work[2:4] <- A of both haplotypes.
    """
    t00, t01, t10, t11, a00, a01, a10, a11 = paired(theta, t, error, m, affine, pi, b)
    w0 = (t00 - a00) * a11  # haplotype 0 carries REF, slots as they are
    w1 = a00 * (t11 - a11)
    w2 = (t01 - a01) * a10  # haplotype 0 carries REF, slots exchanged
    w3 = a01 * (t10 - a10)
    u *= w0 + w1 + w2 + w3
    if u < w0:
        work[2], work[3] = t00 - a00, a11
        return 0, 0
    if u < w0 + w1:
        work[2], work[3] = a00, t11 - a11
        return 1, 0
    if u < w0 + w1 + w2:
        work[2], work[3] = t01 - a01, a10
        return 0, 1
    work[2], work[3] = a01, t10 - a10
    return 1, 1


@inner
def missing_pair(
    theta: np.ndarray, t: int, error: float, m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray,
    swap: int, work: np.ndarray,
) -> None:  # fmt: skip
    """work <- (p0, p1, z0, z1): the chance of ALT on both haplotypes, and sum_k m b of each."""
    z0 = z1 = p0 = p1 = F(0)
    scale0, rest0, scale1, rest1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for k in range(theta.shape[1]):
        th = F(theta[t, k])
        x0 = (scale0 * m[0, k] + rest0 * pi[k]) * b[t, swap, k]
        x1 = (scale1 * m[1, k] + rest1 * pi[k]) * b[t, 1 - swap, k]
        z0 += x0
        z1 += x1
        p0 += x0 * th
        p1 += x1 * th
    span = F(1.0 - 2.0 * error) * BYTE
    work[0] = F(error) + span * p0 / max(z0, TINY)
    work[1] = F(error) + span * p1 / max(z1, TINY)
    work[2] = z0
    work[3] = z1


@inner
def advance(
    theta: np.ndarray, t: int, lines: tuple[np.float32, np.float32, np.float32, np.float32], m: np.ndarray,
    affine: np.ndarray, rho: np.float32, pi: np.ndarray,
) -> tuple[np.float32, np.float32]:  # fmt: skip
    """The forward weights at the next locus, whose switch probability is rho; sum_k m e of both paths.

    lines: (base, slope) of each haplotype's emission, one after the other.
    """
    base0, slope0, base1, slope1 = lines
    scale0, rest0, scale1, rest1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    s0 = s1 = F(0)
    for k in range(theta.shape[1]):
        th = F(theta[t, k])
        x0 = (base0 + slope0 * th) * (scale0 * m[0, k] + rest0 * pi[k])
        x1 = (base1 + slope1 * th) * (scale1 * m[1, k] + rest1 * pi[k])
        m[0, k] = x0
        m[1, k] = x1
        s0 += x0
        s1 += x1
    s0 = max(s0, TINY)
    s1 = max(s1, TINY)
    affine[0, 0], affine[1, 0] = (F(1) - rho) / s0, (F(1) - rho) / s1
    affine[0, 1] = affine[1, 1] = rho
    return s0, s1


@inner
def drift(affine: np.ndarray, rho: np.float32) -> None:
    """The forward weights past a call that says the same of all donors."""
    backward_past(affine, rho)


@inner
def record_usage(
    m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray, t: int, swap: int, usage: np.ndarray
) -> None:
    """usage float32 (K,) <- how likely each donor is copied at this locus, summed over the two haplotypes."""
    z0 = z1 = F(0)
    scale0, rest0, scale1, rest1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for k in range(usage.shape[0]):
        z0 += (scale0 * m[0, k] + rest0 * pi[k]) * b[t, swap, k]
        z1 += (scale1 * m[1, k] + rest1 * pi[k]) * b[t, 1 - swap, k]
    z0 = max(z0, TINY)
    z1 = max(z1, TINY)
    for k in range(usage.shape[0]):
        x0 = (scale0 * m[0, k] + rest0 * pi[k]) * b[t, swap, k]
        x1 = (scale1 * m[1, k] + rest1 * pi[k]) * b[t, 1 - swap, k]
        usage[k] = x0 / z0 + x1 / z1


@inner
def count_jumps(t: int, switch: np.float32, ratios: np.ndarray, jumps: np.ndarray, place: int) -> None:
    """Add the switches that both haplotypes are expected to make before a locus, of switch probability `switch`.

    t: its place in the window, before whose first locus there are none. ratios float32 (2,): R / Z of each haplotype
    at the locus, Z = sum_k m e b; 0 of one that is not there. jumps float32, at `place` the locus's own.
    """
    if t > 0:
        jumps[place] += min(switch * ratios[0], F(1)) + min(switch * ratios[1], F(1))


@inner
def write_missing(
    work: np.ndarray, out0: np.ndarray, out1: np.ndarray, place: int, doses: np.ndarray, unit: int, at: int
) -> None:
    """Write the expected alleles of a missing call, and add its chances to row `at` of doses, where it has rows."""
    p0, p1 = work[0], work[1]
    out0[place] = byte(p0)
    out1[place] = byte(p1)
    if doses.shape[0] > 0:
        doses[at, 0] += share((F(1) - p0) * (F(1) - p1), unit)
        doses[at, 1] += share(p0 * p1, unit)


@inner
def write_known(alt0: bool, alt1: bool, out0: np.ndarray, out1: np.ndarray, place: int) -> None:
    """Write the alleles of a known call."""
    out0[place] = np.uint8(255) if alt0 else np.uint8(0)
    out1[place] = np.uint8(255) if alt1 else np.uint8(0)


@inner
def join(m: np.ndarray, affine: np.ndarray, ratios: np.ndarray, swap: int) -> None:
    """m[0] <- the path that goes on as slot 0 of the right part, where two become one."""
    if swap == 1:
        for k in range(m.shape[1]):
            m[0, k] = m[1, k]
        affine[0] = affine[1]
        ratios[0] = ratios[1]
    ratios[1] = F(0)


@inner
def part(
    theta: np.ndarray, t: int, lines: tuple[np.float32, np.float32], m: np.ndarray, affine: np.ndarray, pi: np.ndarray,
    b: np.ndarray, u: np.float32, work: np.ndarray,
) -> int:  # fmt: skip
    """A second path starts, where one becomes two; draws as which slot of b[t] the one goes on, by u uniform.

    lines: (base, slope) of the emission there. work[2] <- sum_k m e b of the one.
    """
    base, slope = lines
    scale, rest = affine[0, 0], affine[0, 1]
    z0 = z1 = e0 = e1 = F(0)
    for k in range(pi.shape[0]):
        x = scale * m[0, k] + rest * pi[k]
        e = base + slope * F(theta[t, k])
        z0 += x * b[t, 0, k]
        z1 += x * b[t, 1, k]
        e0 += e * x * b[t, 0, k]
        e1 += e * x * b[t, 1, k]
    affine[1, 0], affine[1, 1] = F(0), F(1)
    swap = 1 if u * (z0 + z1) >= z0 else 0
    work[2] = e1 if swap == 1 else e0
    return swap
