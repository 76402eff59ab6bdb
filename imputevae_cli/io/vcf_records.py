"""The records of a VCF, VCF.gz or BCF, many at a time, as text and as the places of its columns.

No other library sees the text: what crashes or misleads them is an InputError that names the record here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_check import N_FIXED, Header, check_header, position, shape_error, show
from imputevae_cli.io.vcf_genotypes import (
    HALF_ALT,
    LARGEST_OF,
    LONG,
    PLOIDY_OF,
    STATE_OF,
    TOO_LARGE,
    genotype_codes,
    long_genotype,
)
from imputevae_cli.io.vcf_text import WITHOUT_LINES, file_kind, text_of, text_pieces
from imputevae_cli.log import logger

TAB, NEWLINE, COLON, HASH = b"\t\n:#"
BLOCK_CELLS = 1 << 17
"""Cells of a block, about: what is held beside the text is some forty bytes a cell."""


@dataclass(frozen=True)
class Fixed:
    """The fixed columns of a record that are used. n_alt: alleles that ALT lists. keys: of FORMAT."""

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    n_alt: int
    info: bytes
    format: bytes
    has_gt: bool
    n_keys: int


@dataclass(frozen=True)
class RecordBlock:
    """Records that follow one another in a file.

    first: the number of the first (0-based). text: their lines, each with its newline. ends: int64 (records, columns),
    where each column ends in the text. fixed: the fixed columns of each.
    """

    header: Header
    first: int
    text: bytes
    ends: np.ndarray
    fixed: list[Fixed]

    def __len__(self) -> int:
        return len(self.fixed)

    def where(self, i: int) -> str:
        """The place of the i-th record in words."""
        return self.header.where(self.first + i, self.fixed[i].chrom, self.fixed[i].pos)

    def cells(self, i: int) -> list[bytes]:
        """The sample columns of the i-th record."""
        return self.sample_text(i).split(b"\t")

    def sample_text(self, i: int) -> bytes:
        """The text of the sample columns of the i-th record."""
        return self.text[self.ends[i, N_FIXED - 1] + 1 : self.ends[i, -1]]

    def starts_of(self, i: int) -> np.ndarray:
        """int64 (samples,): where each sample column of the i-th record begins in the text."""
        return self.ends[i, N_FIXED - 1 : -1] + 1

    def states(self, rows: np.ndarray) -> np.ndarray:
        """The states (see `vcf_genotypes`) of the genotypes of some records that have GT, uint8 (rows, samples).

        Raises InputError where one is malformed or has an allele that ALT does not list.
        """
        ends = self.ends if len(rows) == len(self) else self.ends[rows]
        starts = ends[:, N_FIXED - 1 : -1] + 1
        self._check_fields(rows, starts, ends)
        codes = genotype_codes(self.text, starts, self.header.prefixed)
        states = STATE_OF[codes]
        n_alt = np.array([self.fixed[row].n_alt for row in rows.tolist()])
        largest = np.ones(len(rows), np.int64)
        suspects = (n_alt != 1) | (states > HALF_ALT).any(axis=1)
        largest[suspects] = LARGEST_OF[codes[suspects]].max(axis=1)
        for i in np.flatnonzero((largest > n_alt) | (largest == TOO_LARGE)).tolist():
            self._spell_out(int(rows[i]), states[i], n_alt[i], codes[i])
        return states

    def _check_fields(self, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Raise InputError where a cell has more fields than FORMAT names."""
        n_keys = np.array([self.fixed[row].n_keys for row in rows.tolist()])
        if (n_keys == 1).all() and self._n_colons[ends[-1, -1]] == self._n_colons[starts[0, 0]]:
            return
        surplus = self._n_colons[ends[:, N_FIXED:]] - self._n_colons[starts] >= n_keys[:, None]
        if surplus.any():
            i, sample = np.argwhere(surplus)[0]
            cell = self.text[starts[i, sample] : ends[i, N_FIXED + sample]]
            raise InputError(
                f"{self.where(int(rows[i]))}: sample {self.header.samples[sample]!r} has more fields than FORMAT names "
                f"({show(cell)!r}); fix the record"
            )

    @cached_property
    def _n_colons(self) -> np.ndarray:
        """int32 (characters + 1,): colons before each character."""
        text = np.frombuffer(self.text, np.uint8)
        return np.concatenate([[0], np.cumsum(text == COLON, dtype=np.int32)])

    def _spell_out(self, row: int, states: np.ndarray, n_alt: int, codes: np.ndarray) -> None:
        """Put the states of a record's long cells in place; raise InputError for what is no genotype of it."""
        cells = self.cells(row)
        largest = LARGEST_OF[codes]
        for sample in np.flatnonzero((largest > n_alt) | (states == LONG)).tolist():
            found = long_genotype(cells[sample], self.header.prefixed)
            who = f"{self.where(row)}: sample {self.header.samples[sample]!r}"
            if found is None:
                raise InputError(
                    f"{who} has the malformed genotype {show(cells[sample])!r}; fix it, or set it to `./.`"
                )
            states[sample], allele, _ = found
            if allele > n_alt:
                number = allele if allele < 1 << 31 else "over 2^31"
                raise InputError(f"{who} has allele {number}, but ALT lists {n_alt}; fix the call, or set it to `./.`")


