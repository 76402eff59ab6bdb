"""Random numbers for a batch of samples of which this process may have a part."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Draws(NamedTuple):
    """Random numbers of `rows` of a batch of n_rows.

    Those of the whole batch are drawn whatever the rows, so that processes with different rows stay in step. The
    generator lives on the CPU, and so do the numbers.
    """

    generator: torch.Generator
    n_rows: int
    rows: slice = slice(None)

    def uniform(self, width: int) -> Tensor:
        """Uniform from 0 to 1, float32 (rows, width)."""
        return torch.rand(self.n_rows, width, generator=self.generator)[self.rows]

    def normal(self, width: int) -> Tensor:
        """Standard normal, float32 (rows, width)."""
        return torch.randn(self.n_rows, width, generator=self.generator)[self.rows]
