"""What the VAE is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae.network import at_loci


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


def population_tensor(cohort: Cohort) -> Tensor | None:
    """Population codes of a cohort's samples, int64 (N,), or None where they have none."""
    return None if cohort.populations is None else torch.from_numpy(cohort.populations)
