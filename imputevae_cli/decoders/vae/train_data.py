"""What the VAE is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae.network import at_loci
from imputevae_cli.decoders.vae.soft_calls import Calls, SoftCalls


@dataclass(frozen=True)
class TrainingData:
    """calls: int8 (N, all loci), -1 where missing or hidden. loci: int64 (L,), those to train on, or None for all.

    validation: cells by their place among these. populations: int64 (N,) codes, or None. soft: the evidence of all
    loci, and frequencies: float32 (L, C), of genotypes under it, where calls are uncertain. first_of_records: int64
    (L,), of those to train on the first of each one's record; None where each locus is one.
    """

    calls: Tensor
    n_classes: int
    validation: HiddenCells
    populations: Tensor | None = None
    n_populations: int = 0
    loci: Tensor | None = None
    soft: SoftCalls | None = None
    frequencies: Tensor | None = None
    first_of_records: Tensor | None = None

    @classmethod
    def of(cls, cohort: Cohort, validation: HiddenCells, thinned: np.ndarray | None = None) -> TrainingData:
        """Of a cohort. thinned: the loci to train on, int64, or None for all. validation: cells of the cohort."""
        loci, evidence = np.arange(cohort.n_loci) if thinned is None else thinned, cohort.evidence
        _, cells = validation.within(np.arange(len(cohort.calls)), loci)
        if evidence is not None:
            seen = evidence if thinned is None else evidence.at_loci(thinned)
            frequencies = torch.from_numpy(evidence_frequencies(seen)[-1])
        return cls(
            calls=torch.from_numpy(cohort.calls),
            n_classes=cohort.ploidy + 1,
            validation=cells,
            populations=population_tensor(cohort),
            n_populations=cohort.n_populations,
            loci=None if thinned is None else torch.from_numpy(thinned),
            soft=None if evidence is None else SoftCalls.of(evidence),
            frequencies=None if evidence is None else frequencies,
            first_of_records=None if cohort.records is None else torch.from_numpy(_firsts(cohort.records[loci])),
        )

    @property
    def n_loci(self) -> int:
        return self.calls.shape[1] if self.loci is None else len(self.loci)

    @property
    def observed(self) -> Calls:
        """What is known, (N, all loci)."""
        return self.calls if self.soft is None else self.soft

    def rows(self, samples: Tensor) -> Calls:
        """Calls of some samples, int64 (B,): (B, L)."""
        return at_loci(self.observed[samples], self.loci)


def _firsts(records: np.ndarray) -> np.ndarray:
    return np.searchsorted(records, records)


def population_tensor(cohort: Cohort) -> Tensor | None:
    """Population codes of a cohort's samples, int64 (N,), or None where they have none."""
    return None if cohort.populations is None else torch.from_numpy(cohort.populations)
