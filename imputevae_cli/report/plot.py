"""Figures as SVG text: marks that say their value when pointed at, colours by the page's style sheet.

There is no script and no font in it: a figure works offline, follows a dark theme and prints, and the same data give
the same bytes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 400.0, 300.0
"""In units of the picture, which is as wide as its card. All figures are this high, but for long lists of rows."""
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 8.0, 52.0
ROW, LOW_ROW = 24.0, 16.0
"""Heights of a row with a name: of one with several marks, and of one with a single bar."""
LETTER, LINE = 6.4, 13.0
"""Width of a letter, about, and height of a line of text."""
LONGEST_NAME = 24
N_COLOURS = 10
MANY_POINTS = 1000
"""More points than this are one path, without a value each."""
SHAPES = (
    (),  # a circle
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    ((0, -1.2), (1.15, 0.8), (-1.15, 0.8)),
    ((0, 1.2), (1.15, -0.8), (-1.15, -0.8)),
    ((-1.2, -0.4), (-0.4, -0.4), (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4),
     (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4)),
    ((-1.1, -1.1), (0, -0.4), (1.1, -1.1), (0.4, 0), (1.1, 1.1), (0, 0.4), (-1.1, 1.1), (-0.4, 0)),
    ((-1.1, 0), (-0.55, -1), (0.55, -1), (1.1, 0), (0.55, 1), (-0.55, 1)),
)  # fmt: skip
"""Shapes beside the colours, so that neither is needed alone: corners around the middle, for a radius of 1."""

Mark = tuple[float, float, str]
"""Where a mark is, in the data's units, and what it says when pointed at."""


