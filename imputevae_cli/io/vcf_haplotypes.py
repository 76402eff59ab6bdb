"""The haplotypes of a VCF, VCF.gz or BCF, which `vcf_reader` does not keep: the two alleles of each call, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imputevae_cli.data.region import ListedRegion, Region, Regions
from imputevae_cli.errors import InputError
from imputevae_cli.io.passed_through import NO_GT, why_not_modelled
from imputevae_cli.io.selection import choose_samples
from imputevae_cli.io.vcf_genotypes import (
    LONG,
    NOT_THERE,
    PHASED,
    POLYPLOID,
    STATE_OF,
    alleles_of_codes,
    genotype_codes,
)
from imputevae_cli.io.vcf_records import RecordBlock, VcfFile, open_vcf
from imputevae_cli.io.vcf_text import is_stream, spool

SEVERAL_ALT = "several ALT alleles (`bcftools norm -m -any` splits them)"
POLYPLOID_CALLS, REPEATED = "calls of three alleles or more", "a locus that an earlier record has"
"""Reasons why a record is left out, beside those of `passed_through`."""


@dataclass(frozen=True)
class HaplotypeBlock:
    """Loci of one chromosome that follow one another.

    pos: int64 (b,). ref, alt, ids: of each locus; "" where it has no ID. alleles: int8 (b, 2 N), 0 REF, 1 ALT, -1
    missing; sample i has columns 2 i and 2 i + 1, of a haploid call the same allele in both. phased: bool (b, N), calls
    whose alleles are parted by `|`.
    """

    chrom: str
    pos: np.ndarray
    ref: list[str]
    alt: list[str]
    ids: list[str]
    alleles: np.ndarray
    phased: np.ndarray

    def __len__(self) -> int:
        return len(self.pos)

    @property
    def heterozygous(self) -> np.ndarray:
        """bool (b, N)."""
        first, second = self.alleles[:, ::2], self.alleles[:, 1::2]
        return (first >= 0) & (second >= 0) & (first != second)


@dataclass
class HaplotypeFile:
    """A file to read haplotypes from, any number of times.

    path, name: the file, and what the user calls it. samples: those that are read. columns: int64 (N,), their places
    in the file. regions: None for all of it. left_out: reason -> records, of the last walk.
    """

    path: Path
    name: str
    samples: tuple[str, ...]
    columns: np.ndarray
    regions: Regions | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        samples: Sequence[str] | None = None,
        popmap: str | Path | None = None,
        include_pops: Sequence[str] | None = None,
        region: Sequence[str | Region | ListedRegion] | None = None,
    ) -> HaplotypeFile:
        """The arguments are those of `read_vcf`. Raises InputError where the file or the choice cannot be used."""
        name = "standard input" if str(path) == "-" else str(path)
        file = open_vcf(spool(path, name) if is_stream(path) else Path(path), name)
        regions = Regions.parse(region, file.chroms()) if region else None
        columns, _ = choose_samples(file.header.samples, file.name, popmap, samples, include_pops)
        names = tuple(file.header.samples[column] for column in columns)
        return cls(file.path, file.name, names, columns, regions)

    def blocks(self) -> Iterator[HaplotypeBlock]:
        """All biallelic loci, in order. Raises InputError at a record that is wrong or out of order."""
        self.left_out.clear()
        order = _Order(self.name)
        file = open_vcf(self.path, self.name, again=True)
        for block in file.blocks():
            rows = self._wanted(block, order)
            edges = [i for i in range(1, len(rows)) if block.fixed[rows[i]].chrom != block.fixed[rows[i - 1]].chrom]
            for first, stop in zip([0, *edges], [*edges, len(rows)], strict=True):
                if stop > first:
                    part = self._read(file, block, np.array(rows[first:stop]))
                    if len(part):
                        yield part

    def _wanted(self, block: RecordBlock, order: _Order) -> list[int]:
        """The biallelic records of a block that lie in the regions; the others are counted."""
        rows = []
        for i, fixed in enumerate(block.fixed):
            order.see(fixed.chrom, fixed.pos)
            if self.regions is not None and (fixed.chrom, fixed.pos) not in self.regions:
                continue
            reason = NO_GT if not fixed.has_gt else SEVERAL_ALT if fixed.n_alt > 1 else None
            reason = reason or why_not_modelled(fixed.ref, fixed.alt)
            if reason is None and order.repeats(fixed.ref, fixed.alt):
                reason = REPEATED
            if reason is None:
                rows.append(i)
            else:
                self.left_out[reason] += 1
        return rows

    def _read(self, file: VcfFile, block: RecordBlock, rows: np.ndarray) -> HaplotypeBlock:
        """The loci of some records of a block without calls of three alleles or more."""
        states = block.states(rows)[:, self.columns]
        usable = ~((states == POLYPLOID) | (states > LONG)).any(axis=1)
        self.left_out[POLYPLOID_CALLS] += int((~usable).sum())
        rows = rows[usable]
        starts = np.array([block.starts_of(row)[self.columns] for row in rows.tolist()], np.int64)
        codes = genotype_codes(block.text, starts.reshape(len(rows), len(self.columns)), file.header.prefixed)
        first, second = alleles_of_codes(codes)
        second = np.where(second == NOT_THERE, first, second)
        alleles = np.empty((len(rows), 2 * len(self.columns)), np.int8)
        unread = STATE_OF[codes] == LONG
        alleles[:, ::2], alleles[:, 1::2] = (np.where(unread | (one < 0), -1, one) for one in (first, second))
        fixed = [block.fixed[row] for row in rows.tolist()]
        return HaplotypeBlock(
            fixed[0].chrom if fixed else "",
            np.array([one.pos for one in fixed], np.int64),
            [one.ref for one in fixed],
            [one.alt for one in fixed],
            [one.id for one in fixed],
            alleles,
            (codes >> 4 & 15) == PHASED,
        )


class _Order:
    """Sees that chromosomes are in one piece each, that positions rise, and which loci there were at this one."""

    def __init__(self, name: str) -> None:
        self._name, self._chrom, self._pos = name, "", 0
        self._seen: set[str] = set()
        self._here: set[tuple[str, str]] = set()

    def see(self, chrom: str, pos: int) -> None:
        """Raises InputError where a record is out of order."""
        if chrom != self._chrom:
            if chrom in self._seen:
                raise self._error(chrom, pos)
            self._seen.add(chrom)
            self._chrom, self._pos = chrom, 0
            self._here.clear()
        if pos < self._pos:
            raise self._error(chrom, pos)
        if pos != self._pos:
            self._here.clear()
        self._pos = pos

    def repeats(self, ref: str, alt: str) -> bool:
        """Whether the position that was seen last had these alleles before; from now on it has."""
        before = len(self._here)
        self._here.add((ref, alt))
        return len(self._here) == before

    def _error(self, chrom: str, pos: int) -> InputError:
        return InputError(f"{self._name}: the record at {chrom}:{pos} is out of order; sort it with `bcftools sort`")
