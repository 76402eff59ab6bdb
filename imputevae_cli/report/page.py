"""What every page is made with: one template, one style sheet, the same parts, and a file that appears whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.report.labels import number, percent


@dataclass(frozen=True)
class Table:
    """A table as a page shows it, in a frame that scrolls. rows: of texts. marked: numbers of rows that stand out.
    n_names: the first so many columns, 1 or 2, are names and no numbers."""

    label: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    marked: Collection[int] = ()
    n_names: int = 1


@dataclass(frozen=True)
class Card:
    """A figure that is read first. beside: what to compare it with."""

    value: str
    words: str
    beside: str = ""


def render(template: str, **context: Any) -> str:
    """A page's text. context: has at least `title`, and `software` with name, version and command.

    A name that the template uses and the context lacks is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("imputevae_cli.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template(template).render(**{"settings": (), **context})


def write_page(path: str | Path, page: str) -> None:
    """Write a page, whole or not at all. Raises OutputError where it cannot be written."""
    with atomic_output(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def flat_settings(settings: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Settings in sections as dotted keys and texts."""
    flat: list[tuple[str, str]] = []

    def walk(prefix: str, thing: object) -> None:
        if isinstance(thing, Mapping):
            for key, inner in thing.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat.append((prefix, str(thing)))

    walk("", settings or {})
    return flat
