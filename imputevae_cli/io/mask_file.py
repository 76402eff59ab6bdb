"""A mask as a table, so that every tool can be scored on the same calls: chrom, pos, ref, alt and sample of each."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.match_loci import LocusFinder
from imputevae_cli.errors import InputError, why_unreadable
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.io.vcf_text import GZIP
from imputevae_cli.log import logger

HEADER = "chrom\tpos\tref\talt\tsample"


@contextmanager
def gzip_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """A gzipped text file to write, the same bytes for the same text: neither date nor name goes in."""
    with (
        open(path, "wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8", newline="\n") as text,
    ):
        yield text


def write_mask(path: str | Path, genotypes: GenotypeMatrix, samples: np.ndarray, loci: np.ndarray) -> None:
    """One row a hidden call, gzipped; samples, loci: int (M,), where. Raises OutputError where it cannot be written."""
    at, names = genotypes.loci, genotypes.samples
    with atomic_output(path) as temporary, gzip_text(temporary) as out:
        out.write(HEADER + "\n")
        for i, j in zip(samples.tolist(), loci.tolist(), strict=True):
            out.write(f"{at.chrom[j]}\t{at.pos[j]}\t{at.ref[j]}\t{at.alt[j]}\t{names[i]}\n")


def read_mask(path: str | Path, genotypes: GenotypeMatrix) -> np.ndarray:
    """The calls to hide, bool (samples, loci). Of several equal loci that follow one another, rows name them in turn.

    Raises InputError, naming the line, for samples or loci that the genotypes lack, and where no known call is named;
    calls that are missing anyway are counted in the log.
    """
    hidden = np.zeros(genotypes.calls.shape, bool)
    row_of = {name: i for i, name in enumerate(genotypes.samples)}
    finder = LocusFinder(genotypes.loci)
    place, locus = None, -1
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), 1):
        if number == 1 and line == HEADER:
            continue
        fields = line.split("\t")
        if len(fields) != 5 or not fields[1].isdigit():
            raise InputError(f"{path}: line {number} is not `{' '.join(HEADER.split())}`, separated by tabs; fix it")
        chrom, pos, ref, alt, sample = fields
        if (chrom, pos, ref, alt) != place or sample in seen:
            place, seen = (chrom, pos, ref, alt), set()
            locus, _ = finder.find(chrom, int(pos), ref, alt)
        if locus < 0 or sample not in row_of:
            what = f"locus {chrom}:{pos} {ref}>{alt}" if locus < 0 else f"sample {sample!r}"
            raise InputError(f"{path}: line {number}: {what} is not in the input; give the mask that was made of it")
        seen.add(sample)
        hidden[row_of[sample], locus] = True
    known = genotypes.calls != MISSING
    if missing := int((hidden & ~known).sum()):
        logger.warning("%s: %d of its calls are missing in the input and are not scored", path, missing)
    if not (hidden & known).any():
        raise InputError(f"{path}: names no call that is known in the input; there is nothing to score")
    return hidden & known


def _lines(path: str | Path) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            is_packed = file.read(2) == GZIP
        with gzip.open(path, "rt", encoding="utf-8") if is_packed else open(path, encoding="utf-8") as text:
            for line in text:
                yield line.rstrip("\r\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the mask cannot be read ({why_unreadable(error)}); give a table as `--mask-file` writes it"
        ) from error
