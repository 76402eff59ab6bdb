"""The figures of a run on what filling does to allele frequencies, heterozygosity and structure."""

from __future__ import annotations

from typing import Any

import numpy as np

from imputevae_cli.report.figure import MAX_SAMPLES, Figure, Key, evenly
from imputevae_cli.report.labels import number, percent
from imputevae_cli.report.plot import Axis, Plot
from imputevae_cli.report.popgen_figures import Views, heterozygosity_by, pca_of, spectrum_of
from imputevae_cli.report.run import Run
from imputevae_cli.scoring.filled import VIEWS
from imputevae_cli.scoring.popgen import SPECTRUM_EDGES, heterozygosity_of, shares_of

LOOKS: Views = {
    "visible": (4, "known calls"),
    "imputed": (0, "all calls, filled"),
    "expected": (2, "as the probabilities expect"),
}
WHEN = {"visible": "before imputation", "imputed": "after imputation"}


def heterozygosity(run: Run) -> list[Figure]:
    """Ho, He and FIS of each population from known calls, filled ones, and probabilities."""
    reading = (
        "A row for each population. Where the mark of the filled calls lies far from that of the probabilities, the "
        "likeliest genotypes misstate it: use the draws of --draws, or the probabilities."
    )
    return heterozygosity_by(heterozygosity_rows(run), LOOKS, ("visible", "imputed"), reading)


def heterozygosity_rows(run: Run) -> list[dict[str, Any]]:
    """A row for each population: of each of VIEWS Ho, He and FIS."""
    sums, ploidy = run.filled.frequencies.sums, run.genotypes.ploidy
    return [
        {"population": name} | {view: heterozygosity_of(sums[view], p, ploidy) for view in VIEWS}
        for p, name in enumerate(run.filled.names)
    ]


def spectrum(run: Run) -> Figure | None:
    """Loci by minor allele frequency, from known calls, filled ones, and probabilities."""
    sums = run.filled.frequencies.sums
    if not sums["visible"].spectrum.any():
        return None
    shares: dict[str, Any] = {view: shares_of(sums[view].spectrum) for view in VIEWS}
    moved = sum(abs(a - b) for a, b in zip(shares["visible"], shares["imputed"], strict=True)) / 2
    return spectrum_of(
        {"edges": list(SPECTRUM_EDGES), **shares},
        LOOKS,
        "Bars of a bin should be of one height; filling with the likeliest genotype moves loci to the left where rare "
        "alleles are lost.",
        f"Folded allele-frequency spectrum; filling moves {percent(moved)} of the loci to another bin.",
    )


def frequency_shift(run: Run) -> Figure | None:
    """ALT frequency of each locus among known calls, against all calls once filled."""
    found = run.filled.frequencies.alt
    there = np.flatnonzero(np.isfinite(found["visible"]) & np.isfinite(found["imputed"]) & run.filled.counts_locus)
    if not len(there):
        return None
    drawn = there[evenly(len(there))]
    plot = Plot(Axis.of("among the known calls", -0.02, 1.02), Axis.of("among all calls, filled", -0.02, 1.02))
    plot.rule((0, 0), (1, 1))
    loci = run.genotypes.loci
    names = [f"{loci.chrom[i]}:{loci.pos[i]}" for i in drawn.tolist()]
    values = {view: found[view][drawn].astype(float).tolist() for view in VIEWS}
    marks = [
        (a, b, f"{name}: {number(a, 3)} to {number(b, 3)}")
        for name, a, b in zip(names, values["visible"], values["imputed"], strict=True)
    ]
    plot.points(marks, 0, 2.6)
    shift = float(np.abs(found["imputed"][there] - found["visible"][there]).mean())
    more = f" {MAX_SAMPLES:,} of the {len(there):,} loci are drawn." if len(there) > MAX_SAMPLES else ""
    return Figure(
        "frequency-shift",
        "Do allele frequencies move?",
        "One point per locus: its frequency of ALT among the known calls, and among all calls once the missing ones "
        f"are filled. On the dotted line it stays as it was; {number(shift, 3)} is the mean distance from it.{more}",
        f"ALT frequencies of {len(there):,} loci before and after filling; they move by {number(shift, 3)} on average.",
        plot.svg(),
        ("locus", *VIEWS),
        list(zip(names, *values.values(), strict=True)),
        (Key("a locus"), Key("unchanged", kind="rule")),
    )


def pca(run: Run) -> list[Figure]:
    """Samples before and after imputation, on the same axes."""
    return pca_of(run.pca, WHEN) if run.pca else []
