"""Accuracy, time and memory of `imputevae impute` with default settings, on every case of a folder.

usage: python bench/accuracy.py --cases DIR [--only NAME,...] [--threads 1] [--out bench/results/accuracy.json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import scoring

from imputevae_cli import __version__


def run(case: Path, threads: int, folder: Path) -> dict:
    """Impute one case in a process of its own."""
    out = folder / f"{case.name}.vcf.gz"
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    cost = scoring.measure([*command, *scoring.popmap_of(case), "--seed", "1", "--threads", str(threads)])
    return scoring.measured(case, out, cost)


def as_table(rows: list[dict]) -> str:
    """Markdown, as the README shows it."""
    lines = [
        "| data | conc | NRD | r2 | ll | ECE | wall s | CPU s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = [f"{row[key]:.4f}" for key in ("concordance", "nrd", "skill_r2", "log_loss", "ece")]
        costs = [f"{row['wall_s']:.0f}", f"{row['cpu_s']:.0f}", f"{row['peak_mb']:.0f}"]
        lines.append("| " + " | ".join([row["case"], *figures, *costs]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the cases, write JSON, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "accuracy.json")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in scoring.cases_in(args.cases, args.only):
            rows.append(run(case, args.threads, Path(folder)))
            print(rows[-1], file=sys.stderr, flush=True)
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps({"version": __version__, "threads": args.threads, "rows": rows}, indent=1) + "\n")
    print(as_table(rows))


if __name__ == "__main__":
    main()
