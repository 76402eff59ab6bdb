"""Small compiled pieces that the recursions of the copying decoder share."""

from __future__ import annotations

import numpy as np

from imputevae_cli.runtime.kernel_basics import TINY, F, fast, inner, mix, mix_each, uniform, uniforms

__all__ = ["BYTE", "TINY", "F", "fast", "inner", "mix", "mix_each", "uniform", "uniforms"]

BYTE = F(1.0 / 255.0)


@inner
def gather(panel: np.ndarray, donors: np.ndarray, start: int, n_loci: int, theta: np.ndarray) -> None:
    """theta uint8 (n_loci, K) <- the donors' alleles; panel uint8 (rows, loci), donors int32 (K,)."""
    for k in range(donors.shape[0]):
        row = panel[donors[k], start : start + n_loci]
        for t in range(n_loci):
            theta[t, k] = row[t]


@inner
def fill_prior(
    prior: np.ndarray, global_share: float, sample: int, donors: np.ndarray, ploidy: int, pi: np.ndarray
) -> None:
    """pi float32 (K,) <- the copying prior over donors int32 (K,), summing to 1; prior of no rows is uniform.

    global_share: the prior of the last donor, which is no sample's haplotype; 0 where it is one like the others.
    """
    n_others = donors.shape[0] - (global_share > 0)
    total = F(0)
    for k in range(n_others):
        pi[k] = F(1) if prior.shape[0] == 0 else max(prior[sample, donors[k] // ploidy], F(1e-8))
        total += pi[k]
    if n_others < donors.shape[0]:
        pi[n_others] = total * F(global_share / (1.0 - global_share))
        total += pi[n_others]
    for k in range(donors.shape[0]):
        pi[k] /= total


@inner
def line(alt: bool, error: float, span: np.float32) -> tuple[np.float32, np.float32]:
    """(base, slope): the chance of an allele is base + slope * the donor's byte; span: (1 - 2 error) / 255."""
    return F(error) if alt else F(1.0 - error), span if alt else -span


@inner
def emission(likelihood: np.ndarray, facing: np.float32) -> tuple[np.float32, np.float32]:
    """What a cell's likelihoods, float32 (3,), say of a haplotype's REF and ALT, summing to 1, where the other's allele
    is ALT by the chance `facing`; one half each where they say nothing."""
    ref = (F(1) - facing) * likelihood[0] + facing * likelihood[1]
    alt = (F(1) - facing) * likelihood[1] + facing * likelihood[2]
    total = ref + alt
    return (ref / total, alt / total) if total > TINY else (F(0.5), F(0.5))


@inner
def sloped(ref: np.float32, alt: np.float32, error: np.float32, span: np.float32) -> tuple[np.float32, np.float32]:
    """(base, slope) as in `line`, of an emission that is `ref` for REF and `alt` for ALT."""
    return ref + (alt - ref) * error, (alt - ref) * span


@inner
def next_switch(switch: np.ndarray, locus: int, stop: int) -> np.float32:
    """The switch probability before the next locus, 0 at the window's end."""
    return switch[locus + 1] if locus + 1 < stop else F(0)


@inner
def byte(p: np.float32) -> np.uint8:
    """A probability as a byte, rounded."""
    return np.uint8(p * F(255) + F(0.5))


@inner
def share(p: np.float32, unit: int) -> np.uint16:
    """A probability in units, rounded, uint16."""
    return np.uint16(p * F(unit) + F(0.5))
