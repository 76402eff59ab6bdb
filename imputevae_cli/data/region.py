"""A region of the genome, as `--region` names it."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

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
    def parse(cls, text: str, chroms: Container[str] = ()) -> Region:
        """`chrom`, `chrom:pos`, `chrom:start-` or `chrom:start-end`; thousands may be parted by commas.

        chroms: names of the file's chromosomes. A text that is one of them is that chromosome: names such as
        `HLA-A*01:01:01:01` hold colons of their own. Raises ConfigError where the end is before the start.

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
            raise ConfigError(f"--region {text}: is no stretch of a chromosome; write chrom:start-end")
        start = int(ends[0])
        end = int(ends[1] or 2**62) if found[3] else start
        if end < start:
            raise ConfigError(f"--region {text}: the end is before the start; write chrom:start-end")
        return cls(found[1], start, end)

    def __str__(self) -> str:
        if self.end == 2**62:
            return self.chrom if self.start == 1 else f"{self.chrom}:{self.start}-"
        return f"{self.chrom}:{self.start}-{self.end}"

    def __contains__(self, place: tuple[str, int]) -> bool:
        return place[0] == self.chrom and self.start <= place[1] <= self.end
