"""Splicing the genotypes of a locus into the text of its record; all other text stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from operator import add
from typing import NamedTuple

import numpy as np

from imputevae_cli.genotypes import MISSING, ImputedBlock, ImputedBlocks
from imputevae_cli.io import vcf_info
from imputevae_cli.io.vcf_header import ADDED_FORMAT

BLOCK_BYTES = 1 << 20
GENOTYPES = {1: (b"0", b"1"), 2: (b"0/0", b"0/1", b"1/1")}


class Locus(NamedTuple):
    """One locus, ready to splice. codes: a suffix's number for each sample. filled: (sample, genotype) pairs.

    missing: samples whose call stays missing. info: the info score, NaN where no call was imputed.
    """

    codes: list[int]
    filled: list[tuple[int, int]]
    missing: list[int]
    ac: int
    info: float

    @property
    def n_imputed(self) -> int:
        return len(self.filled)


def filled_loci(imputed: ImputedBlocks) -> Iterator[Locus]:
    """The loci of an imputation, in order; it is asked for blocks of a few megabytes."""
    genotypes = imputed.genotypes
    size = int(np.clip(BLOCK_BYTES // (2 * genotypes.n_classes * genotypes.n_samples), 16, 4096))
    for start in range(0, genotypes.n_loci, size):
        block = imputed.block(start, min(start + size, genotypes.n_loci))
        codes = np.ascontiguousarray(_suffix_codes(block).T)  # (b, samples)
        calls = np.ascontiguousarray(block.calls.T)
        is_filled = np.ascontiguousarray(block.imputed.T)
        info = vcf_info.impute_info(block).tolist()
        ac = np.where(calls > 0, calls, 0).sum(axis=1, dtype=np.int64).tolist()
        for j in range(len(codes)):
            filled = np.flatnonzero(is_filled[j])
            pairs = list(zip(filled.tolist(), calls[j, filled].tolist(), strict=True))
            missing = np.flatnonzero(calls[j] == MISSING).tolist()
            yield Locus(codes[j].tolist(), pairs, missing, ac[j], info[j])


def _suffix_codes(block: ImputedBlock) -> np.ndarray:
    """int32 (samples, b): GP and the imputed flag in one number, -1 where nothing is known of a cell."""
    gp = block.gp.astype(np.int32)
    codes = (gp[..., 0] * 1001 + gp[..., 1]) << 1 | block.imputed
    codes[gp.sum(axis=2) == 0] = -1
    return codes


class _Suffixes(dict):
    """`:GP:DS:IMP` for each code of `_suffix_codes`, made when it is first asked for."""

    LIMIT = 1 << 16

    def __init__(self, ploidy: int):
        self._ploidy = ploidy

    def __missing__(self, code: int) -> bytes:
        if len(self) >= self.LIMIT:
            self.clear()
        self[code] = text = self._text(code)
        return text

    def _text(self, code: int) -> bytes:
        if code < 0:
            return b":.:.:0"
        first, second = divmod(code >> 1, 1001)
        third = 1000 - first - second
        if self._ploidy == 1:
            gp, dosage = DECIMALS[first] + b"," + DECIMALS[second], second
        else:
            gp = b"%b,%b,%b" % (DECIMALS[first], DECIMALS[second], DECIMALS[third])
            dosage = second + 2 * third
        return b":%b:%b:%d" % (gp, DECIMALS[dosage], code & 1)


DECIMALS = [f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".").encode() for thousandths in range(2001)]
"""0 to 2 in thousandths, as text without trailing zeros."""


class Splice:
    """Splices a locus's genotypes into the text of its record."""

    def __init__(self, ploidy: int, columns: list[int] | None):
        self._ploidy, self._columns = ploidy, columns
        self._suffixes = _Suffixes(ploidy)
        self._genotypes = GENOTYPES[ploidy]

    def modelled(self, line: bytes, locus: Locus) -> bytes:
        """A modelled record's line with its missing calls filled and GP, DS and IMP added."""
        head, cells, end = self._split(line)
        keys = head[8].split(b":")
        keys, cells = self._tidied(line, head, keys, cells)
        for sample, call in locus.filled:
            cell = cells[sample]
            colon = cell.find(b":")
            cells[sample] = self._genotypes[call] + (cell[colon:] if colon >= 0 else b"")
        head[7] = self._info(head[7], cells, locus)
        head[8] = b":".join([*keys, *ADDED_FORMAT])
        cells = map(add, cells, map(self._suffixes.__getitem__, locus.codes))
        return b"\t".join([*head, *cells]) + end

    def _tidied(self, line: bytes, head: list, keys: list, cells: list) -> tuple[list[bytes], list[bytes]]:
        """FORMAT keys and cells without what is to be added, and with trailing fields that were left out."""
        kept = [i for i, key in enumerate(keys) if key not in ADDED_FORMAT]
        if len(kept) < len(keys):
            cells = [b":".join(_at(cell.split(b":"), kept)) for cell in cells]
        elif self._columns is None and _colons(line, head) == len(cells) * (len(keys) - 1):
            return keys, cells  # the common case, told without a look at each cell
        return _at(keys, kept), [cell + b":." * (len(kept) - 1 - cell.count(b":")) for cell in cells]

    def passed(self, line: bytes) -> bytes:
        """A record that is not modelled, with the chosen samples alone and allele counts that fit them."""
        head, cells, end = self._split(line)
        if vcf_info.counts_alleles(head[7]) and head[8].split(b":")[0] == b"GT":
            n_alt = 0 if head[4] == b"." else head[4].count(b",") + 1
            counts = vcf_info.count_values(*vcf_info.count_alleles(cells, n_alt))
            head[7] = vcf_info.update_info(head[7], counts)
        return b"\t".join([*head, *cells]) + end

    def _split(self, line: bytes) -> tuple[list[bytes], list[bytes], bytes]:
        end = b"\r" if line.endswith(b"\r") else b""
        fields = (line[:-1] if end else line).split(b"\t")
        cells = fields[9:]
        return fields[:9], cells if self._columns is None else _at(cells, self._columns), end

    def _info(self, info: bytes, cells: list[bytes], locus: Locus) -> bytes:
        added = {b"NIMP": b"%d" % locus.n_imputed}
        if locus.filled:
            added = {b"INFO": b"%.3f" % locus.info, **added}
        counts = {}
        if vcf_info.counts_alleles(info):
            called = len(cells) - len(locus.missing)
            halves = vcf_info.count_alleles(_at(cells, locus.missing), 1)  # what a half-call that stays still shows
            ac, an = locus.ac + halves[0][0], called * self._ploidy + halves[1]
            counts = vcf_info.count_values([ac], an, called + halves[2])
        return vcf_info.update_info(info, counts, added)


def _at(items: list[bytes], index: list[int]) -> list[bytes]:
    """The items at `index`, as far as there are any."""
    return [items[i] for i in index if i < len(items)]


def _colons(line: bytes, head: list[bytes]) -> int:
    return line.count(b":") - sum(field.count(b":") for field in head)
