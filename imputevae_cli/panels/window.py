"""What is filled at once: a stretch of a panel's chromosome; and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class PanelWindow:
    """One stretch of one chromosome of a reference panel, and which of its loci the targets have.

    haplotypes: uint8 (H, L), 0 REF and 1 ALT; rows 2i and 2i + 1 are of one sample. positions: int64 (L,) bp, or
    float64 (L,) cM, that never fall. typed: int64 (T,), rising, the loci that the targets' file has. wanted: the loci
    that are asked for; those beside them are read only.
    """

    haplotypes: np.ndarray
    positions: np.ndarray
    typed: np.ndarray
    wanted: slice

    @property
    def typed_positions(self) -> np.ndarray:
        """Positions of the loci that the targets have, (T,)."""
        return self.positions[self.typed]

    def with_distances(self, distances: np.ndarray) -> PanelWindow:
        """The same with other positions, float64, by the distance of each typed locus from the one before, (T,).

        Between two typed loci all are stretched alike; before the first and behind the last they stay as they are."""
        old, new = self.typed_positions.astype(np.float64), np.cumsum(distances)
        new += old[0] - new[0]
        at = self.positions.astype(np.float64)
        inside = np.interp(at, old, new)
        positions = inside + np.minimum(at - old[0], 0) + np.maximum(at - old[-1], 0)
        return replace(self, positions=positions)


@dataclass(frozen=True)
class PanelFill:
    """The targets as filled from the panel, at the W wanted loci of a window.

    gp: float32 (N, W, 3), genotype probabilities. doses: float32 (N, 2, W), the chance of ALT on each haplotype: their
    sum is what `gp` expects.
    """

    gp: np.ndarray
    doses: np.ndarray
