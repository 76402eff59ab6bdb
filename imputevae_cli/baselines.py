"""What any model must beat: genotype frequencies of the locus, and of the sample's own population."""

from __future__ import annotations

import numpy as np

from imputevae_cli.genotypes import MISSING


def genotype_frequencies(
    calls: np.ndarray, n_classes: int, populations: np.ndarray | None = None, shrinkage: float = 2.0
) -> np.ndarray:
    """Genotype frequencies of each population at each locus, float32 (populations, loci, C).

    calls: int8 (N, L), -1 missing. populations: int (N,) codes 0..P-1, or None for one population.
    A population's counts are shrunk towards the frequencies of all samples by `shrinkage` samples' worth, and
    those towards equal shares by one sample's.
    """
    codes = np.zeros(len(calls), int) if populations is None else populations
    n_populations = int(codes.max()) + 1
    counts = np.zeros((n_populations, calls.shape[1], n_classes), np.float32)
    for population in range(n_populations):
        members = calls[codes == population]
        for genotype in range(n_classes):
            counts[population, :, genotype] = (members == genotype).sum(0)
    overall = counts.sum(0) + 1.0 / n_classes  # (L, C)
    overall /= overall.sum(1, keepdims=True)
    shrunk = counts + shrinkage * overall
    return shrunk / shrunk.sum(2, keepdims=True)


def locus_means(calls: np.ndarray) -> np.ndarray:
    """Mean dosage of the known calls of each locus, float (L,); 0 where none is known."""
    known = calls != MISSING
    return np.where(known, calls, 0).sum(0) / np.maximum(known.sum(0), 1)
