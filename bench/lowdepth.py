"""`imputevae impute --refine` on low-depth data, scored on every cell that the truth knows, the visible ones too.

usage: python bench/lowdepth.py [CASE ...] [--cases DIR] [--only NAME,...] [--seeds 1] [--threads 1]
                                [--beagle41 JAR] [--vcfs NAME=DIR ...] [--out bench/results/lowdepth.json]

A case is a folder with truth.vcf.gz and masked.vcf.gz, the latter with PL, GL or AD, whose visible calls may be wrong;
perhaps also with pops.popmap. Without CASE, all folders of --cases named lowdepth* are taken.

Beside imputevae are scored, on the same cells:

- frequencies x likelihoods: allele frequencies by EM, Hardy-Weinberg proportions, times each cell's likelihoods: the
  least that a tool must beat.
- Beagle 4.1, the last Beagle that reads likelihoods without a reference panel, with `--beagle41 JAR` (the jar
  27Jan18.7e5 of https://faculty.washington.edu/browning/beagle/b4_1.html; needs `java` and a file with PL or GL).
- any other tool, with `--vcfs NAME=DIR`: what it made of CASE lies in DIR/CASE.vcf.gz. STITCH (R package, K=20) reads
  BAM files, so reads must be written from AD first; LB-Impute (https://github.com/dellaporta-laboratory/LB-Impute) is
  told the two parents of an F2. Neither is run from here.

Metrics are those of `imputevae_cli.scoring.metrics`. A cell without a call counts as wrong, and as the mean of its
locus in r2, which is the squared correlation of dosage and truth over all cells. Log loss and ECE are of GP, over the
cells that have them, none below a thousandth, and left out where more than one in a hundred lacks them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import command_line
import numpy as np
import scoring
from cyvcf2 import VCF
from ld import reason_of

from imputevae_cli import __version__, read_vcf
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_frequencies import Tally, allele_frequencies, inbred_proportions, posterior
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.scoring import metrics

MOST_WITHOUT_GP = 0.01


@dataclass
class Guess:
    """What a tool says of the truth's records and samples.

    calls: int8 (records, samples), -1 missing. gp: float (records, samples, C), NaN where there is none, or None.
    """

    calls: np.ndarray
    gp: np.ndarray | None


def guess_of(case: Path, imputed: Path) -> Guess:
    """An imputed VCF in the order of the case's truth; records and samples that it lacks are missing."""
    _, samples, keys = scoring.read_calls(case / "truth.vcf.gz")
    calls, found, found_keys = scoring.read_calls(imputed)
    gp = gp_in(imputed)
    row_of = {key: row for row, key in enumerate(found_keys)}
    column_of = {sample: column for column, sample in enumerate(found)}
    rows = np.array([row_of.get(key, -1) for key in keys])
    columns = np.array([column_of.get(sample, -1) for sample in samples])
    there = (rows >= 0)[:, None] & (columns >= 0)
    aligned = np.where(there, calls[np.ix_(rows, columns)], MISSING).astype(np.int8)
    return Guess(aligned, None if gp is None else np.where(there[..., None], gp[np.ix_(rows, columns)], np.nan))


def gp_in(path: Path) -> np.ndarray | None:
    """FORMAT/GP, float (records, samples, C), NaN in records without; None where no record has it."""
    gp = [record.format("GP") for record in VCF(str(path))]
    some = next((one for one in gp if one is not None), None)
    return None if some is None else np.stack([np.full_like(some, np.nan) if one is None else one for one in gp])


def score(case: Path, guess: Guess) -> dict[str, float | int | None]:
    """Figures over every cell that the truth knows."""
    truth, _, _ = scoring.read_calls(case / "truth.vcf.gz")
    cells = truth != MISSING
    y, call = truth[cells].astype(int), guess.calls[cells].astype(int)
    p = None if guess.gp is None else guess.gp[cells]
    bare = np.ones(len(y), bool) if p is None else np.isnan(p).any(1)
    has_gp = bare.mean() <= MOST_WITHOUT_GP
    is_het = y == 1
    return {
        "cells": len(y),
        "left_missing": int((call < 0).sum()),
        "concordance": metrics.concordance(y, call),
        "heterozygotes_right": float((call == y)[is_het].mean()) if is_het.any() else None,
        "nrd": metrics.non_reference_discordance(y, call),
        "r2": metrics.dosage_r2(y, dosages(guess)[cells]),
        "log_loss": metrics.log_loss(y[~bare], p[~bare]) if has_gp else None,
        "ece": metrics.expected_calibration_error(y[~bare], metrics.bounded(p[~bare])) if has_gp else None,
    }


