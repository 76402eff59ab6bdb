"""Which haplotypes of a large panel each sample is filled from: the most similar, stretch by stretch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imputevae_cli.decoders.copying import select_haplotypes
from imputevae_cli.decoders.copying.kernel_numerics import mix
from imputevae_cli.decoders.copying.select_haplotypes import Candidates, Packed

STRETCHES = (64, 256)
"""Typed loci over which haplotypes are compared. A stretch begins at the middle of the one before."""
AT_ONCE = 32
"""Samples of a task of a thread."""


def most_similar(
    panel: np.ndarray, haplotypes: np.ndarray, most: int, seed: int, pool: ThreadPoolExecutor
) -> np.ndarray:
    """int32 (N, most), rising: the rows of the panel that rank highest in any stretch, by either haplotype.

    panel: uint8 (H, T) 0/1, of `most` haplotypes at least; haplotypes: uint8 (2N, T), 0 REF and 255 ALT, of the
    samples at the same loci. seed: of what breaks ties.
    """
    n_samples = len(haplotypes) // 2
    alleles = panel * np.uint8(255)
    candidates = Candidates.of(np.full(n_samples, 2, np.uint8), 2, alleles)
    packed = Packed.of(candidates, alleles, haplotypes, stretches_of(panel.shape[1]))
    keys = np.array([mix(np.uint64(seed), n) for n in range(n_samples)], np.uint64)
    rows = np.zeros((n_samples, most), np.int32)

    def choose(first: int) -> None:
        select_haplotypes.choose(packed, np.array([first, min(first + AT_ONCE, n_samples)]), keys, rows)

    list(pool.map(choose, range(0, n_samples, AT_ONCE)))
    return np.sort(rows, axis=1)


def stretches_of(n_loci: int) -> np.ndarray:
    """int64 (S, 2): start and stop of the overlapping stretches of so many loci over which haplotypes are compared."""
    found = []
    for length in STRETCHES:
        starts = np.arange(0, max(n_loci - length // 2, 1), length // 2)
        found.append(np.stack([starts, np.minimum(starts + length, n_loci)], 1))
    return np.concatenate(found)
