"""The figures of what imputation does to population genetics; each from the report's `bias`, or None without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from imputevae_cli.report.evaluation_figures import scatter
from imputevae_cli.report.figure import MAX_ROWS, Figure, Key, evenly, some_of
from imputevae_cli.report.labels import is_number, number, percent
from imputevae_cli.report.plot import Axis, Plot, dodged, equal_axes, tall
from imputevae_cli.scoring.popgen_draws import STATISTICS

Views = Mapping[str, tuple[int, str]]
"""View -> its colour and shape, and what it is called."""
VIEWS: Views = {"truth": (9, "true calls"), "visible": (4, "left visible"), "imputed": (0, "imputed")}
_KINDS = {
    "ho": ("observed-heterozygosity", "Observed heterozygosity (Ho)"),
    "he": ("expected-heterozygosity", "Expected heterozygosity (He)"),
    "fis": ("inbreeding", "Inbreeding coefficient (FIS)"),
}


def heterozygosity(report: Mapping[str, Any]) -> list[Figure]:
    """Ho, He and F_IS of each population, a figure each."""
    rows = (report.get("bias") or {}).get("heterozygosity") or ()
    reading = (
        "A row for each population. The mark of the imputed calls should lie under that of the true ones; the line "
        "between is what imputation changes."
    )
    return heterozygosity_by(rows, VIEWS, ("truth", "imputed"), reading)


def heterozygosity_by(
    rows: Sequence[Mapping[str, Any]], views: Views, ends: tuple[str, str], reading: str
) -> list[Figure]:
    """Ho, He and F_IS of each population in several views of its calls; ends: the views that a line joins."""
    made = []
    for kind, (name, title) in _KINDS.items():
        found = [row for row in rows if all(is_number(_view(row, view).get(kind)) for view in ends)][:MAX_ROWS]
        if found:
            values = {str(row["population"]): {v: _view(row, v).get(kind) for v in views} for row in found}
            svg = _dumbbells(values, views, ends, title, from_zero=kind != "fis")
            shown = "; ".join(f"{p} {number(v[ends[0]], 3)} to {number(v[ends[1]], 3)}" for p, v in values.items())
            alt = f"{title} by population, {views[ends[0]][1]} to {views[ends[1]][1]}: {shown}."
            table = [(population, *(v[view] for view in views)) for population, v in values.items()]
            columns = ("population", *(label for _, label in views.values()))
            made.append(Figure(name, title, reading, alt, svg, columns, table, _legend(views)))
    return made


def _dumbbells(
    values: Mapping[str, Mapping[str, Any]], views: Views, ends: tuple[str, str] | None, title: str, *, from_zero: bool
) -> str:
    """A row for each name, with a mark for each view, one below the other."""
    every = [v for row in values.values() for v in row.values() if is_number(v)]
    room = 0.06 * (max(every) - min(every)) or 0.05
    low = 0.0 if from_zero and min(every) >= 0 else min(every) - room
    plot = Plot(Axis.of(title, low, max(every) + room), Axis.rows(list(values)), tall(len(values)))
    aside = {view: dodged(i, len(views), 0.5) for i, view in enumerate(views)}
    for i, (name, row) in enumerate(values.items()):
        if ends and all(is_number(row.get(view)) for view in ends):
            plot.rule((row[ends[0]], i + aside[ends[0]]), (row[ends[1]], i + aside[ends[1]]))
        for view, (k, label) in views.items():
            if is_number(row.get(view)):
                plot.points([(row[view], i + aside[view], f"{name}, {label}: {number(row[view])}")], k, 4.5)
    return plot.svg()


def _legend(views: Views) -> tuple[Key, ...]:
    return tuple(Key(label, k) for k, label in views.values())


def _view(row: Mapping[str, Any], view: str) -> Mapping[str, Any]:
    return row.get(view) or {}


def fst(report: Mapping[str, Any]) -> Figure | None:
    """Fst of every pair of populations, from true against imputed calls."""
    pairs = [
        row for row in (report.get("bias") or {}).get("fst") or ()
        if is_number(row.get("truth")) and is_number(row.get("imputed"))
    ]  # fmt: skip
    if not pairs:
        return None
    every = [row[view] for row in pairs for view in VIEWS if is_number(row.get(view))]
    ends = min(0.0, *every) * 1.05, max(*every, 0.01) * 1.05
    plot = Plot(Axis.of("Fst from the true calls", *ends), Axis.of("Fst after", *ends))
    plot.rule((ends[0], ends[0]), (ends[1], ends[1]))
    for view in ("visible", "imputed"):
        k, label = VIEWS[view]
        found = [row for row in pairs if is_number(row.get(view))]
        words = [f"{row['population_1']} – {row['population_2']}, {label}: {number(row[view], 4)}" for row in found]
        plot.points([(row["truth"], row[view], text) for row, text in zip(found, words, strict=True)], k)
    change = sum(row["imputed"] - row["truth"] for row in pairs) / len(pairs)
    return Figure(
        "fst",
        "Differentiation between populations (Fst)",
        "One point per pair of populations. Above the line, imputation makes them look more different than they are.",
        f"Weir and Cockerham's Fst of {len(pairs)} pairs; imputation changes it by {number(change, 4)} on average.",
        plot.svg(),
        ("population_1", "population_2", *VIEWS),
        [(row["population_1"], row["population_2"], *(row.get(view) for view in VIEWS)) for row in pairs],
        (Key("unchanged", kind="rule"), *(Key(VIEWS[v][1], VIEWS[v][0]) for v in ("visible", "imputed"))),
    )


def spectrum(report: Mapping[str, Any]) -> Figure | None:
    """Share of loci by minor allele frequency."""
    shares = (report.get("bias") or {}).get("spectrum") or {}
    if not shares.get("truth"):
        return None
    moved = None
    if shares.get("imputed"):
        moved = sum(abs(a - b) for a, b in zip(shares["truth"], shares["imputed"], strict=True)) / 2
    alt = f"Folded allele-frequency spectrum; imputation moves {percent(moved)} of the loci to another bin."
    reading = "Bars of a bin should be of one height; imputation that loses rare alleles moves loci to the left."
    return spectrum_of(shares, VIEWS, reading, alt)


def spectrum_of(shares: Mapping[str, Sequence[float]], views: Views, reading: str, alt: str) -> Figure:
    """Bars of every view by minor allele frequency. shares: `edges` of the bins, and of each view its shares."""
    names = ["0", *(f"{low:g}–\n{high:g}" for low, high in pairwise(shares["edges"]))]
    shown = [view for view in views if shares.get(view)]
    top = max(max(shares[view]) for view in shown)
    plot = Plot(Axis.names("minor allele frequency", names), Axis.of("share of the loci", 0, 1.05 * top, percent=True))
    width = 0.8 / len(shown)
    bins = [name.replace("\n", "") for name in names]
    for place, view in enumerate(shown):
        k, label = views[view]
        marks = [
            (i + width * (place - (len(shown) - 1) / 2), share, f"{label}, {bins[i]}: {percent(share)}")
            for i, share in enumerate(shares[view])
        ]
        plot.bars(marks, k, width * 0.92)
    legend = tuple(Key(views[view][1], views[view][0], "bar") for view in shown)
    table = [(bins[i], *(shares[view][i] for view in shown)) for i in range(len(names))]
    columns = ("minor allele frequency", *(views[view][1] for view in shown))
    return Figure("spectrum", "Allele-frequency spectrum", reading, alt, plot.svg(), columns, table, legend)


def draws(report: Mapping[str, Any]) -> Figure | None:
    """Each statistic with the true calls, the likeliest genotypes, and genotypes drawn from the posterior."""
    found = (report.get("bias") or {}).get("draws")
    rows = [row for row in (found or {}).get("rows", ()) if is_number(row.get("imputed"))]
    if not found or not rows:
        return None
    views = {**VIEWS, "drawn": (2, f"{found['n']} draws, mean")}
    values = {STATISTICS[row["statistic"]]: row for row in rows}
    shown = "; ".join(
        f"{name} {number(row['truth'], 3)}, {number(row['imputed'], 3)} and {number(row['drawn'], 3)}"
        for name, row in values.items()
    )
    keys = (*views, "spread")
    return Figure(
        "draws",
        "The likeliest genotypes, or draws?",
        "A row for each statistic, over all populations. Where the draws' mark is nearer to that of the true calls "
        "than the imputed one is, work with draws (impute --draws).",
        f"With the true calls, the likeliest genotypes and {found['n']} draws: {shown}.",
        _dumbbells(
            {n: {v: row.get(v) for v in views} for n, row in values.items()}, views, None, "value", from_zero=True
        ),
        ("statistic", *keys),
        [(name, *(row.get(key) for key in keys)) for name, row in values.items()],
        _legend(views),
    )


def pca(report: Mapping[str, Any]) -> list[Figure]:
    """Samples before and after imputation, coloured by population and by missingness."""
    found = (report.get("bias") or {}).get("pca")
    return pca_of(found, _WHEN) if found else []


_WHEN = {"truth": "with the true calls", "visible": "before imputation", "imputed": "after imputation"}


def pca_of(found: Mapping[str, Any], when: Mapping[str, str]) -> list[Figure]:
    """Figures of each view by population, and of those before and after imputation by missingness, on the same axes.

    found: as `scoring.pca` gives it; the drift of a view has at least `correlation`. when: view -> words for it.
    """
    made = []
    if len(found["populations"]) > 1:
        made += [_by_population(found, view, words) for view, words in when.items()]
    return made + [_by_missingness(found, view, when[view]) for view in ("visible", "imputed")]


def _by_population(found: Mapping[str, Any], view: str, words: str) -> Figure:
    populations = [found["populations"][code] for code in found["codes"]]
    chosen = evenly(len(populations))
    here = [populations[i] for i in chosen]
    x, y = ([found["coordinates"][view][i][axis] for i in chosen] for axis in (0, 1))
    texts = [_sample_text(found, i, populations[i]) for i in chosen]
    svg, legend = scatter((x, y, texts), here, *_pca_axes(found, view))
    return Figure(
        f"pca-population-{view}",
        f"PCA {words}, by population",
        "One point per sample; a unit is as long across as upwards, and alike in all of these figures. Populations "
        f"should stay apart as they were, neither blurred nor pressed together.{some_of(len(populations))}",
        f"Scatter of {len(populations)} samples of {len(set(populations))} populations on the first two axes, {words}.",
        svg,
        ("sample", "population", "axis_1", "axis_2"),
        [(_sample_name(found, i), populations[i], a, b) for i, a, b in zip(chosen, x, y, strict=True)],
        legend,
    )


def _by_missingness(found: Mapping[str, Any], view: str, words: str) -> Figure:
    numbers, missing = found["drift"][view], found["missing"]
    least, most = min(missing), max(missing)
    chosen = evenly(len(found["codes"]))
    plot = Plot(*_pca_axes(found, view))
    marks = []
    for i in chosen:
        x, y = found["coordinates"][view][i]
        text = _sample_text(found, i, found["populations"][found["codes"][i]])
        marks.append(((x, y, text), (missing[i] - least) / max(most - least, 1e-9)))
    plot.shaded_points(marks)
    plot.cross(0, 0)
    pull = (
        f"Pull to the origin: {number(numbers['pull'], 2)} (1: missing calls at the mean, 0: none); "
        if "pull" in numbers
        else ""
    )
    return Figure(
        f"pca-missingness-{view}",
        f"PCA {words}, by missingness",
        f"The fuller a point, the more calls the sample lacked, from {percent(least, 0)} to {percent(most, 0)}. "
        "Where full points gather about the cross, the origin, missingness passes for structure.",
        f"The same samples shaded by their missing share, {words}. {pull}correlation of missingness with the "
        f"distance from the origin: {number(numbers['correlation'], 2)}.",
        plot.svg(),
        ("sample", "missing", "axis_1", "axis_2"),
        [(_sample_name(found, i), found["missing"][i], *found["coordinates"][view][i]) for i in chosen],
    )


def _sample_name(found: Mapping[str, Any], i: int) -> str:
    return found["samples"][i] if found.get("samples") else f"sample {i + 1}"


def _sample_text(found: Mapping[str, Any], i: int, population: str) -> str:
    return f"{_sample_name(found, i)}, {population}: {percent(found['missing'][i])} missing"


def _pca_axes(found: Mapping[str, Any], view: str) -> tuple[Axis, Axis]:
    """The same axes in every view, a unit as long across as upwards."""
    every = [point for points in found["coordinates"].values() for point in points] + [(0, 0)]
    first, second = found["explained"][view]
    titles = f"axis 1 ({percent(first, 0)} of the variance)", f"axis 2 ({percent(second, 0)})"
    return equal_axes([p[0] for p in every], [p[1] for p in every], titles)
