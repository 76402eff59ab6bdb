"""Means over loci by the frequency of their rarer allele in the panel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

EDGES = (0.0, 0.005, 0.02, 0.05, 0.5)
"""Of bins of the frequency of the rarer allele, the upper edge within. Rare alleles are filled worst."""


MONOMORPHIC = "one allele in the panel"
"""What loci that are in no bin are called."""


def bin_names() -> list[str]:
    """What the bins are called."""
    first, *others = pairwise(EDGES)
    return [f"MAF to {first[1]:g}", *(f"MAF {low:g} to {high:g}" for low, high in others)]


def bins_of(frequency: np.ndarray) -> np.ndarray:
    """int64 (L,): the bin of each locus by the frequency of ALT, -1 where the panel does not vary."""
    rarer = np.minimum(frequency, 1 - frequency)
    return np.where(rarer > 0, np.searchsorted(EDGES, rarer - 1e-9) - 1, -1)


class FrequencyBins:
    """A mean over loci in each bin, gathered piece by piece."""

    def __init__(self) -> None:
        self._sum = np.zeros(len(EDGES) - 1)
        self._n = np.zeros(len(EDGES) - 1, np.int64)

    def add(self, frequency: np.ndarray, values: np.ndarray) -> None:
        """frequency: of ALT in the panel; values: of each locus, float (L,)."""
        place = bins_of(frequency)
        some = place >= 0
        self._sum += np.bincount(place[some], values[some], len(self._sum))
        self._n += np.bincount(place[some], minlength=len(self._n))

    def rows(self) -> list[tuple[str, int, float]]:
        """Name, loci and mean of each bin; NaN where it has no locus."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._sum / self._n
        return list(zip(bin_names(), self._n.tolist(), means.tolist(), strict=True))
