"""Figures as SVG: marks where the data are, with their values to point at."""

import math
import re

import pytest

from imputevae_cli.report.figure import Figure, Key, evenly
from imputevae_cli.report.plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MANY_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Plot,
    dodged,
    equal_axes,
    round_numbers,
    swatch,
)


def circles(svg):
    """(x, y, what it says) of the circles of a picture."""
    found = re.findall(r'<circle [^>]*cx="([^"]+)" cy="([^"]+)"[^>]*>(?:<title>(.*?)</title>)?', svg)
    return [(float(x), float(y), text) for x, y, text in found]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 1300, [0, 500, 1000]), (-0.03, 0.04, [-0.02, 0, 0.02, 0.04])],
)
def test_ticks_are_round_and_within(low, high, expected):
    assert round_numbers(low, high) == pytest.approx(expected)


def test_marks_are_where_the_data_are_and_say_their_values():
    plot = Plot(Axis.of("x", 0, 10), Axis.of("y", 0, 4))
    plot.points([(0, 0, "first"), (10, 4, "a < b"), (5, 1, "")], 0)
    low, high, middle = circles(plot.svg())
    assert low == (LEFT, HEIGHT - BOTTOM, "first")
    assert high == (WIDTH - RIGHT, TOP, "a &lt; b")
    assert middle[:2] == pytest.approx(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) / 4))


def test_rows_run_from_the_top_down_and_long_names_are_cut():
    plot = Plot(Axis.of("x", 0, 1), Axis.rows(["a", "b" * 40]))
    plot.points([(0, 0, "a"), (0, 1, "b")], 0)
    (_, upper, _), (_, lower, _) = circles(plot.svg())
    assert upper < lower
    assert "b" * 23 + "…" in plot.svg()


def test_a_unit_is_as_long_across_as_upwards():
    across, up = equal_axes([-1, 9], [0, 2], ("x", "y"))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    assert (across.high - across.low) / wide == pytest.approx((up.high - up.low) / high)
    assert across.low < -1 < 9 < across.high
    same, _ = equal_axes([3, 3], [1, 1], ("x", "y"))
    assert same.low < 3 < same.high


def test_many_points_are_one_path():
    plot = Plot(Axis.of("x", 0, 1), Axis.of("y", 0, 1))
    plot.points([(0.5, 0.5, "")] * (MANY_POINTS + 1), 3)
    assert plot.svg().count('class="dots c3"') == 1
    assert not circles(plot.svg())


def test_marks_at_one_place_stand_side_by_side():
    places = [dodged(i, 4) for i in range(4)]
    assert places == sorted(set(places))
    assert sum(places) == pytest.approx(0)
    assert dodged(0, 1) == 0


def test_an_axis_of_one_value_has_a_length():
    axis = Axis.of("x", 2, 2)
    assert axis.low < 2 < axis.high


@pytest.mark.parametrize("kind", ["point", "line", "bar", "rule"])
def test_a_legend_has_the_mark(kind):
    assert Key("name", 4, kind).swatch == swatch(4, kind)
    assert swatch(4, kind).startswith("<svg")


def test_data_are_csv_in_a_link():
    import base64

    rows = [("a, b", 0.123456789, None), ("c", math.nan, 3)]
    figure = Figure("f", "F", "", "", "", ("name", "x", "n"), rows)
    kind, text = figure.data.split("base64,")
    assert kind == "data:text/csv;charset=utf-8;"
    assert base64.b64decode(text).decode() == 'name,x,n\n"a, b",0.123457,\nc,,3\n'


def test_evenly_spaced_numbers():
    assert evenly(5, 10) == [0, 1, 2, 3, 4]
    assert evenly(100, 4) == [0, 25, 50, 75]
