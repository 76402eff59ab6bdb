"""The pictures of what imputation does to population genetics; each from the report's `bias`, or None without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from imputevae_cli.report.canvas import COLOURS, FAINT, HEIGHT, MANY_POINTS, draw, grouped, legend_below, points
from imputevae_cli.report.figures import MAX_ROWS, Figure
from imputevae_cli.report.labels import is_number, number, percent
from imputevae_cli.scoring.popgen_draws import STATISTICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEW_LOOKS = {
    "truth": ("o", "#000000", "true calls"),
    "visible": ("s", "#E69F00", "left visible"),
    "imputed": ("D", "#0072B2", "imputed"),
}
_KINDS = {
    "ho": ("observed-heterozygosity", "Observed heterozygosity (Ho)"),
    "he": ("expected-heterozygosity", "Expected heterozygosity (He)"),
    "fis": ("inbreeding", "Inbreeding coefficient (FIS)"),
}


def heterozygosity(report: Mapping[str, Any]) -> list[Figure]:
    """Ho, He and F_IS of each population, a picture each."""
    rows = ((report.get("bias") or {}).get("heterozygosity") or ())[:MAX_ROWS]
    return [figure for kind in _KINDS if (figure := _dumbbells(rows, kind))]


def _dumbbells(rows: Sequence[Mapping[str, Any]], kind: str) -> Figure | None:
    rows = [row for row in rows if all(is_number(_view(row, view).get(kind)) for view in ("truth", "imputed"))]
    if not rows:
        return None
    name, title = _KINDS[kind]

    def paint(axes: Axes) -> None:
        for i, row in enumerate(rows):
            axes.plot([row["truth"][kind], row["imputed"][kind]], [i, i], color=FAINT, linewidth=1.5)
        for view, (marker, colour, label) in VIEW_LOOKS.items():
            found = [(_view(row, view).get(kind), i) for i, row in enumerate(rows)]
            found = [(x, i) for x, i in found if is_number(x)]
            axes.plot(*zip(*found, strict=True), marker, color=colour, label=label, markersize=6, alpha=0.85)
        axes.set_yticks(range(len(rows)), [str(row["population"])[:18] for row in rows])
        axes.set(xlabel=title, ylim=(len(rows) - 0.4, -0.6))
        if kind != "fis":
            axes.set_xlim(0, 1.08 * axes.dataLim.xmax)
        legend_below(axes)

    shown = "; ".join(
        f"{row['population']} {number(row['truth'][kind], 3)} to {number(row['imputed'][kind], 3)}" for row in rows
    )
    return Figure(
        name,
        title,
        "A row a population. The blue mark should lie on the black one; the line between is what imputation changes.",
        f"{title} by population, from the true calls to the imputed: {shown}.",
        draw(name, paint, max(2.6, 1.5 + 0.28 * len(rows))),
    )


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

    def paint(axes: Axes) -> None:
        every = [row[view] for row in pairs for view in VIEW_LOOKS if is_number(row.get(view))]
        ends = min(0.0, *every) * 1.05, max(*every, 0.01) * 1.05
        axes.plot(ends, ends, ":", color=FAINT, label="unchanged")
        for view in ("visible", "imputed"):
            marker, colour, label = VIEW_LOOKS[view]
            found = [(row["truth"], row[view]) for row in pairs if is_number(row.get(view))]
            axes.plot(*zip(*found, strict=True), marker, color=colour, label=label, alpha=0.8, markersize=5)
        axes.set(xlabel="Fst from the true calls", ylabel="Fst after", xlim=ends, ylim=ends)
        axes.legend(loc="upper left")

    change = sum(row["imputed"] - row["truth"] for row in pairs) / len(pairs)
    return Figure(
        "fst",
        "Differentiation between populations (Fst)",
        "A point a pair of populations. Above the line, imputation makes them look more different than they are.",
        f"Weir and Cockerham's Fst of {len(pairs)} pairs; imputation changes it by {number(change, 4)} on average.",
        draw("fst", paint),
    )


def spectrum(report: Mapping[str, Any]) -> Figure | None:
    """Share of loci by minor allele frequency."""
    shares = (report.get("bias") or {}).get("spectrum") or {}
    views = [view for view in VIEW_LOOKS if shares.get(view)]
    if "truth" not in views:
        return None
    edges = shares["edges"]
    names = ["0", *(f"{low:g}–\n{high:g}" for low, high in pairwise(edges))]

    def paint(axes: Axes) -> None:
        for k, view in enumerate(views):
            _, colour, label = VIEW_LOOKS[view]
            axes.bar([i + 0.27 * (k - 1) for i in range(len(names))], shares[view], 0.25, color=colour, label=label)
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set(xlabel="minor allele frequency", ylabel="share of the loci")
        axes.grid(False, axis="x")
        legend_below(axes)

    moved = (
        sum(abs(a - b) for a, b in zip(shares["truth"], shares["imputed"], strict=True)) / 2
        if "imputed" in views
        else None
    )
    return Figure(
        "spectrum",
        "Allele-frequency spectrum",
        "Bars of a bin should be of one height; imputation that loses rare alleles moves loci to the left.",
        f"Folded allele-frequency spectrum; imputation moves {percent(moved)} of the loci to another bin.",
        draw("spectrum", paint, HEIGHT + 0.4),
    )


def draws(report: Mapping[str, Any]) -> Figure | None:
    """Each statistic with the true calls, the likeliest genotypes, and genotypes drawn from the posterior."""
    found = (report.get("bias") or {}).get("draws")
    rows = [row for row in (found or {}).get("rows", ()) if is_number(row.get("imputed"))]
    if not found or not rows:
        return None
    names = [STATISTICS[row["statistic"]] for row in rows]
    looks = VIEW_LOOKS | {"drawn": ("^", "#009E73", f"{found['n']} draws, mean and spread")}

    def paint(axes: Axes) -> None:
        for view, (marker, colour, label) in looks.items():
            at = [(row[view], i, row.get("spread") or 0) for i, row in enumerate(rows) if is_number(row.get(view))]
            if at:
                x, y, spread = zip(*at, strict=True)
                axes.plot(x, y, marker, color=colour, label=label, markersize=6, alpha=0.85)
                if view == "drawn":
                    axes.errorbar(x, y, xerr=spread, fmt="none", color=colour, linewidth=1.5)
        axes.set_yticks(range(len(rows)), names)
        axes.set(xlabel="value", ylim=(len(rows) - 0.4, -0.6))
        legend_below(axes)

    shown = "; ".join(
        f"{name} {number(row['truth'], 3)}, {number(row['imputed'], 3)} and {number(row['drawn'], 3)}"
        for name, row in zip(names, rows, strict=True)
    )
    return Figure(
        "draws",
        "The likeliest genotypes, or draws?",
        "A row a statistic, over all populations. Where the green mark is nearer to the black one than the blue is, "
        "work with draws (impute --draws).",
        f"With the true calls, the likeliest genotypes and {found['n']} draws: {shown}.",
        draw("draws", paint),
    )


def pca(report: Mapping[str, Any]) -> list[Figure]:
    """Samples before and after imputation, coloured by population and by missingness."""
    found = (report.get("bias") or {}).get("pca")
    if not found:
        return []
    figures = []
    populations = [found["populations"][code] for code in found["codes"]]
    if len(found["populations"]) > 1:
        figures += [_by_population(found, populations, view) for view in VIEW_LOOKS]
    return figures + [_by_missingness(found, view) for view in ("visible", "imputed")]


_WHEN = {"truth": "with the true calls", "visible": "before imputation", "imputed": "after imputation"}


def _by_population(found: Mapping[str, Any], populations: Sequence[str], view: str) -> Figure:
    groups = grouped(populations)

    def paint(axes: Axes) -> None:
        for k, (name, members) in enumerate(groups.items()):
            x, y = zip(*(found["coordinates"][view][i] for i in members), strict=True)
            points(axes, x, y, k, name, len(populations))
        _pca_axes(axes, found, view)
        if len(groups) <= 12:
            legend_below(axes)

    return Figure(
        f"pca-population-{view}",
        f"PCA {_WHEN[view]}, by population",
        "A point a sample. Populations should lie as with the true calls, neither blurred nor pressed together.",
        f"Scatter of {len(populations)} samples of {len(groups)} populations on the first two axes, {_WHEN[view]}.",
        draw(f"pca-population-{view}", paint, HEIGHT + 0.5),
    )


def _by_missingness(found: Mapping[str, Any], view: str) -> Figure:
    numbers = found["drift"][view]

    def paint(axes: Axes) -> None:
        x, y = zip(*found["coordinates"][view], strict=True)
        many = len(x) > MANY_POINTS
        dots = axes.scatter(
            x, y, c=found["missing"], cmap="viridis_r", s=9 if many else 22, linewidths=0, rasterized=many
        )
        axes.figure.colorbar(dots, ax=axes, label="share of calls missing")
        _pca_axes(axes, found, view)

    return Figure(
        f"pca-missingness-{view}",
        f"PCA {_WHEN[view]}, by missingness",
        "Dark points lack many calls. Where they gather about the cross, the origin, missingness passes for structure.",
        f"The same samples coloured by their missing share, {_WHEN[view]}. Pull to the origin: "
        f"{number(numbers['pull'], 2)} (1: missing calls at the mean, 0: none); correlation of missingness with the "
        f"distance from the origin: {number(numbers['correlation'], 2)}.",
        draw(f"pca-missingness-{view}", paint, HEIGHT + 0.5),
    )


def _pca_axes(axes: Axes, found: Mapping[str, Any], view: str) -> None:
    """The same limits in every view, the origin marked."""
    every = [point for points in found["coordinates"].values() for point in points]
    setters: tuple[Callable[[float, float], object], ...] = (axes.set_xlim, axes.set_ylim)
    for k, set_limits in enumerate(setters):
        low, high = min(p[k] for p in every), max(p[k] for p in every)
        set_limits(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.locator_params(nbins=5)
    axes.plot(0, 0, "+", color=COLOURS[1], markersize=14, markeredgewidth=2)
    first, second = found["explained"][view]
    axes.set(xlabel=f"axis 1 ({percent(first, 0)})", ylabel=f"axis 2 ({percent(second, 0)})")
