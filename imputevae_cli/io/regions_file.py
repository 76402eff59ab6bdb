"""The file of `--regions-file`."""

from __future__ import annotations

from pathlib import Path

from imputevae_cli.data.region import ListedRegion, Region
from imputevae_cli.errors import InputError, why_unreadable

HEADINGS = ("#", "track", "browser")
"""What lines of a BED file begin with that hold no region."""


def read_regions(path: Path) -> list[ListedRegion | Region]:
    """The regions of a file, in its order: of a BED file (0-based, end exclusive) where its name ends in .bed.

    Any other file has one region a line, as `--region` takes it. Raises InputError, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({why_unreadable(error)}); give one region a line, or BED") from error
    is_bed = path.suffix.lower() == ".bed"
    found: list[ListedRegion | Region] = []
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith(HEADINGS if is_bed else "#"):
            continue
        if not is_bed and "\t" in line:
            raise InputError(f"{path}, line {number}: has columns; write chrom:start-end, or name a BED file FILE.bed")
        found.append(_of_bed(path, number, line) if is_bed else ListedRegion(line, f"{path}, line {number}:"))
    if not found:
        raise InputError(f"{path}: holds no region; give one a line, such as chr1:1-5000000")
    return found


def _of_bed(path: Path, number: int, line: str) -> Region:
    """The region of a line of a BED file."""
    columns = line.split()
    if len(columns) < 3 or not columns[1].isdecimal() or not columns[2].isdecimal():
        raise InputError(f"{path}, line {number}: is no line of BED; give chromosome, start and end")
    start, end = int(columns[1]), int(columns[2])
    if end <= start:
        raise InputError(f"{path}, line {number}: holds no position; BED's start is 0-based, its end exclusive")
    return Region(columns[0], start + 1, end)
