"""How the file of a packed reference panel is told from a checkpoint, without torch."""

from __future__ import annotations

from pathlib import Path

PANEL_MAGIC = b"imputevae panel\n"
"""What it begins and ends with."""


def is_panel(path: str | Path) -> bool:
    """Whether a file is a packed reference panel."""
    try:
        with open(path, "rb") as file:
            return file.read(len(PANEL_MAGIC)) == PANEL_MAGIC
    except OSError:
        return False
