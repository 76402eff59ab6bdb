"""Genotypes as the arrays of sgkit and of Zarr VCF have them: alleles by chromosome copy, chromosomes by number."""

from __future__ import annotations

import numpy as np


def allele_pairs(calls: np.ndarray, ploidy: int, alt_first: np.ndarray | None = None) -> np.ndarray:
    """int8 (..., ploidy): allele numbers of counts of ALT alleles, int8 (...); -1 for each where one is missing.

    REF comes first, but for cells of `alt_first`, bool (...).
    """
    copies = np.arange(ploidy)
    alleles = (copies >= ploidy - calls[..., None]).astype(np.int8)
    if alt_first is not None:
        alleles = np.where(alt_first[..., None], alleles[..., ::-1], alleles)
    alleles[calls < 0] = -1
    return alleles


def contig_numbers(chrom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the chromosomes in the order of the file, object (contigs,) of str, and int32 (loci,) places in them."""
    names: dict[str, int] = {}
    numbers = np.array([names.setdefault(name, len(names)) for name in chrom], np.int32)
    return np.array(list(names), object), numbers
