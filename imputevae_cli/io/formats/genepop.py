"""GENEPOP input: a title, the loci's names, and for each population `POP` and a line per sample.

An allele is two digits (A 01, C 02, G 03, T 04, another REF 05, another ALT 06), 00 where it is missing; a haploid
call is one allele. https://genepop.curtin.edu.au/help_input.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlocks
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.rows import (
    all_calls,
    allele_numbers,
    check_ploidy_at_most,
    held_loci,
    locus_names,
    plain_names,
    populations_of,
)
from imputevae_cli.io.outputs import whole_output

TITLE = "GENEPOP"
MADE_BY = "imputevae"


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`."""
    check_ploidy_at_most(path, genotypes, 2, TITLE)
    plain_names(genotypes.samples, TITLE, ",")


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`. Samples are grouped by population, in the order of the populations' names."""
    genotypes = imputed.genotypes
    check(path, genotypes, how)
    held = held_loci(path, genotypes, TITLE)
    with whole_output(path) as out:
        out.write(f"{MADE_BY} {how.version}: {' '.join(how.command.split())}\n".encode())
        out.writelines(_lines(imputed, held))


def command_of(path: Path) -> str | None:
    """See `Writer`."""
    with open(path, encoding="utf-8") as lines:
        maker, _, command = next(lines, "").partition(": ")
    if maker.split()[:1] != [MADE_BY]:
        raise ValueError("not written by imputevae")
    return command.strip()


def _lines(imputed: ImputedBlocks, held: np.ndarray) -> Iterator[bytes]:
    genotypes = imputed.genotypes
    yield "".join(f"{name}\n" for name in locus_names(genotypes.loci, held)).encode()
    texts = _genotype_texts(allele_numbers(genotypes.loci, held), genotypes.ploidy)
    names, calls = plain_names(genotypes.samples, TITLE, ","), all_calls(imputed, held)
    populations, codes = populations_of(genotypes)
    columns = np.arange(len(held))
    for population in range(len(populations)):
        yield b"POP\n"
        for sample in np.flatnonzero(codes == population).tolist():
            yield f"{names[sample]} , {' '.join(texts[columns, calls[sample]].tolist())}\n".encode()


def _genotype_texts(alleles: np.ndarray, ploidy: int) -> np.ndarray:
    """object (loci, ploidy + 2): the text of each count of ALT alleles, and last, at -1, of a missing call."""
    texts = np.empty((len(alleles), ploidy + 2), object)
    for locus, (ref, alt) in enumerate(alleles.tolist()):
        texts[locus] = [f"{ref:02d}" * (ploidy - n_alt) + f"{alt:02d}" * n_alt for n_alt in range(ploidy + 1)] + [
            "00" * ploidy
        ]
    return texts
