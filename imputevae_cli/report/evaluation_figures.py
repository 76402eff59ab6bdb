"""The figures of an evaluation's page. Each function takes the report and gives a Figure, or None without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imputevae_cli.report.figure import MAX_ROWS, Figure, Key, evenly, grouped, look_of, some_of
from imputevae_cli.report.labels import MODEL, class_names, is_number, method_name, number, percent
from imputevae_cli.report.plot import Axis, Plot

MIN_CELLS = 10
"""A bin of fewer scored calls says too little to be drawn."""
DARK = 0.62
"""Shares from here on have pale letters on them."""


def calibration(report: Mapping[str, Any]) -> Figure | None:
    """Accuracy of calls by their confidence."""
    bins = _bins_of_confidence(report)
    ours = bins.get(MODEL)
    if not ours:
        return None
    low = max(0.0, min(min(b["confidence"], b["accuracy"]) for rows in bins.values() for b in rows) - 0.05)
    plot = Plot(
        Axis.of("probability of the call", low, 1.02), Axis.of("share of these calls that are right", low, 1.02)
    )
    plot.rule((low, low), (1, 1))
    legend = [Key("right as often as said", kind="rule")]
    for method, rows in bins.items():
        k, name = look_of(report, method), method_name(report, method, short=True)
        plot.line([(b["confidence"], b["accuracy"]) for b in rows], k, bold=method == MODEL)
        _mark_bins(plot, rows, k, name)
        legend.append(Key(name, k))
    top = max(ours, key=lambda b: b["n"])
    return Figure(
        "calibration",
        "Does “90% sure” mean right 9 times in 10?",
        "On the dotted line probabilities mean what they say; below it they promise too much, above it too little. "
        "Larger marks stand for more calls.",
        f"Calibration plot. In the fullest bin, {top['n']:,} calls with a mean probability of "
        f"{percent(top['confidence'])} are right in {percent(top['accuracy'])} of cases.",
        plot.svg(),
        ("method", "calls", "confidence", "accuracy"),
        [(m, b["n"], b["confidence"], b["accuracy"]) for m, rows in bins.items() for b in rows],
        tuple(legend),
    )


def _bins_of_confidence(report: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The bins of each method that hold enough calls to be drawn; methods without one are left out."""
    drawn = {
        method: [b for b in rows if _is_known(b) and (b.get("n") or 0) >= MIN_CELLS]
        for method, rows in (report.get("calibration") or {}).items()
    }
    return {method: rows for method, rows in drawn.items() if rows}


def _is_known(one: Mapping[str, Any]) -> bool:
    """Whether a bin has both its confidence and its accuracy."""
    return is_number(one.get("confidence")) and is_number(one.get("accuracy"))


def _mark_bins(plot: Plot, rows: Sequence[Mapping[str, Any]], look: int, name: str) -> None:
    """A mark for each bin of a method, the larger the more calls are in it."""
    most = max(row["n"] for row in rows)
    for row in rows:
        sure, right = row["confidence"], row["accuracy"]
        text = f"{name}: {row['n']:,} calls, probability {percent(sure)}, right {percent(right)}"
        plot.points([(sure, right, text)], look, 3 + 4 * (row["n"] / most) ** 0.5)


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
    plot = Plot(Axis.of(labels[0], -0.02, 1.02), Axis.of(labels[1], -0.02, 1.02))
    legend, rows = [], []
    for method in (rival, MODEL):
        for genotype, curve in (by_method.get(method) or {}).items():
            at = int(genotype)
            places = list(zip(curve[across], curve[up], strict=True))
            rows += [(method, names[at], x, y) for x, y in places]
            plot.line(places, at, bold=method == MODEL)
            if method == MODEL:
                legend.append(Key(f"{names[at]}: area {number(curve.get(area), 3)}", at, "line"))
    beside = f" Dashed: {method_name(report, rival)}, the best baseline." if rival else ""
    areas = "; ".join(f"{names[int(g)]} {number(curve.get(area), 3)}" for g, curve in ours.items())
    alt = f"{title}. Area under the model's curve: {areas}."
    columns = ("method", "genotype", *labels[:2])
    return Figure(kind, title, reading + beside, alt, plot.svg(), columns, rows, tuple(legend))


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
    title = "Which genotypes are mistaken for which?"
    reading = "Each row is a true genotype; the shares of a row sum to 100%. All on the diagonal would be perfect."
    svg = counted_cells(counts, names[: len(counts)], columns, ("truth", "filled in as"))
    right = "; ".join(f"{names[i]} {percent(row[i] / max(sum(row), 1))}" for i, row in enumerate(counts))
    alt = f"Confusion matrix. Filled in right, by true genotype: {right}."
    table = [(names[i], *row) for i, row in enumerate(counts)]
    return Figure("confusion", title, reading, alt, svg, ("truth", *columns), table)


