"""Figures of an evaluation by strata of its cells: allele frequency, missingness, depth, population.

Each function takes the report and gives a Figure, or None without data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imputevae_cli.report.figure import MAX_ROWS, Figure, Key, look_of
from imputevae_cli.report.labels import MODEL, is_number, method_name, methods_of, number
from imputevae_cli.report.plot import Axis, Mark, Plot, dodged, tall

NRD_MEANS = "NRD, the share wrong among calls that involve an ALT allele"
MIN_CELLS = 10
"""A stratum of fewer scored calls says too little to be drawn."""
FROM_ZERO = ("nrd", "read_loss")
"""Figures that are drawn up to the highest value there is; the others end at 1."""

Row = Mapping[str, Any]


def by_frequency(report: Row) -> Figure | None:
    """Dosage r2 by minor allele frequency, every method."""
    strata = Strata.of_first(report, "maf", ("dosage_r2", "skill_r2"))
    name = {"dosage_r2": "dosage r²", "skill_r2": "skill r²"}[strata.key]
    return strata.figure(
        Words(
            name="by-maf",
            title=f"How well are rare alleles filled in? ({name})",
            across="minor allele frequency",
            up=name,
            reading=f"{name.capitalize()} of the loci in each bin of allele frequency: 1 is perfect, 0 is worthless. "
            "Rare alleles, at the left, are most often the hardest.",
        )
    )


def by_locus_missingness(report: Row) -> Figure | None:
    """NRD by the share of calls that a locus lacks."""
    return Strata.of(report, "locus_missingness", "nrd").figure(
        Words(
            name="by-locus-missingness",
            title="Do loci with many missing calls fare worse?",
            across="share of calls that the locus lacks",
            up="NRD",
            reading=f"{NRD_MEANS}, by how much of the locus is missing; lower is better.",
        )
    )


def by_sample_missingness(report: Row) -> Figure | None:
    """NRD by the share of calls that a sample lacks."""
    return Strata.of(report, "sample_missingness", "nrd").figure(
        Words(
            name="by-sample-missingness",
            title="Do samples with many missing calls fare worse?",
            across="share of calls that the sample lacks",
            up="NRD",
            reading=f"{NRD_MEANS}, by how much of the sample is missing; lower is better.",
        )
    )


def by_depth(report: Row) -> Figure | None:
    """NRD, or the log loss of the reads, by the depth of the cell."""
    strata = Strata.of_first(report, "depth", ("nrd", "read_loss"))
    if strata.key == "nrd":
        name, reading = "NRD", f"{NRD_MEANS}, by how many reads the file has of the cell; lower is better."
    else:
        name = "log loss of the reads"
        reading = (
            "How unlikely the hidden reads are under each method's probabilities; lower is better. More reads say "
            "more, so compare methods at one depth, and not depths."
        )
    return strata.figure(Words("by-depth", "Does depth matter?", "reads of the cell", name, reading))


def by_population(report: Row) -> Figure | None:
    """NRD in each population, every method, with the model's interval."""
    strata = Strata.of(report, "population", "nrd").with_values()
    if not strata.levels:
        return None
    ends = [row[key] for row in strata.found.values() for key in ("nrd", "nrd_high") if is_number(row.get(key))]
    rows = Axis.rows(strata.levels)
    plot = Plot(Axis.of("NRD, lower is better", 0, 1.05 * max(ends)), rows, tall(len(strata.levels)))
    for method, aside in strata.places():
        turned = strata.marks(method, aside, "{level}: NRD")
        if method == MODEL:
            strata.draw_intervals(plot, aside, 0, lying=True)
        plot.points([(value, row, text) for row, value, text in turned], look_of(report, method))
    return Figure(
        "by-population",
        "Is every population filled in alike?",
        "A row for each population; the further left the better. Lines are 95% intervals of the model.",
        f"NRD of the model by population: {strata.of_model(' ')}.",
        plot.svg(),
        *strata.table("population"),
        strata.legend(),
    )


@dataclass(frozen=True)
class Words:
    """What a figure says. name: of its file. across, up: what the axes show. reading: how to read it."""

    name: str
    title: str
    across: str
    up: str
    reading: str


