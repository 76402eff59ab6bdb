"""What the global decoder is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from imputevae_cli.engine.cells import HiddenCells
from imputevae_cli.engine.vae import at_loci


@dataclass(frozen=True)
class TrainingData:
    """calls: int8 (N, all loci), -1 where missing or hidden. loci: int64 (L,), those to train on, or None for all.

    validation: cells by their place among these. populations: int64 (N,) codes, or None.
    """

    calls: Tensor
    n_classes: int
    validation: HiddenCells
    populations: Tensor | None = None
    n_populations: int = 0
    loci: Tensor | None = None

    @property
    def n_loci(self) -> int:
        return self.calls.shape[1] if self.loci is None else len(self.loci)

    def rows(self, samples: Tensor) -> Tensor:
        """Calls of some samples, int64 (B,): int8 (B, L)."""
        return at_loci(self.calls[samples], self.loci)
