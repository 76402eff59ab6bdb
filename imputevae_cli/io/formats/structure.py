"""STRUCTURE input: the loci's names, then a line for each chromosome copy of a sample, with its population's number.

`PLOIDY` lines per sample, `LABEL 1`, `POPDATA 1`, `MARKERNAMES 1`, `MISSING -9`, `ONEROWPERIND 0` (STRUCTURE 2.3.4).
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
    held_loci,
    locus_names,
    plain_names,
    populations_of,
)
from imputevae_cli.io.outputs import whole_output
from imputevae_cli.log import logger

TITLE = "STRUCTURE"
NO_ALLELE = -9


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`. Any ploidy will do."""
    plain_names(genotypes.samples, TITLE)


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`."""
    held = held_loci(path, imputed.genotypes, TITLE)
    populations, numbers = populations_of(imputed.genotypes)
    if len(populations) > 1:
        said = ", ".join(f"{number} {name}" for number, name in enumerate(populations, 1))
        logger.info("%s: populations by number: %s", path, said)
    with whole_output(path) as out:
        out.writelines(_lines(imputed, held, numbers + 1))


def command_of(path: Path) -> None:
    """See `Writer`. The file has no place for it."""
    with open(path, encoding="utf-8") as lines:
        n_loci, n_cells = (len(next(lines, "").split()) for _ in range(2))
    if not n_loci or n_cells != n_loci + 2:
        raise ValueError("not a STRUCTURE file")


def _lines(imputed: ImputedBlocks, held: np.ndarray, numbers: np.ndarray) -> Iterator[bytes]:
    """numbers: int64 (samples,), of the populations, from 1."""
    genotypes = imputed.genotypes
    yield "\t".join(locus_names(genotypes.loci, held)).encode() + b"\n"
    alleles = allele_numbers(genotypes.loci, held)
    texts = np.array([str(number) for number in range(alleles.max() + 1)], object)[alleles]  # (held, 2)
    names = plain_names(genotypes.samples, TITLE)
    for name, number, calls in zip(names, numbers.tolist(), all_calls(imputed, held), strict=True):
        for copy in range(genotypes.ploidy):
            is_alt = calls >= genotypes.ploidy - copy
            cells = np.where(calls < 0, str(NO_ALLELE), np.where(is_alt, texts[:, 1], texts[:, 0]))
            yield "\t".join([name, str(number), *cells.tolist()]).encode() + b"\n"
