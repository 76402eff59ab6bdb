"""What is scored: cells whose genotype an imputer is not given, and what a method says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells


@dataclass(frozen=True)
class Round:
    """The scored cells of one mask, or of a truth.

    cells: with `likelihoods`, what their reads say, the cells are scored by these; otherwise by `truth`.
    hides: whether the cells are known in the genotypes and are hidden from the imputer, with all their evidence. Cells
    of a truth from elsewhere are left as the genotypes have them.
    """

    cells: HiddenCells
    hides: bool = True

    def visible(self, genotypes: GenotypeMatrix) -> GenotypeMatrix:
        """The genotypes that an imputer is given."""
        if not self.hides:
            return genotypes
        calls = genotypes.calls.copy()
        calls[self.cells.samples, self.cells.loci] = MISSING
        return genotypes.with_calls(calls)


@dataclass(frozen=True)
class Guess:
    """Calls and genotype probabilities that a method gives M cells.

    call: int8 (M,), -1 left missing. gp: float32 (M, C), NaN where a cell has none. doses: float32 (M,), NaN where
    unknown, or None: from gp. has_probabilities: whether gp are probabilities, rather than a call taken as certain.
    """

    call: np.ndarray
    gp: np.ndarray
    doses: np.ndarray | None = None
    has_probabilities: bool = True


def joined(guesses: list[Guess]) -> Guess:
    """The guesses of all rounds as one."""
    if len(guesses) == 1:
        return guesses[0]
    doses = None if guesses[0].doses is None else np.concatenate([guess.doses for guess in guesses])
    return Guess(
        np.concatenate([guess.call for guess in guesses]),
        np.concatenate([guess.gp for guess in guesses]),
        doses,
        guesses[0].has_probabilities,
    )
