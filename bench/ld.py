"""Accuracy, time and memory of `imputevae impute` and of Beagle 5.4, one after the other on each case of a folder.

usage: python bench/ld.py --cases DIR [--only NAME,...] [--threads 2] [--runs 3] [--founders]
       [--out bench/results/ld.json]

Needs `beagle` on the PATH (Debian's package, or a script that runs the jar). Both run with default settings, and
`imputevae haplotype` is ours with the haplotype decoder alone (model.decoder=copying), `imputevae founders`, on demand,
with the founders alone, which `auto` leaves out where calls are certain. Beagle is asked for GP, but writes none
without a reference panel: then it has no log loss or ECE, and its r2 is that of calls. The methods take turns, `--runs`
times; seconds and memory are medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import command_line
import scoring
from scoring import Cost

from imputevae_cli import __version__

OURS, ALONE, FOUNDERS, BEAGLE = "imputevae", "imputevae haplotype", "imputevae founders", "beagle"


def run_ours(case: Path, threads: int, out: Path, *options: str) -> Cost:
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    return scoring.measure([*command, *scoring.popmap_of(case), "--seed", "1", "--threads", str(threads), *options])


def run_haplotypes(case: Path, threads: int, out: Path) -> Cost:
    return run_ours(case, threads, out, "--set", "model.decoder=copying")


def run_founders(case: Path, threads: int, out: Path) -> Cost:
    return run_ours(case, threads, out, "--set", "model.decoder=founders")


def run_beagle(case: Path, threads: int, out: Path) -> Cost:
    prefix = str(out).removesuffix(".vcf.gz")
    return scoring.measure(
        ["beagle", f"gt={case / 'masked.vcf.gz'}", f"out={prefix}", f"nthreads={threads}", "gp=true"]
    )


METHODS: dict[str, Callable] = {OURS: run_ours, ALONE: run_haplotypes, BEAGLE: run_beagle}


def beagle_version() -> str | None:
    """The first line that it prints, such as `beagle.22Jul22.46e.jar (version 5.4)`; None where it is not installed."""
    try:
        said = subprocess.run(["beagle"], capture_output=True, text=True)
    except OSError:
        return None
    return (said.stdout + said.stderr).strip().split("\n")[0]


def reason_of(error: subprocess.CalledProcessError) -> str:
    """The last line that a program said; a Java program's trace, which is indented, comes after it."""
    lines = [
        line for line in (error.stderr or error.output or "").splitlines() if line.strip() and line[0] not in "\t "
    ]
    return lines[-1] if lines else str(error)


def row_of(method: str, run: Callable, case: Path, threads: int, folder: Path) -> dict:
    """One method on one case; a failure is a row with the reason, since Beagle refuses some data."""
    out = folder / f"{case.name}.{method}.vcf.gz"
    try:
        return {"method": method, **scoring.measured(case, out, run(case, threads, out))}
    except subprocess.CalledProcessError as error:
        return {"method": method, "case": case.name, "failed": reason_of(error)}
    except (OSError, ValueError) as error:  # it said that it went well, but left no file, or other records
        return {"method": method, "case": case.name, "failed": str(error)}
    finally:
        out.unlink(missing_ok=True)


def rows_of(methods: dict[str, Callable], case: Path, threads: int, runs: int, folder: Path) -> list[dict]:
    """A row a method, which took turns `runs` times: what a run costs is the median, and its accuracy the same."""
    turns = [[row_of(method, run, case, threads, folder) for method, run in methods.items()] for _ in range(runs)]
    return [median_row(rows) for rows in zip(*turns, strict=True)]


def median_row(rows: tuple[dict, ...]) -> dict:
    """The runs of one method on one case as one row; one that failed stands for all."""
    failed = [row for row in rows if "failed" in row]
    medians = {} if failed else {key: statistics.median(row[key] for row in rows) for key in Cost.__annotations__}
    return (failed or rows)[0] | medians


def totals(rows: list[dict], methods: list[str]) -> dict:
    """Wall seconds of each method, summed over the cases that all finished, and over Beagle's."""
    walls: dict[str, dict[str, float]] = {method: {} for method in methods}
    for row in rows:
        if "failed" not in row:
            walls[row["method"]][row["case"]] = row["wall_s"]
    cases = sorted(set.intersection(*map(set, walls.values())))
    sums = {method: round(sum(walls[method][case] for case in cases), 2) for method in methods}
    ratios = {method: round(sums[method] / sums[BEAGLE], 3) for method in methods} if cases else {}
    return {"cases": cases, "sums": sums, "ratios": ratios}


def as_table(rows: list[dict], total: dict) -> str:
    """Markdown, as the README shows it."""
    lines = ["| data | method | conc | NRD | r2 | ll | ECE | wall s | CPU s | peak MB |", "|---|---|" + "---|" * 8]
    for row in rows:
        names = [row["case"], row["method"]]
        if "failed" in row:
            lines.append(f"| {' | '.join(names)} | failed: {row['failed']} |" + " |" * 7)
            continue
        figures = [row[key] for key in ("concordance", "nrd", "skill_r2", "log_loss", "ece")]
        shown = ["-" if figure is None else f"{figure:.4f}" for figure in figures]
        costs = [f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}", f"{row['peak_mb']:.0f}"]
        lines.append("| " + " | ".join([*names, *shown, *costs]) + " |")
    sums = ", ".join(f"{m} {seconds:.1f} ({total['ratios'].get(m, 0):.2f})" for m, seconds in total["sums"].items())
    lines.append(
        f"\nWall seconds summed over {len(total['cases'])} cases that all finished, and over Beagle's: {sums}."
    )
    return "\n".join(lines)


def rare_table(rows: list[dict]) -> str:
    """NRD by minor-allele frequency, markdown."""
    done = [row for row in rows if "failed" not in row]
    if not done:
        return ""
    bins = list(done[0]["nrd_by_maf"])
    lines = [f"| NRD, by MAF | method | {' | '.join(bins)} |", "|---|---|" + "---|" * len(bins)]
    for row in done:
        shown = ["-" if row["nrd_by_maf"][name] is None else f"{row['nrd_by_maf'][name]:.4f}" for name in bins]
        lines.append("| " + " | ".join([row["case"], row["method"], *shown]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the cases, write JSON, print the tables."""
    parser = command_line.parser(__doc__, "ld", cases=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--founders", action="store_true")
    args = parser.parse_args()
    head = {"version": __version__, "beagle": beagle_version(), "threads": args.threads, "runs": args.runs}
    methods = METHODS | ({FOUNDERS: run_founders} if args.founders else {})
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in scoring.cases_in(args.cases, args.only):
            rows += rows_of(methods, case, args.threads, args.runs, Path(folder))
            print(*rows[-len(methods) :], sep="\n", file=sys.stderr, flush=True)
            total = totals(rows, list(methods))
            command_line.write(args.out, {**head, "rows": rows, "wall_s": total})
    print(as_table(rows, totals(rows, list(methods))), rare_table(rows), sep="\n\n")


if __name__ == "__main__":
    main()
