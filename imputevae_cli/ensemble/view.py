"""What a fitted model says of a file: its samples, loci and alleles in the file's order and coding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import missing_per_sample
from imputevae_cli.data.joint import BlockFunction
from imputevae_cli.data.match_loci import Alignment
from imputevae_cli.ensemble.ensemble import Mixed


@dataclass(frozen=True)
class View:
    """Genotypes of a file's samples at its loci. rows: int64 (N,), the file's samples in the model's cohort."""

    mixed: Mixed
    rows: np.ndarray
    aligned: Alignment

    @property
    def has_calls(self) -> np.ndarray:
        """bool (N,): samples with any call that the model goes by."""
        calls = self.mixed.cohort.calls
        return (missing_per_sample(calls) < calls.shape[1])[self.rows]

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop of the file, float32 (N, stop - start, C)."""
        index, swapped = self.aligned.model_index[start:stop], self.aligned.swapped[start:stop]
        out = np.empty((len(self.rows), len(index), self.mixed.cohort.ploidy + 1), np.float32)
        # Runs of loci that follow one another in the model too, which is nearly all of a file
        edges = np.r_[0, np.flatnonzero(np.diff(index) != 1) + 1, len(index)]
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if last > first:
                out[:, first:last] = self.mixed.gp(int(index[first]), int(index[last - 1]) + 1)[self.rows]
        out[:, swapped] = out[:, swapped, ::-1]
        return out

    @property
    def draws(self) -> Callable[[int], BlockFunction] | None:
        """Draws of whole haplotypes, by number, where the model can make them."""
        if self.mixed.draw(1, 0) is None:
            return None

        def draw(number: int) -> BlockFunction:
            drawn = self.mixed.draw(number, len(self.mixed.cohort.calls))
            assert drawn is not None  # as it was not above
            drawn = drawn[self.rows]

            def at(start: int, stop: int) -> np.ndarray:
                index, swapped = self.aligned.model_index[start:stop], self.aligned.swapped[start:stop]
                genotypes = drawn[:, index]
                return np.where(swapped, self.mixed.cohort.ploidy - genotypes, genotypes).astype(np.int8)

            return at

        return draw

    def phase(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote's ALT comes first, at loci start..stop of the file."""
        index, swapped = self.aligned.model_index[start:stop], self.aligned.swapped[start:stop]
        low, high = int(index.min()), int(index.max()) + 1
        phased = self.mixed.phased
        assert phased is not None  # else nobody asks
        return phased.alt_first(low, high)[np.ix_(self.rows, index - low)] ^ swapped
