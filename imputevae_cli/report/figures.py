"""The pictures of an evaluation's page. Each function takes the report and gives a Figure, or None without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imputevae_cli.report.canvas import COLOURS, FAINT, HEIGHT, INK, MARKERS, draw, grouped, legend_below, points
from imputevae_cli.report.labels import MODEL, class_names, is_number, method_name, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", "--", "-.", ":")
NRD_MEANS = "NRD, the share wrong among calls that involve an ALT allele"
MIN_CELLS = 10
"""A bin or stratum of fewer scored calls says too little to be drawn."""
MAX_ROWS = 30
"""Populations beyond this many are left to the tables."""


@dataclass(frozen=True)
class Figure:
    """reading: one sentence on how to read it. alt: what it shows, in words, for who cannot see it."""

    name: str
    title: str
    reading: str
    alt: str
    svg: str


def calibration(report: Mapping[str, Any]) -> Figure | None:
    """Accuracy of calls by their confidence."""
    bins = {
        method: [
            b
            for b in rows
            if is_number(b.get("confidence")) and is_number(b.get("accuracy")) and (b.get("n") or 0) >= MIN_CELLS
        ]
        for method, rows in (report.get("calibration") or {}).items()
    }
    bins = {method: rows for method, rows in bins.items() if rows}
    ours = bins.get(MODEL)
    if not ours:
        return None

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="right as often as said")
        most = max(b["n"] for b in ours)
        for method, rows in bins.items():
            x, y = [b["confidence"] for b in rows], [b["accuracy"] for b in rows]
            axes.plot(x, y, label=method_name(report, method, short=True), **_line(report, method))
        sizes = [15 + 120 * b["n"] / most for b in ours]
        axes.scatter(
            [b["confidence"] for b in ours], [b["accuracy"] for b in ours], s=sizes, color=COLOURS[0], zorder=4
        )
        axes.set(xlabel="probability of the call", ylabel="share of these calls that are right")
        low = min(min(b["confidence"], b["accuracy"]) for rows in bins.values() for b in rows)
        axes.set(xlim=(max(0, low - 0.05), 1.02), ylim=(max(0, low - 0.05), 1.02))
        axes.legend(loc="lower right")

    top = max(ours, key=lambda b: b["n"])
    alt = (
        f"Calibration plot. In the fullest bin, {top['n']:,} calls with a mean probability of "
        f"{percent(top['confidence'])} are right in {percent(top['accuracy'])} of cases."
    )
    reading = (
        "On the dotted line probabilities mean what they say; below it they promise too much, above it too little. "
        "Larger dots stand for more calls."
    )
    return Figure("calibration", "Does “90% sure” mean right 9 times in 10?", reading, alt, draw("calibration", paint))


def precision_recall(report: Mapping[str, Any]) -> Figure | None:
    """Precision against recall of each class."""
    return _curves(
        report,
        "precision_recall",
        ("recall", "precision", "average_precision"),
        ("recall", "precision"),
        "Precision and recall of each genotype",
        "Recall: how many of the true ones are found. Precision: how many of those called are right. The nearer to the "
        "upper right corner the better.",
    )


def roc(report: Mapping[str, Any]) -> Figure | None:
    """True against false positive rate of each class."""
    return _curves(
        report,
        "roc",
        ("fpr", "tpr", "auc"),
        ("false positives, share of the others", "true positives, share found"),
        "ROC curve of each genotype",
        "How many of the true ones are found, at the cost of how many others wrongly taken in. The nearer to the upper "
        "left corner the better.",
    )


def _curves(
    report: Mapping[str, Any], kind: str, keys: tuple[str, str, str], labels: tuple[str, ...], title: str, reading: str
) -> Figure | None:
    across, up, area = keys
    by_method = (report.get("curves") or {}).get(kind) or {}
    ours = by_method.get(MODEL)
    if not ours:
        return None
    rival = _best_rival(by_method, area)
    names = class_names(_ploidy(report))

    def paint(axes: Axes) -> None:
        for method, style in ((MODEL, "-"), (rival, "--")):
            for genotype, curve in (by_method.get(method) or {}).items():
                at = int(genotype)
                label = f"{names[at]}: {number(curve.get(area), 3)}" if method == MODEL else None
                alpha = 1 if method == MODEL else 0.7
                axes.plot(
                    curve[across],
                    curve[up],
                    style,
                    color=COLOURS[at],
                    label=label,
                    alpha=alpha,
                    linewidth=2 if method == MODEL else 1.3,
                )
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.legend(
            loc="lower left" if kind == "precision_recall" else "lower right",
            title="area under the curve",
            title_fontsize=8,
        )

    areas = "; ".join(f"{names[int(g)]} {number(curve.get(area), 3)}" for g, curve in ours.items())
    beside = f" Dashed: {method_name(report, rival)}, the best baseline." if rival else ""
    return Figure(kind, title, reading + beside, f"{title}. Area under the model's curve: {areas}.", draw(kind, paint))


def _best_rival(by_method: Mapping[str, Any], area: str) -> str | None:
    def mean_area(method: str) -> float:
        areas = [curve.get(area) for curve in by_method[method].values()]
        areas = [a for a in areas if is_number(a)]
        return sum(areas) / len(areas) if areas else -1.0

    return max((method for method in by_method if method != MODEL), key=mean_area, default=None)


def confusion(report: Mapping[str, Any]) -> Figure | None:
    """Truth against call, in cells and in shares of each true class."""
    counts = (report.get("confusion") or {}).get(MODEL)
    if not counts or not any(map(sum, counts)):
        return None
    names = class_names(_ploidy(report))
    columns = [*names, "left missing"][: len(counts[0])]
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]

    def paint(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for i, row in enumerate(counts):
            for j, n in enumerate(row):
                colour = "white" if shares[i][j] > 0.55 else INK
                axes.text(j, i, f"{percent(shares[i][j])}\n{n:,}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(counts)), names[: len(counts)])
        axes.set(xlabel="filled in as", ylabel="truth")
        axes.grid(False)
        axes.spines[:].set_visible(False)

    right = "; ".join(f"{names[i]} {percent(shares[i][i])}" for i in range(len(counts)))
    return Figure(
        "confusion",
        "Which genotypes are mistaken for which?",
        "Each row is a true genotype; the shares of a row sum to 100%. All on the diagonal would be perfect.",
        f"Confusion matrix. Filled in right, by true genotype: {right}.",
        draw("confusion", paint),
    )


def by_frequency(report: Mapping[str, Any]) -> Figure | None:
    """Dosage r2 by minor allele frequency, every method."""
    rows = _stratum(report, "maf")
    key = "dosage_r2" if any(is_number(row.get("dosage_r2")) for row in rows) else "skill_r2"
    name = {"dosage_r2": "dosage r²", "skill_r2": "skill r²"}[key]
    return _strata_figure(
        report, rows, key, "by-maf", f"How well are rare alleles filled in? ({name})", "minor allele frequency", name,
        f"{name.capitalize()} of the loci in each bin of allele frequency: 1 is perfect, 0 is worthless. "
        "Rare alleles, at the left, are most often the hardest.",
    )  # fmt: skip


def by_locus_missingness(report: Mapping[str, Any]) -> Figure | None:
    """NRD by the share of calls that a locus lacks."""
    return _strata_figure(
        report, _stratum(report, "locus_missingness"), "nrd", "by-locus-missingness",
        "Do loci with many missing calls fare worse?", "share of calls that the locus lacks", "NRD",
        f"{NRD_MEANS}, by how much of the locus is missing; lower is better.",
    )  # fmt: skip


def by_sample_missingness(report: Mapping[str, Any]) -> Figure | None:
    """NRD by the share of calls that a sample lacks."""
    return _strata_figure(
        report, _stratum(report, "sample_missingness"), "nrd", "by-sample-missingness",
        "Do samples with many missing calls fare worse?", "share of calls that the sample lacks", "NRD",
        f"{NRD_MEANS}, by how much of the sample is missing; lower is better.",
    )  # fmt: skip


def by_depth(report: Mapping[str, Any]) -> Figure | None:
    """NRD, or the log loss of the reads, by the depth of the cell."""
    rows = _stratum(report, "depth")
    key = "nrd" if any(is_number(row.get("nrd")) for row in rows) else "read_loss"
    name = "NRD" if key == "nrd" else "log loss of the reads"
    reading = f"{NRD_MEANS}, by how many reads the file has of the cell; lower is better."
    if key == "read_loss":
        reading = (
            "How unlikely the hidden reads are under each method's probabilities; lower is better. More reads say "
            "more, so compare methods at one depth, and not depths."
        )
    return _strata_figure(report, rows, key, "by-depth", "Does depth matter?", "reads of the cell", name, reading)


def _strata_figure(
    report: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    title: str,
    across: str,
    up: str,
    reading: str,
) -> Figure | None:
    levels = list(dict.fromkeys(row["level"] for row in rows))
    found = {(row["method"], row["level"]): row for row in rows if is_number(row.get(key))}
    methods = [method for method in _methods(report) if any((method, level) in found for level in levels)]
    if not methods or len(levels) < 2:
        return None

    def paint(axes: Axes) -> None:
        for method in methods:
            at = [i for i, level in enumerate(levels) if (method, level) in found]
            values = [found[method, levels[i]][key] for i in at]
            axes.plot(at, values, label=method_name(report, method, short=True), **_line(report, method))
            if method == MODEL:
                _intervals(axes, [(i, found[method, levels[i]]) for i in at], key)
        axes.set_xticks(range(len(levels)), [_short_level(level) for level in levels], fontsize=8)
        axes.set(xlabel=across, ylabel=up, xlim=(-0.4, len(levels) - 0.6))
        lowest = min(row[key] for row in found.values())
        axes.set_ylim(min(-0.02, max(lowest - 0.05, -0.5)), 1.02 if key not in ("nrd", "read_loss") else None)
        legend_below(axes)

    shown = "; ".join(f"{level}: {number(found[MODEL, level][key], 3)}" for level in levels if (MODEL, level) in found)
    return Figure(
        name, title, reading, f"{title} The model's {up} by {across}: {shown}.", draw(name, paint, HEIGHT + 0.5)
    )


def by_population(report: Mapping[str, Any]) -> Figure | None:
    """NRD in each population, every method, with the model's interval."""
    found = {(r["method"], r["level"]): r for r in _stratum(report, "population") if is_number(r.get("nrd"))}
    levels = list(dict.fromkeys(level for _, level in found))[:MAX_ROWS]
    if not levels:
        return None

    def paint(axes: Axes) -> None:
        for method in _methods(report):
            at = [i for i, level in enumerate(levels) if (method, level) in found]
            look = {**_line(report, method), "linestyle": "none"}
            values = [found[method, levels[i]]["nrd"] for i in at]
            axes.plot(values, at, label=method_name(report, method, short=True), alpha=0.9, **look)
            if method == MODEL:
                _intervals(axes, [(i, found[method, levels[i]]) for i in at], "nrd", lying=True)
        axes.set_yticks(range(len(levels)), [str(level)[:18] for level in levels])
        axes.set(xlabel="NRD, lower is better", ylim=(len(levels) - 0.4, -0.6))
        axes.set_xlim(left=0)
        legend_below(axes)

    shown = "; ".join(f"{level} {number(found[MODEL, level]['nrd'], 3)}" for level in levels if (MODEL, level) in found)
    return Figure(
        "by-population",
        "Is every population filled in alike?",
        "A row a population; the further left the better. Bars are 95% intervals of the model.",
        f"NRD of the model by population: {shown}.",
        draw("by-population", paint, max(HEIGHT, 1.6 + 0.28 * len(levels))),
    )


