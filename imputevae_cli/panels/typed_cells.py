"""What the targets' own data say where they have any: of a haplotype beside its other one, and of a genotype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.panels.window import PanelWindow


@dataclass(frozen=True)
class TypedCells:
    """The targets' cells at the typed loci of a window.

    likelihoods: float32 (K, 3), a table; codes: uint16 (N, T), rows of it at T loci. inside: int64, which of these loci
    are wanted; at: int64, their places among the wanted loci.
    """

    evidence: Evidence
    inside: np.ndarray
    at: np.ndarray

    @classmethod
    def of(cls, window: PanelWindow, targets: Cohort) -> TypedCells:
        """Those of a window's targets."""
        inside = np.flatnonzero((window.typed >= window.wanted.start) & (window.typed < window.wanted.stop))
        evidence = targets.evidence or Evidence.certain(targets.calls)
        return cls(evidence, inside, window.typed[inside] - window.wanted.start)

    def of_sample(self, n: int) -> SampleCells:
        """Those of one sample."""
        likelihoods = self.evidence.table[self.evidence.codes[n]]
        return SampleCells(likelihoods, self.inside, self.at)


@dataclass(frozen=True)
class SampleCells:
    """One sample's cells at the typed loci of a window; see `TypedCells`. likelihoods: float32 (T, 3)."""

    likelihoods: np.ndarray
    inside: np.ndarray
    at: np.ndarray

    def alt(self, haplotypes: np.ndarray) -> np.ndarray:
        """The chance of ALT on each haplotype by its own cell and the allele of the other, float32 (2, P, T).

        haplotypes: uint8 (2, P, T), P phasings: 0 REF, 255 ALT. Where nothing is known of a cell the chance is .5."""
        other = haplotypes[::-1] >= 128
        ref = np.where(other, self.likelihoods[:, 1], self.likelihoods[:, 0])
        alt = np.where(other, self.likelihoods[:, 2], self.likelihoods[:, 1])
        known = ref + alt > 0
        return np.where(known, alt / np.where(known, ref + alt, 1), 0.5).astype(np.float32)

    def genotypes(self, doses: np.ndarray, alt: np.ndarray, error: float) -> np.ndarray:
        """Genotype probabilities at the wanted loci, float32 (P, W, 3), of the chance of ALT on each haplotype.

        doses: float32 (2, P, W); at a typed locus they count the haplotype's own data, alt, float32 (2, P, T), which is
        taken out, and the cell's likelihoods weigh both haplotypes together. error: see `HaplotypeFiller`.
        """
        gp = _of_haplotypes(doses)
        counted = doses[..., self.at]
        emitted = error + (1 - 2 * error) * alt[..., self.inside]
        odds, against = counted / emitted, (1 - counted) / (1 - emitted)
        others = odds / np.maximum(odds + against, 1e-30)
        own = _of_haplotypes(error + (1 - 2 * error) * others) * self.likelihoods[self.inside]
        gp[:, self.at] = own / np.maximum(own.sum(-1, keepdims=True), 1e-30)
        return gp


def _of_haplotypes(doses: np.ndarray) -> np.ndarray:
    """Genotype probabilities, float32 (P, W, 3), of the chance of ALT on each haplotype, float32 (2, P, W)."""
    one, other = doses
    return np.stack([(1 - one) * (1 - other), one + other - 2 * one * other, one * other], -1)
