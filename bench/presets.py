"""What `--preset fast` saves and what it costs in accuracy, beside the defaults, on each case of a folder.

usage: python bench/presets.py --cases DIR [--only NAME,...] [--threads 1] [--runs 3] [--out bench/results/presets.json]

The two take turns, `--runs` times; seconds and memory are medians.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import command_line
import scoring
from ld import rows_of, run_ours

from imputevae_cli import __version__


def run_preset(name: str, case: Path, threads: int, out: Path) -> scoring.Cost:
    return run_ours(case, threads, out, "--preset", name)


METHODS: dict[str, Callable] = {name: partial(run_preset, name) for name in ("balanced", "fast")}


def as_table(rows: list[dict]) -> str:
    """Markdown: a line for each case, the defaults' figures and those of the preset."""
    lines = ["| data | CPU s | fast | share | NRD | fast | log loss | fast |", "|---" * 8 + "|"]
    for case in dict.fromkeys(row["case"] for row in rows):
        found = [next(row for row in rows if (row["case"], row["method"]) == (case, name)) for name in METHODS]
        if any("failed" in row for row in found):
            lines.append(f"| {case} | failed |" + " |" * 6)
            continue
        seconds = [row["cpu_s"] for row in found]
        cells = [*(f"{s:.1f}" for s in seconds), f"{seconds[1] / seconds[0]:.2f}"]
        cells += [f"{row[key]:.4f}" for key in ("nrd", "log_loss") for row in found]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the cases, write JSON, print the table."""
    parser = command_line.parser(__doc__, "presets", cases=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in scoring.cases_in(args.cases, args.only):
            rows += rows_of(METHODS, case, args.threads, args.runs, Path(folder))
            print(*rows[-len(METHODS) :], sep="\n", file=sys.stderr, flush=True)
            head = {"version": __version__, "threads": args.threads, "runs": args.runs}
            command_line.write(args.out, {**head, "rows": rows})
    print(as_table(rows))


if __name__ == "__main__":
    main()
