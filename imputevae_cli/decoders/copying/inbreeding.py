"""Inbreeding: how far a sample lacks heterozygous calls, and where its two haplotypes are one.

Lines and selfers are homozygous by descent over most of the genome; two free haplotypes would invent heterozygotes
there. In such windows a sample follows one path, and its remaining heterozygosity is mixed in afterwards.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies_of_counts
from imputevae_cli.data.genotypes import MISSING, genotype_counts
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.decoders.copying.rules import InbreedingRules

DEFAULT_RULES = InbreedingRules()


def expected_heterozygosity(calls: np.ndarray, frequency: np.ndarray | None) -> np.ndarray:
    """float64 (L,) of diploid calls int8 (N, L) under random mating; frequency float (L,) of ALT, None: their own."""
    if frequency is not None:
        return 2.0 * frequency * (1.0 - frequency)
    counts = genotype_counts(calls)
    known = counts.sum(0)
    own = alt_frequencies_of_counts(counts, 2)
    return 2 * own * (1 - own) * 2 * known / np.maximum(2 * known - 1, 1)


def coefficients(
    calls: np.ndarray, ploidy: int, frequency: np.ndarray | None = None, haploid: HaploidCells | None = None
) -> np.ndarray:
    """float32 (N,): each sample's F = 1 - heterozygous calls / those expected, 0..1; 1 where haploid.

    calls: int8 (N, L), -1 missing; frequency: float (L,) of ALT, None to take the calls' own. haploid: cells that are
    not counted.
    """
    if ploidy == 1:
        return np.ones(len(calls), np.float32)
    het = expected_heterozygosity(calls, frequency)
    diploid = (lambda n: True) if haploid is None else (lambda n: ~haploid.of_sample(n))
    expected = np.array([((row != MISSING) & diploid(n)) @ het for n, row in enumerate(calls)])  # (N,)
    seen = np.array([np.count_nonzero(row == 1) for row in calls])
    return np.clip(1 - seen / np.maximum(expected, 1.0), 0, 1).astype(np.float32)


def paths(
    calls: np.ndarray,
    windows: np.ndarray,
    ploidy: int,
    frequency: np.ndarray | None = None,
    rules: InbreedingRules = DEFAULT_RULES,
    haploid: HaploidCells | None = None,
) -> np.ndarray:
    """uint8 (W, N): 1 where a sample follows one path through a window, because it is haploid or inbred there, else 2.

    A window of an inbred sample is called by the odds of its heterozygous calls, with the sample's F as the prior.
    windows: int64 (W, 4), see `windows.windows`. haploid: cells of a diploid cohort, which say nothing of inbreeding.
    """
    found = np.full((len(windows), len(calls)), ploidy, np.uint8)
    f = coefficients(calls, ploidy, frequency, haploid)
    inbred = np.flatnonzero(f > rules.least)
    if ploidy == 1 or not len(inbred):
        return found
    f = np.minimum(f[inbred], rules.most)
    het = np.clip(expected_heterozygosity(calls, frequency), 1e-4, 0.5)  # (L,)
    if_het, if_hom = np.log(rules.residual), np.log((1 - rules.residual * het) / (1 - het))
    for w, (first, _, _, stop) in enumerate(windows):
        some = calls[inbred, first:stop]
        hom = (some == 0) | (some == 2)
        odds = np.log(f / (1 - f)) + if_het * (some == 1).sum(1) + hom @ if_hom[first:stop]
        found[w, inbred] = np.where(odds > 0, 1, 2)
    return found


def residual_coefficients(
    calls: np.ndarray, windows: np.ndarray, followed: np.ndarray, ploidy: int, frequency: np.ndarray | None = None
) -> np.ndarray:
    """float32 (N,): F over the windows in which a sample follows one path (`followed` == 1, uint8 (W, N)); else 0."""
    if ploidy == 1:
        return np.ones(len(calls), np.float32)
    het = expected_heterozygosity(calls, frequency)
    seen, expected = np.full(len(calls), 0.5), np.full(len(calls), 1.0)  # half of one expected call, to start from
    for w, (_, start, stop, _) in enumerate(windows):
        one = followed[w] == 1
        some = calls[one, start:stop]
        seen[one] += (some == 1).sum(1)
        expected[one] += (some != MISSING) @ het[start:stop]
    return np.clip(1 - seen / expected, 0, 1).astype(np.float32)
