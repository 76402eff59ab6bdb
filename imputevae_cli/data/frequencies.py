"""Allele and genotype frequencies of each locus, and what follows from them: smoothed, by population, as means.

What any model must beat, and where most of them start from. Every frequency of the package is made here, with the
smoothing as an argument.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from imputevae_cli.data.genotypes import MISSING, genotype_counts
from imputevae_cli.data.haploid import HaploidCells

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", float, np.ndarray, "Tensor")
"""A number, or an array of numpy or torch."""


def alt_frequencies(n_alt: np.ndarray, n_known: np.ndarray, ploidy: int, pseudo_count: float = 0.0) -> np.ndarray:
    """Frequency of the ALT allele, float64, from counts of ALT alleles and of known calls, int like it.

    pseudo_count: how many of each allele are added. 0 where nothing is known and nothing added.
    """
    return (n_alt + pseudo_count) / np.maximum(ploidy * n_known + 2 * pseudo_count, 1)


def alt_frequencies_of(
    calls: np.ndarray, ploidy: int, pseudo_count: float = 0.0, haploid: np.ndarray | None = None
) -> np.ndarray:
    """`alt_frequencies` of the known calls of each locus, float64 (L,); calls: int8 (N, L), -1 missing.

    haploid: bool (N, L), cells of a diploid matrix that count as one allele.
    """
    known = calls != MISSING
    if haploid is not None:
        weights = np.where(haploid, 0.5, 1.0)
        return alt_frequencies(
            (np.where(known, calls, 0) * weights).sum(0), (known * weights).sum(0), ploidy, pseudo_count
        )
    return alt_frequencies(np.where(known, calls, 0).sum(0), known.sum(0), ploidy, pseudo_count)


def alt_frequencies_of_counts(counts: np.ndarray, ploidy: int, pseudo_count: float = 0.0) -> np.ndarray:
    """`alt_frequencies` of each locus, float64 (L,), from its genotype counts, int64 (ploidy + 1, L)."""
    return alt_frequencies(np.arange(ploidy + 1) @ counts, counts.sum(0), ploidy, pseudo_count)


def smoothed_shares(counts: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Shares of genotypes along the last axis, of the counts with `pseudo_count` of each genotype added; dtype kept."""
    shares = counts + pseudo_count
    shares /= shares.sum(-1, keepdims=True)
    return shares


def locus_frequencies(calls: np.ndarray, n_classes: int, pseudo_count: float) -> np.ndarray:
    """Genotype frequencies of each locus, float32 (L, C), `pseudo_count` of each genotype added; calls: int8 (N, L)."""
    return smoothed_shares(genotype_counts(calls, n_classes).T, pseudo_count).astype(np.float32)


def hardy_weinberg(alt: Values, ploidy: int) -> list[Values]:
    """Chance of each genotype, 0..ploidy ALT alleles, under random mating; alt: the frequency of ALT, of any shape."""
    ref = 1 - alt
    if ploidy > 2:  # of an autopolyploid
        return [comb(ploidy, n_alt) * alt**n_alt * ref ** (ploidy - n_alt) for n_alt in range(ploidy + 1)]
    return [ref, alt] if ploidy == 1 else [ref * ref, 2 * alt * ref, alt * alt]


def info_score(theta: np.ndarray, spread: np.ndarray, n_alleles: np.ndarray) -> np.ndarray:
    """The IMPUTE info score of each locus, float64 like theta: 1 - spread / (n theta (1 - theta)), clipped at 0.

    theta: mean dosage of an allele; 1 where it is 0 or 1, NaN where it is NaN. spread: sum of f - e^2 over the samples,
    with e the dosage and f its second moment. n_alleles: of the samples, in the unit of `spread`.
    (Marchini & Howie 2010; bcftools +impute-info.)
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.maximum(1 - spread / (n_alleles * theta * (1 - theta)), 0)
    return np.where((theta <= 0) | (theta >= 1 - 1e-9), 1.0, score)


def genotype_frequencies(
    calls: np.ndarray,
    n_classes: int,
    populations: np.ndarray | None = None,
    n_populations: int = 0,
    shrinkage: float = 2.0,
    haploid: HaploidCells | None = None,
) -> np.ndarray:
    """Genotype frequencies of each population at each locus, float32 (populations + 1, loci, C).

    The last row is of all samples.

    calls: int8 (N, L), -1 missing. populations: int (N,) codes; n_populations stands for none. A population's counts
    are shrunk towards the frequencies of all samples by `shrinkage` samples' worth, and those towards equal
    shares by one sample's. haploid: cells that count as half a diploid, of their allele and one by chance.
    """
    counts = np.zeros((n_populations + 1, calls.shape[1], n_classes), np.float32)
    for population in range(n_populations):
        assert populations is not None  # there are some
        counts[population] = _diploid_counts(calls, n_classes, populations == population, haploid)
    counts[-1] = counts[:-1].sum(0)
    rest = np.ones(len(calls), bool) if populations is None else populations == n_populations
    counts[-1] += _diploid_counts(calls, n_classes, rest, haploid)
    overall = smoothed_shares(counts[-1], 1.0 / n_classes)  # (L, C)
    counts[:-1] += shrinkage * overall
    counts[-1] = overall
    return counts / counts.sum(2, keepdims=True)


def _diploid_counts(calls: np.ndarray, n_classes: int, samples: np.ndarray, haploid: HaploidCells | None) -> np.ndarray:
    """Genotype counts of some samples, bool (N,), at each locus, float64 or int64 (L, C).

    A haploid cell is half a diploid: its allele, and one drawn at the frequency of the alleles.
    """
    counts = genotype_counts(calls, n_classes, samples)
    if haploid is None:
        return counts.T
    counts = counts.astype(np.float64)
    for stretch in np.flatnonzero(haploid.samples[samples].any(0)):
        loci = np.flatnonzero(haploid.stretch == stretch)
        ref, _, alt = own = genotype_counts(calls[:, loci], 3, samples & haploid.samples[:, stretch])
        diploid = counts[:, loci] - own
        n_alt, n_all = diploid[1] + 2 * diploid[2] + alt, 2 * diploid.sum(0) + ref + alt
        p = n_alt / np.maximum(n_all, 1)
        counts[:, loci] = diploid + np.stack([ref * (1 - p), ref * p + alt * (1 - p), alt * p]) / 2
    return counts.T


def locus_means(calls: np.ndarray) -> np.ndarray:
    """Mean dosage of the known calls of each locus, float (L,); 0 where none is known."""
    total, n_known = np.zeros((2, calls.shape[1]), np.int64)
    for row in calls:  # a sample at a time: nothing of the size of the calls is made
        total += np.maximum(row, 0)
        n_known += row != MISSING
    return total / np.maximum(n_known, 1)
