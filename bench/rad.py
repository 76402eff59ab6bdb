"""`imputevae impute` beside the methods used on data without linkage, on the same cells of each case of a folder.

usage: python bench/rad.py --cases DIR [--only NAME,...] [--threads 1] [--pgsui PYTHON] [--out bench/results/rad.json]

`--pgsui`: the python of a virtual environment with PG-SUI (`pip install pg-sui==1.8.7`), to run its ImputeVAE too.
The methods of peers.py run in this process, on the same number of threads; methods that give dosages alone are
scored on the rounded ones, without a log loss, and with the dosages for r2.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import command_line
import numpy as np
import peers
import scoring
from ld import reason_of, row_of, run_ours
from threadpoolctl import threadpool_limits

from imputevae_cli import __version__, read_vcf
from imputevae_cli.data.genotypes import MISSING

PGSUI_LIMIT_S = 3600


def run_peers(case: Path, seed: int) -> list[dict]:
    """Every method of peers.py on one case."""
    popmap = case / "pops.popmap"
    genotypes = read_vcf(case / "masked.vcf.gz", popmap if popmap.exists() else None)
    truth, _, _ = scoring.read_calls(case / "truth.vcf.gz")
    masked, _, _ = scoring.read_calls(case / "masked.vcf.gz")
    if not np.array_equal(genotypes.calls.T, masked):
        raise ValueError(f"{case}: has records that are not modelled; keep biallelic ones")
    rows = []
    for name, fill in peers.PEERS.items():
        start = time.process_time(), time.monotonic()
        filled = fill(genotypes, np.random.default_rng(seed))
        cost = {"wall_s": round(time.monotonic() - start[1], 2), "cpu_s": round(time.process_time() - start[0], 2)}
        gp = None if filled.gp is None else filled.gp.transpose(1, 0, 2)
        dosage = None if filled.dosage is None else filled.dosage.T
        figures = scoring.score_arrays(truth, masked, filled.calls.T, gp, dosage)
        rows.append({"method": name, "case": case.name, **figures, **cost, "chosen": filled.chosen})
    return rows


def run_pgsui(case: Path, python: Path, threads: int, folder: Path) -> dict:
    """PG-SUI's ImputeVAE with default settings, in its own virtual environment; it gives calls alone."""
    here = folder / case.name
    here.mkdir()  # it writes copies beside its input
    for name in ("masked.vcf.gz", "pops.popmap"):
        if (case / name).exists():
            shutil.copyfile(case / name, here / name)
    program = [str(python.absolute().parent / "pg-sui"), "--input", "masked.vcf.gz", *scoring.popmap_of(here)]
    options = ["--models", "ImputeVAE", "--prefix", "peer", "--seed", "1", "--n-jobs", str(threads)]
    row = {"method": "PG-SUI ImputeVAE", "case": case.name}
    quiet = ["--disable-plotting", "--disable-multiqc"]
    try:
        limited = ["env", "-C", str(here), "timeout", str(PGSUI_LIMIT_S), *program, *options, *quiet]
        cost = scoring.measure(limited, OMP_NUM_THREADS=str(threads), MPLBACKEND="Agg")
        found = sorted(here.glob("peer_output/**/*.vcf.gz"))
        return {**row, **scoring.score_arrays(*align(case, found[0])), **asdict(cost)}
    except subprocess.CalledProcessError as error:
        return {**row, "failed": reason_of(error)}
    except (IndexError, OSError, ValueError) as error:
        return {**row, "failed": f"no VCF that can be scored: {error}"}


def align(case: Path, imputed: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, masked and imputed calls (records, samples), the imputed ones put in the case's order by place.

    A record that was dropped stays missing, and so counts as wrong. Where the case is haploid, a diploid call with an
    ALT allele counts as ALT.
    """
    truth, samples, keys = scoring.read_calls(case / "truth.vcf.gz")
    masked, _, _ = scoring.read_calls(case / "masked.vcf.gz")
    calls, found_samples, found_keys = scoring.read_calls(imputed)
    if set(found_samples) != set(samples):
        raise ValueError(f"{imputed}: other samples")
    row_of_key = {key: row for row, key in enumerate(found_keys)}
    columns = [found_samples.index(sample) for sample in samples]
    aligned = np.full_like(truth, MISSING)
    for row, key in enumerate(keys):
        if key in row_of_key:
            aligned[row] = calls[row_of_key[key]][columns]
    return truth, masked, np.minimum(aligned, truth.max())


def as_table(rows: list[dict]) -> str:
    """Markdown, as the README shows it."""
    lines = ["| data | method | conc | NRD | macro F1 | r2 | ll | ECE | CPU s |", "|---|---|" + "---|" * 7]
    for row in rows:
        names = f"| {row['case']} | {row['method']} | "
        if "failed" in row:
            lines.append(f"{names}failed: {row['failed']} |" + " |" * 6)
            continue
        figures = [row[key] for key in ("concordance", "nrd", "f1", "skill_r2", "log_loss", "ece")]
        shown = ["-" if figure is None else f"{figure:.4f}" for figure in figures]
        lines.append(names + " | ".join([*shown, f"{row['cpu_s']:.1f}"]) + " |")
    return "\n".join(lines)


def run(case: Path, args: argparse.Namespace, folder: Path) -> list[dict]:
    """All methods on one case."""
    rows = [row_of("imputevae", run_ours, case, args.threads, folder)]
    with threadpool_limits(args.threads):
        rows += run_peers(case, seed=1)
    if args.pgsui:
        rows.append(run_pgsui(case, args.pgsui, args.threads, folder))
    return rows


def main() -> None:
    """Run the cases, write JSON, print the table."""
    parser = command_line.parser(__doc__, "rad", cases=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pgsui", type=Path, metavar="PYTHON")
    args = parser.parse_args()
    note = None if args.pgsui else "PG-SUI's ImputeVAE was not run: no --pgsui PYTHON was given"
    head = {"version": __version__, "threads": args.threads, "note": note}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in scoring.cases_in(args.cases, args.only):
            found = run(case, args, Path(folder))
            print(*found, sep="\n", file=sys.stderr, flush=True)
            rows += found
            command_line.write(args.out, {**head, "rows": rows})
    print(as_table(rows) + (f"\n\n{note}." if note else ""))


if __name__ == "__main__":
    main()
