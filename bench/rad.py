"""`imputevae impute` beside the methods used on data without linkage, on the same cells of each case of a folder.

usage: python bench/rad.py --cases DIR [--only NAME,...] [--threads 1] [--pgsui PYTHON] [--out bench/results/rad.json]

`--pgsui`: the python of a virtual environment with PG-SUI (`pip install pg-sui==1.8.7`), to run its ImputeVAE too.
The methods of peers.py run in this process, on the same number of threads; methods that give dosages alone are
scored on the rounded ones, without a log loss, and with the dosages for r2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import peers
import scoring
from ld import row_of, run_ours
from threadpoolctl import threadpool_limits

from imputevae_cli import __version__, read_vcf
from imputevae_cli.genotypes import MISSING

PGSUI_LIMIT_S = 3600


def run_peers(case: Path, seed: int) -> list[dict]:
    """Every method of peers.py on one case; a failure is a row with the reason."""
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
