"""Shared by the benchmarks: run a command and measure it, score an imputed VCF against a truth.

A case is a folder with truth.vcf.gz, masked.vcf.gz (the truth with some calls hidden) and perhaps pops.popmap; the
scored cells are those known in the truth and missing in the masked file.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from cyvcf2 import VCF

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.scoring import metrics
from imputevae_cli.scoring.strata import MAF_EDGES, minor_allele_frequencies


@dataclass(frozen=True)
class Cost:
    """Of one command: wall and CPU seconds, and peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: list[str], **environment: str) -> Cost:
    """Run a command to its end and measure it. Raises CalledProcessError where it fails."""
    with tempfile.NamedTemporaryFile("r") as report:
        start = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["/usr/bin/time", "-f", "%M", "-o", report.name, *command],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr[-2000:])
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(round(wall, 2), round(cpu, 2), round(int(report.read().split()[-1]) / 1000, 1))


def row_of(head: dict, run: Callable[[], Cost], score: Callable[[], dict], out: Path) -> dict:
    """A row of results: `head`, what a method costs and how well it does, or the last line that it said where it
    failed. `out`, which it wrote, is removed; the row is shown on standard error."""
    try:
        cost = run()
        row = {**head, **score(), **asdict(cost)}
    except subprocess.CalledProcessError as error:
        row = {**head, "failed": error.stderr.strip().splitlines()[-1]}
    finally:
        out.unlink(missing_ok=True)
    print(row, file=sys.stderr, flush=True)
    return row


def cases_in(folder: Path, only: str | None = None) -> list[Path]:
    """The cases of a folder, by name; `only`: a comma-separated choice of them."""
    names = set(only.split(",")) if only else None
    return sorted(path.parent for path in folder.glob("*/masked.vcf.gz") if names is None or path.parent.name in names)


def popmap_of(case: Path) -> list[str]:
    """`--popmap FILE`, where the case has one."""
    popmap = case / "pops.popmap"
    return ["--popmap", str(popmap)] if popmap.exists() else []


def read_calls(path: Path) -> tuple[np.ndarray, list[str], list[tuple]]:
    """ALT-allele counts, int8 (records, samples), -1 missing; the samples; (chrom, pos, ref, alt) of the records."""
    vcf = VCF(str(path))
    calls, keys = [], []
    for record in vcf:
        alleles = record.genotype.array()[:, :-1]
        calls.append(np.where((alleles == -1).any(1), MISSING, (alleles > 0).sum(1)).astype(np.int8))
        keys.append((record.CHROM, record.POS, record.REF, *record.ALT))
    return np.stack(calls), list(vcf.samples), keys


def read_gp(path: Path) -> np.ndarray | None:
    """FORMAT/GP, float32 (records, samples, classes), or None where the file has none."""
    gp = [record.format("GP") for record in VCF(str(path))]
    return None if any(g is None for g in gp) else np.stack(gp)


def score(case: Path, imputed: Path) -> dict[str, float | int | None]:
    """Figures of `metrics.Accuracy` on the scored cells; a cell left missing counts as wrong."""
    truth, samples, keys = read_calls(case / "truth.vcf.gz")
    masked, _, _ = read_calls(case / "masked.vcf.gz")
    calls, found_samples, found_keys = read_calls(imputed)
    if found_samples != samples or found_keys != keys:
        raise ValueError(f"{imputed}: not the records or samples of {case}")
    return score_arrays(truth, masked, calls, read_gp(imputed))


def nrd_by_maf(truth: np.ndarray, cells: np.ndarray, calls: np.ndarray) -> dict[str, float | None]:
    """NRD of the loci in each bin (lo, hi] of the true minor-allele frequency; None for a bin without scored cells.

    truth, calls: int8 (records, samples), -1 missing. cells: bool, the scored ones.
    """
    ploidy = max(int(truth.max()), 1)
    place = np.searchsorted(MAF_EDGES, minor_allele_frequencies(truth.T, ploidy), side="left")
    found = {}
    for number, (low, high) in enumerate(pairwise(MAF_EDGES), 1):
        here = cells & (place == number)[:, None]
        nrd = metrics.non_reference_discordance(truth[here], calls[here]) if here.any() else None
        found[f"({low:g}, {high:g}]"] = nrd
    return found


def score_arrays(
    truth: np.ndarray,
    masked: np.ndarray,
    calls: np.ndarray,
    gp: np.ndarray | None = None,
    dosage: np.ndarray | None = None,
) -> dict[str, float | int | None]:
    """As `score`, from arrays; calls are int8 (records, samples), -1 missing.

    gp: float (records, samples, classes), or None: then log loss and ECE are None. dosage: float (records, samples),
    of a method that has no gp; without either, the calls stand for the dosage.
    """
    cells = (truth != MISSING) & (masked == MISSING)
    known = masked != MISSING
    means = np.where(known, masked, 0).sum(1) / np.maximum(known.sum(1), 1)
    y, call = truth[cells].astype(int), calls[cells].astype(int)
    mean = np.broadcast_to(means[:, None], truth.shape)[cells]
    p = None if gp is None else gp[cells]
    point = call if dosage is None else dosage[cells]
    expected = point if p is None else metrics.dosage(p)
    return {
        "cells": len(y),
        "left_missing": int((call < 0).sum()),
        "concordance": metrics.concordance(y, call),
        "f1": metrics.f1(y, call),
        "nrd": metrics.non_reference_discordance(y, call),
        "skill_r2": metrics.skill_r2(y, np.where(call < 0, mean, expected), mean),
        "log_loss": None if p is None else metrics.log_loss(y, p),
        "ece": None if p is None else metrics.expected_calibration_error(y, p),
        "nrd_by_maf": nrd_by_maf(truth, cells, calls),
        "known_kept": bool((calls[known] == masked[known]).all()),
    }


def measured(case: Path, imputed: Path, cost: Cost) -> dict:
    """One row of a result: the figures of `score` and of `Cost`."""
    return {"case": case.name, **score(case, imputed), **asdict(cost)}
