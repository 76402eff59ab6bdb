"""Genotypes of records with several ALT alleles, whose loci are one for each of them, against all others."""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement

import numpy as np

LEAST = 1e-6
LEAST_LIKELIHOOD = 1e-3
"""Probabilities, and likelihoods that are taken out of a posterior, are raised to these."""
MOST_ALT = 8
"""Records with more ALT alleles are not modelled."""


def loci_of(alt: str) -> list[str]:
    """What `Loci.alt` says of each of a record's ALT alleles: the allele, and after it the others by name.

    >>> loci_of("T,*,C")
    ['T,*,C', '*,C,T', 'C,*,T']
    """
    alleles = alt.split(",")
    return [",".join([own, *sorted(alleles[:k] + alleles[k + 1 :])]) for k, own in enumerate(alleles)]


@cache
def genotypes(n_alt: int, ploidy: int = 2) -> np.ndarray:
    """int64 (G, ploidy): the alleles of each genotype in VCF's order: 0/0, 0/1, 1/1, 0/2, 1/2, 2/2, ..."""
    found = combinations_with_replacement(range(n_alt + 1), ploidy)
    return np.array(sorted(found, key=lambda alleles: alleles[::-1]))


@cache
def doses(n_alt: int, ploidy: int = 2) -> np.ndarray:
    """int8 (G, A): copies of each ALT allele in each genotype, in VCF's order."""
    return (genotypes(n_alt, ploidy)[:, :, None] == np.arange(1, n_alt + 1)).sum(1).astype(np.int8)


@cache
def homozygotes(n_alt: int) -> np.ndarray:
    """int64 (A + 1,): the place in VCF's order of a diploid's homozygote of each allele, REF first."""
    allele = np.arange(n_alt + 1)
    return allele * (allele + 3) // 2


def genotypes_of(calls: np.ndarray, ploidy: int = 2) -> np.ndarray:
    """int64 (N,): the place in VCF's order of the genotype with these copies of each ALT allele.

    calls: int8 (N, A), -1 missing. -1 where any is missing, and where they are too many.
    """
    base = (ploidy + 1) ** np.arange(calls.shape[1])
    numbers = doses(calls.shape[1], ploidy) @ base
    order = np.argsort(numbers)
    wanted = np.where((calls >= 0).all(1), np.maximum(calls, 0) @ base, -1)
    place = order[np.minimum(np.searchsorted(numbers[order], wanted), len(order) - 1)]
    return np.where(numbers[place] == wanted, place, -1)


def of_allele(values: np.ndarray, allele: int, n_alt: int) -> np.ndarray:
    """The best of G-ordered phred values for each count of an ALT allele, int64 (N, 3), from those of all genotypes.

    values: int64 (N, G). allele: 0 for the first ALT.
    """
    dose = doses(n_alt)[:, allele]
    return np.stack([values[:, dose == count].min(1) for count in range(3)], 1)


def nearest_to_doses(gp: np.ndarray, n_alt: int, ploidy: int) -> np.ndarray:
    """The genotypes, int64 (M,), in VCF's order, whose copies of the ALT alleles are nearest to the expected ones.

    gp: (M, G), genotype probabilities, or any multiple of them. The likeliest where it excludes the nearest.
    """
    dose = doses(n_alt, ploidy).astype(float)
    expected = gp @ dose / gp.sum(1, keepdims=True)
    nearest = ((expected[:, None] - dose) ** 2).sum(2).argmin(1)
    return np.where(gp[np.arange(len(gp)), nearest] > 0, nearest, gp.argmax(1))


def joint_chances(gp: np.ndarray, likelihoods: np.ndarray | None, haploid: np.ndarray) -> np.ndarray:
    """Probabilities of the genotypes of a record of A ALT alleles, float64 (M, G), in VCF's order.

    gp: float (M, A, C), of the count of each ALT allele; a genotype gets the product of what its alleles say.
    likelihoods: float (M, A, C), the cells' own evidence, which gp holds. It must not count once for each allele: it is
    taken out, and a genotype gets the least of what the evidence leaves its alleles. None where calls are certain.
    haploid: bool (M,), cells that are homozygous here.
    """
    n_alt, ploidy = gp.shape[1], gp.shape[2] - 1
    dose = doses(n_alt, ploidy).astype(np.int64)
    gp = np.maximum(gp, LEAST)
    own = np.ones((len(gp), len(dose)))
    if likelihoods is not None:
        gp = gp / np.maximum(likelihoods, LEAST_LIKELIHOOD)
        gp /= gp.sum(2, keepdims=True)
        for k in range(n_alt):
            own = np.minimum(own, likelihoods[:, k, dose[:, k]])
        # A half-call that shows REF says of every ALT that it is not there alone, and rules none of them in
        with_ref = ((likelihoods[:, :, -1] == 0) & (likelihoods[:, :, 0] > 0)).all(1)
        own[np.ix_(with_ref, dose.sum(1) == ploidy)] = 0
    logs = sum(np.log(gp[:, k, dose[:, k]]) for k in range(n_alt))
    joint = np.exp(logs - logs.max(1, keepdims=True)) * own
    alleles = genotypes(n_alt, ploidy)
    joint[np.ix_(haploid, alleles[:, 0] != alleles[:, -1])] = 0
    total = joint.sum(1, keepdims=True)
    return np.where(total > 0, joint / np.where(total > 0, total, 1), 1 / len(dose))
