"""The recursions of kernel_likelihood.py for one path: a haploid sample, or one whose two haplotypes are the same."""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.kernel_numerics import BYTE, TINY, F, byte, inner, next_switch, sloped
from imputevae_cli.decoders.copying.kernel_one_path import write_missing_one


@inner
def emission_one(likelihood: np.ndarray) -> tuple[np.float32, np.float32]:
    """What a cell's likelihoods say of REF and of ALT on one path, summing to 1; a heterozygote says nothing."""
    ref, alt = likelihood[0], likelihood[likelihood.shape[0] - 1]
    total = ref + alt
    return (ref / total, alt / total) if total > TINY else (F(0.5), F(0.5))


@inner
def backward_one(
    likelihoods: np.ndarray, first: int, theta: np.ndarray, switch: np.ndarray, error: float, pi: np.ndarray,
    b: np.ndarray, sums: np.ndarray, w: np.ndarray,
) -> None:  # fmt: skip
    """As `backward_pair` for one haplotype."""
    n_donors = pi.shape[0]
    span = F(1.0 - 2.0 * error) * BYTE
    for k in range(n_donors):
        w[0, k] = F(1)
    for t in range(likelihoods.shape[0] - 1, -1, -1):
        for k in range(n_donors):
            b[t, 0, k] = w[0, k]
        rho = switch[first + t]
        base, slope = sloped(*emission_one(likelihoods[t]), F(error), span)
        s = F(0)
        for k in range(n_donors):
            s += pi[k] * (base + slope * F(theta[t, k])) * w[0, k]
        s = max(s, TINY)
        sums[t, 0] = s
        q = (F(1) - rho) / s
        base, slope = base * q, slope * q
        for k in range(n_donors):
            w[0, k] = (base + slope * F(theta[t, k])) * w[0, k] + rho


@inner
def forward_one(
    calls: np.ndarray, inbreeding: np.ndarray, likelihoods: np.ndarray, window: np.ndarray, theta: np.ndarray,
    switch: np.ndarray, error: float, pi: np.ndarray, b: np.ndarray, sums: np.ndarray, m: np.ndarray, out: np.ndarray,
    origin: int, jumps: np.ndarray, usage: np.ndarray, doses: np.ndarray, unit: int, at: int,
) -> None:  # fmt: skip
    """As `forward_pair` for one haplotype: out uint8 from locus `origin` on; inbreeding uint8 (T,), 255 times F."""
    first, core_first, core_stop, stop = window[0], window[1], window[2], window[3]
    span = F(1.0 - 2.0 * error) * BYTE
    eps = F(error)
    middle = (core_first + core_stop) // 2
    for k in range(pi.shape[0]):
        m[0, k] = pi[k]
    for t in range(core_stop - first):
        locus = first + t
        ref, alt = emission_one(likelihoods[t])
        base, slope = sloped(ref, alt, eps, span)
        if locus == middle:
            z = F(0)
            for k in range(usage.shape[0]):
                usage[k] = m[0, k] * b[t, 0, k]
                z += usage[k]
            for k in range(usage.shape[0]):
                usage[k] /= max(z, TINY)
        s = z = z_alone = p = F(0)
        for k in range(pi.shape[0]):
            th = F(theta[t, k])
            y = m[0, k] * b[t, 0, k]
            x = base + slope * th
            z_alone += y
            p += y * th
            z += x * y
            m[0, k] *= x
            s += m[0, k]
        if locus >= core_first:
            chance = min(eps + span * p / max(z_alone, TINY), F(1))
            weight = chance * alt
            out[locus - origin] = byte(weight / max(weight + (F(1) - chance) * ref, TINY))
            if calls[locus] < 0:
                write_missing_one(chance, F(inbreeding[t]) * BYTE, doses, unit, at)
                at += 1
            if t > 0:
                jumps[locus - origin] += min(switch[locus] * sums[t, 0] / max(z, TINY), F(1))
        rho = next_switch(switch, locus, stop)
        q = (F(1) - rho) / max(s, TINY)
        for k in range(pi.shape[0]):
            m[0, k] = m[0, k] * q + rho * pi[k]
