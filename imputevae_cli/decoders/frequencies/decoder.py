"""The baseline: genotype frequencies of each sample's population. It needs no fit, and all others must beat it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Context, Inputs, PlainDecoder, Role, Setting, Task
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.resumable import State


@dataclass(frozen=True)
class FrequencyTable:
    """Genotype frequencies of each sample's population.

    table: float32 (populations + 1, L, C), the last of all samples. codes: int64 (N,), rows of the table.
    """

    table: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort) -> FrequencyTable:
        """The frequencies among the known calls of a cohort, or by its likelihoods where calls are uncertain."""
        codes = np.zeros(len(cohort.calls), np.int64) if cohort.populations is None else cohort.populations
        groups = (cohort.populations, cohort.n_populations)
        if cohort.evidence is not None:
            return cls(evidence_frequencies(cohort.evidence, *groups), codes)
        return cls(genotype_frequencies(cohort.calls, cohort.ploidy + 1, *groups, haploid=cohort.haploid), codes)

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, C)."""
        return self.table[self.codes, start:stop]

    def for_samples(self, cohort: Cohort) -> FrequencyTable:
        """The same frequencies for other samples."""
        last = len(self.table) - 1
        codes = np.full(len(cohort.calls), last) if cohort.populations is None else np.minimum(cohort.populations, last)
        return replace(self, codes=codes)

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """Genotype frequencies of the cells, float32 (M, C)."""
        return self.table[self.codes[cells.samples], cells.loci]


class FrequencyDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "frequencies", "genotype frequencies"
    role = Role(on_evidence="also", score=-0.6)

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`."""
        return Cost(0.0, 4 * task.cohort.n_loci * (task.cohort.ploidy + 1) * (task.cohort.n_populations + 1))

    def fit(self, task: Task, inputs: Inputs) -> FittedFrequencies:
        """See `Decoder`."""
        return FittedFrequencies(task.cohort, FrequencyTable.of(task.cohort))

    def from_state(self, state: State, setting: Setting) -> FittedFrequencies:
        """See `Decoder`; all that there is to know is in the cohort."""
        return FittedFrequencies(setting.cohort, None)


@dataclass(frozen=True)
class FittedFrequencies:
    """See `FittedDecoder`. visible: the frequencies of the visible calls, or None after a checkpoint."""

    cohort: Cohort
    visible: FrequencyTable | None

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`."""
        return (self.visible or FrequencyTable.of(self.cohort)).gp_of(cells)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedFrequencies:
        """See `FittedDecoder`."""
        return self

    def for_cohort(self, context: Context) -> FrequencyTable:
        """See `FittedDecoder`."""
        return FrequencyTable.of(self.cohort)

    def for_samples(self, cohort: Cohort, context: Context) -> FrequencyTable:
        """See `FittedDecoder`."""
        return FrequencyTable.of(self.cohort).for_samples(cohort)

    def state(self) -> State:
        """See `FittedDecoder`."""
        return {}
