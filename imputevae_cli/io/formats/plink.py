"""PLINK 1 files: .bed with two bits per call, .bim with the loci, .fam with the samples.

https://www.cog-genomics.org/plink/1.9/formats#bed
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlocks
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.rows import (
    BLOCK_LOCI,
    check_ploidy_at_most,
    held_block,
    held_loci,
    locus_names,
    plain_names,
)
from imputevae_cli.io.outputs import atomic_output

TITLE = "PLINK bed"
MAGIC = b"\x6c\x1b\x01"
"""Of a .bed whose loci follow one another."""
HOM_A1, NO_CALL, HETEROZYGOUS, HOM_A2 = range(4)
"""Two bits of a call. A1 is ALT and A2 is REF, as plink2 writes them."""
CODE_OF = {
    1: np.array([HOM_A2, HOM_A1, NO_CALL], np.uint8),
    2: np.array([HOM_A2, HETEROZYGOUS, HOM_A1, NO_CALL], np.uint8),
}
"""By ploidy: the bits of each count of ALT alleles, and last those of a missing call. Haploid calls are homozygous."""


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`."""
    check_ploidy_at_most(path, genotypes, 2, TITLE)
    plain_names(genotypes.samples, TITLE)


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`. .bim and .fam appear with the .bed."""
    genotypes = imputed.genotypes
    check(path, genotypes, how)
    held = held_loci(path, genotypes, TITLE)
    with atomic_output(path, replaced=(".bim", ".fam")) as temporary:
        temporary.with_suffix(".bim").write_text(_bim(genotypes, held), encoding="utf-8")
        temporary.with_suffix(".fam").write_text(_fam(genotypes), encoding="utf-8")
        with open(temporary, "wb") as out:
            out.write(MAGIC)
            for start in range(0, genotypes.n_loci, BLOCK_LOCI):
                stop = min(start + BLOCK_LOCI, genotypes.n_loci)
                columns, block = held_block(imputed, held, start, stop)
                out.write(packed(block.calls[:, columns].T, genotypes.ploidy).tobytes())


def command_of(path: Path) -> None:
    """See `Writer`. The files have no place for it."""
    with open(path, "rb") as file:
        if file.read(3) != MAGIC:
            raise ValueError("not a .bed file")


def packed(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """uint8 (loci, ceil(samples / 4)): four calls a byte, the first in its lowest bits; calls int8 (loci, samples)."""
    codes = CODE_OF[ploidy][np.where(calls == MISSING, ploidy + 1, calls)]
    n_loci, n_samples = codes.shape
    by_four = np.zeros((n_loci, -(-n_samples // 4) * 4), np.uint8)
    by_four[:, :n_samples] = codes
    shifts = np.array([0, 2, 4, 6], np.uint8)
    return np.bitwise_or.reduce(by_four.reshape(n_loci, -1, 4) << shifts, axis=2)


def _bim(genotypes: GenotypeMatrix, held: np.ndarray) -> str:
    """A line for each locus: chromosome, name, centimorgans, position, ALT, REF."""
    loci = genotypes.loci
    names = locus_names(loci, held)
    lines = []
    for name, locus in zip(names, held.tolist(), strict=True):
        given = "" if loci.ids is None else "_".join(loci.ids[locus].split())
        cm = 0.0 if loci.cm is None else loci.cm[locus]
        columns = (
            loci.chrom[locus],
            given or name,
            f"{cm:.10g}",
            str(loci.pos[locus]),
            loci.alt[locus],
            loci.ref[locus],
        )
        lines.append("\t".join(columns) + "\n")
    return "".join(lines)


def _fam(genotypes: GenotypeMatrix) -> str:
    """A line for each sample: family (its population, or 0), name, no parents, no sex, no phenotype."""
    names = plain_names(genotypes.samples, TITLE)
    populations = ["0"] * len(names) if genotypes.populations is None else genotypes.populations
    families = ["_".join(str(population).split()) for population in populations]
    return "".join(f"{family}\t{name}\t0\t0\t0\t-9\n" for family, name in zip(families, names, strict=True))
