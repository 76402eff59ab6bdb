"""Windows along a chromosome of the panel, by the loci that the targets have: what is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CORE_TYPED, HALO_TYPED = 1000, 200
"""Typed loci of a window that is filled, and of its halo on either side. A haplotype's match reaches some tens of typed
loci, and a chromosome's end has no halo, so a core of few loci would be all ends."""
WINDOW_BYTES = 1 << 29
"""What the haplotypes and the probabilities of a window may take."""
BYTES_PER_TARGET = 40
"""Of a sample at a locus: three probabilities and two doses, and as much again while they are written."""


@dataclass(frozen=True)
class Window:
    """Loci start..stop (exclusive) of a chromosome of the panel, which are filled from typed loci first..last.

    first, last: into the chromosome's typed loci, last exclusive; they hold the halo too.
    """

    start: int
    stop: int
    first: int
    last: int


def windows_of(positions: np.ndarray, typed: np.ndarray, most_loci: int) -> Iterator[Window]:
    """The windows of a chromosome, in order; each locus is in one, and all of one position are in the same.

    positions: int64 (L,), of its loci, rising. typed: int64 (T,), places of the typed ones, rising. most_loci: of a
    window without its halo. Windows do not depend on what is asked for, so that a region is filled as it is in a run on
    the whole file.
    """
    start, n_loci, n_typed = 0, len(positions), len(typed)
    while start < n_loci:
        before = int(np.searchsorted(typed, start))
        ahead = n_typed - before
        stop = n_loci if ahead < 2 * CORE_TYPED else int(typed[before + CORE_TYPED])
        stop = min(stop, start + most_loci)
        if stop < n_loci:
            stop = max(int(np.searchsorted(positions, positions[stop])), start + 1)
        after = int(np.searchsorted(typed, stop))
        yield Window(start, stop, max(before - HALO_TYPED, 0), min(after + HALO_TYPED, n_typed))
        start = stop


def most_loci(n_haplotypes: int, n_targets: int) -> int:
    """Loci of a window for which WINDOW_BYTES do."""
    return max(WINDOW_BYTES // (n_haplotypes + BYTES_PER_TARGET * n_targets), 1)
