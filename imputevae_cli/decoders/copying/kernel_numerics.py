"""Small compiled pieces that the recursions of the copying decoder share."""

from __future__ import annotations

import numpy as np

from imputevae_cli.runtime.kernel_basics import TINY, F, fast, inner, mix, mix_each, uniform, uniforms

__all__ = ["BYTE", "TINY", "F", "fast", "inner", "mix", "mix_each", "uniform", "uniforms"]

BYTE = F(1.0 / 255.0)
U64 = np.uint64


@inner
def room_for_alleles(n_loci: int, n_donors: int) -> tuple[np.ndarray, np.ndarray]:
    """theta and rows for `gather`: uint8 (>= n_loci, n_donors), uint8 (8, >= n_loci); n_donors a multiple of 8."""
    width = (n_loci + 7) // 8
    return np.empty((8 * width, n_donors // 8), np.uint64), np.empty((8, width), np.uint64)


@inner
def gather(
    panel: np.ndarray, donors: np.ndarray, start: int, n_loci: int, words: np.ndarray, rows: np.ndarray,
    alike: np.ndarray,
) -> None:  # fmt: skip
    """The donors' alleles at n_loci from locus `start` on, and alike bool (T,): whether all have the same there.

    panel uint8 (rows, loci); donors int32 (K,). words uint64 (>= T, >= K / 8): a locus's alleles, a byte each, in the
    order of the donors; what is beyond the last one is that of the first. rows: see `room_for_alleles`. Squares of 8 x
    8 bytes are turned on their diagonal by three exchanges of halves (Warren, Hacker's Delight, 7-3).
    """
    width = rows.shape[1]
    alleles, first, differ = rows.view(np.uint8), np.zeros(width, np.uint64), np.zeros(width, np.uint64)
    for g in range(words.shape[1]):
        for i in range(8):
            donor = donors[8 * g + i] if 8 * g + i < donors.shape[0] else donors[0]
            row, copied = panel[donor, start : start + n_loci], alleles[i]
            for t in range(n_loci):
                copied[t] = row[t]
        for j in range(width):
            if g == 0:
                first[j] = rows[0, j]
            found = differ[j]
            for i in range(8):
                found |= rows[i, j] ^ first[j]
            differ[j] = found
        exchange(rows, 4, U64(0x00000000FFFFFFFF))
        exchange(rows, 2, U64(0x0000FFFF0000FFFF))
        exchange(rows, 1, U64(0x00FF00FF00FF00FF))
        for j in range(width):
            for i in range(8):
                words[8 * j + i, g] = rows[i, j]
    differing = differ.view(np.uint8)
    for t in range(n_loci):
        alike[t] = differing[t] == 0


@inner
def exchange(rows: np.ndarray, apart: int, mask: np.uint64) -> None:
    """Exchange the high parts of rows uint64 (8, W) with the low parts of those `apart` below; mask: the low parts."""
    shift = U64(8 * apart)
    for first in range(0, 8, 2 * apart):
        for i in range(first, first + apart):
            upper, lower = rows[i], rows[i + apart]
            for j in range(upper.shape[0]):
                change = ((upper[j] >> shift) ^ lower[j]) & mask
                lower[j] ^= change
                upper[j] ^= change << shift


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