@dataclass(frozen=True)
class Strata:
    """One figure of every method at the levels of one stratum.

    levels: in their order. found: (method, level) -> row of the report, where it has the figure `key`.
    """

    report: Row
    key: str
    levels: list[str]
    found: dict[tuple[str, str], Row]

    @classmethod
    def of(cls, report: Row, stratum: str, key: str) -> Strata:
        """Those of a stratum that have enough cells to say something."""
        rows = [row for row in report.get("strata") or () if row.get("stratum") == stratum]
        rows = [row for row in rows if (row.get("n") or 0) >= MIN_CELLS]
        found = {(row["method"], row["level"]): row for row in rows if is_number(row.get(key))}
        return cls(report, key, list(dict.fromkeys(row["level"] for row in rows)), found)

    @classmethod
    def of_first(cls, report: Row, stratum: str, keys: tuple[str, str]) -> Strata:
        """The strata by the first of two metrics where the report has it, else by the second."""
        first = cls.of(report, stratum, keys[0])
        return first if first.found else cls.of(report, stratum, keys[1])

    def with_values(self) -> Strata:
        """The strata cut down to levels at which some method has the metric, as many as a page shows."""
        levels = list(dict.fromkeys(level for _, level in self.found))[:MAX_ROWS]
        return Strata(self.report, self.key, levels, self.found)

    def figure(self, words: Words) -> Figure | None:
        """Every method by level, its marks side by side; None where there are no two levels."""
        if not self.found or len(self.levels) < 2:
            return None
        values = [row[self.key] for row in self.found.values()]
        low = min(0.0, max(min(values) - 0.05, -0.5))
        top = max(values) * 1.05 if self.key in FROM_ZERO else 1.02
        names = Axis.names(words.across, [_short_level(level) for level in self.levels])
        plot = Plot(names, Axis.of(words.up, low, top))
        for method, aside in self.places():
            marks = self.marks(method, aside, f"{words.across} {{level}}: {words.up}")
            marks = [(x, max(y, low), text) for x, y, text in marks]
            plot.line([(x, y) for x, y, _ in marks], look_of(self.report, method), bold=method == MODEL)
            if method == MODEL:
                self.draw_intervals(plot, aside, low)
            plot.points(marks, look_of(self.report, method))
        reading = f"{words.reading} Upright lines are 95% intervals."
        alt = f"{words.title} The model's {words.up} by {words.across}: {self.of_model(': ')}."
        return Figure(words.name, words.title, reading, alt, plot.svg(), *self.table(words.across), self.legend())

    def methods(self) -> list[str]:
        """Those with the figure at any level, in the report's order."""
        there = {method for method, level in self.found if level in self.levels}
        return [method for method in methods_of(self.report) if method in there]

    def places(self) -> Iterable[tuple[str, float]]:
        """Each method, and how far its marks stand aside."""
        methods = self.methods()
        return [(method, dodged(place, len(methods), 0.5)) for place, method in enumerate(methods)]

    def rows_of(self, method: str) -> Iterable[tuple[int, Row]]:
        """The number of each level at which a method has the figure, and its row."""
        for i, level in enumerate(self.levels):
            if (method, level) in self.found:
                yield i, self.found[method, level]

    def marks(self, method: str, aside: float, words: str) -> list[Mark]:
        """A mark for each level. words: what it says before the figure, with `{level}` for the level."""
        name = method_name(self.report, method, short=True)
        return [
            self._mark(i + aside, row, f"{name}, {words.format(level=self.levels[i])}")
            for i, row in self.rows_of(method)
        ]

    def _mark(self, x: float, row: Row, words: str) -> Mark:
        low, high = row.get(f"{self.key}_low"), row.get(f"{self.key}_high")
        interval = f" ({number(low, 3)} to {number(high, 3)})" if is_number(low) and is_number(high) else ""
        return x, row[self.key], f"{words} {number(row[self.key], 3)}{interval}, {row.get('n') or 0:,} calls"

    def draw_intervals(self, plot: Plot, aside: float, floor: float, lying: bool = False) -> None:
        """The model's intervals, upright or lying down, cut at `floor`."""
        for i, row in self.rows_of(MODEL):
            low, high = row.get(f"{self.key}_low"), row.get(f"{self.key}_high")
            if is_number(low) and is_number(high):
                ends = [(i + aside, max(end, floor)) for end in (low, high)]
                start, stop = [(y, x) for x, y in ends] if lying else ends
                plot.interval(start, stop, 0)

    def of_model(self, between: str) -> str:
        """The model's figure at each level, in words."""
        return "; ".join(f"{self.levels[i]}{between}{number(row[self.key], 3)}" for i, row in self.rows_of(MODEL))

    def legend(self) -> tuple[Key, ...]:
        """A line for each method."""
        report = self.report
        return tuple(Key(method_name(report, one, short=True), look_of(report, one)) for one in self.methods())

    def table(self, level_name: str) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """The data: columns, and a row for each method and level."""
        key = self.key
        return ("method", level_name, "calls", key, "low", "high"), [
            (method, level, row.get("n"), row[key], row.get(f"{key}_low"), row.get(f"{key}_high"))
            for (method, level), row in self.found.items()
        ]


def _short_level(level: str) -> str:
    """`(0.05, 0.1]` in two lines, to fit beneath an axis."""
    ends = str(level).strip("([])").split(",")
    return f"{ends[0].strip()}–\n{ends[1].strip()}" if len(ends) == 2 else str(level)