def counted_cells(
    counts: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str], titles: tuple[str, str]
) -> str:
    """A table of counts as SVG, shaded by the shares of each row; titles: of the rows, and of the columns."""
    plot = Plot(Axis.names(titles[1], columns), Axis.rows(rows, titles[0]))
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]
    for i, row in enumerate(counts):
        for j, n in enumerate(row):
            text = f"{rows[i]}, {titles[1]} {columns[j]}: {n:,} ({percent(shares[i][j])})"
            plot.cells([((j, i, text), shares[i][j])])
            plot.text(j, i, [percent(shares[i][j]), f"{n:,}"], on_dark=shares[i][j] > DARK)
    return plot.svg()


def by_sample(report: Mapping[str, Any]) -> Figure | None:
    """Concordance of each sample against what it lacks."""
    rows = [
        row for row in report.get("samples") or ()
        if is_number(row.get("concordance")) and is_number(row.get("missing_share"))
    ]  # fmt: skip
    if len(rows) < 2:
        return None
    worst = sorted(rows, key=lambda row: row["concordance"])[:3]
    listed = ", ".join(f"{row.get('sample')} ({percent(row['concordance'])})" for row in worst)
    drawn = [rows[i] for i in evenly(len(rows))]
    x, y = [row["missing_share"] for row in drawn], [row["concordance"] for row in drawn]
    texts = [
        f"{row.get('sample')}: {percent(b)} right, {percent(a)} missing" for row, a, b in zip(drawn, x, y, strict=True)
    ]
    svg, legend = scatter(
        (x, y, texts),
        [row.get("population") for row in drawn],
        Axis.of("share of calls that the sample lacks", 0, 1.05 * max(*x, 0.01), percent=True),
        Axis.of("share filled in right", min(y) - 0.02, 1.005, percent=True),
    )
    return Figure(
        "by-sample",
        "Which samples are filled in badly?",
        f"One point per sample. Those low in the figure are filled in worst: {listed}.{some_of(len(rows))}",
        f"Concordance of {len(rows)} samples against their missing share. The lowest: {listed}.",
        svg,
        ("sample", "population", "missing", "concordance"),
        [(row.get("sample"), row.get("population"), a, b) for row, a, b in zip(drawn, x, y, strict=True)],
        legend,
    )


def scatter(
    marks: tuple[Sequence[float], Sequence[float], Sequence[str]], groups: Sequence[object], x: Axis, y: Axis
) -> tuple[str, tuple[Key, ...]]:
    """Points in a colour and shape for each group, and their legend. marks: across, up, and what each point says."""
    plot = Plot(x, y)
    by_group = grouped(groups)
    for k, members in enumerate(by_group.values()):
        plot.points([(marks[0][i], marks[1][i], marks[2][i]) for i in members], k, 3.6)
    if len(by_group) < 2:
        return plot.svg(), ()
    legend = tuple(Key(str(name)[:24], k) for k, name in enumerate(by_group) if k < MAX_ROWS)
    return plot.svg(), legend


def _ploidy(report: Mapping[str, Any]) -> int:
    return (report.get("input") or {}).get("ploidy") or 2
