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

    evidence: of N samples at T loci. inside: int64, which of these loci are wanted; at: int64, their places among the
    wanted loci. haploid: bool (N,), samples with one haplotype.
    """

    evidence: Evidence
    inside: np.ndarray
    at: np.ndarray
    haploid: np.ndarray

    @classmethod
    def of(cls, window: PanelWindow, targets: Cohort) -> TypedCells:
        """Those of a window's targets."""
        inside = np.flatnonzero((window.typed >= window.wanted.start) & (window.typed < window.wanted.stop))
        haploid = np.zeros(len(targets.calls), bool)
        if targets.haploid is not None:
            haploid = targets.haploid.block(0, None).any(1)
        evidence = targets.evidence or Evidence.certain(targets.calls)
        return cls(evidence, inside, window.typed[inside] - window.wanted.start, haploid)

    def alt(self, haplotypes: np.ndarray) -> np.ndarray:
        """The chance of ALT on each haplotype by its own cell and the allele of the other, float32 (N, 2, T).

        haplotypes: uint8 (2N, T), a phasing: 0 REF, 255 ALT. Where nothing is known of a cell the chance is .5."""
        n_samples = len(haplotypes) // 2
        alleles = (haplotypes >= 128).reshape(n_samples, 2, -1)
        alt = np.empty(alleles.shape, np.float32)
        for n, (one, other) in enumerate(alleles):
            likelihoods = self.evidence.table[self.evidence.codes[n]]
            alt[n, 0] = _alt(likelihoods, other)
            alt[n, 1] = _alt(likelihoods, one)
        return alt

    def genotypes(self, doses: np.ndarray, alt: np.ndarray, error: float) -> np.ndarray:
        """Genotype probabilities at the wanted loci, float32 (N, W, 3), of the chance of ALT on each haplotype.

        doses: float32 (N, 2, W); at a typed locus they count the haplotype's own data, alt, float32 (N, 2, T), which is
        taken out, and the cell's likelihoods weigh both haplotypes together. error: see `HaplotypeFiller`.
        """
        gp = _of_haplotypes(doses)
        gp[self.haploid] = np.stack([1 - doses[self.haploid, 0], 0 * doses[self.haploid, 0], doses[self.haploid, 0]], -1)
        for n in range(len(gp)):
            emitted = error + (1 - 2 * error) * alt[n][:, self.inside]
            odds = doses[n][:, self.at] / emitted
            others = odds / np.maximum(odds + (1 - doses[n][:, self.at]) / (1 - emitted), 1e-30)
            own = _of_haplotypes((error + (1 - 2 * error) * others)[None])[0]
            own *= self.evidence.table[self.evidence.codes[n, self.inside]]
            gp[n, self.at] = own / np.maximum(own.sum(1, keepdims=True), 1e-30)
        return gp


def _alt(likelihoods: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (T,) of likelihoods float32 (T, 3), where the other haplotype carries ALT, bool (T,), or REF."""
    ref = np.where(other, likelihoods[:, 1], likelihoods[:, 0])
    alt = np.where(other, likelihoods[:, 2], likelihoods[:, 1])
    return np.where(ref + alt > 0, alt / np.maximum(ref + alt, 1e-30), 0.5)


def _of_haplotypes(doses: np.ndarray) -> np.ndarray:
    """float32 (N, W, 3) of the chance of ALT on each haplotype, float32 (N, 2, W)."""
    one, other = doses[:, 0], doses[:, 1]
    return np.stack([(1 - one) * (1 - other), one + other - 2 * one * other, one * other], -1)
