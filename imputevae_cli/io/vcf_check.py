"""Checks of a VCF's raw lines, made before cyvcf2 sees them: it crashes on some of what is found here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from imputevae_cli.errors import InputError

FIXED_COLUMNS = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO", b"FORMAT")

_CONTIG = re.compile(rb"##contig=<(?:.*,)?ID=([^,>]+)")
_GENOTYPE = re.compile(rb"(\.|\d+)([/|](\.|\d+))*")


@dataclass(frozen=True)
class TextCheck:
    """What the raw lines of a file say.

    samples: names in file order. header_lines: lines up to and with `#CHROM`. n_records: lines after it. Both
    counts are None for a BCF, which has no lines. chroms: names of chromosomes in the header, and those of records.
    """

    samples: tuple[str, ...]
    header_lines: int | None = None
    n_records: int | None = None
    chroms: frozenset[str] = field(default_factory=frozenset)

    def where(self, record: int, chrom: str, pos: int) -> str:
        """The place of a record (0-based) in words."""
        place = f"record {record + 1}" if self.header_lines is None else f"line {self.header_lines + record + 1}"
        return f"{place} ({chrom}:{pos})"


def check_lines(lines: Iterable[bytes], name: str) -> TextCheck:
    """Check the header and the shape of every record. Raises InputError naming the first line that is wrong."""
    lines = iter(lines)
    samples, header_lines, contigs = check_header(lines, name)
    tabs = len(FIXED_COLUMNS) + len(samples) - 1
    last_format = last_chrom = None
    chroms = set(contigs)
    number = header_lines
    for number, line in enumerate(lines, header_lines + 1):
        fields = line.split(b"\t", 9)
        if line.count(b"\t") != tabs or not fields[1].isdigit() or b"" in fields or line.startswith(b"#"):
            raise _record_error(line, number, tabs + 1, name)
        if fields[8] != last_format or fields[0] != last_chrom:
            last_chrom, last_format = fields[0], fields[8]
            chroms.add(_check_encoding_and_format(fields, f"{name}: line {number} ({_place(fields)})"))
    if number == header_lines:
        raise InputError(f"{name}: there is a header but no record; give a file with genotypes")
    return TextCheck(samples, header_lines, number - header_lines, frozenset(chroms))


def check_header(lines: Iterator[bytes], name: str) -> tuple[tuple[str, ...], int, set[str]]:
    """The samples, the number of header lines and the contigs; `lines` is left at the first record."""
    number, contigs = 0, set()
    for number, line in enumerate(lines, 1):
        if number == 1 and not line.startswith(b"##fileformat=VCF"):
            raise InputError(
                f"{name}: not a VCF: line 1 does not start with `##fileformat=VCF`; give a VCF or BCF file"
            )
        if line.startswith(b"##"):
            if contig := _CONTIG.match(line):
                contigs.add(contig[1].decode("utf-8", "replace"))
            continue
        if line.startswith(b"#CHROM"):
            return _sample_names(line.removesuffix(b"\r"), number, name), number, contigs
        found = "is blank" if not line.strip() else "is neither a `##` line nor `#CHROM`"
        raise InputError(f"{name}: header line {number} {found}; mend or delete that line")
    if number == 0:
        raise InputError(f"{name}: the file is empty; give a VCF, VCF.gz or BCF with records")
    raise InputError(f"{name}: no `#CHROM` line after {number} lines; the file may be cut short, make it again")


def _sample_names(line: bytes, number: int, name: str) -> tuple[str, ...]:
    columns = line.split(b"\t")
    where = f"{name}: line {number} (#CHROM)"
    if tuple(columns[:8]) != FIXED_COLUMNS[:8] or columns[8:9] not in ([], [b"FORMAT"]):
        if tuple(line.split()[:8]) == FIXED_COLUMNS[:8]:
            raise InputError(f"{where} has blanks where tabs belong; put one tab between columns")
        raise InputError(f"{where} does not name the nine VCF columns CHROM to FORMAT; mend that line")
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


def _check_encoding_and_format(fields: list[bytes], where: str) -> str:
    """The chromosome's name."""
    try:
        chrom = fields[0].decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"{where}: the chromosome's name is not UTF-8; convert the file, such as with `iconv`"
        ) from None
    keys = fields[8].split(b":")
    if b"GT" in keys and (keys[0] != b"GT" or keys.count(b"GT") > 1):
        raise InputError(f"{where}: GT is not the first FORMAT field, as VCF requires; mend the record")
    return chrom


def _record_error(line: bytes, number: int, expected: int, name: str) -> InputError:
    """What is wrong with a record's line, as an error to raise."""
    fields = line.split(b"\t")
    if not line.strip():
        return InputError(f"{name}: line {number} is blank; delete it")
    if line.startswith(b"#"):
        return InputError(f"{name}: line {number} starts with `#` among the records; delete it")
    if len(fields) == 1:
        blanks = len(line.split()) > 1
        what = "has blanks where tabs belong; put one tab between columns" if blanks else "has one column; mend it"
        return InputError(f"{name}: line {number} {what}")
    where = f"{name}: line {number} ({_place(fields)})"
    if len(fields) != expected:
        return InputError(f"{where} has {len(fields)} columns, the header {expected}; mend or delete the record")
    if not fields[1].isdigit():
        return InputError(f"{where}: the position {_show(fields[1])} is not a number; mend the record")
    return InputError(f"{where}: column {fields.index(b'') + 1} is empty; write `.` for what is missing")


def line_place(line: bytes) -> tuple[str, int]:
    """(chrom, pos) of a line that was checked."""
    chrom, pos, _ = line.split(b"\t", 2)
    return _show(chrom), int(pos)


def what_is_malformed(line: bytes, check: TextCheck) -> str:
    """What is wrong with a checked line that htslib cannot parse, and how to mend it."""
    fields = line.removesuffix(b"\r").split(b"\t")
    if fields[8].startswith(b"GT"):
        n_keys = fields[8].count(b":") + 1
        for sample, cell in zip(check.samples, fields[9:], strict=True):
            if not _GENOTYPE.fullmatch(cell.split(b":", 1)[0]):
                return f"sample {sample!r} has the malformed genotype {_show(cell)!r}; mend it, or set it to `./.`"
            if cell.count(b":") >= n_keys:
                return f"sample {sample!r} has more fields than FORMAT names ({_show(cell)!r}); mend the record"
    return "htslib cannot parse the record; mend or delete it"


def _place(fields: list[bytes]) -> str:
    return f"{_show(fields[0])}:{_show(fields[1])}"


def _show(field: bytes) -> str:
    return field[:40].decode("utf-8", "replace")
