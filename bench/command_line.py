"""Shared by the benchmarks' command lines: the options that most of them have, and results as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def parser(about: str, name: str, *, cases: bool = False) -> argparse.ArgumentParser:
    """Options of the benchmark `name`: `--out`, and with `cases` the folder of the cases and a choice of them."""
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    if cases:
        options.add_argument("--cases", type=Path, required=True)
        options.add_argument("--only")
    options.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    return options


def write(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Write results; a benchmark does so after each row, so that what is done is kept where it ends early."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
