"""The figures of a run whose calls are uncertain: reads behind them, and visible calls that were rewritten."""

from __future__ import annotations

import numpy as np

from imputevae_cli.report.evaluation_figures import counted_cells
from imputevae_cli.report.figure import Figure
from imputevae_cli.report.histograms import gp_histogram
from imputevae_cli.report.labels import class_names, percent
from imputevae_cli.report.plot import Axis, Plot
from imputevae_cli.report.run import Run

DEEP = 30
"""Depths from here on are one bar."""


def depths(run: Run) -> Figure | None:
    """Cells by the number of reads behind them."""
    evidence = run.genotypes.evidence_report
    if evidence is None or not any(evidence.depths):
        return None
    counts = np.pad(np.array(evidence.depths, np.int64), (0, DEEP))
    shown = [*counts[: DEEP - 1].tolist(), int(counts[DEEP - 1 :].sum())]
    names = [*map(str, range(1, DEEP)), f"{DEEP} or more"]
    plot = Plot(
        Axis.of("reads of a cell", 0.4, DEEP + 0.6),
        Axis.of("share of the cells with reads", 0, 1.05 * max(shown) / counts.sum(), percent=True),
    )
    shares = [n / int(counts.sum()) for n in shown]
    plot.bars(
        [
            (i, share, f"{name}: {n:,} cells, {percent(share)}")
            for i, (name, n, share) in enumerate(zip(names, shown, shares, strict=True), 1)
        ],
        0,
        0.9,
    )
    return Figure(
        "depths",
        "How many reads does a call rest on?",
        "Cells with reads, by their number. With one or two reads a heterozygote often looks like a homozygote.",
        f"Depth of {int(counts.sum()):,} cells with reads; the median is {evidence.median_depth:g}.",
        plot.svg(),
        ("reads", "cells"),
        list(zip(names, shown, strict=True)),
    )


def visible_confidence(run: Run) -> Figure | None:
    """Uncertain visible calls by the probability of their likeliest genotype."""
    found = run.filled.visible
    if not found.n:
        return None
    return gp_histogram(
        found.histogram,
        "visible-confidence",
        "How sure are the calls that the file has?",
        "uncertain visible calls",
        "Visible calls that their own reads leave open, by the probability of their likeliest genotype, given the "
        "reads and all other samples.",
    )


def refined(run: Run) -> Figure | None:
    """Uncertain visible calls before and after refining."""
    found = run.filled.visible
    if not found.n or not run.imputed.refines:
        return None
    names = class_names(run.genotypes.ploidy)
    share = percent(found.n_refined / found.n)
    return Figure(
        "refined",
        "Which visible calls were rewritten?",
        "Each row is a genotype that the file had where its reads leave it open; the shares of a row sum to 100%. Off "
        "the diagonal are calls that --refine rewrote; OGT in the VCF keeps what they were.",
        f"Of {found.n:,} uncertain visible calls {found.n_refined:,} ({share}) were rewritten.",
        counted_cells(found.changes.tolist(), names, names, ("in the file", "written")),
        ("in the file", *names),
        [(name, *row) for name, row in zip(names, found.changes.tolist(), strict=True)],
    )
