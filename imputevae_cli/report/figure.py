"""A figure as a page shows it: the picture, its words, its legend, and its data to download."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imputevae_cli.report.labels import methods_of
from imputevae_cli.report.plot import N_COLOURS, swatch

MAX_ROWS = 30
"""Populations beyond this many are left to the tables."""
MAX_SAMPLES = 1000
"""Samples in one figure; of more, this many are drawn, evenly spaced along the file."""


@dataclass(frozen=True)
class Key:
    """A line of a legend. kind: see `plot.swatch`."""

    label: str
    k: int = 0
    kind: str = "point"

    @property
    def swatch(self) -> str:
        """The mark, as SVG."""
        return swatch(self.k, self.kind)


@dataclass(frozen=True)
class Figure:
    """reading: how to read it, in plain words. alt: what it shows, for who cannot see it. columns, rows: its data."""

    name: str
    title: str
    reading: str
    alt: str
    svg: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    legend: tuple[Key, ...] = ()

    @property
    def data(self) -> str:
        """The data as CSV, in a link that needs no server."""
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows([[_value(cell) for cell in row] for row in self.rows])
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(out.getvalue().encode()).decode()


def look_of(report: Mapping[str, Any], method: str) -> int:
    """The number of a method's colour and shape, alike in every figure."""
    methods = methods_of(report)
    return (methods.index(method) if method in methods else len(methods)) % N_COLOURS


def grouped(names: Iterable[object]) -> dict[object, list[int]]:
    """Each name -> its places among `names`, the most frequent first."""
    groups: dict[object, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name, []).append(i)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0]))))


def evenly(n: int, most: int = MAX_SAMPLES) -> list[int]:
    """The numbers below n, or of more than `most` that many, evenly spaced."""
    return list(range(n)) if n <= most else [i * n // most for i in range(most)]


def some_of(n: int, noun: str = "samples") -> str:
    """What to add to a figure's words where not all n points are drawn."""
    return f" {MAX_SAMPLES:,} of the {n:,} {noun} are drawn." if n > MAX_SAMPLES else ""


def _value(cell: object) -> object:
    """Numbers as far as they mean something; nothing where there is none."""
    if cell is None or cell != cell:  # NaN
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else cell