def dosages(guess: Guess) -> np.ndarray:
    """float (records, samples): of GP where there are any, else of the calls, else the mean of the locus."""
    known = guess.calls != MISSING
    dosage = np.where(known, guess.calls, np.nan).astype(float)
    if guess.gp is not None:
        of_gp = metrics.dosage(guess.gp)
        dosage = np.where(np.isnan(of_gp), dosage, of_gp)
    found = ~np.isnan(dosage)
    mean = np.where(found, dosage, 0).sum(1) / np.maximum(found.sum(1), 1)
    return np.where(found, dosage, mean[:, None])


def frequencies_and_likelihoods(case: Path) -> Guess:
    """Hardy-Weinberg proportions at allele frequencies found by EM, times each cell's likelihoods."""
    genotypes = read_vcf(case / "masked.vcf.gz")
    ploidy = genotypes.ploidy
    evidence = genotypes.evidence or Evidence.certain(genotypes.calls, ploidy)
    alt, _ = allele_frequencies(Tally.of(evidence, np.arange(genotypes.n_loci)), ploidy, inbreeding=0.0)
    gp = posterior(inbred_proportions(alt, ploidy), evidence.block(slice(None), 0, genotypes.n_loci))
    return Guess(gp.argmax(2).astype(np.int8).T, gp.transpose(1, 0, 2))


def run_ours(case: Path, out: Path, seed: int, threads: int) -> scoring.Cost:
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    options = [*scoring.popmap_of(case), "--refine", "--seed", str(seed), "--threads", str(threads)]
    return scoring.measure([*command, *options])


def run_beagle41(case: Path, out: Path, jar: Path, threads: int) -> scoring.Cost:
    prefix = str(out).removesuffix(".vcf.gz")
    java = ["java", "-Xmx4g", "-jar", str(jar), f"gl={case / 'masked.vcf.gz'}", f"out={prefix}"]
    return scoring.measure([*java, f"nthreads={threads}", "gprobs=true"])


def rows_of(case: Path, args: argparse.Namespace, folder: Path) -> Iterable[dict]:
    """A row for each method on one case; a failure is a row with the reason."""
    out = folder / f"{case.name}.vcf.gz"
    runs = [
        ("imputevae", {"seed": seed}, lambda seed=seed: run_ours(case, out, seed, args.threads)) for seed in args.seeds
    ]
    if args.beagle41:
        runs.append(("Beagle 4.1", {}, lambda: run_beagle41(case, out, args.beagle41, args.threads)))
    for method, more, run in runs:
        row = {"method": method, "case": case.name, **more}
        try:
            cost = run()
            yield {**row, **score(case, guess_of(case, out)), **asdict(cost)}
        except subprocess.CalledProcessError as error:
            yield {**row, "failed": reason_of(error)}
        out.unlink(missing_ok=True)
    yield {
        "method": "frequencies x likelihoods",
        "case": case.name,
        **score(case, frequencies_and_likelihoods(case)),
    }
    for name, vcfs in args.vcfs:
        if (vcfs / out.name).exists():
            yield {"method": name, "case": case.name, **score(case, guess_of(case, vcfs / out.name))}


def named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("give NAME=DIR")
    return name, Path(folder)


def main() -> None:
    """Run the cases, write JSON, print a line for each method."""
    parser = command_line.parser(__doc__, "lowdepth")
    parser.add_argument("case", nargs="*", type=Path)
    parser.add_argument("--cases", type=Path, metavar="DIR")
    parser.add_argument("--only")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--beagle41", type=Path, metavar="JAR")
    parser.add_argument("--vcfs", type=named_folder, metavar="NAME=DIR", action="append", default=[])
    args = parser.parse_args()
    if not (args.case or args.cases):
        parser.error("give folders of cases, or --cases DIR")
    found = scoring.cases_in(args.cases, args.only) if args.cases else []
    cases = args.case or [case for case in found if case.name.startswith("lowdepth")]
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            for row in rows_of(case, args, Path(folder)):
                print(row, flush=True)
                rows.append(row)
                head = {"version": __version__, "threads": args.threads, "note": None}
                command_line.write(args.out, {**head, "rows": rows})


if __name__ == "__main__":
    main()
