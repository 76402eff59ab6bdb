"""Inbreeding: how far a sample lacks heterozygous calls, and where its two haplotypes are one.

Lines and selfers are homozygous by descent over most of the genome; two free haplotypes would invent heterozygotes
there. Along each chromosome a sample is in or out of that state (a two-state HMM, as in Leutenegger et al. 2003,
doi:10.1086/378207): in it, heterozygous calls are rare errors; out of it, they are as common as under random mating.
Where it is in it, it follows one path.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies_of_counts
from imputevae_cli.data.genotypes import MISSING, genotype_counts
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.decoders.copying.rules import InbreedingRules

ONE_PATH = 128
"""The least chance, of 255, of homozygosity by descent at which a sample follows one path."""
NOBODY = np.zeros((0, 0), np.uint8)


def expected_heterozygosity(calls: np.ndarray, frequency: np.ndarray | None) -> np.ndarray:
    """float64 (L,) of diploid calls int8 (N, L) under random mating; frequency float (L,) of ALT, None: their own."""
    if frequency is not None:
        return 2.0 * frequency * (1.0 - frequency)
    counts = genotype_counts(calls)
    known = counts.sum(0)
    own = alt_frequencies_of_counts(counts, 2)
    return 2 * own * (1 - own) * 2 * known / np.maximum(2 * known - 1, 1)


def coefficients(calls: np.ndarray, ploidy: int, frequency: np.ndarray | None = None) -> np.ndarray:
    """float32 (N,): each sample's F = 1 - heterozygous calls / those expected, 0..1; 1 where haploid.

    calls: int8 (N, L), -1 missing; frequency: float (L,) of ALT, None to take the calls' own.
    """
    if ploidy == 1:
        return np.ones(len(calls), np.float32)
    het = expected_heterozygosity(calls, frequency)
    expected = np.array([(row != MISSING) @ het for row in calls])  # (N,)
    seen = np.array([np.count_nonzero(row == 1) for row in calls])
    return np.clip(1 - seen / np.maximum(expected, 1.0), 0, 1).astype(np.float32)


def by_descent(
    calls: np.ndarray,
    distances: np.ndarray,
    ploidy: int,
    frequency: np.ndarray | None = None,
    rules: InbreedingRules | None = None,
) -> np.ndarray:
    """uint8 (N, L): 255 times the chance that a sample is homozygous at a locus by descent; (0, 0) where nobody is
    inbred, or all are haploid.

    It never says 255, which is for haploid cells (`with_haploid`): what is left is the heterozygosity that lines show
    by error. Unless most samples are lines, what the median one lacks of heterozygosity is structure and counts for
    nobody, and a sample has to lack nearly all of the rest: one path is wrong where two haplotypes are merely alike.
    distances: float64 (L,), of `windows.relative_distances`, 0 at a chromosome's first locus. How often the state
    changes, how inbred each sample is and how common errors are is learned by expectation-maximisation.
    """
    from imputevae_cli.decoders.copying.kernel_by_descent import along_chromosomes  # brings the compiler

    rules = rules or InbreedingRules()
    f = coefficients(calls, ploidy, frequency).astype(np.float64)
    typical = float(np.median(f)) if len(f) else 0.0
    are_lines = typical > rules.mostly
    common = 0.0 if are_lines else typical
    f = 1 - (1 - f) / (1 - common)
    inbred = np.flatnonzero((f > rules.least) | are_lines)
    if ploidy == 1 or not len(inbred):
        return NOBODY
    het = np.clip((1 - common) * expected_heterozygosity(calls, frequency), 1e-4, 0.5)  # (L,)
    f = np.clip(f[inbred], rules.fewest, rules.most)
    found = np.zeros(calls.shape, np.uint8)
    residual, rate = np.full(len(inbred), rules.residual), rules.start_rate
    for step in range(rules.steps):
        error = residual.mean()
        last = step == rules.steps - 1
        sums = along_chromosomes(calls, inbred, het, distances, f, rate, error, residual, found if last else NOBODY)
        inside, changes, hets, expected = sums.T
        f = np.clip(inside / calls.shape[1], rules.fewest, rules.most)
        rate = max(changes.sum() / (len(inbred) * max(distances.sum(), 1.0)), rules.least_rate)
        residual = np.clip((rules.residual + hets) / (1 + expected), 0.0, 0.5)
    return found


def with_haploid(chances: np.ndarray, haploid: HaploidCells) -> np.ndarray:
    """What `by_descent` gave, uint8 (N, L), with the haploid cells of a diploid cohort: 255, as they have one path."""
    shape = len(haploid.samples), len(haploid.stretch)
    chances = chances if len(chances) else np.zeros(shape, np.uint8)
    return np.where(haploid.block(0, None), np.uint8(255), chances)


def paths(chances: np.ndarray, windows: np.ndarray, n_samples: int, ploidy: int) -> np.ndarray:
    """uint8 (W, N): 1 where a sample follows one path all through a window, because it is haploid or homozygous by
    descent there, else 2. chances: of `by_descent`; windows: int64 (W, 4), see `windows.windows`."""
    found = np.full((len(windows), n_samples), ploidy, np.uint8)
    if len(chances):
        for w, (first, _, _, stop) in enumerate(windows.tolist()):
            found[w, (chances[:, first:stop] >= ONE_PATH).all(1)] = 1
    return found


def n_joined(chances: np.ndarray) -> np.ndarray | int:
    """int64 (L,): samples that follow one path at each locus; 0 where `chances`, of `by_descent`, has no rows."""
    return np.count_nonzero(chances >= ONE_PATH, axis=0) if len(chances) else 0
