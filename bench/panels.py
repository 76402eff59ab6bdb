"""Filling loci of a reference panel: `imputevae impute --panel`, Beagle 5.4 (`ref=`) and Minimac4 on the same targets.

    pip install imputevae[bench]
    python bench/panels.py [--seeds 11,12] [--case DIR] [--out bench/results/panels.json]

Simulated: two populations that exchange migrants, 4 Mb, human rates with hotspots of recombination, every variant that
the panel holds twice or more. 150 panel samples and 50 targets of each, which have one common locus in ten; once more
with the panel's phase taken away, which the others cannot use. Minimac4 does not phase: it is given the targets' true
phase, and its panel in its own format. `--case`: a folder with panel.vcf.gz (phased), masked.vcf.gz and truth.vcf.gz
(phased) of the targets. Scored: all cells of loci that the targets' file lacks. One thread. Needs beagle, minimac4,
bgzip and tabix on the PATH. GLIMPSE2 fills low-depth reads: see `panel_reads.py`.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path

import command_line
import msprime
import numpy as np
import scoring
from make_cases import FIXED, variants

from imputevae_cli import __version__
from imputevae_cli.scoring import metrics

LENGTH, HOTSPOTS = 4_000_000, 40
N_PANEL, N_TARGETS = 300, 100
COMMON, EVERY = 0.05, 10
MAF_EDGES = (0.0, 0.02, 0.05, 0.5)
HEADER = '##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'


def recombination(rng: np.random.Generator) -> msprime.RateMap:
    """A background, and hotspots of 2 kb where two thirds of all crossing over happens."""
    starts = np.sort(rng.choice(LENGTH // 2000 - 2, HOTSPOTS, replace=False) + 1) * 2000.0
    edges = np.unique(np.r_[0.0, np.c_[starts, starts + 2000].ravel(), LENGTH])
    is_hot = np.isin(edges[:-1], starts)
    hot = 1e-8 * LENGTH * 2 / 3 / (HOTSPOTS * 2000)
    return msprime.RateMap(position=edges, rate=np.where(is_hot, hot, 1e-8 / 3))


def write_text(path: Path, lines: Iterable[str]) -> None:
    """Lines as a VCF.gz with an index."""
    with subprocess.Popen(["bgzip", "-c"], stdin=subprocess.PIPE, stdout=open(path, "wb"), text=True) as bgzip:
        assert bgzip.stdin is not None
        bgzip.stdin.writelines(lines)
    subprocess.run(["tabix", "-f", str(path)], check=True)


def write_vcf(path: Path, haplotypes: np.ndarray, pos: np.ndarray, prefix: str, phased: bool) -> None:
    """Haplotypes, int8 (loci, samples, 2), as a VCF.gz."""
    if not phased:
        haplotypes = np.sort(haplotypes, axis=2)
    texts = np.array([["0/0", "0/1"], ["1/0", "1/1"]], object)
    texts = np.array([[text.replace("/", "|") for text in row] for row in texts], object) if phased else texts
    names = [f"{prefix}{i}" for i in range(haplotypes.shape[1])]
    cells = ("\t".join(texts[row[:, 0], row[:, 1]]) for row in haplotypes)
    records = (f"1\t{at}\t.\tA\tG\t.\tPASS\t.\tGT\t{row}\n" for at, row in zip(pos.tolist(), cells, strict=True))
    write_text(path, chain([HEADER + "\t".join([*FIXED, *names]) + "\n"], records))


def simulate(folder: Path, seed: int) -> Path:
    """A case of its own folder, with panel.vcf.gz, unphased.vcf.gz, masked.vcf.gz and truth.vcf.gz."""
    rng = np.random.default_rng(seed)
    demography = msprime.Demography.from_species_tree("(A:2000,B:2000)", initial_size=10_000)
    demography.set_symmetric_migration_rate(["A", "B"], 1e-4)
    each = (N_PANEL + N_TARGETS) // 2
    how = {"demography": demography, "recombination_rate": recombination(rng), "random_seed": seed}
    trees = msprime.sim_ancestry({"A": each, "B": each}, **how)
    trees = msprime.sim_mutations(trees, rate=1.2e-8, model=msprime.BinaryMutationModel(), random_seed=seed)
    haplotypes, pos = variants(trees, 2)
    is_target = np.arange(2 * each) % each >= N_PANEL // 2
    panel, targets = haplotypes[:, ~is_target], haplotypes[:, is_target]
    count = panel.sum((1, 2))
    kept = (np.minimum(count, 2 * N_PANEL - count) > 1) & np.r_[True, np.diff(pos) > 0]
    panel, targets, pos = panel[kept], targets[kept], pos[kept]
    frequency = panel.mean((1, 2))
    typed = np.flatnonzero(np.minimum(frequency, 1 - frequency) > COMMON)[::EVERY]
    case = folder / f"seed{seed}"
    case.mkdir()
    write_vcf(case / "panel.vcf.gz", panel, pos, "p", phased=True)
    write_vcf(case / "unphased.vcf.gz", panel, pos, "p", phased=False)
    write_vcf(case / "masked.vcf.gz", targets[typed], pos[typed], "t", phased=False)
    write_vcf(case / "truth.vcf.gz", targets, pos, "t", phased=True)
    return case


def run_ours(case: Path, panel: str, out: Path) -> scoring.Cost:
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-q", "-o", str(out)]
    return scoring.measure([*command, "--panel", str(case / panel), "--seed", "1", "--threads", "1"])


def run_beagle(case: Path, panel: str, out: Path) -> scoring.Cost:
    prefix = str(out).removesuffix(".vcf.gz")
    given = [f"ref={case / panel}", f"gt={case / 'masked.vcf.gz'}", f"out={prefix}", "nthreads=1", "gp=true"]
    return scoring.measure(["beagle", *given])


def run_minimac(case: Path, panel: str, out: Path) -> scoring.Cost:
    """Minimac4, given the targets' true phase; making the panel's format, and the phased targets, is not counted."""
    packed, phased = out.with_suffix(".msav"), out.with_suffix(".phased.vcf.gz")
    with gzip.open(case / "masked.vcf.gz", "rt") as file:
        typed = {tuple(line.split("\t", 5)[:5]) for line in file if not line.startswith("#")}
    with gzip.open(case / "truth.vcf.gz", "rt") as file:
        write_text(phased, (line for line in file if line.startswith("#") or tuple(line.split("\t", 5)[:5]) in typed))
    with open(packed, "wb") as file:
        subprocess.run(["minimac4", "--compress-reference", str(case / panel)], stdout=file, check=True)
    return scoring.measure(["minimac4", str(packed), str(phased), "-f", "GT,GP", "-o", str(out), "-O", "vcf.gz"])


def score(case: Path, imputed: Path) -> dict:
    """Figures on the loci of the truth that the targets lack; r2 is of the dosages, by minor-allele frequency."""
    truth, samples, keys = scoring.read_calls(case / "truth.vcf.gz")
    _, _, typed_keys = scoring.read_calls(case / "masked.vcf.gz")
    calls, found_samples, found_keys = scoring.read_calls(imputed)
    gp = scoring.read_gp(imputed)
    if found_samples != samples or gp is None:
        raise ValueError(f"{imputed}: other samples than {case}, or no GP")
    row_of, typed = {key: row for row, key in enumerate(found_keys)}, set(typed_keys)
    rows = [i for i, key in enumerate(keys) if key not in typed and key in row_of]
    found = [row_of[keys[i]] for i in rows]
    truth, calls, gp = truth[rows], calls[found], gp[found]
    known = truth >= 0
    y, p = truth[known].astype(int), gp[known]
    frequency = np.where(known, truth, 0).sum(1) / np.maximum(2 * known.sum(1), 1)
    place = np.searchsorted(MAF_EDGES, np.minimum(frequency, 1 - frequency), side="left")
    dosage, r2 = gp @ np.arange(3), {}
    for number in range(1, len(MAF_EDGES)):
        here = known & (place == number)[:, None]
        r2[f"({MAF_EDGES[number - 1]:g}, {MAF_EDGES[number]:g}]"] = float(
            np.corrcoef(truth[here], dosage[here])[0, 1] ** 2
        )
    return {
        "loci": len(rows),
        "cells": len(y),
        "nrd": metrics.non_reference_discordance(y, calls[known].astype(int)),
        "r2_by_maf": r2,
        "log_loss": metrics.log_loss(y, p / p.sum(-1, keepdims=True)),
        "ece": metrics.expected_calibration_error(y, p),
    }


def rows_of(case: Path, folder: Path) -> list[dict]:
    """Every method on one case."""
    methods = [("imputevae", run_ours, "panel.vcf.gz"), ("beagle", run_beagle, "panel.vcf.gz")]
    methods.append(("minimac4, true phase", run_minimac, "panel.vcf.gz"))
    if (case / "unphased.vcf.gz").exists():
        methods.append(("imputevae, phase removed", run_ours, "unphased.vcf.gz"))
    out = folder / "out.vcf.gz"
    return [
        scoring.row_of(
            {"case": case.name, "method": method}, partial(run, case, panel, out), partial(score, case, out), out
        )
        for method, run, panel in methods
    ]


def run_cases(
    about: str, name: str, simulated: Callable[[Path, int], Path], rows: Callable[[Path, Path], list[dict]]
) -> None:
    """Run `rows` on the cases given and those simulated by seeds, and write JSON. about: what --help says."""
    parser = command_line.parser(about, name)
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--case", type=Path, action="append", default=[])
    args = parser.parse_args()
    done: list[dict] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for case in [*args.case, *(simulated(folder, int(seed)) for seed in args.seeds.split(",") if seed)]:
            done += rows(case, folder)
            command_line.write(args.out, {"version": __version__, "threads": 1, "rows": done})


if __name__ == "__main__":
    run_cases(__doc__, "panels", simulate, rows_of)
