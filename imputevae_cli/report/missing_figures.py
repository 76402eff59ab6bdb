"""The figures of a run on missing calls, before imputation and after."""

from __future__ import annotations

import itertools

import numpy as np

from imputevae_cli.report.figure import MAX_ROWS, Figure, Key
from imputevae_cli.report.histograms import BINS
from imputevae_cli.report.labels import percent
from imputevae_cli.report.plot import LOW_ROW, Axis, Plot, tall
from imputevae_cli.report.run import Run


def missing_by_population(run: Run) -> Figure:
    """Missing calls of each population along the file: before, and after where any are left."""
    missing, loci = run.filled.missing, run.genotypes.loci
    shown = _largest_populations(run)
    n_stretches = missing.cells.shape[1]
    shares = missing.by_stretch / np.maximum(missing.cells, 1)
    names = [run.filled.names[p] for p in shown]
    plot = Plot(
        Axis.of("stretches of loci, in the order of the file", -0.5, n_stretches - 0.5),
        Axis.rows(names),
        tall(len(names), LOW_ROW),
    )
    table, most = [], max(float(shares[0].max()), 1e-9)
    for stretch in range(n_stretches):
        inside = np.flatnonzero(missing.stretch_of == stretch)
        if not len(inside):
            continue
        first, last = int(inside[0]), int(inside[-1])
        where = f"{loci.chrom[first]}:{loci.pos[first]} to {loci.chrom[last]}:{loci.pos[last]}"
        for row, p in enumerate(shown):
            before, after = shares[:, p, stretch].tolist()
            text = f"{names[row]}, {where}: {percent(before)} missing before, {percent(after)} after"
            plot.cells([((stretch, row, text), before / most)])
            table.append((names[row], where, before, after))
    before, after = missing.by_population
    worst = shown[int(np.argmax(before[shown]))]
    return Figure(
        "missing-populations",
        "Where were calls missing?",
        "A row for each population, a column for each stretch of neighbouring loci; the stronger the colour, the more "
        "calls were missing before imputation, up to "
        f"{percent(most)}. Strong rows and stripes are populations and loci that "
        "dropped out as a whole, and are harder to fill than single gaps.",
        f"Heat map of missing calls of {len(names)} populations along {n_stretches} stretches. The most, "
        f"{percent(before[worst])}, were missing in {run.filled.names[worst]}; after imputation "
        f"{percent(after.max())} at most are missing in any population.",
        plot.svg(),
        ("population", "stretch", "missing_before", "missing_after"),
        table,
    )


def missing_by_locus(run: Run) -> Figure:
    """Loci by the share of their calls that is missing, before and after."""
    counted = run.filled.counts_locus
    shares = run.filled.missing.by_locus[:, counted] / max(run.genotypes.n_samples, 1)
    return _before_and_after("missing-loci", "Missing calls by locus", "loci", shares)


def missing_by_sample(run: Run) -> Figure:
    """Samples by the share of their calls that is missing, before and after."""
    shares = run.filled.missing.by_sample / max(run.filled.n_records, 1)
    return _before_and_after("missing-samples", "Missing calls by sample", "samples", shares)


def _before_and_after(name: str, title: str, noun: str, shares: np.ndarray) -> Figure:
    """Bars of two histograms of shares, float64 (2, n), before and after imputation."""
    edges = np.linspace(0, 1, BINS // 2 + 1)
    counts = [np.histogram(row, edges)[0].tolist() for row in shares]
    names = [f"{100 * low:.0f}–{100 * high:.0f}%" for low, high in itertools.pairwise(edges)]
    axis = Axis.names("share of its calls missing", [n.replace("–", "–\n") for n in names])
    plot = Plot(axis, Axis.of(f"number of {noun}", 0, 1.05 * max(map(max, counts))))
    for k, (row, when, look) in enumerate(zip(counts, ("before", "after"), (4, 0), strict=True)):
        marks = [(i + 0.4 * (k - 0.5), n, f"{names[i]} missing {when}: {n:,} {noun}") for i, n in enumerate(row)]
        plot.bars(marks, look, 0.37)
    means = shares.mean(1)
    return Figure(
        name,
        title,
        f"How many {noun} lack how much, before and after imputation. What is left afterwards is what nothing was "
        "known of, or what a threshold such as --min-gp left out.",
        f"On average {percent(means[0])} of the calls were missing before, {percent(means[1])} after.",
        plot.svg(),
        ("missing", "before", "after"),
        list(zip(names, *counts, strict=True)),
        (Key("before", 4, "bar"), Key("after", 0, "bar")),
    )


def _largest_populations(run: Run) -> list[int]:
    """The largest MAX_ROWS populations, in the order of their names."""
    sizes = np.bincount(run.filled.codes, minlength=len(run.filled.names))
    return sorted(np.argsort(-sizes, kind="stable")[:MAX_ROWS].tolist())
