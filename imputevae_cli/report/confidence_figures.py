"""The figures of a run on how right its calls are expected to be, and how sure the model is of them."""

from __future__ import annotations

import numpy as np

from imputevae_cli.report.evaluation_figures import scatter
from imputevae_cli.report.figure import Figure, Key, evenly, some_of
from imputevae_cli.report.histograms import BINS, gp_histogram, histogram_of
from imputevae_cli.report.labels import METRICS, number, percent
from imputevae_cli.report.plot import Axis, Plot, dodged
from imputevae_cli.report.run import Run

EXPECTED_METRICS = ("concordance", "nrd", "f1", "skill_r2")


def expected_accuracy(run: Run) -> Figure:
    """What may be expected of the filled calls, beside what needs no model."""
    names = [METRICS[metric].name.split(" (")[0] for metric in EXPECTED_METRICS]
    values = [getattr(one, metric) for one in run.methods.values() for metric in EXPECTED_METRICS]
    low = min(0.0, *(v for v in values if v == v))
    plot = Plot(Axis.of("value", max(low, -0.5), 1.02), Axis.rows(names))
    table = []
    for place, (method, found) in enumerate(run.methods.items()):
        aside = dodged(place, len(run.methods), 0.5)
        for i, metric in enumerate(EXPECTED_METRICS):
            value = getattr(found, metric)
            ends = run.interval(metric) if place == 0 else (float("nan"), float("nan"))
            table.append((method, names[i], value, *ends))
            if value == value:
                interval = f" ({number(ends[0])} to {number(ends[1])})" if ends[0] == ends[0] else ""
                if interval:
                    plot.interval((max(ends[0], -0.5), i + aside), (ends[1], i + aside), 0)
                plot.points(
                    [(max(value, -0.5), i + aside, f"{method}, {names[i]}: {number(value)}{interval}")], place, 4.5
                )
    shown = "; ".join(
        f"{name} {number(getattr(run.accuracy, m), 3)}" for name, m in zip(names, EXPECTED_METRICS, strict=True)
    )
    return Figure(
        "expected",
        "Is it better than a simple method?",
        "Measured by known calls that were hidden from the fit. NRD is a share of errors: the further left the better. "
        "All others: the further right the better. The line is the 95% interval.",
        f"Expected accuracy of the model: {shown}.",
        plot.svg(),
        ("method", "metric", "value", "low", "high"),
        table,
        tuple(Key(method, k) for k, method in enumerate(run.methods)),
    )


def thresholds(run: Run) -> Figure | None:
    """Accuracy and share of the calls that each threshold on GP keeps."""
    curve = run.model.confidence_curve
    if len(curve) < 2:
        return None
    low = min(min(p.kept, p.accuracy) for p in curve)
    plot = Plot(
        Axis.of("threshold on the probability (--min-gp)", 0, 1),
        Axis.of("share of the calls", low - 0.1 * (1.02 - low), 1 + 0.1 * (1.02 - low), percent=True),
    )
    # Marks at other places on each line, so that none hides another where the lines meet
    for k, attribute, words, at in ((4, "kept", "kept", 0), (0, "accuracy", "of those kept right", 5)):
        plot.line([(p.min_gp, getattr(p, attribute)) for p in curve], k, bold=True)
        some = [(p.min_gp, getattr(p, attribute)) for p in curve if round(100 * p.min_gp) % 10 == at]
        plot.points([(x, y, f"--min-gp {x:g}: {percent(y)} {words}") for x, y in some], k, 4)
    last = min(curve, key=lambda p: abs(p.min_gp - 0.9))
    return Figure(
        "thresholds",
        "What would a threshold keep?",
        "Leaving out calls of low probability makes the others more accurate, at the price of calls left missing.",
        f"With --min-gp {last.min_gp:g}, {percent(last.kept)} of the calls are kept, and {percent(last.accuracy)} of "
        "those are expected to be right.",
        plot.svg(),
        ("min_gp", "kept", "accuracy"),
        [(p.min_gp, p.kept, p.accuracy) for p in curve],
        (Key("kept", 4), Key("of those kept, right", 0)),
    )


def confidence(run: Run) -> Figure | None:
    """Filled calls by the probability of their likeliest genotype."""
    found = run.filled.confidence
    if not found.n.any():
        return None
    return gp_histogram(
        found.histogram,
        "confidence",
        "How sure is the model of each filled call?",
        "calls that were missing",
        "Calls that were missing, by the probability (GP) of their likeliest genotype. Bars at the right are calls "
        "that the model is sure of.",
    )


def information(run: Run) -> Figure | None:
    """Loci by their info score."""
    info = run.filled.confidence.info[run.filled.counts_locus]
    info = info[np.isfinite(info)]
    if not len(info):
        return None
    counts, edges = np.histogram(info.clip(0, 1), BINS, (0, 1))
    low = percent(float((info < 0.3).mean()))
    words = (
        "info",
        "How much is known of each locus? (INFO)",
        "The info score of the filled calls of each locus, as INFO/INFO has it: 1 is as good as a call, 0 says no more "
        "than the allele frequency. Loci below about 0.3 are often left out of further analyses.",
        f"Histogram of the info score of {len(info):,} loci with filled calls; {low} are under 0.3.",
    )
    return histogram_of(edges, counts.tolist(), words, ("info score", "loci"))


def confidence_by_sample(run: Run) -> Figure | None:
    """Mean confidence of each sample against what it lacked."""
    found = run.filled.confidence.by_sample
    known = np.flatnonzero(np.isfinite(found))
    if len(known) < 2:
        return None
    missing = run.filled.missing.by_sample[0] / max(run.filled.n_records, 1)
    drawn = known[evenly(len(known))]
    samples, populations = run.genotypes.samples, run.populations
    x, y = missing[drawn].tolist(), found[drawn].tolist()
    texts = [
        f"{samples[i]}: mean probability {number(b, 3)}, {percent(a)} missing"
        for i, a, b in zip(drawn, x, y, strict=True)
    ]
    svg, legend = scatter(
        (x, y, texts),
        [populations[i] for i in drawn],
        Axis.of("share of calls that the sample lacked", 0, 1.05 * max(*x, 0.01), percent=True),
        Axis.of("mean probability of its filled calls", min(y) - 0.01, min(max(y) + 0.01, 1.005)),
    )
    lowest = ", ".join(f"{samples[i]} ({number(found[i], 3)})" for i in worst_samples(run)[:3])
    return Figure(
        "confidence-samples",
        "Which samples is the model least sure of?",
        f"One point per sample. Those low in the figure are filled with the least confidence: {lowest}."
        + some_of(len(known)),
        f"Mean probability of the filled calls of {len(known)} samples by their missing share. The lowest: {lowest}.",
        svg,
        ("sample", "population", "missing", "mean_probability"),
        [(samples[i], populations[i], a, b) for i, a, b in zip(drawn, x, y, strict=True)],
        legend,
    )


def worst_samples(run: Run, most: int = 10) -> list[int]:
    """Numbers of the samples with filled calls whose mean probability is lowest."""
    found = run.filled.confidence.by_sample
    order = np.argsort(np.where(np.isfinite(found), found, 2.0), kind="stable")
    return [i for i in order.tolist()[:most] if np.isfinite(found[i])]