@dataclass(frozen=True)
class Axis:
    """One axis. low: at the left or the bottom, and may be the greater end. ticks: places and their texts."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    are_names: bool = False

    @classmethod
    def of(cls, title: str, low: float, high: float, *, percent: bool = False) -> Axis:
        """An axis of numbers, with ticks at round ones. percent: the numbers are shares, the ticks per cent."""
        if not high > low:
            low, high = low - 0.5, high + 0.5
        ticks = round_numbers(low, high)
        texts = [f"{100 * t:.4g}%" if percent else f"{t:,.6g}" for t in ticks]
        return cls(title, low, high, tuple((t, text.replace("-", "−")) for t, text in zip(ticks, texts, strict=True)))

    @classmethod
    def names(cls, title: str, names: Sequence[object]) -> Axis:
        """A place for each name: 0, 1, ..., from left to right. A newline in a name breaks it."""
        return cls(title, -0.5, len(names) - 0.5, tuple((i, _short(name)) for i, name in enumerate(names)), True)

    @classmethod
    def rows(cls, names: Sequence[object], title: str = "") -> Axis:
        """A row for each name: 0, 1, ..., from the top down."""
        return cls(title, len(names) - 0.5, -0.5, tuple((i, _short(name)) for i, name in enumerate(names)), True)


def round_numbers(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most so many."""
    least = (high - low) / (most - 1)
    size = 10.0 ** math.floor(math.log10(least))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= least * (1 - 1e-9))
    return [round(k * step, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def equal_axes(x: Sequence[float], y: Sequence[float], titles: Sequence[str]) -> tuple[Axis, Axis]:
    """Axes on which a unit is as long across as upwards, around all of these points."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    unit = 1.1 * max((max(x) - min(x)) / wide, (max(y) - min(y)) / high) or 1 / wide
    (a, b), (c, d) = (
        (middle - unit * n / 2, middle + unit * n / 2) for middle, n in ((_middle(x), wide), (_middle(y), high))
    )
    return Axis.of(titles[0], a, b), Axis.of(titles[1], c, d)


class Plot:
    """Axes and what is drawn on them, in the order in which it is asked for.

    k: of colour and shape; 0 is the model's, alike in every figure.
    """

    def __init__(self, x: Axis, y: Axis, height: float = HEIGHT):
        self.x, self.y, self.height = x, y, height
        longest = max((len(text) for _, text in y.ticks), default=0)
        self._left = max(LEFT, LETTER * longest + (30 if y.title else 14))
        self._has_grid = True
        self._marks: list[str] = []

    @property
    def _bottom(self) -> float:
        return self.height - BOTTOM

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """A place in the data's units -> in the picture's."""
        across = (x - self.x.low) / (self.x.high - self.x.low)
        up = (y - self.y.low) / (self.y.high - self.y.low)
        return self._left + across * (WIDTH - RIGHT - self._left), self._bottom - up * (self._bottom - TOP)

    def points(self, marks: Sequence[Mark], k: int, radius: float = 4) -> None:
        """A mark for each, in the k-th colour and shape."""
        if len(marks) > MANY_POINTS:
            path = "".join(f"M{_n(px)} {_n(py)}h0" for px, py in (self._at(x, y) for x, y, _ in marks))
            self._marks.append(f'<path class="dots c{k % N_COLOURS}" d="{path}"/>')
            return
        for x, y, text in marks:
            self._marks.append(_shape(*self._at(x, y), k, radius, text))

    def shaded_points(self, marks: Sequence[tuple[Mark, float]]) -> None:
        """Points, each with a share from 0, empty, to 1, full."""
        for (x, y, text), share in marks:
            px, py = self._at(x, y)
            opacity = f' fill-opacity="{_n(share)}"'
            self._marks.append(
                f'<circle class="shade" cx="{_n(px)}" cy="{_n(py)}" r="4"{opacity}>{_title(text)}</circle>'
            )

    def line(self, places: Iterable[tuple[float, float]], k: int, *, bold: bool = False) -> None:
        """A line through places; one that is not bold is dashed."""
        self._path(places, f"l c{k % N_COLOURS} {'bold' if bold else 'thin'}")

    def steps(self, places: Sequence[tuple[float, float]], k: int) -> None:
        """A line that keeps its height up to the next place."""
        stairs = [step for (x, y), (later, _) in itertools.pairwise(places) for step in ((x, y), (later, y))]
        self.line([*stairs, *places[-1:]], k, bold=True)

    def rule(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A dotted line to compare with."""
        self._path([start, end], "rule")

    def interval(self, start: tuple[float, float], end: tuple[float, float], k: int) -> None:
        """A line from one end of an interval to the other."""
        self._path([start, end], f"l c{k % N_COLOURS} bold")

    def _path(self, places: Iterable[tuple[float, float]], style: str) -> None:
        found = " ".join(f"{_n(px)},{_n(py)}" for px, py in (self._at(x, y) for x, y in places))
        self._marks.append(f'<polyline class="{style}" points="{found}"/>')

    def bars(self, marks: Sequence[Mark], k: int, width: float, *, lying: bool = False) -> None:
        """Bars from zero: upright, or lying, where a mark's x is its length."""
        for x, y, text in marks:
            if lying:
                corners = self._at(0, y + width / 2), self._at(x, y - width / 2)
            else:
                corners = self._at(x - width / 2, 0), self._at(x + width / 2, y)
            self._rectangle(corners, f"b c{k % N_COLOURS}", text)

    def cells(self, marks: Sequence[tuple[Mark, float]]) -> None:
        """Cells of one unit, each with a share from 0, the paper's colour, to 1."""
        self._has_grid = False
        for (x, y, text), share in marks:
            corners = self._at(x - 0.5, y - 0.5), self._at(x + 0.5, y + 0.5)
            self._rectangle(corners, "heat", text, f' fill-opacity="{_n(share)}"')

    def _rectangle(self, corners: tuple[tuple[float, float], ...], style: str, text: str, more: str = "") -> None:
        (x1, y1), (x2, y2) = corners
        place = f'x="{_n(min(x1, x2))}" y="{_n(min(y1, y2))}" width="{_n(abs(x2 - x1))}" height="{_n(abs(y2 - y1))}"'
        self._marks.append(f'<rect class="{style}" {place}{more}>{_title(text)}</rect>')

    def text(self, x: float, y: float, lines: Sequence[str], *, on_dark: bool = False) -> None:
        """Lines of text around a place."""
        px, py = self._at(x, y)
        first = py - LINE * (len(lines) - 1) / 2 + 4
        style = "inside on-dark" if on_dark else "inside"
        self._marks += [_text(px, first + LINE * i, line, style) for i, line in enumerate(lines)]

    def cross(self, x: float, y: float) -> None:
        """A cross, to mark a place such as the origin."""
        px, py = self._at(x, y)
        self._marks.append(f'<path class="cross" d="M{_n(px - 7)} {_n(py)}h14M{_n(px)} {_n(py - 7)}v14"/>')

    def svg(self) -> str:
        """The whole picture. Screen readers pass over it: the words beside it are theirs."""
        size = f"0 0 {_n(WIDTH)} {_n(self.height)}"
        inside = "".join([*self._x_axis(), *self._y_axis(), *self._marks])
        return f'<svg viewBox="{size}" aria-hidden="true" focusable="false">{inside}</svg>'

    def _x_axis(self) -> Iterable[str]:
        for place, text in self.x.ticks:
            px, _ = self._at(place, self.y.low)
            if self._has_grid and not self.x.are_names:
                yield f'<path class="grid" d="M{_n(px)} {_n(TOP)}V{_n(self._bottom)}"/>'
            for i, line in enumerate(text.split("\n")):
                yield _text(px, self._bottom + 14 + i * (LINE - 1), line, "middle")
        yield f'<path class="axis" d="M{_n(self._left)} {_n(self._bottom)}H{_n(WIDTH - RIGHT)}"/>'
        yield _text((self._left + WIDTH - RIGHT) / 2, self.height - 6, self.x.title, "middle")

    def _y_axis(self) -> Iterable[str]:
        for place, text in self.y.ticks:
            _, py = self._at(self.x.low, place)
            if self._has_grid:
                yield f'<path class="grid" d="M{_n(self._left)} {_n(py)}H{_n(WIDTH - RIGHT)}"/>'
            yield _text(self._left - 6, py + 4, text, "end")
        yield f'<path class="axis" d="M{_n(self._left)} {_n(TOP)}V{_n(self._bottom)}"/>'
        if self.y.title:
            middle = (TOP + self._bottom) / 2
            yield f'<g transform="rotate(-90 13 {_n(middle)})">{_text(13, middle, self.y.title, "middle")}</g>'


def tall(n_rows: int, row: float = ROW) -> float:
    """The height of a figure with so many named rows, each this high: that of all others while they fit."""
    return max(HEIGHT, TOP + BOTTOM + row * n_rows)


def swatch(k: int, kind: str) -> str:
    """What stands for the k-th colour in a legend: a `point`, `line`, `bar` or `rule`."""
    inside = {
        "point": _shape(13, 7, k, 4.5, ""),
        "line": f'<path class="l c{k % N_COLOURS} bold" d="M1 7H25"/>',
        "bar": f'<rect class="b c{k % N_COLOURS}" x="6" y="1" width="14" height="12"/>',
        "rule": '<path class="rule" d="M1 7H25"/>',
    }[kind]
    return f'<svg class="swatch" viewBox="0 0 26 14" aria-hidden="true" focusable="false">{inside}</svg>'


def dodged(i: int, n: int, room: float = 0.6) -> float:
    """How far the i-th of n marks at one place stands aside, so that none hides another."""
    return 0.0 if n < 2 else room * (i / (n - 1) - 0.5)


def _shape(x: float, y: float, k: int, radius: float, text: str) -> str:
    """A point in the k-th colour and shape."""
    style = f'class="m c{k % N_COLOURS}"'
    corners = SHAPES[k % len(SHAPES)]
    if not corners:
        return f'<circle {style} cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}">{_title(text)}</circle>'
    path = "L".join(f"{_n(x + radius * dx)} {_n(y + radius * dy)}" for dx, dy in corners)
    return f'<path {style} d="M{path}z">{_title(text)}</path>'


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>' if text else ""


def _middle(values: Sequence[float]) -> float:
    return (max(values) + min(values)) / 2


def _n(value: float) -> str:
    """A number with as few digits as do."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def _short(name: object) -> str:
    """A name cut to fit, with what cannot be printed as `?`."""
    lines = [line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…" for line in str(name).split("\n")]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
