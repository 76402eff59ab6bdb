"""Regions of the genome, as `--region` and `--regions-file` name them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imputevae_cli.errors import ConfigError

MOST_DIGITS = 18
"""Of a position; no chromosome is as long."""


@dataclass(frozen=True)
class Region:
    """A stretch of one chromosome, 1-based, both ends within."""

    chrom: str
    start: int = 1
    end: int = 2**62

    @classmethod
    def parse(cls, text: str, chroms: Container[str] = (), place: str = "--region") -> Region:
        """`chrom`, `chrom:pos`, `chrom:start-` or `chrom:start-end`; thousands may be parted by commas.

        chroms: names of the file's chromosomes. A text that is one of them is that chromosome: names such as
        `HLA-A*01:01:01:01` hold colons of their own. place: where the text stands. Raises ConfigError, naming it, where
        the end is before the start.

        >>> Region.parse("chr2:1,000-2,000")
        Region(chrom='chr2', start=1000, end=2000)
        >>> str(Region.parse("chr2:500-"))
        'chr2:500-'
        """
        found = None if text in chroms else re.fullmatch(r"(.+):([0-9,]+)(?:(-)([0-9,]*))?", text)
        if not found:
            return cls(text)
        ends = [(digits or "").replace(",", "") for digits in (found[2], found[4])]
        if not ends[0] or (found[4] and not ends[1]) or max(map(len, ends)) > MOST_DIGITS:
            raise ConfigError(f"{place} {text}: is no stretch of a chromosome; write chrom:start-end")
        start = int(ends[0])
        end = int(ends[1] or 2**62) if found[3] else start
        if end < start:
            raise ConfigError(f"{place} {text}: the end is before the start; write chrom:start-end")
        return cls(found[1], start, end)

    def __str__(self) -> str:
        if self.end == 2**62:
            return self.chrom if self.start == 1 else f"{self.chrom}:{self.start}-"
        return f"{self.chrom}:{self.start}-{self.end}"


@dataclass(frozen=True)
class ListedRegion:
    """A line of a file of regions, as `--region` takes it: only with the names of a VCF's chromosomes can it be read.

    place: the file and the line, for messages.
    """

    text: str
    place: str


@dataclass(frozen=True)
class Regions:
    """One or more regions; they may overlap, and their order does not matter."""

    parts: tuple[Region, ...]

    @classmethod
    def parse(cls, wanted: Iterable[str | Region | ListedRegion], chroms: Container[str] = ()) -> Regions:
        """Texts are read as `Region.parse` does, and raise what it raises."""

        def read(one: str | Region | ListedRegion) -> Region:
            if isinstance(one, Region):
                return one
            return Region.parse(one, chroms) if isinstance(one, str) else Region.parse(one.text, chroms, one.place)

        return cls(tuple(map(read, wanted)))

    @cached_property
    def _spans(self) -> dict[str, tuple[list[int], list[int]]]:
        """By chromosome the starts and the ends of its stretches, in order, overlapping ones merged."""
        spans: dict[str, tuple[list[int], list[int]]] = {}
        for part in sorted(self.parts, key=lambda part: part.start):
            starts, ends = spans.setdefault(part.chrom, ([], []))
            if ends and part.start <= ends[-1]:
                ends[-1] = max(ends[-1], part.end)
            else:
                starts.append(part.start)
                ends.append(part.end)
        return spans

    @property
    def chroms(self) -> Container[str]:
        """The chromosomes that they lie on."""
        return self._spans.keys()

    @property
    def title(self) -> str:
        """What a message calls them."""
        return f"--region {self}" if len(self.parts) == 1 else f"any of the {len(self.parts):,} regions"

    def __str__(self) -> str:
        return ",".join(map(str, self.parts))

    def __contains__(self, place: tuple[str, int]) -> bool:
        starts, ends = self._spans.get(place[0], ([], []))
        i = bisect_right(starts, place[1]) - 1
        return i >= 0 and place[1] <= ends[i]

    def inside(self, chrom: str, positions: np.ndarray) -> np.ndarray:
        """bool, of the shape of `positions`, int64: which of them lie in one of the regions."""
        starts, ends = (np.array(side, np.int64) for side in self._spans.get(chrom, ([], [])))
        if not len(starts):
            return np.zeros(positions.shape, bool)
        at = np.searchsorted(starts, positions, "right") - 1
        return (at >= 0) & (positions <= ends[at])

    def begins_after(self, chrom: str, pos: int) -> bool:
        """Whether one of them begins further along the chromosome."""
        starts, _ = self._spans.get(chrom, ([], []))
        return bool(starts) and pos < starts[-1]
