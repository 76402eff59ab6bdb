"""Imputed genotypes: the known calls as they were, the missing ones filled with the likeliest genotype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, missing_per_sample
from imputevae_cli.io.outputs import check_output, output_type_of
from imputevae_cli.io.phylip import iupac, write_phylip
from imputevae_cli.io.vcf_writer import WriteSummary, write_vcf
from imputevae_cli.log import Progress

BlockFunction = Callable[[int, int], np.ndarray]
"""(start, stop) -> values of the cells at these loci, (samples, stop - start, ...)."""

BLOCK = 2048
"""Loci at a time, where the caller does not say."""


class ImputedGenotypes:
    """Genotype probabilities behind a matrix of calls, computed block by block.

    Probabilities are rounded to thousandths that sum to one, and calls and dosages are taken from the rounded
    ones: what a notebook sees, what a file says, and GT, GP and DS among themselves always agree.
    """

    def __init__(
        self,
        genotypes: GenotypeMatrix,
        gp: BlockFunction,
        min_gp: float = 0.0,
        phase: BlockFunction | None = None,
        has_calls: np.ndarray | None = None,
    ):
        """gp: genotype probabilities of loci start..stop, float32 (samples, stop - start, classes). phase: whether a
        heterozygote's ALT comes first, bool (samples, stop - start), or None. min_gp: a filled call whose best
        probability is under this is left missing, with its GP kept. has_calls: bool (samples,), samples with any
        call to go by, here or elsewhere; None goes by these genotypes.
        """
        self.genotypes = genotypes
        self._gp = gp
        self._phase = phase
        self._min_thousandths = round(min_gp * 1000)
        with_calls = missing_per_sample(genotypes.calls) < genotypes.n_loci if has_calls is None else has_calls
        self.has_calls = with_calls  # (N,)

    def block(self, start: int, stop: int) -> ImputedBlock:
        """Loci start..stop (exclusive). A sample without any call stays missing, with GP 0."""
        known_calls = self.genotypes.calls[:, start:stop]
        known = known_calls != MISSING
        n_classes = self.genotypes.n_classes
        gp = np.zeros((*known_calls.shape, n_classes), np.uint16)
        for genotype in range(n_classes):
            gp[..., genotype] = np.where(known_calls == genotype, 1000, 0)
        missing = ~known & self.has_calls[:, None]
        filled = to_thousandths(self._agreeing(self._gp(start, stop), start, stop)[missing])  # (M, C)
        gp[missing] = filled
        calls = known_calls.copy()
        calls[missing] = np.where(filled.max(1) >= self._min_thousandths, filled.argmax(1), MISSING)
        alt_first = None if self._phase is None else self._phase(start, stop)
        return ImputedBlock(calls, gp, missing & (calls != MISSING), alt_first)

    def _agreeing(self, gp: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Probabilities that agree with the half-calls: genotypes without the allele that is seen have none."""
        if self.genotypes.half_calls is None:
            return gp
        sample, locus, is_alt = self.genotypes.half_calls.between(start, stop)
        cells = gp[sample, locus].astype(np.float64)
        cells[np.arange(len(cells)), np.where(is_alt, 0, cells.shape[1] - 1)] = 0
        total = cells.sum(1, keepdims=True)
        # Where the model rules out all that agrees, the allele is seen beside the one that the model is sure of
        cells = np.where(total > 0, cells / np.where(total > 0, total, 1), np.eye(cells.shape[1])[1])
        gp = gp.copy()
        gp[sample, locus] = cells
        return gp

    def blocks(self) -> Iterator[tuple[slice, ImputedBlock]]:
        """All loci, BLOCK at a time."""
        for start in range(0, self.genotypes.n_loci, BLOCK):
            stop = min(start + BLOCK, self.genotypes.n_loci)
            yield slice(start, stop), self.block(start, stop)

    @property
    def n_missing(self) -> int:
        """Calls that are missing in the input."""
        return int(missing_per_sample(self.genotypes.calls).sum())

    @property
    def n_imputed(self) -> int:
        """Missing calls that are filled; all of them, but for `min_gp` and samples without any call."""
        if self._min_thousandths:
            return sum(int(block.imputed.sum()) for _, block in self.blocks())
        return int(missing_per_sample(self.genotypes.calls)[self.has_calls].sum())

    def _gather(self, shape: tuple[int, ...], dtype: type, part: Callable[[ImputedBlock], np.ndarray]) -> np.ndarray:
        out = np.empty((self.genotypes.n_samples, self.genotypes.n_loci, *shape), dtype)
        for loci, block in self.blocks():
            out[:, loci] = part(block)
        return out

    @property
    def calls(self) -> np.ndarray:
        """int8 (samples, loci): ALT-allele counts; -1 only where nothing could be said or min_gp was not met."""
        return self._gather((), np.int8, lambda block: block.calls)

    @property
    def gp(self) -> np.ndarray:
        """float32 (samples, loci, classes): genotype probabilities; a known call has 1 at its genotype."""
        return self._gather((self.genotypes.n_classes,), np.float32, lambda block: block.gp / np.float32(1000))

    @property
    def dosage(self) -> np.ndarray:
        """float32 (samples, loci): expected ALT-allele count; NaN for a sample without any call."""
        dose = np.arange(self.genotypes.n_classes, dtype=np.float32)
        dosage = self._gather((), np.float32, lambda block: (block.gp @ dose) / np.float32(1000))
        dosage[~self.has_calls[:, None] & (self.genotypes.calls == MISSING)] = np.nan
        return dosage

    @property
    def imputed(self) -> np.ndarray:
        """bool (samples, loci): calls that were missing and are filled."""
        return self._gather((), bool, lambda block: block.imputed)

    def iupac(self) -> np.ndarray:
        """IUPAC characters, 'U1' (samples, loci); N where missing or where the locus is no SNP."""
        loci = self.genotypes.loci
        return iupac(self.calls, loci.ref, loci.alt, self.genotypes.ploidy)

    def write_vcf(
        self,
        path: str | Path,
        output_type: str | None = None,
        *,
        force: bool = False,
        command: str = "",
        threads: int = 1,
        progress: Progress | None = None,
    ) -> WriteSummary:
        """Write the input's records with missing calls filled; `-` is standard output.

        output_type: v, z or b; by the ending when None. command: what made it, for the header.
        Raises OutputError where `path` cannot be written, or exists without `force`.
        """
        from imputevae_cli import __version__

        source = self.genotypes.source
        check_output(path, inputs=[source.given or source.path] if source else [], force=force)
        kind = output_type_of(path, output_type)
        return write_vcf(
            path, self, output_type=kind, command=command, version=__version__, threads=threads, progress=progress
        )

    def write_phylip(self, path: str | Path, *, names: str = "relaxed", force: bool = False) -> int:
        """Write IUPAC characters of the SNPs; returns their number. names: `relaxed`, or `strict` for 10 characters."""
        check_output(path, force=force)
        return write_phylip(path, self, names=names)


def to_thousandths(gp: np.ndarray) -> np.ndarray:
    """Probabilities (M, C) as whole thousandths that sum to 1000, uint16 (M, C), by largest remainder."""
    scaled = np.asarray(gp, np.float64) * 1000.0
    whole = np.floor(scaled + 1e-9)
    order = np.argsort(whole - scaled, axis=1, kind="stable")  # largest remainder first
    rank = np.argsort(order, axis=1, kind="stable")
    short = np.rint(1000.0 - whole.sum(1, keepdims=True))
    return (whole + (rank < short)).astype(np.uint16)
