"""Checks of a VCF's header and of the shape of its lines, and what is wrong with a line, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_text import FIRST_LINE
from imputevae_cli.log import counted

FIXED_COLUMNS = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO", b"FORMAT")
N_FIXED = len(FIXED_COLUMNS)
MAX_POS = 2**31 - 2
"""The largest position that indexes, BCF and every common reader of VCF hold."""
PREFIX_VERSION = (4, 4)
"""The version of VCF from which on a call may begin with its phase: `|0|1`."""

_CONTIG = re.compile(rb"##contig=<(?:.*,)?ID=([^,>]+)")
_VERSION = re.compile(FIRST_LINE + rb"v(\d{1,4})\.(\d{1,4})\s*$")


@dataclass(frozen=True)
class Header:
    """What the header of a file says.

    samples: names in file order. n_lines: lines up to and with `#CHROM`; None where the file has no lines, as a BCF.
    contigs: names of the declared chromosomes. prefixed: whether calls may begin with their phase.
    """

    name: str
    samples: tuple[str, ...]
    n_lines: int | None
    contigs: frozenset[str]
    prefixed: bool

    @property
    def n_columns(self) -> int:
        return N_FIXED + len(self.samples)

    def line(self, record: int) -> str:
        """A record (0-based) in words: its line, or its number where the file has no lines."""
        return f"record {record + 1}" if self.n_lines is None else f"line {self.n_lines + record + 1}"

    def where(self, record: int, chrom: str, pos: int | str) -> str:
        """The place of a record (0-based) in words."""
        return f"{self.name}: {self.line(record)} ({chrom}:{pos})"


def check_header(lines: Iterable[bytes], name: str, has_lines: bool = True) -> Header:
    """Check the lines of a file's header, the last of which is `#CHROM`, or the first line that is out of place."""
    number, contigs, version = 0, set(), (4, 0)
    for number, line in enumerate(lines, 1):
        if number == 1:
            found = _VERSION.match(line)
            version = (int(found[1]), int(found[2])) if found else version
        if line.startswith(b"##"):
            if contig := _CONTIG.match(line):
                contigs.add(contig[1].decode("utf-8", "replace"))
            continue
        if line.startswith(b"#CHROM"):
            samples = _sample_names(line.removesuffix(b"\r"), number, name)
            return Header(name, samples, number if has_lines else None, frozenset(contigs), version >= PREFIX_VERSION)
        wrong = "is blank" if not line.strip() else "is neither a `##` line nor `#CHROM`"
        raise InputError(f"{name}: header line {number} {wrong}; fix or delete that line")
    if number == 0:
        raise InputError(f"{name}: the file is empty; give a VCF, VCF.gz or BCF with records")
    raise InputError(
        f"{name}: no `#CHROM` line after {counted(number, 'line')}; the file may be cut short, make it again"
    )


def fixed_columns(line: bytes) -> list[bytes]:
    """The columns of a `#CHROM` line; blanks around the names of the fixed ones, as PyRAD pads them, are left out."""
    columns = line.split(b"\t")
    return [column.strip(b" ") for column in columns[:N_FIXED]] + columns[N_FIXED:]


def _sample_names(line: bytes, number: int, name: str) -> tuple[str, ...]:
    columns = fixed_columns(line)
    where = f"{name}: line {number} (#CHROM)"
    if tuple(columns[:8]) != FIXED_COLUMNS[:8] or columns[8:9] not in ([], [b"FORMAT"]):
        if tuple(line.split()[:8]) == FIXED_COLUMNS[:8]:
            raise InputError(f"{where} has blanks where tabs belong; put one tab between columns")
        raise InputError(f"{where} does not name the nine VCF columns CHROM to FORMAT; fix that line")
    if len(columns) < 10:
        raise InputError(f"{where} names no samples; give a file with genotype columns")
    try:
        samples = tuple(column.decode("utf-8") for column in columns[9:])
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: a sample name is not UTF-8 ({error.object!r}); convert the header, such as with `iconv`"
        ) from None
    seen: set[str] = set()
    for column, sample in enumerate(samples, 10):
        if not sample.strip():
            raise InputError(f"{where}: the sample name in column {column} is empty; give every sample a name")
        if sample in seen:
            raise InputError(f"{where}: sample {sample!r} is named twice; rename one, such as with `bcftools reheader`")
        seen.add(sample)
    return samples


def shape_error(line: bytes, number: int, header: Header) -> InputError:
    """What is wrong with a record's line, of which `number` were before, as an error to raise."""
    fields = line.split(b"\t")
    start = f"{header.name}: {header.line(number)}"
    if not line.strip():
        return InputError(f"{start} is blank; delete it")
    if line.startswith(b"#"):
        return InputError(f"{start} starts with `#` among the records; delete it")
    if len(fields) == 1:
        blanks = len(line.split()) > 1
        what = "has blanks where tabs belong; put one tab between columns" if blanks else "has one column; fix it"
        return InputError(f"{start} {what}")
    where = f"{start} ({show(fields[0])}:{show(fields[1])})"
    if len(fields) != header.n_columns:
        return InputError(f"{where} has {len(fields)} columns, the header {header.n_columns}; fix or delete the record")
    return InputError(f"{where}: column {fields.index(b'') + 1} is empty; write `.` for what is missing")


def position(text: bytes, where: str) -> int:
    """POS as a number. Raises InputError, at the place `where`, for what is none, or is beyond MAX_POS."""
    if not text.isdigit():
        raise InputError(f"{where}: the position {show(text)} is not a whole number from 0; fix the record")
    if len(text) > 10 or int(text) > MAX_POS:
        raise InputError(
            f"{where}: the position is beyond {MAX_POS:,}, the most that BCF and indexes hold; fix the record, or "
            "split the chromosome"
        )
    return int(text)


def show(field: bytes) -> str:
    """The beginning of a field, for a message."""
    return field[:40].decode("utf-8", "replace")
