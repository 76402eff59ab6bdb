"""Some of the loci, to try on them what is done to all."""

from __future__ import annotations

import numpy as np


def two_stretches(n_loci: int, length: int) -> np.ndarray:
    """Loci, int64, rising: `length` of them around the first quarter of the file, and around the third."""
    starts = np.clip([n_loci // 4 - length // 2, 3 * n_loci // 4 - length // 2], 0, n_loci - length)
    return np.unique(np.concatenate([np.arange(start, start + length) for start in starts]))


def even_stretches(n_loci: int, n_stretches: int, length: int) -> np.ndarray:
    """Loci, int64, rising: stretches of `length` from the first locus to the last, evenly spread."""
    starts = np.linspace(0, n_loci - length, n_stretches).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(length))


def chromosomes_of(chrom_codes: np.ndarray, loci: np.ndarray) -> np.ndarray:
    """Chromosomes of some loci, int32 (l,), from 0 on; a gap starts a new one, as nothing is known of what lies there.

    chrom_codes: int32 (L,), rising. loci: int64 (l,), rising.
    """
    gaps = np.cumsum(np.diff(loci, prepend=loci[:1]) > 1)
    return np.cumsum(np.diff(chrom_codes[loci] + gaps, prepend=chrom_codes[loci[:1]]) > 0).astype(np.int32)
