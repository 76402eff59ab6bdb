"""A table of dosages: a row for each sample, a column for each locus; .tsv, or .tsv.gz.

`pandas.read_csv(path, sep="\\t", index_col=0)` and R's `read.delim(path, row.names = 1, check.names = FALSE)` read it.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlocks
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.rows import BLOCK_LOCI
from imputevae_cli.io.outputs import whole_output

UNKNOWN = "NA"
FIRST = "sample"
"""The name of the first column."""


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`. Any ploidy will do."""


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`. A cell is the expected number of ALT alleles, DS of the VCF, with up to 3 decimals."""
    with whole_output(path) as file, _compressed(file, str(path).lower().endswith(".gz")) as out:
        out.writelines(_lines(imputed))


def command_of(path: Path) -> None:
    """See `Writer`. The table has no place for it."""
    with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb") as lines:
        if not next(lines, b"").startswith(FIRST.encode() + b"\t"):
            raise ValueError("not a table of dosages")


@contextlib.contextmanager
def _compressed(file: BinaryIO, wanted: bool) -> Iterator[BinaryIO]:
    if not wanted:
        yield file
        return
    with gzip.GzipFile("", "wb", 5, file, mtime=0) as out:  # the same bytes whenever it is written
        yield cast(BinaryIO, out)


def _lines(imputed: ImputedBlocks) -> Iterator[bytes]:
    genotypes, loci = imputed.genotypes, imputed.genotypes.loci
    columns = zip(loci.chrom, loci.pos.tolist(), loci.ref, loci.alt, strict=True)
    names = [f"{chrom}:{pos}:{ref}:{alt}" for chrom, pos, ref, alt in columns]
    yield "\t".join([FIRST, *names]).encode() + b"\n"
    n = 1000 * genotypes.ploidy
    texts = np.array([*(f"{value / 1000:.3f}".rstrip("0").rstrip(".") for value in range(n + 1)), UNKNOWN], object)
    for sample, row in zip(genotypes.samples, _thousandths(imputed), strict=True):
        yield "\t".join([sample, *texts[row].tolist()]).encode() + b"\n"


def _thousandths(imputed: ImputedBlocks) -> np.ndarray:
    """uint16 (samples, loci): dosages in thousandths, and one more than the most where nothing is known of the cell."""
    genotypes = imputed.genotypes
    dose = np.arange(genotypes.n_classes, dtype=np.uint16)
    out = np.empty((genotypes.n_samples, genotypes.n_loci), np.uint16)
    for start in range(0, genotypes.n_loci, BLOCK_LOCI):
        stop = min(start + BLOCK_LOCI, genotypes.n_loci)
        gp = imputed.block(start, stop).gp
        dosage = gp @ dose
        if genotypes.haploid is not None:
            dosage = np.where(genotypes.haploid.block(start, stop), dosage // 2, dosage)
        out[:, start:stop] = np.where(gp.any(2), dosage, 1000 * genotypes.ploidy + 1)
    return out