@dataclass
class VcfFile:
    """A file whose header was checked.

    path: its text, a temporary copy of a BCF. compressed: whether it is gzipped. again: whether it was read before, so
    that nothing is said a second time.
    """

    path: Path
    name: str
    compressed: bool
    header: Header
    _pieces: Iterator[bytes]
    again: bool = False
    _chroms: dict[bytes, str] = field(default_factory=dict)
    _alleles: dict[bytes, str] = field(default_factory=dict)
    _formats: dict[bytes, tuple[bool, int]] = field(default_factory=dict)

    def blocks(self) -> Iterator[RecordBlock]:
        """All records, in order. Raises InputError at the first that is wrong."""
        number = 0
        for piece in self._pieces:
            if cut := not piece.endswith(b"\n"):
                piece += b"\n"
            for text in _parts(piece, self.header.n_columns):
                block = self._block(text, number)
                if cut and len(text) == len(piece):
                    self._check_last(block)
                yield block
                number += len(block)
        if not number:
            raise InputError(f"{self.name}: there is a header but no record; give a file with genotypes")

    def chroms(self) -> set[str]:
        """Names of the chromosomes in the header and in the records, by a walk of its own."""
        names = set(self.header.contigs)
        last = None
        for piece in text_pieces(self.path, self.name, gzipped=self.compressed):
            for line in piece.split(b"\n"):
                chrom = line.partition(b"\t")[0]
                if chrom and chrom != last and not line.startswith(b"#"):
                    names.add(chrom.decode("utf-8", "replace"))
                    last = chrom
        return names

    def _block(self, text: bytes, number: int) -> RecordBlock:
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        characters = np.frombuffer(text, np.uint8)
        ends: np.ndarray = np.flatnonzero((characters == TAB) | (characters == NEWLINE))
        n, n_columns = text.count(b"\n"), self.header.n_columns
        if len(ends) != n * n_columns or (characters[ends[n_columns - 1 :: n_columns]] != NEWLINE).any():
            raise self._misshapen(text, number)
        ends = ends.reshape(n, n_columns)
        starts = np.concatenate([[0], ends[:-1, -1] + 1])
        first = np.concatenate([starts[:, None], ends[:, : N_FIXED - 1] + 1], axis=1)
        if (characters[starts] == HASH).any() or (ends[:, :N_FIXED] <= first).any():
            raise self._misshapen(text, number)
        fixed = [
            self._fixed(text[start:end].split(b"\t"), number + i)
            for i, (start, end) in enumerate(zip(starts.tolist(), ends[:, N_FIXED - 1].tolist(), strict=True))
        ]
        return RecordBlock(self.header, number, text, ends, fixed)

    def _misshapen(self, text: bytes, number: int) -> InputError:
        for i, line in enumerate(text.split(b"\n")):
            fields = line.split(b"\t", N_FIXED)
            wrong = line.count(b"\t") != self.header.n_columns - 1 or line.startswith(b"#")
            if wrong or b"" in fields[:N_FIXED]:
                return shape_error(line, number + i, self.header)
        raise AssertionError("a block of whole records")

    def _fixed(self, fields: list[bytes], number: int) -> Fixed:
        """The fixed columns of a record. Raises InputError for those that cannot be used."""
        chrom, pos, id_, ref, alt, _, _, info, form = fields
        where = f"{self.name}: {self.header.line(number)} ({show(chrom)}:{show(pos)})"
        has_gt, n_keys = self._formats.get(form) or self._keys(form, where)
        return Fixed(
            self._text(self._chroms, chrom, where, "chromosome's name"),
            position(pos, where),
            "" if id_ == b"." else id_.decode("utf-8", "replace"),
            self._text(self._alleles, ref, where, "REF allele"),
            self._text(self._alleles, alt, where, "ALT allele"),
            0 if alt == b"." else alt.count(b",") + 1,
            info,
            form,
            has_gt,
            n_keys,
        )

    def _keys(self, form: bytes, where: str) -> tuple[bool, int]:
        keys = form.split(b":")
        if b"GT" in keys and (keys[0] != b"GT" or keys.count(b"GT") > 1):
            raise InputError(f"{where}: GT is not the first FORMAT field, as VCF requires; fix the record")
        self._formats[form] = (b"GT" in keys, len(keys))
        return self._formats[form]

    def _text(self, known: dict[bytes, str], raw: bytes, where: str, what: str) -> str:
        if raw not in known:
            if len(known) > 1 << 16:
                known.clear()
            try:
                known[raw] = raw.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError(f"{where}: the {what} is not UTF-8; convert the file, such as with `iconv`") from None
        return known[raw]

    def _check_last(self, block: RecordBlock) -> None:
        """Refuse a last record without a newline that may be cut inside its last cell; else warn."""
        i = len(block) - 1
        fixed, cells = block.fixed[i], block.cells(i)
        whole = cells[-1].count(b":") == fixed.n_keys - 1
        if whole and fixed.has_gt:
            ploidy = PLOIDY_OF[block.states(np.array([i]))[0]]
            lengths = [len(cell.split(b":", 1)[0]) for cell in cells]
            whole = lengths[-1] == max(lengths) and ploidy[-1] in (0, ploidy.max())
        start = f"{self.name}: {self.header.line(block.first + i)}, the last, does not end with a newline"
        if not whole:
            raise InputError(
                f"{start}, and its last cell {show(cells[-1])!r} may be cut short; make the file again, or append a "
                "newline if that line is whole"
            )
        if not self.again:
            logger.warning("%s, but is whole; it is read", start)


