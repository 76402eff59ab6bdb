"""Small pictures as SVG text that goes into a page: fixed size, readable on a phone, the same bytes each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 3.9, 3.1
"""Inches. At 390 pixels a picture fills the screen's width with its letters still readable."""
INK, FAINT, GRID = "#1b1f24", "#6b7280", "#e5e7eb"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933", "#332288", "#000000")
"""Okabe and Ito's and Tol's colours, apart for colour-blind readers too."""
MARKERS = "osD^vP*XphH<>"
"""Shapes beside the colours, so that neither is needed alone."""
MANY_POINTS = 500
"""More points than this are drawn as a bitmap inside the SVG."""
PLAIN_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings of matplotlib under which any text is drawn as it is: dollar signs begin no formula."""
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "imputevae",
    "text.color": INK,
    **PLAIN_TEXT,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(name: str, paint: Callable[[Axes], None], height: float = HEIGHT) -> str:
    """One picture: `paint` draws on its axes. name: put before the ids inside, so that they are unique in the page."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # whatever the user's own style
        matplotlib.rcParams.update(_STYLE)
        # The reader's browser draws the letters, with a font that has them
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure.add_subplot())
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
    return _for_page(out.getvalue(), name)


def points(axes: Axes, x: Sequence[float], y: Sequence[float], k: int, label: object, n_all: int) -> None:
    """A group's points, in the k-th colour and shape; n_all: points of all groups together."""
    many = n_all > MANY_POINTS
    axes.plot(
        x,
        y,
        MARKERS[k % len(MARKERS)],
        color=COLOURS[k % len(COLOURS)],
        label=legend_text(label),
        markersize=3 if many else 4.5,
        alpha=0.75,
        markeredgewidth=0,
        rasterized=many,
    )


def legend_text(label: object, longest: int = 18) -> str:
    """Cut to fit; a name that begins with `_` would be left out of the legend, so a blank goes before it."""
    text = "".join(c if c.isprintable() else "?" for c in str(label)[:longest])
    return f"{' ' * text.startswith('_')}{text}"


def legend_below(axes: Axes) -> None:
    """The legend under the axes, in as many columns as fit."""
    handles, names = axes.get_legend_handles_labels()
    long = max(map(len, names), default=0) > 12
    axes.figure.legend(handles, names, loc="outside lower center", ncols=2 if long else 3)


def grouped(names: Iterable[object]) -> dict[object, list[int]]:
    """Each name -> its places among `names`, the most frequent first."""
    groups: dict[object, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name, []).append(i)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0]))))


_LONG = re.compile(r"(-?\d+\.\d\d)\d+")


def _for_page(svg: str, name: str) -> str:
    """The svg element alone, scaling with the page, hidden from screen readers, which get the text beside it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true" focusable="false">', svg, count=1
    )
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    svg = svg.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    return re.sub(r' (?:d|x|y|transform|points)="[^"]*"', lambda found: _LONG.sub(r"\1", found[0]), svg)
