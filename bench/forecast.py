"""The accuracy that `auto` promised beside the accuracy that was found, over the runs of bench/auto.py.

usage: python bench/forecast.py [--runs bench/results/auto.json]

Promised: of the filled calls, as `impute` says it. Found: on the hidden calls of the case. Mean concordance should
differ by .005 at most; 95 % of the found concordances should lie in the promised intervals, less those that scored
cells of their own sampling error take out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from auto import AUTO

BIAS = 0.005


def as_table(rows: list[dict]) -> str:
    """Markdown: promised and found by run, and their mean difference."""
    lines = [
        "| case | copy | seed | concordance promised | found | NRD promised | found | log loss promised | found |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        promised = row["promised"]["model"]
        low, high = row["promised"]["low"]["concordance"], row["promised"]["high"]["concordance"]
        figures = [f"{promised['concordance']:.4f} ({low:.4f} to {high:.4f})", f"{row['concordance']:.4f}"]
        figures += [f"{value:.4f}" for name in ("nrd", "log_loss") for value in (promised[name], row[name])]
        lines.append("| " + " | ".join([row["case"], row["copy"], str(row["seed"]), *figures]) + " |")
    return "\n".join(lines)


def summary(rows: list[dict]) -> dict[str, float]:
    """Mean and mean absolute difference, promised less found, and the share of runs found within the interval."""
    differences = np.array([row["promised"]["model"]["concordance"] - row["concordance"] for row in rows])
    ends = [[row["promised"][end]["concordance"] for end in ("low", "high")] for row in rows]
    inside = [low <= row["concordance"] <= high for row, (low, high) in zip(rows, ends, strict=True)]
    return {
        "runs": len(rows),
        "bias": float(differences.mean()),
        "mean_absolute": float(np.abs(differences).mean()),
        "within_interval": float(np.mean(inside)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "results" / "auto.json")
    args = parser.parse_args()
    rows = [row for row in json.loads(args.runs.read_text())["rows"] if row["decoder"] == AUTO]
    print(as_table(rows))
    found = summary(rows)
    print(f"\nbias of concordance {found['bias']:+.4f} (allowed: {BIAS}), mean absolute {found['mean_absolute']:.4f}, ")
    print(f"within the interval {found['within_interval']:.0%} of {found['runs']} runs")


if __name__ == "__main__":
    main()
