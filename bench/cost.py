"""Cost of the haplotype decoder per sample, locus and iteration: along samples and along loci, one thread.

usage: python bench/cost.py [--out bench/results/cost.json]

Haplotypes are mosaics of 40 founders; 20 % of the calls are missing. The schedule is the same for all sizes, without
trials, so that what is measured is the kernel and the choice of donors.
"""

from __future__ import annotations

import time

import command_line
import numpy as np

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying.model import CopyingModel

SAMPLES = (100, 200, 500, 1000, 2000)
LOCI = (1000, 2000, 5000, 10_000, 20_000, 50_000)
ITERATIONS, BURN_IN = 13, 7
DONORS = 48


def simulate(n_samples: int, n_loci: int, seed: int = 1) -> np.ndarray:
    """Diploid calls, int8 (samples, loci), -1 missing."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((40, n_loci)) < rng.beta(0.5, 1.5, n_loci)).astype(np.int8)
    calls = np.zeros((n_samples, n_loci), np.int8)
    for sample in calls:
        for _ in range(2):
            jumps = np.flatnonzero(rng.random(n_loci) < 0.005)
            source = np.repeat(rng.integers(0, 40, len(jumps) + 1), np.diff(np.r_[0, jumps, n_loci]))
            sample += founders[source, np.arange(n_loci)]
    calls[rng.random(calls.shape) < 0.2] = MISSING
    return calls


def nanoseconds(n_samples: int, n_loci: int) -> dict:
    """CPU nanoseconds per sample x locus x iteration, everything between calls and posterior counted."""
    calls = simulate(n_samples, n_loci)
    settings = CopyingSettings(
        iterations=ITERATIONS, burn_in=BURN_IN, chains=1, donors=DONORS, core=512, halo=96, trial=False
    )
    codes, positions = np.zeros(n_loci, np.int32), np.arange(n_loci, dtype=np.int64) * 100
    start = time.process_time()
    CopyingModel(settings, 1).fit(Cohort(calls, codes, positions, 2), hidden=HiddenCells.none())
    seconds = time.process_time() - start
    return {
        "samples": n_samples,
        "loci": n_loci,
        "cpu_s": round(seconds, 2),
        "ns": round(1e9 * seconds / (n_samples * n_loci * ITERATIONS), 1),
    }


def main() -> None:
    """Measure both lines, write JSON, print a table."""
    parser = command_line.parser(__doc__, "cost")
    args = parser.parse_args()
    nanoseconds(20, 300)  # compiles the kernel
    nanoseconds(600, 100)  # and the order that more than 1,000 haplotypes are compared by
    rows = [nanoseconds(n, 2000) for n in SAMPLES] + [nanoseconds(100, n) for n in LOCI]
    command_line.write(args.out, {"donors": DONORS, "iterations": ITERATIONS, "rows": rows})
    print("| samples | loci | ns per sample x locus x iteration |\n|---|---|---|")
    for row in rows:
        print(f"| {row['samples']} | {row['loci']} | {row['ns']} |")


if __name__ == "__main__":
    main()
