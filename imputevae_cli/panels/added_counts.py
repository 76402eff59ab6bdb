"""How sure a run is of the loci that it added from a panel, counted while they are written."""

from __future__ import annotations

import numpy as np

from imputevae_cli.io.vcf_added import estimated_r2
from imputevae_cli.panels.frequency_bins import FrequencyBins


class AddedCounts:
    """Counts of the loci that were added so far.

    by_frequency: mean DR2 by frequency in the panel. best_gp: int64 (1001,), cells by their best probability in
    thousandths. total: int64 (N,), the sum of these by sample. n_loci: how many.
    """

    def __init__(self, n_samples: int):
        self.by_frequency = FrequencyBins()
        self.best_gp = np.zeros(1001, np.int64)
        self.total = np.zeros(n_samples, np.int64)
        self.n_loci = 0
        self._parts: list[np.ndarray] = []

    def add(self, gp: np.ndarray, doses: np.ndarray, frequency: np.ndarray) -> np.ndarray:
        """Count some loci, and return the DR2 of each, float64 (b,).

        gp: uint16 (N, b, 3), thousandths. doses: (N, 2, b), see `estimated_r2`. frequency: (b,), of ALT in the panel.
        """
        dr2 = estimated_r2(doses)
        self.by_frequency.add(frequency, dr2)
        best = gp.max(2)
        self.best_gp += np.bincount(best.ravel(), minlength=1001)
        self.total += best.sum(1, dtype=np.int64)
        self.n_loci += len(dr2)
        expected = np.nanmean(doses.reshape(-1, doses.shape[-1]), axis=0)
        self._parts.append(np.stack([dr2, frequency, expected]).astype(np.float32))
        return dr2

    @property
    def loci(self) -> np.ndarray:
        """float32 (3, loci): DR2, frequency in the panel and among the targets of each, in the order of counting."""
        return np.concatenate([np.zeros((3, 0), np.float32), *self._parts], axis=1)
