"""The figures of a run on missing calls, before imputation and after."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from imputevae_cli.report.figure import MAX_ROWS, Figure, Key
from imputevae_cli.report.histograms import BINS
from imputevae_cli.report.labels import percent
from imputevae_cli.report.plot import LOW_ROW, Axis, Plot, tall
from imputevae_cli.report.run import Run


def missing_by_population(run: Run) -> list[Figure]:
    """Missing calls of each population along the file: before, and after where any are left."""
    before = _heat_map(
        run,
        0,
        ("missing-populations", "Where were calls missing?"),
        "Strong rows and stripes are populations and loci that dropped out as a whole, and are harder to fill than "
        "single gaps.",
    )
    if not run.filled.missing.by_sample[1].any():
        return [before]
    words = "These are still missing after imputation; the colours mean what they mean in the figure of those before."
    return [before, _heat_map(run, 1, ("missing-populations-after", "Where are calls still missing?"), words)]


def _heat_map(run: Run, when: int, words: tuple[str, str], reading: str) -> Figure:
    """Shares of missing calls, 0: before or 1: after, by population and stretch. words: name and title."""
    missing, shown = run.filled.missing, _largest_populations(run)
    shares = missing.by_stretch / np.maximum(missing.cells, 1)  # (2, P, S)
    names = [run.filled.names[p] for p in shown]
    axis = Axis.of("stretches of loci, in the order of the file", -0.5, shares.shape[2] - 0.5)
    plot = Plot(axis, Axis.rows(names), tall(len(names), LOW_ROW))
    table, most = [], max(float(shares[0].max()), 1e-9)
    for stretch, where in _stretches(run):
        for row, p in enumerate(shown):
            share = float(shares[when, p, stretch])
            plot.cells([((stretch, row, f"{names[row]}, {where}: {percent(share)} missing"), share / most)])
            table.append((names[row], where, share))
    overall = missing.by_population[when, shown]
    worst = int(overall.argmax())
    return Figure(
        *words,
        "A row for each population, a column for each stretch of neighbouring loci; the stronger the colour, the more "
        f"calls are missing, up to {percent(most)}. {reading}",
        f"Heat map of missing calls of {len(names)} populations along {shares.shape[2]} stretches of loci. The most, "
        f"{percent(float(overall[worst]))}, are missing in {names[worst]}.",
        plot.svg(),
        ("population", "stretch", "missing"),
        table,
    )


def _stretches(run: Run) -> Iterator[tuple[int, str]]:
    """The number of each stretch that has loci, and where it is."""
    loci, stretch_of = run.genotypes.loci, run.filled.missing.stretch_of
    firsts, numbers = np.unique(stretch_of, return_index=True)[::-1]
    lasts = np.r_[firsts[1:], len(stretch_of)] - 1
    for number, first, last in zip(numbers.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
        yield number, f"{loci.chrom[first]}:{loci.pos[first]} to {loci.chrom[last]}:{loci.pos[last]}"


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
