"""What any model must beat: genotype frequencies of the locus, and of the sample's own population."""

from __future__ import annotations

import numpy as np

from imputevae_cli.genotypes import MISSING


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
    for genotype in range(n_classes):
        here = calls == genotype
        counts[-1, :, genotype] = here.sum(0)
        for population in range(n_populations):
            counts[population, :, genotype] = here[populations == population].sum(0)
    overall = counts[-1] + 1.0 / n_classes  # (L, C)
    overall /= overall.sum(1, keepdims=True)
    counts[:-1] += shrinkage * overall
    counts[-1] = overall
    return counts / counts.sum(2, keepdims=True)


def locus_means(calls: np.ndarray) -> np.ndarray:
    """Mean dosage of the known calls of each locus, float (L,); 0 where none is known."""
    known = calls != MISSING
    return np.where(known, calls, 0).sum(0) / np.maximum(known.sum(0), 1)


def commonest_genotype(
    calls: np.ndarray, n_classes: int, populations: np.ndarray | None = None, n_populations: int = 0
) -> np.ndarray:
    """The commonest genotype of each population at each locus, int8 (populations + 1, loci); the last row is of all.

    Arguments as in `genotype_frequencies`. Where genotypes of a population are equally common, or it has no call, the
    one that is commoner among all samples is taken, and the lesser count at last.
    """
    return genotype_frequencies(calls, n_classes, populations, n_populations, shrinkage=1e-3).argmax(2).astype(np.int8)
