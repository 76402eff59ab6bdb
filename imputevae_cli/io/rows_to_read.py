"""Which records of a file are read: all, or those of regions and loci around them as context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imputevae_cli.data.region import Regions

OUTSIDE = -1
"""The row of a locus that is read as context of the regions: see `VcfSource.rows`."""


class RowsToRead:
    """Counts the records of the regions, and tells for each record whether it is read, in the order of the file.

    n_kept: records of the regions so far. n_after: loci taken as context since the last of them.
    """

    def __init__(self, regions: Regions | None, context: int | None):
        """context: loci on either side of the regions, None for all of the file."""
        self.regions, self.context = regions, context
        self.n_kept = self.n_after = 0

    def row_of(self, chrom: str, pos: int) -> int | None:
        """A record's place among those of the regions, OUTSIDE for context of them, None where it is not read."""
        regions = self.regions
        if regions is None or (chrom, pos) in regions:
            self.n_kept, self.n_after = self.n_kept + 1, 0
            return self.n_kept - 1
        if self.context is None:
            return OUTSIDE
        near = chrom in regions.chroms and (regions.begins_after(chrom, pos) or self.n_after < self.context)
        return OUTSIDE if self.context and near else None

    def can_spare(self, n_loci: int) -> bool:
        """Whether the first of the loci read lie so far before the first region that `n_loci` behind them are its
        context."""
        return bool(self.context) and not self.n_kept and n_loci >= (self.context or 0)

    def are_near(self, rows: np.ndarray, chroms: Sequence[str]) -> np.ndarray:
        """bool (loci,): those of the regions, and on either side of each no more than `context` of its chromosome.

        rows: int64 (loci,). chroms: of each locus.
        """
        inside = np.flatnonzero(rows != OUTSIDE)
        if not self.context or not len(inside):
            return np.ones(len(rows), bool)
        place, chrom = np.arange(len(rows)), np.array(chroms, object)
        following = np.searchsorted(inside, place).clip(max=len(inside) - 1)
        near = np.zeros(len(rows), bool)
        for one in (inside[following], inside[(following - 1).clip(min=0)]):
            near |= (abs(place - one) <= self.context) & (chrom == chrom[one])
        return near
