"""A small panel and targets that are mosaics of its haplotypes, as text of VCFs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vcf_maker import record, vcf

PAIRS = [("A", "G"), ("C", "T"), ("G", "T"), ("A", "C")]
"""Alleles whose strands are told apart."""


@dataclass(frozen=True)
class Files:
    """haplotypes: uint8 (H, L). targets: int8 (N, L), true calls. typed: int64, loci of the targets' file."""

    haplotypes: np.ndarray
    targets: np.ndarray
    typed: np.ndarray
    pos: np.ndarray
    ref: list[str]
    alt: list[str]
    chrom: str = "1"

    def panel(self, parted: str = "|", chrom: str | None = None, loci=None) -> str:
        lines = []
        for j in range(len(self.pos)) if loci is None else loci:
            first, second = self.haplotypes[::2, j], self.haplotypes[1::2, j]
            cells = [f"{a}{parted}{b}" for a, b in zip(first, second, strict=True)]
            lines.append(record(cells, chrom or self.chrom, int(self.pos[j]), self.ref[j], self.alt[j]))
        return vcf(*lines, samples=[f"p{i}" for i in range(len(self.haplotypes) // 2)])

    def chip(self, *more: str, chrom: str | None = None, missing=()) -> str:
        """The targets at the typed loci; more: further lines. missing: (sample, locus) without a call."""
        texts = ("0/0", "0/1", "1/1")
        lines = []
        for j in self.typed.tolist():
            cells = ["./." if (i, j) in missing else texts[c] for i, c in enumerate(self.targets[:, j])]
            lines.append(record(cells, chrom or self.chrom, int(self.pos[j]), self.ref[j], self.alt[j]))
        return vcf(*sorted([*lines, *more], key=lambda line: int(line.split("\t")[1])), samples=self.samples)

    @property
    def samples(self) -> list[str]:
        return [f"t{i}" for i in range(len(self.targets))]


def make(n_panel=30, n_targets=6, n_loci=120, every=4, seed=0) -> Files:
    """Haplotypes of few founders, so that neighbouring loci are linked; one locus in `every` is typed."""
    rng = np.random.default_rng(seed)
    founders = rng.random((8, n_loci)) < rng.uniform(0.15, 0.85, n_loci)

    def mosaics(n: int) -> np.ndarray:
        jumps = rng.random((n, n_loci)) < 0.01
        jumps[:, 0] = True
        at = np.maximum.accumulate(np.where(jumps, np.arange(n_loci), 0), 1)
        source = np.take_along_axis(rng.integers(0, 8, (n, n_loci)), at, 1)
        return founders[source, np.arange(n_loci)].astype(np.uint8)

    targets = mosaics(2 * n_targets)
    letters = [PAIRS[i] for i in rng.integers(0, len(PAIRS), n_loci)]
    return Files(
        mosaics(2 * n_panel),
        (targets[::2] + targets[1::2]).astype(np.int8),
        np.arange(1, n_loci, every),
        np.arange(1000, 1000 + 100 * n_loci, 100),
        [ref for ref, _ in letters],
        [alt for _, alt in letters],
    )