def by_sample(report: Mapping[str, Any]) -> Figure | None:
    """Concordance of each sample against what it lacks."""
    rows = [
        row for row in report.get("samples") or ()
        if is_number(row.get("concordance")) and is_number(row.get("missing_share"))
    ]  # fmt: skip
    if len(rows) < 2:
        return None
    groups = grouped(row.get("population") for row in rows)

    def paint(axes: Axes) -> None:
        for k, (name, members) in enumerate(groups.items()):
            x, y = [rows[i]["missing_share"] for i in members], [rows[i]["concordance"] for i in members]
            points(axes, x, y, k, name, len(rows))
        axes.set(xlabel="share of calls that the sample lacks", ylabel="share filled in right")
        if 1 < len(groups) <= 10:
            legend_below(axes)

    worst = sorted(rows, key=lambda row: row["concordance"])[:3]
    listed = ", ".join(f"{row.get('sample')} ({percent(row['concordance'])})" for row in worst)
    return Figure(
        "by-sample",
        "Which samples are filled in badly?",
        f"A point a sample. Those low in the picture are filled in worst: {listed}.",
        f"Concordance of {len(rows)} samples against their missing share. The lowest: {listed}.",
        draw("by-sample", paint, HEIGHT + (0.4 if 1 < len(groups) <= 10 else 0)),
    )


