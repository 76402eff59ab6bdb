"""VCF text out of arrays: what is no VCF is read by way of it, so that there is one reader, and one walk to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from imputevae_cli.data.genotypes import Loci

MADE_OF = {
    "GT": '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    "AD": '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Read depth of each allele">',
    "CATG": '##FORMAT=<ID=CATG,Number=1,Type=String,Description="Read counts of C, A, T and G">',
    "DP": '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Read depth">',
    "GL": '##FORMAT=<ID=GL,Number=G,Type=Float,Description="Genotype likelihoods, log10">',
    "GP": '##FORMAT=<ID=GP,Number=G,Type=Float,Description="Genotype probabilities">',
    "PL": '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Genotype likelihoods, phred-scaled">',
}
"""Declarations of the FORMAT fields that can be written."""


@dataclass(frozen=True)
class Records:
    """Records that follow one another.

    loci: chrom, pos, ref, alt and ids; an alt may list several alleles. cells: by FORMAT key, GT first, the texts of
    all cells, (loci, samples) of str. filters: FILTER of each record; PASS everywhere where there is none.
    """

    loci: Loci
    cells: dict[str, np.ndarray]
    filters: Sequence[str] | None = field(default=None)


def header(samples: Sequence[str], contigs: Sequence[str], keys: Sequence[str] = ("GT",)) -> bytes:
    """The header of a file of these samples, chromosomes and FORMAT keys."""
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={contig}>" for contig in contigs)]
    lines += [MADE_OF[key] for key in keys]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    return "\n".join([*lines, "\t".join(columns), ""]).encode()


def lines(records: Records) -> Iterator[bytes]:
    """The lines of some records."""
    loci, form = records.loci, ":".join(records.cells)
    filters = records.filters if records.filters is not None else ["PASS"] * len(loci)
    names = [""] * len(loci) if loci.ids is None else loci.ids
    fields = [values.tolist() for values in records.cells.values()]
    for i, (filter_, name) in enumerate(zip(filters, names, strict=True)):
        cells = fields[0][i] if len(fields) == 1 else map(":".join, zip(*(texts[i] for texts in fields), strict=True))
        fixed = (loci.chrom[i], str(loci.pos[i]), name or ".", loci.ref[i], loci.alt[i], ".", filter_, ".", form)
        yield "\t".join([*fixed, *cells]).encode() + b"\n"


def texts_of_calls(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """GT, object of str, of counts of ALT alleles, int8, -1 missing."""
    texts = ["/".join(["0"] * (ploidy - n_alt) + ["1"] * n_alt) for n_alt in range(ploidy + 1)]
    return np.array([*texts, "/".join(["."] * ploidy)], object)[calls]  # -1 is the last


def texts_of_alleles(alleles: np.ndarray, phased: np.ndarray) -> np.ndarray:
    """GT, object (...) of str, of alleles by chromosome copy, int (..., ploidy): -1 missing, -2 no copy.

    phased: bool (...).
    """
    width = int(alleles.max(initial=0)) + 3
    keys = phased.astype(np.int64)
    for copy in range(alleles.shape[-1]):
        keys = keys * width + (alleles[..., copy] + 2)
    found, first, place = np.unique(keys, return_index=True, return_inverse=True)
    some, is_phased = alleles.reshape(-1, alleles.shape[-1])[first].tolist(), phased.reshape(-1)[first].tolist()
    texts = np.empty(len(found), object)
    for i, (copies, together) in enumerate(zip(some, is_phased, strict=True)):
        there = ["." if copy == -1 else str(copy) for copy in copies if copy != -2]
        texts[i] = ("|" if together else "/").join(there) or "."
    return texts[place.reshape(keys.shape)]
