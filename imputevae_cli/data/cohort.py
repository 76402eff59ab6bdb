"""The samples and loci that every decoder is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.haploid import HaploidCells, without_heterozygotes
from imputevae_cli.data.subsets import calls_subset, chromosomes_of


@dataclass(frozen=True)
class Cohort:
    """The samples and loci that a model is fitted on, or that it fills.

    calls: int8 (N, L), -1 missing. chrom_codes: int32 (L,). positions: int64 (L,) bp or float64 (L,) cM.
    populations: int64 (N,) codes 0..n_populations-1, n_populations for a sample of none; or None.
    evidence: of the same cells, or None where calls are certain. haploid: cells that are haploid in a diploid cohort,
    or None where there are none. records: int64 (L,), see `Loci.records`, or None where each locus is one.
    """

    calls: np.ndarray
    chrom_codes: np.ndarray
    positions: np.ndarray
    ploidy: int
    populations: np.ndarray | None = None
    n_populations: int = 0
    evidence: Evidence | None = None
    haploid: HaploidCells | None = None
    records: np.ndarray | None = None

    @property
    def diploid_calls(self) -> np.ndarray:
        """int8 (N, L): the calls without those of haploid cells, which say nothing of heterozygosity."""
        return self.calls if self.haploid is None else np.where(self.haploid.block(0, None), np.int8(-1), self.calls)

    @property
    def n_loci(self) -> int:
        return self.calls.shape[1]

    @property
    def known_populations(self) -> np.ndarray | None:
        """int64 (N,): codes with -1 for a sample of none, or None."""
        if self.populations is None:
            return None
        return np.where(self.populations == self.n_populations, -1, self.populations)

    def without_samples(self) -> Cohort:
        """The same loci without any sample."""
        codes = None if self.populations is None else self.populations[:0]
        haploid = None if self.haploid is None else self.haploid.subset(np.zeros(0, np.int64), np.arange(self.n_loci))
        return replace(self, calls=self.calls[:0], populations=codes, evidence=None, haploid=haploid)

    def with_calls(self, calls: np.ndarray) -> Cohort:
        """The same samples and loci with other calls, which are taken as certain."""
        return replace(self, calls=calls, evidence=None)

    def subset(self, samples: np.ndarray, loci: np.ndarray) -> Cohort:
        """Some samples at some loci, by rising index; a gap between loci starts a new chromosome."""
        populations = None if self.populations is None else self.populations[samples]
        return replace(
            self,
            calls=calls_subset(self.calls, samples, loci),
            chrom_codes=chromosomes_of(self.chrom_codes, loci),
            positions=self.positions[loci],
            populations=populations,
            evidence=None if self.evidence is None else self.evidence.subset(samples, loci),
            haploid=None if self.haploid is None else self.haploid.subset(samples, loci),
            records=None if self.records is None else self.records[loci],
        )

    def possible(self, gp: np.ndarray, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
        """Genotype probabilities of cells, float (M, C), without the heterozygotes that a haploid cell cannot be.

        samples, loci: int (M,), where the cells are.
        """
        if self.haploid is None:
            return gp
        haploid = self.haploid.of_cells(samples, loci)
        gp = gp.copy()
        gp[haploid] = without_heterozygotes(gp[haploid])
        return gp
