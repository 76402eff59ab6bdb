"""Which cells of a diploid matrix are haploid: of males on the sex chromosomes, of mitochondria, of haplodiploids.

A haploid call is written as a homozygote: 0, or 2 copies of ALT. It is read, filled and counted as the one allele that
it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imputevae_cli.log import counted


@dataclass(frozen=True)
class HaploidCells:
    """Samples that are haploid on some stretches of the genome.

    stretch: int32 (L,), the stretch of each locus. samples: bool (N, S), whether a sample is haploid on a stretch.
    absent: bool (N, S), whether it has no call where all others are haploid, as a female on a chromosome Y: nothing is
    filled there.
    """

    stretch: np.ndarray
    samples: np.ndarray
    absent: np.ndarray

    def block(self, start: int, stop: int | None) -> np.ndarray:
        """bool (N, stop - start): whether cells at loci start..stop (exclusive; None: to the end) are haploid."""
        return self.samples[:, self.stretch[start:stop]]

    def absent_in(self, start: int, stop: int | None) -> np.ndarray:
        """bool (N, stop - start): whether samples are absent at loci start..stop (exclusive)."""
        return self.absent[:, self.stretch[start:stop]]

    def of_cells(self, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
        """bool (M,): whether single cells are haploid; samples, loci: int (M,)."""
        return self.samples[samples, self.stretch[loci]]

    def of_sample(self, sample: int) -> np.ndarray:
        """bool (L,): where a sample is haploid."""
        return self.samples[sample, self.stretch]

    @property
    def diploid_loci(self) -> np.ndarray:
        """bool (L,): loci where nobody is haploid."""
        return np.take(~self.samples.any(0), self.stretch)

    @property
    def n_cells(self) -> int:
        """Haploid cells, but for those of samples that are absent."""
        return int((self.samples & ~self.absent).sum(0)[self.stretch].sum())

    def subset(self, samples: np.ndarray, loci: np.ndarray) -> HaploidCells:
        """Some samples at some loci, by index, int64 or bool."""
        return HaploidCells(self.stretch[loci], self.samples[samples], self.absent[samples])

    def at_loci(self, loci: np.ndarray) -> HaploidCells:
        """All samples at some loci, int64, bool or a slice."""
        return replace(self, stretch=self.stretch[loci])

    def seen_in(self, calls: np.ndarray) -> HaploidCells:
        """The same where other calls are known, int8 (N, L), -1 missing: who has none left on a stretch is absent."""
        absent = np.zeros_like(self.absent)
        for stretch in np.flatnonzero(self.samples.all(0)).tolist():
            absent[:, stretch] = (calls[:, self.stretch == stretch] < 0).all(1)
        return replace(self, absent=absent)

    def placed(self, where: np.ndarray, n_loci: int) -> HaploidCells:
        """The same with locus i at `where[i]`, int64 (L,), of n_loci; each of the others is as the nearest of these."""
        order = np.argsort(where, kind="stable")
        place, stretch = where[order], self.stretch[order]
        middles = (place[1:] + place[:-1]) // 2
        return replace(self, stretch=stretch[np.searchsorted(middles, np.arange(n_loci))])

    def in_words(self, chroms: np.ndarray) -> list[str]:
        """A line for each chromosome with haploid samples; chroms: object (L,) of str, of each locus."""
        lines = []
        for chrom in dict.fromkeys(chroms[~self.diploid_loci].tolist()):
            here = chroms == chrom
            for stretch in np.unique(self.stretch[here]).tolist():
                n_loci = int((self.stretch[here] == stretch).sum())
                n_absent = int(self.absent[:, stretch].sum())
                n_haploid = int(self.samples[:, stretch].sum()) - n_absent
                if not n_haploid + n_absent:
                    continue
                left = f", {n_absent:,} without any call are left so" if n_absent else ""
                haploid = counted(n_haploid, "sample is", "samples are")
                lines.append(f"{chrom}: {haploid} haploid at {counted(n_loci, 'locus', 'loci')}{left}")
        return lines

    def state(self) -> dict[str, np.ndarray]:
        """Arrays, for a checkpoint."""
        return {"stretch": self.stretch, "samples": self.samples, "absent": self.absent}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> HaploidCells:
        """What `state` gave. Raises ValueError where it does not hold together."""
        cells = cls(
            np.asarray(state["stretch"], np.int32), *(np.asarray(state[n], bool) for n in ("samples", "absent"))
        )
        if cells.samples.shape != cells.absent.shape or cells.stretch.max(initial=-1) >= cells.samples.shape[1]:
            raise ValueError("haploid cells: a stretch is not known")
        return cells


def without_heterozygotes(gp: np.ndarray) -> np.ndarray:
    """Genotype probabilities (M, 3) of haploid cells: each homozygote has the expected share of its allele.

    That is exact for two independent copies of one allele's chance, and for Hardy-Weinberg frequencies.
    """
    out = gp.copy()
    out[:, [0, 2]] += gp[:, 1:2] / 2
    out[:, 1] = 0
    return out
