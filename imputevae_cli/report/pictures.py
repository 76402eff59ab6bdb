"""What files of pictures, which matplotlib draws, have in common; pages have figures of their own (`plot.py`)."""

from __future__ import annotations

from typing import Any

BLUE, ORANGE, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#6b7280"
PLAIN_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings of matplotlib under which any text is drawn as it is: dollar signs begin no formula."""


def legend_text(label: object, longest: int = 18) -> str:
    """Cut to fit; a name that begins with `_` would be left out of the legend, so a blank goes before it."""
    text = "".join(c if c.isprintable() else "?" for c in str(label)[:longest])
    return f"{' ' * text.startswith('_')}{text}"
