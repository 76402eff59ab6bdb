"""A VCF whose records have likelihoods or read counts and not one call, as ANGSD writes it: GT is called from them.

Every cell gets the genotype under which its data are likeliest, and stays missing where two are alike. What follows
sees a file with uncertain calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path

import numpy as np

from imputevae_cli.data import alleles
from imputevae_cli.data.read_model import ReadModel
from imputevae_cli.io.bgzf import BgzfFile
from imputevae_cli.io.inputs.vcf_text_of_arrays import MADE_OF
from imputevae_cli.io.kernel_fields import INT_END
from imputevae_cli.io.vcf_check import N_FIXED
from imputevae_cli.io.vcf_evidence_choice import IN_ORDER
from imputevae_cli.io.vcf_fields import RecordFields
from imputevae_cli.io.vcf_genotypes import PLOIDY_OF
from imputevae_cli.io.vcf_records import RecordBlock, VcfFile, open_vcf
from imputevae_cli.io.vcf_text import read_lines, temporary_copy
from imputevae_cli.io.vcf_values import phred_values, values_of
from imputevae_cli.log import logger

PROBED_BLOCKS = 8
"""Blocks of records at the beginning of a file that show whether it has calls."""
MOST_DEPTH = 1000
READS = ReadModel()
"""How read counts are taken; their own error rate is fitted later, to what is read."""
MISSING_TEXT = b"./."


def with_calls(file: VcfFile, asked: str, folder: Path | None = None) -> VcfFile:
    """The file itself; one without a single call as a copy in `folder`, deleted at exit, that has them.

    asked: the field to call from, or `auto`, the first of IN_ORDER; `none`: no calls are made.
    """
    if asked == "none":
        return file
    fields = IN_ORDER if asked == "auto" else (asked,)
    field = field_to_call_from(open_vcf(file.path, file.name, again=True), fields)
    if field is None:
        return file
    logger.warning(
        "%s: has no calls; each is taken to be the genotype that is likeliest by %s alone (--refine weighs it against "
        "the other samples and loci)",
        file.name,
        field,
    )
    with temporary_copy(file.name, folder, ".vcf.gz") as out:
        write_called(open_vcf(file.path, file.name, again=True), field, Path(out.name))
    return open_vcf(Path(out.name), file.name, again=True)


def field_to_call_from(file: VcfFile, fields: Sequence[str] = IN_ORDER) -> str | None:
    """The first of `fields` that a file without a single call has; None where it has calls, or none of the fields.

    Judged by the file's first records. Raises InputError for records that are wrong.
    """
    found: set[str] = set()
    for block in islice(file.blocks(), PROBED_BLOCKS):
        with_gt = np.flatnonzero([fixed.has_gt for fixed in block.fixed])
        if len(with_gt) and PLOIDY_OF[block.states(with_gt)].any():
            return None
        for form in {fixed.format for fixed in block.fixed}:
            found.update(form.decode("utf-8", "replace").split(":"))
    return next((field for field in fields if field in found), None)


def write_called(file: VcfFile, field: str, out: Path) -> None:
    """Write a file with GT called from a field as a VCF.gz at `out`; all else is as it was."""
    with BgzfFile(out, 1) as written:
        written.write(_header(file))
        for block in file.blocks():
            written.write(b"".join(_lines(block, field)))


def _header(file: VcfFile) -> bytes:
    all_lines = read_lines(file.path, file.name, gzipped=file.compressed)
    lines = [line.removesuffix(b"\r") for line in takewhile(lambda line: line.startswith(b"##"), all_lines)]
    if not any(line.startswith(b"##FORMAT=<ID=GT,") for line in lines):
        lines.append(MADE_OF["GT"].encode())
    names = [b"#CHROM", *b"POS ID REF ALT QUAL FILTER INFO FORMAT".split()]
    samples = [sample.encode() for sample in file.header.samples]
    return b"\n".join([*lines, b"\t".join([*names, *samples]), b""])


def _lines(block: RecordBlock, field: str) -> Iterator[bytes]:
    for i, fixed in enumerate(block.fixed):
        start = 0 if i == 0 else block.ends[i - 1, -1] + 1
        columns = block.text[start : block.ends[i, N_FIXED - 1]].split(b"\t")
        cells = block.cells(i)
        calls = called(RecordFields(block, i), field) or [MISSING_TEXT] * len(cells)
        if fixed.has_gt:
            cells = [call + b"".join(cell.partition(b":")[1:]) for call, cell in zip(calls, cells, strict=True)]
        else:
            columns[-1] = b"GT:" + columns[-1]
            cells = [call + b":" + cell for call, cell in zip(calls, cells, strict=True)]
        yield b"\t".join([*columns, *cells]) + b"\n"


def called(record: RecordFields, field: str) -> list[bytes] | None:
    """GT of every sample: its likeliest genotype, `./.` where that is not one alone or the values are broken.

    None where the record lacks the field.
    """
    n_alt = record.alt.count(",") + 1
    if field in ("AD", "CATG"):
        phred = None if n_alt > 1 else _of_reads(values_of(record, field))
    else:
        phred = phred_values(record, field)
    if phred is None:
        return None
    counts = np.where((phred == INT_END) | (phred < 0), 0, 1).sum(1)
    texts = np.full(len(phred), MISSING_TEXT, object)
    for width in np.unique(counts).tolist():
        genotypes = _genotype_texts(n_alt, width)
        whole = np.flatnonzero((counts == width) & (phred[:, :width] >= 0).all(1))
        if genotypes is None or not len(whole):
            continue
        some = phred[whole, :width]
        best = some.argmin(1)
        n_best = np.count_nonzero(some == some.min(1, keepdims=True), axis=1)
        texts[whole] = np.where(n_best == 1, genotypes[best], MISSING_TEXT)
    return list(texts)


def _of_reads(reads: np.ndarray | None) -> np.ndarray | None:
    """Phred values of a diploid's genotypes, int64 (N, 3), of reads of REF and ALT, (N, w); -1 without reads."""
    if reads is None or reads.shape[1] != 2:
        return None
    ref, alt = np.clip(reads, 0, MOST_DEPTH).T
    logs = READS.log_likelihoods(ref, alt, 2)
    phred = np.rint(-10 / np.log(10) * (logs - logs.max(1, keepdims=True))).astype(np.int64)
    phred[(reads < 0).any(1) | (ref + alt == 0)] = -1
    return phred


def _genotype_texts(n_alt: int, width: int) -> np.ndarray | None:
    """GT of each of `width` genotypes, object of bytes; None where no ploidy has so many. Haploids come first."""
    for ploidy in (2, 1, *range(3, 9)):
        genotypes = alleles.genotypes(n_alt, ploidy)
        if len(genotypes) == width:
            return np.array(["/".join(map(str, row)).encode() for row in genotypes.tolist()], object)
    return None
