"""Accuracy, time and memory of `imputevae impute`, with default settings, on every case of a folder.

usage: python bench/accuracy.py --cases DIR [--only NAME,...] [--decoders auto,global,donors,haplotype] [--threads 1]
       [--out bench/results/accuracy.json]

`--decoders`: run each case once with each `model.decoder` of the list, to see what `auto` gains over its parts and
whether it loses to any. Where `auto` is among them, the last table says by how much log loss it is worse than the best.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path

import scoring

from imputevae_cli import __version__

AUTO = "auto"
DECODERS = (AUTO, "vae", "knn", "copying")


def run(case: Path, decoder: str, threads: int, folder: Path) -> dict:
    """Impute one case with one decoder, in a process of its own."""
    out = folder / f"{case.name}.vcf.gz"
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    options = ["--seed", "1", "--threads", str(threads), "--set", f"model.decoder={decoder}", "--force"]
    cost = scoring.measure([*command, *scoring.popmap_of(case), *options])
    return {"decoder": decoder, **scoring.measured(case, out, cost)}


def as_table(rows: list[dict]) -> str:
    """Markdown, as the README shows it."""
    lines = [
        "| data | decoder | conc | NRD | r2 | ll | ECE | wall s | CPU s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = [f"{row[key]:.4f}" for key in ("concordance", "nrd", "skill_r2", "log_loss", "ece")]
        costs = [f"{row['wall_s']:.0f}", f"{row['cpu_s']:.0f}", f"{row['peak_mb']:.0f}"]
        lines.append("| " + " | ".join([row["case"], row["decoder"], *figures, *costs]) + " |")
    return "\n".join(lines)


def beside_parts(rows: list[dict]) -> str:
    """Markdown: the log loss of each decoder, case by case, and that of `auto` less the least of the others."""
    losses: dict[str, dict[str, float]] = {}
    for row in rows:
        losses.setdefault(row["case"], {})[row["decoder"]] = row["log_loss"]
    decoders = list(dict.fromkeys(row["decoder"] for row in rows))
    lines = [
        f"| log loss | {' | '.join(decoders)} | {AUTO} less the best part |",
        "|---|" + "---|" * (len(decoders) + 1),
    ]
    for case, found in losses.items():
        more = found[AUTO] - min(loss for decoder, loss in found.items() if decoder != AUTO)
        figures = [*(f"{found[decoder]:.4f}" for decoder in decoders), f"{more:+.4f}"]
        lines.append("| " + " | ".join([case, *figures]) + " |")
    return "\n".join(lines)


def decoders_of(text: str) -> list[str]:
    """The decoders of a comma-separated list. Raises ArgumentTypeError for one that is not known."""
    decoders = text.split(",")
    if unknown := set(decoders) - set(DECODERS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not among {', '.join(DECODERS)}")
    return decoders


def main() -> None:
    """Run the cases, write JSON, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--only")
    parser.add_argument("--decoders", type=decoders_of, default=[AUTO])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "accuracy.json")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case, decoder in product(scoring.cases_in(args.cases, args.only), args.decoders):
            rows.append(run(case, decoder, args.threads, Path(folder)))
            print(rows[-1], file=sys.stderr, flush=True)
            head = {"version": __version__, "threads": args.threads}
            args.out.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")
    print(as_table(rows))
    if AUTO in args.decoders and len(args.decoders) > 1:
        print("\n" + beside_parts(rows))


if __name__ == "__main__":
    main()
