"""Loci of one record, each of its ALT alleles against all others, brought together into genotypes of the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.alleles import doses, genotypes_of, joint_chances
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, JointGenotypes
from imputevae_cli.data.thousandths import to_thousandths

BlockFunction = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Joiner:
    """Brings the loci of each record of several ALT alleles together into genotypes, with these parts.

    genotypes: the input's. possible: probabilities of cells without what their evidence excludes. choose: (thousandths
    (M, G), calls before (M,), drawn ones or None, ALT alleles) -> calls (M,). number: of a draw, or None; drawn: copies
    of ALT of loci start..stop, drawn along haplotypes, int8 (samples, stop - start), or None.
    """

    genotypes: GenotypeMatrix
    possible: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    choose: Callable[[np.ndarray, np.ndarray, np.ndarray | None, int], np.ndarray]
    number: int | None = None
    drawn: BlockFunction | None = None

    def joined(self, block: ImputedBlock, gp: np.ndarray, asked: np.ndarray, start: int) -> ImputedBlock:
        """A block of whole records from locus `start` on, with those of several ALT alleles brought together.

        gp: float (samples, b, C), of each locus. asked: bool (samples, b), cells that the model is asked for.
        """
        records = self.genotypes.loci.records[start : start + block.calls.shape[1]]
        first, sizes = np.unique(records, return_index=True, return_counts=True)[1:]
        several = sizes > 1
        joint = [
            self._record(block, gp, asked, start, slice(j, j + n_alt))
            for j, n_alt in zip(first[several].tolist(), sizes[several].tolist(), strict=True)
        ]
        return replace(block, joint=tuple(joint))

    def _record(
        self, block: ImputedBlock, gp: np.ndarray, asked: np.ndarray, start: int, loci: slice
    ) -> JointGenotypes:
        """One record, at these loci of the block, whose cells are brought into agreement in place."""
        n_alt, first, ploidy = loci.stop - loci.start, start + loci.start, self.genotypes.ploidy
        dose = doses(n_alt, ploidy)
        before = genotypes_of(self.genotypes.calls[:, first : first + n_alt], ploidy)
        samples = np.flatnonzero(asked[:, loci].any(1))
        chances = self._chances(gp[:, loci], samples, first)
        full = np.zeros((len(before), len(dose)), np.uint16)
        known = np.flatnonzero(before != MISSING)
        full[known, before[known]] = 1000
        full[samples] = to_thousandths(chances)
        calls = before.copy()
        drawn = None if self.number is None else self._drawn(full[samples], samples, first, n_alt)
        calls[samples] = self.choose(full[samples], before[samples], drawn, n_alt)
        for k, j in enumerate(range(loci.start, loci.stop)):
            for count in range(ploidy + 1):
                block.gp[samples, j, count] = full[samples][:, dose[:, k] == count].sum(1)
        block.calls[:, loci] = np.where(calls[:, None] == MISSING, MISSING, dose[calls])
        block.imputed[:, loci] = ((before == MISSING) & (calls != MISSING))[:, None]
        if block.uncertain is not None and block.refined is not None:
            uncertain = np.zeros(len(before), bool)
            uncertain[samples] = before[samples] != MISSING
            block.uncertain[:, loci] = uncertain[:, None]
            block.refined[:, loci] = (uncertain & (calls != before))[:, None]
        return JointGenotypes(loci.start, n_alt, full, calls)

    def _chances(self, gp: np.ndarray, samples: np.ndarray, first: int) -> np.ndarray:
        """Probabilities, float64 (M, G), of the genotypes of some samples at the record that begins at locus `first`.

        gp: float (samples, A, C).
        """
        n_alt = gp.shape[1]
        asked = np.zeros(gp.shape[:2], bool)
        asked[samples] = True
        shape = len(samples), *gp.shape[1:]
        possible = self.possible(gp[asked], asked, first).reshape(shape)
        likelihoods, haploid = None, np.zeros(len(samples), bool)
        if self.genotypes.evidence is not None:
            cells = np.repeat(samples, n_alt), np.tile(first + np.arange(n_alt), len(samples))
            likelihoods = self.genotypes.evidence.of_cells(*cells).reshape(shape)
        if self.genotypes.haploid is not None:
            haploid = self.genotypes.haploid.of_cells(samples, np.full(len(samples), first))
        return joint_chances(possible, likelihoods, haploid)

    def _drawn(self, gp: np.ndarray, samples: np.ndarray, first: int, n_alt: int) -> np.ndarray:
        """Genotypes of some samples, int64 (M,), drawn from thousandths (M, G): those of their haplotypes where the
        alleles drawn at the record's loci go together, else of each cell by itself."""
        assert self.number is not None
        random = np.random.default_rng([self.number, first]).random(len(self.genotypes.samples))[samples]
        drawn = np.minimum((gp.cumsum(1) <= 1000 * random[:, None]).sum(1), gp.shape[1] - 1)
        if self.drawn is None:
            return drawn
        of_haplotypes = genotypes_of(self.drawn(first, first + n_alt)[samples], self.genotypes.ploidy)
        serves = (of_haplotypes >= 0) & (gp[np.arange(len(gp)), of_haplotypes] > 0)
        return np.where(serves, of_haplotypes, drawn)


def cut(block: ImputedBlock, start: int, stop: int) -> ImputedBlock:
    """Loci start..stop (exclusive) of a block, with the records that lie there as a whole."""
    optional = (block.alt_first, block.uncertain, block.refined)
    alt_first, uncertain, refined = (part if part is None else part[:, start:stop] for part in optional)
    inside = (one for one in block.joint if start <= one.first and one.first + one.n_alt <= stop)
    return ImputedBlock(
        block.calls[:, start:stop],
        block.gp[:, start:stop],
        block.imputed[:, start:stop],
        alt_first,
        uncertain,
        refined,
        tuple(replace(one, first=one.first - start) for one in inside),
    )