def _intervals(axes: Axes, rows: Sequence[tuple[int, Mapping[str, Any]]], key: str, lying: bool = False) -> None:
    """The model's intervals at places along an axis: upright, or lying down."""
    for i, row in rows:
        low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
        if is_number(low) and is_number(high):
            ends = ([low, high], [i, i]) if lying else ([i, i], [low, high])
            axes.plot(*ends, color=COLOURS[0], linewidth=2)


def _line(report: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The look of a method, alike in every picture; the model's stands out."""
    at = _methods(report).index(method) if method in _methods(report) else len(_methods(report))
    ours = method == MODEL
    return {
        "color": COLOURS[at % len(COLOURS)],
        "linestyle": LINES[min(at, len(LINES) - 1)],
        "linewidth": 2.2 if ours else 1.2,
        "marker": MARKERS[at % len(MARKERS)],
        "markersize": 5 if ours else 4,
        "zorder": 3 if ours else 2,
    }


def _methods(report: Mapping[str, Any]) -> list[str]:
    return list(report.get("methods") or report.get("metrics") or [MODEL])


def _stratum(report: Mapping[str, Any], stratum: str) -> list[Mapping[str, Any]]:
    rows = (row for row in report.get("strata") or () if row.get("stratum") == stratum)
    return [row for row in rows if (row.get("n") or 0) >= MIN_CELLS]


def _ploidy(report: Mapping[str, Any]) -> int:
    return (report.get("input") or {}).get("ploidy") or 2


def _short_level(level: str) -> str:
    """`(0.05, 0.1]` in two lines, to fit beneath an axis."""
    ends = str(level).strip("([])").split(",")
    return f"{ends[0].strip()}–\n{ends[1].strip()}" if len(ends) == 2 else str(level)