def open_vcf(path: Path, name: str, folder: Path | None = None, *, again: bool = False) -> VcfFile:
    """Check a file's header. What has no lines is copied into `folder` as text.

    Raises InputError where it cannot be used.
    """
    has_lines = file_kind(path, name) not in WITHOUT_LINES
    path, compressed = text_of(path, name, folder)
    pieces = text_pieces(path, name, gzipped=compressed)
    lines: list[bytes] = []
    rest = b""
    for piece in pieces:
        at = 0
        while at < len(piece) and (not lines or lines[-1].startswith(b"##")):
            end = piece.find(b"\n", at)
            end = len(piece) if end < 0 else end
            lines.append(piece[at:end])
            at = end + 1
        if not lines[-1].startswith(b"##"):
            rest = piece[at:]
            break
    header = check_header(lines, name, has_lines)
    return VcfFile(path, name, compressed, header, chain([rest] if rest else [], pieces), again)


def _parts(piece: bytes, n_columns: int) -> Iterator[bytes]:
    """Whole lines of `piece`, some BLOCK_CELLS at a time."""
    if len(piece) <= 2 * BLOCK_CELLS:
        yield piece
        return
    size = max(len(piece) * BLOCK_CELLS // max(piece.count(b"\t"), 1), 1)
    start = 0
    while start < len(piece):
        end = piece.find(b"\n", min(start + size, len(piece) - 1)) + 1
        yield piece[start:end]
        start = end
