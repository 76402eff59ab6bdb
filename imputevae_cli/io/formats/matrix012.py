"""The matrix of `vcftools --012`: counts of ALT alleles, with the samples in .indv and the loci in .pos beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlocks
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.rows import all_calls, held_loci
from imputevae_cli.io.outputs import atomic_output

TITLE = "the 012 matrix"


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`. Any ploidy will do: a cell is a count."""


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`. A row for each sample, its number from 0 first; -1 where a call is missing."""
    genotypes = imputed.genotypes
    held = held_loci(path, genotypes, TITLE)
    loci = genotypes.loci
    texts = np.array([*map(str, range(genotypes.ploidy + 1)), "-1"], object)  # -1 is the last
    with atomic_output(path, companions=(".indv", ".pos")) as temporary:
        beside = [temporary.with_name(temporary.name + ending) for ending in (".indv", ".pos")]
        beside[0].write_text("".join(f"{sample}\n" for sample in genotypes.samples), encoding="utf-8")
        beside[1].write_text("".join(f"{loci.chrom[i]}\t{loci.pos[i]}\n" for i in held.tolist()), encoding="utf-8")
        with open(temporary, "wb") as out:
            for number, row in enumerate(all_calls(imputed, held)):
                out.write("\t".join([str(number), *texts[row].tolist()]).encode() + b"\n")


def command_of(path: Path) -> None:
    """See `Writer`. The files have no place for it."""
    with open(path, "rb") as lines:
        if not next(lines, b"").startswith(b"0\t"):
            raise ValueError("not a 012 matrix")
