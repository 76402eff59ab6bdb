"""Histograms as figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from imputevae_cli.report.figure import Figure
from imputevae_cli.report.labels import percent
from imputevae_cli.report.plot import Axis, Mark, Plot

BINS = 20


def gp_histogram(histogram: np.ndarray, name: str, title: str, noun: str, reading: str) -> Figure:
    """Bars of a histogram of best GP in thousandths, int64 (1001,)."""
    edges = [i * 1000 // BINS for i in range(BINS)] + [1001]
    counts = [int(histogram[low:high].sum()) for low, high in itertools.pairwise(edges)]
    total = max(sum(counts), 1)
    sure = percent(int(histogram[900:].sum()) / total)
    alt = f"Histogram of {total:,} {noun}: {sure} have a best probability of 0.9 or more."
    return histogram_of(
        np.linspace(0, 1, BINS + 1),
        counts,
        (name, title, reading, alt),
        ("probability of the likeliest genotype", noun),
    )


def histogram_of(
    edges: np.ndarray, counts: Sequence[int], words: tuple[str, str, str, str], titles: tuple[str, str]
) -> Figure:
    """Bars of counts between edges. words: name, title, reading and alt of the figure; titles: of its axes."""
    plot = Plot(
        Axis.of(titles[0], float(edges[0]), float(edges[-1])),
        Axis.of(f"number of {titles[1]}", 0, 1.05 * max(*counts, 1)),
    )
    width = float(edges[1] - edges[0])
    spans = [f"{low:.2f}–{low + width:.2f}" for low in edges[:-1].tolist()]
    marks: list[Mark] = [
        (low + width / 2, n, f"{span}: {n:,} {titles[1]}")
        for low, span, n in zip(edges[:-1].tolist(), spans, counts, strict=True)
    ]
    plot.bars(marks, 0, 0.94 * width)
    name, title, reading, alt = words
    return Figure(name, title, reading, alt, plot.svg(), (titles[0], titles[1]), list(zip(spans, counts, strict=True)))
