"""The recursions of kernel.py for one path: a haploid sample, or one whose two haplotypes are the same."""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.kernel_numerics import BYTE, TINY, F, byte, inner, line, next_switch, share


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
def backward_one(
    calls: np.ndarray, top: int, first: int, theta: np.ndarray, switch: np.ndarray, error: float, pi: np.ndarray,
    b: np.ndarray, sums: np.ndarray, work: np.ndarray,
) -> None:  # fmt: skip
    """As `backward_pair` for one haplotype: a haploid sample, or an inbred one whose two haplotypes are one path.

    top: the call that stands for ALT (1 haploid, 2 diploid); a heterozygous call says nothing about the path.
    """
    n_loci, n_donors = theta.shape
    span = F(1.0 - 2.0 * error) * BYTE
    e0 = work[0]
    for k in range(n_donors):
        b[n_loci - 1, 0, k] = F(1)
    for t in range(n_loci - 1, 0, -1):
        call = calls[first + t]
        rho = switch[first + t]
        keep = F(1) - rho
        if call != 0 and call != top:
            sums[t, 0] = F(1)
            for k in range(n_donors):
                b[t - 1, 0, k] = keep * b[t, 0, k] + rho
            continue
        base = F(error) if call == top else F(1.0 - error)
        slope = span if call == top else -span
        s = F(0)
        for k in range(n_donors):
            x = (base + slope * F(theta[t, k])) * b[t, 0, k]
            e0[k] = x
            s += pi[k] * x
        s = max(s, TINY)
        sums[t, 0] = s
        q = keep / s
        for k in range(n_donors):
            b[t - 1, 0, k] = e0[k] * q + rho


@inner
def weigh_one(
    theta: np.ndarray, t: int, error: float, known: bool, alt: bool, m: np.ndarray, b: np.ndarray
) -> tuple[np.float32, np.float32, np.float32]:
    """m <- m e; returns the sums over donors of m e, of m e b, and of m e b theta."""
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
    return s, z, p


@inner
def write_missing_one(alt: np.float32, doses: np.ndarray, unit: int, at: int) -> None:
    """Add the chances of REF and ALT at a missing call to row `at` of doses, where it has rows."""
    if doses.shape[0] > 0:
        doses[at, 0] += share(F(1) - alt, unit)
        doses[at, 1] += share(alt, unit)


@inner
def forward_one(
    calls: np.ndarray, top: int, window: np.ndarray, theta: np.ndarray, switch: np.ndarray, error: float,
    pi: np.ndarray, b: np.ndarray, sums: np.ndarray, m: np.ndarray, out: np.ndarray, origin: int, jumps: np.ndarray,
    usage: np.ndarray, doses: np.ndarray, unit: int, at: int,
) -> None:  # fmt: skip
    """As `forward_pair` for one haplotype: out uint8 from locus `origin` on; doses those of REF and ALT."""
    first, core_first, core_stop, stop = window[0], window[1], window[2], window[3]
    span = F(1.0 - 2.0 * error) * BYTE
    middle = (core_first + core_stop) // 2
    for k in range(pi.shape[0]):
        m[0, k] = pi[k]
    for t in range(stop - first):
        locus = first + t
        call = calls[locus]
        if locus == middle:
            record_usage_one(m, b, t, usage)
        known = call == 0 or call == top
        s, z, p = weigh_one(theta, t, error, known, call == top, m, b)
        if core_first <= locus < core_stop:
            alt = F(error) + span * p / max(z, TINY)
            out[locus - origin] = np.uint8(255 * (call == top)) if known else byte(alt)
            if call < 0:
                write_missing_one(alt, doses, unit, at)
                at += 1
            if t > 0:
                jumps[locus - origin] += min(switch[locus] * sums[t, 0] / max(z, TINY), F(1))
        rho = next_switch(switch, locus, stop)
        q = (F(1) - rho) / max(s, TINY)
        for k in range(pi.shape[0]):
            m[0, k] = m[0, k] * q + rho * pi[k]
