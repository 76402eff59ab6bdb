"""What any model must beat: genotype frequencies of the locus, and of the sample's own population."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.genotypes import MISSING, genotype_counts


def genotype_frequencies(
    calls: np.ndarray,
    n_classes: int,
    populations: np.ndarray | None = None,
    n_populations: int = 0,
    shrinkage: float = 2.0,
) -> np.ndarray:
    """Genotype frequencies of each population at each locus, float32 (populations + 1, loci, C).

    The last row is of all samples.

    calls: int8 (N, L), -1 missing. populations: int (N,) codes; n_populations stands for none. A population's counts
    are shrunk towards the frequencies of all samples by `shrinkage` samples' worth, and those towards equal
    shares by one sample's.
    """
    counts = np.zeros((n_populations + 1, calls.shape[1], n_classes), np.float32)
    for population in range(n_populations):
        counts[population] = genotype_counts(calls, n_classes, populations == population).T
    counts[-1] = counts[:-1].sum(0)
    rest = slice(None) if populations is None else populations == n_populations
    counts[-1] += genotype_counts(calls, n_classes, rest).T
    overall = counts[-1] + 1.0 / n_classes  # (L, C)
    overall /= overall.sum(1, keepdims=True)
    counts[:-1] += shrinkage * overall
    counts[-1] = overall
    return counts / counts.sum(2, keepdims=True)


def locus_means(calls: np.ndarray) -> np.ndarray:
    """Mean dosage of the known calls of each locus, float (L,); 0 where none is known."""
    total, n_known = np.zeros((2, calls.shape[1]), np.int64)
    for row in calls:  # a sample at a time: nothing of the size of the calls is made
        total += np.maximum(row, 0)
        n_known += row != MISSING
    return total / np.maximum(n_known, 1)


def commonest_genotype(
    calls: np.ndarray, n_classes: int, populations: np.ndarray | None = None, n_populations: int = 0
) -> np.ndarray:
    """The commonest genotype of each population at each locus, int8 (populations + 1, loci); the last row is of all.

    Arguments as in `genotype_frequencies`. Where genotypes of a population are equally common, or it has no call, the
    one that is commoner among all samples is taken, and the lesser count at last.
    """
    return genotype_frequencies(calls, n_classes, populations, n_populations, shrinkage=1e-3).argmax(2).astype(np.int8)
