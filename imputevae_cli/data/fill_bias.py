"""What filling with the likeliest genotype does to allele frequencies: rarer alleles are filled too seldom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import ImputedBlock, ImputedBlocks

CLEAR = 0.1
"""A bias is told where the filled alleles miss those expected by more than this share of them; chosen by hand."""


@dataclass
class FillBias:
    """Minor alleles among known calls, among filled ones, and as genotype probabilities expect them there.

    Of a locus's two alleles the minor one is the rarer by dosage. n_known, n_filled: alleles that were counted; known,
    filled, expected: minor ones of them. An uncertain call counts by its posterior.
    """

    n_known: int = 0
    n_filled: int = 0
    known: float = 0.0
    filled: int = 0
    expected: float = 0.0

    def add(self, block: ImputedBlock) -> None:
        """Count the alleles of a block, known and filled."""
        ploidy = block.gp.shape[2] - 1
        filled, known = block.imputed, (block.calls >= 0) & ~block.imputed
        dosage = block.gp @ np.arange(ploidy + 1, dtype=np.float32) / 1000
        alt_known, expected = ((dosage * which).sum(0, dtype=np.float64) for which in (known, filled))  # (b,) each
        alt_filled = (block.calls * filled).sum(0, dtype=np.int64)
        n_known, n_filled = (ploidy * which.sum(0, dtype=np.int64) for which in (known, filled))
        is_ref = 2 * (alt_known + expected) > n_known + n_filled  # where REF is the minor allele
        self.n_known += int(n_known.sum())
        self.n_filled += int(n_filled.sum())
        self.known += float(np.where(is_ref, n_known - alt_known, alt_known).sum())
        self.filled += int(np.where(is_ref, n_filled - alt_filled, alt_filled).sum())
        self.expected += float(np.where(is_ref, n_filled - expected, expected).sum())

    @property
    def is_clear(self) -> bool:
        """Whether filled calls are no basis for frequencies."""
        return bool(self.n_filled) and abs(self.filled - self.expected) > CLEAR * self.expected

    def in_words(self) -> str:
        """Minor-allele frequencies of known calls, filled calls and dosages, and what to use for frequencies."""
        shares = ((self.known, self.n_known), (self.filled, self.n_filled), (self.expected, self.n_filled))
        known, filled, expected = (part / max(whole, 1) for part, whole in shares)
        return (
            f"minor alleles make {known:.3f} of known calls and {filled:.3f} of filled ones, where {expected:.3f} is "
            "expected: take DS, GP or --draws for frequencies, heterozygosity and differentiation"
        )


class Watched:
    """An imputation whose `bias` is counted while a writer asks for its blocks, each once.

    watch: is given the first locus of each block, and the block.
    """

    def __init__(self, imputed: ImputedBlocks, watch: Callable[[int, ImputedBlock], None] | None = None):
        self._imputed, self._watch = imputed, watch
        self.genotypes = imputed.genotypes
        self.bias = FillBias()

    def block(self, start: int, stop: int) -> ImputedBlock:
        """Loci start..stop (exclusive), counted."""
        block = self._imputed.block(start, stop)
        self.bias.add(block)
        if self._watch is not None:
            self._watch(start, block)
        return block
