"""The figures of an evaluation's page. Each function takes the report and gives a Figure, or None without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imputevae_cli.report.figure import MAX_ROWS, Figure, Key, evenly, grouped, some_of
from imputevae_cli.report.labels import MODEL, class_names, is_number, method_name, number, percent
from imputevae_cli.report.plot import N_COLOURS, Axis, Mark, Plot, dodged, tall

NRD_MEANS = "NRD, the share wrong among calls that involve an ALT allele"
MIN_CELLS = 10
"""A bin or stratum of fewer scored calls says too little to be drawn."""
DARK = 0.62
"""Shares from here on have pale letters on them."""


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
    low = max(0.0, min(min(b["confidence"], b["accuracy"]) for rows in bins.values() for b in rows) - 0.05)
    plot = Plot(
        Axis.of("probability of the call", low, 1.02), Axis.of("share of these calls that are right", low, 1.02)
    )
    plot.rule((low, low), (1, 1))
    legend = [Key("right as often as said", kind="rule")]
    for method, rows in bins.items():
        k, name = _look(report, method), method_name(report, method, short=True)
        plot.line([(b["confidence"], b["accuracy"]) for b in rows], k, bold=method == MODEL)
        for b in rows:
            text = f"{name}: {b['n']:,} calls, probability {percent(b['confidence'])}, right {percent(b['accuracy'])}"
            plot.points(
                [(b["confidence"], b["accuracy"], text)], k, 3 + 4 * (b["n"] / max(r["n"] for r in rows)) ** 0.5
            )
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
    """A figure of every method by the levels of a stratum, its marks side by side."""
    levels = list(dict.fromkeys(row["level"] for row in rows))
    found = {(row["method"], row["level"]): row for row in rows if is_number(row.get(key))}
    methods = [method for method in _methods(report) if any((method, level) in found for level in levels)]
    if not methods or len(levels) < 2:
        return None
    values = [row[key] for row in found.values()]
    top = max(values) * 1.05 if key in ("nrd", "read_loss") else 1.02
    low = min(0.0, max(min(values) - 0.05, -0.5))
    plot = Plot(Axis.names(across, [_short_level(level) for level in levels]), Axis.of(up, low, top))
    legend = []
    for place, method in enumerate(methods):
        aside, label = dodged(place, len(methods), 0.5), method_name(report, method, short=True)
        at = [i for i, level in enumerate(levels) if (method, level) in found]
        marks = [_mark_of(i + aside, found[method, levels[i]], key, f"{label}, {across} {levels[i]}: {up}") for i in at]
        marks = [(x, max(y, low), text) for x, y, text in marks]
        plot.line([(x, y) for x, y, _ in marks], _look(report, method), bold=method == MODEL)
        if method == MODEL:
            _intervals(plot, [(i + aside, found[method, levels[i]]) for i in at], key, low)
        plot.points(marks, _look(report, method))
        legend.append(Key(label, _look(report, method)))
    shown = "; ".join(f"{level}: {number(found[MODEL, level][key], 3)}" for level in levels if (MODEL, level) in found)
    alt = f"{title} The model's {up} by {across}: {shown}."
    columns, table = _strata_table(found, key, across)
    return Figure(
        name, title, f"{reading} Upright lines are 95% intervals.", alt, plot.svg(), columns, table, tuple(legend)
    )


def _mark_of(x: float, row: Mapping[str, Any], key: str, words: str) -> Mark:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    interval = f" ({number(low, 3)} to {number(high, 3)})" if is_number(low) and is_number(high) else ""
    return x, row[key], f"{words} {number(row[key], 3)}{interval}, {row.get('n') or 0:,} calls"


def _strata_table(
    found: Mapping[tuple[str, str], Mapping[str, Any]], key: str, level_name: str
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    columns = ("method", level_name, "calls", key, "low", "high")
    return columns, [
        (method, level, row.get("n"), row[key], row.get(f"{key}_low"), row.get(f"{key}_high"))
        for (method, level), row in found.items()
    ]


def by_population(report: Mapping[str, Any]) -> Figure | None:
    """NRD in each population, every method, with the model's interval."""
    found = {(r["method"], r["level"]): r for r in _stratum(report, "population") if is_number(r.get("nrd"))}
    levels = list(dict.fromkeys(level for _, level in found))[:MAX_ROWS]
    if not levels:
        return None
    ends = [row[key] for row in found.values() for key in ("nrd", "nrd_high") if is_number(row.get(key))]
    plot = Plot(Axis.of("NRD, lower is better", 0, 1.05 * max(ends)), Axis.rows(levels), tall(len(levels)))
    methods = [method for method in _methods(report) if any(one == method for one, _ in found)]
    legend = []
    for place, method in enumerate(methods):
        aside, label = dodged(place, len(methods), 0.5), method_name(report, method, short=True)
        at = [i for i, level in enumerate(levels) if (method, level) in found]
        turned = [_mark_of(i + aside, found[method, levels[i]], "nrd", f"{label}, {levels[i]}: NRD") for i in at]
        if method == MODEL:
            _intervals(plot, [(i + aside, found[method, levels[i]]) for i in at], "nrd", 0, lying=True)
        plot.points([(value, row, text) for row, value, text in turned], _look(report, method))
        legend.append(Key(label, _look(report, method)))
    shown = "; ".join(f"{level} {number(found[MODEL, level]['nrd'], 3)}" for level in levels if (MODEL, level) in found)
    return Figure(
        "by-population",
        "Is every population filled in alike?",
        "A row for each population; the further left the better. Lines are 95% intervals of the model.",
        f"NRD of the model by population: {shown}.",
        plot.svg(),
        *_strata_table(found, "nrd", "population"),
        tuple(legend),
    )


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


def _intervals(
    plot: Plot, rows: Sequence[tuple[float, Mapping[str, Any]]], key: str, floor: float, lying: bool = False
) -> None:
    """The model's intervals at places along an axis: upright, or lying down."""
    for i, row in rows:
        low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
        if is_number(low) and is_number(high):
            low, high = max(low, floor), max(high, floor)
            plot.interval(*(((low, i), (high, i)) if lying else ((i, low), (i, high))), 0)


def _look(report: Mapping[str, Any], method: str) -> int:
    """The number of a method's colour and shape, alike in every figure."""
    methods = _methods(report)
    return (methods.index(method) if method in methods else len(methods)) % N_COLOURS


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
