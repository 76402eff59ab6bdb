"""Loss of the copying decoder over the length of its windows, at several densities of loci.

usage: python bench/windows.py [--seeds 1,2] [--densities 3,20,...] [--out bench/results/windows.json]

Each density is simulated afresh: 200 samples of a population that has been small for 30 generations, as breeds
have, at so many loci per centimorgan, in chromosomes of up to 100 cM; 5 % of the calls are missing and 15 % hidden. One
chain without a trial is run at each length of the windows, so that nothing else differs; then one with the trial. Needs
msprime (`pip install imputevae[bench]`).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msprime
import numpy as np
from make_cases import simulate, uneven

from imputevae_cli import __version__
from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.rules import MEDIUM
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.scoring import metrics

SAMPLES, LOCI, LONGEST_CM = 200, 1800, 100
CORES = (32, 64, 128, 256, 512, 1024)


def chromosomes(per_cm: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls int8 (samples, loci), chromosome and position of about `LOCI` loci, `per_cm` per centimorgan."""
    rng = np.random.default_rng(seed)
    total = LOCI / per_cm  # cM, and Mb
    n = max(1, round(total / LONGEST_CM))
    demography = msprime.Demography()
    demography.add_population(initial_size=150, name="A")
    demography.add_population_parameters_change(time=30, initial_size=1000, population="A")
    demography.add_population_parameters_change(time=300, initial_size=4000, population="A")
    length, each = int(total / n * 1e6), LOCI // n
    parts = []
    for chrom in range(n):
        mutation = 3 * each / length / 8000 / 4  # some more than are drawn
        haplotypes, pos = simulate({"A": SAMPLES}, demography, length, 1e-8, mutation, int(rng.integers(1, 2**31)))
        common = np.flatnonzero(np.abs(haplotypes.mean((1, 2)) - 0.5) < 0.48)
        some = np.sort(rng.choice(common, min(each, len(common)), replace=False))
        parts.append((haplotypes[some].sum(2, dtype=np.int8).T, np.full(len(some), chrom), pos[some]))
    calls, chrom_codes, pos = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return np.ascontiguousarray(calls), chrom_codes.astype(np.int32), pos.astype(np.int64)


def run(cohort: Cohort, truth: np.ndarray, hidden: np.ndarray, schedule: Schedule | None) -> dict[str, Any]:
    """Scores of one fit on the hidden calls; schedule: None for what rules and trial choose."""
    start = time.process_time()
    posterior = CopyingModel(CopyingSettings(), seed=1).fit(cohort, schedule=schedule)
    cpu = time.process_time() - start
    gp = posterior.gp(0, cohort.n_loci)[hidden]
    y, used = truth[hidden].astype(int), posterior.schedule
    inner = posterior.switch[posterior.switch < 1]
    return {
        "core": used.core,
        "halo": used.halo,
        "donors": used.donors,
        "chains": used.chains,
        "cooling": used.cooling,
        "nrd": round(float(metrics.non_reference_discordance(y, gp.argmax(1))), 5),
        "log_loss": round(float(metrics.log_loss(y, gp)), 5),
        "switch_rate": round(float(inner.mean()), 5),
        "cpu_s": round(cpu, 1),
    }


def rows_of(per_cm: float, seed: int) -> list[dict[str, Any]]:
    """All lengths, and what rules and trial choose, at one density."""
    truth, chrom_codes, pos = chromosomes(per_cm, seed)
    rng = np.random.default_rng(seed + 1000)
    absent = uneven(rng, truth.shape[1], len(truth), 0.05).T
    hidden = (rng.random(truth.shape) < 0.15) & ~absent
    cohort = Cohort(np.where(absent | hidden, MISSING, truth).astype(np.int8), chrom_codes, pos, 2)
    head = {"loci_per_cm": per_cm, "seed": seed, "loci": truth.shape[1], "chromosomes": int(chrom_codes[-1]) + 1}
    plain = replace(MEDIUM, chains=1, cooling=None, iterations=14, burn_in=7)
    schedules = [replace(plain, core=core, halo=min(96, core // 2), scales=(core, 2 * core)) for core in CORES]
    found = [{**head, "by": "length", **run(cohort, truth, hidden, schedule)} for schedule in schedules]
    return [*found, {**head, "by": "trial", **run(cohort, truth, hidden, None)}]


def main() -> None:
    """Run all, write JSON, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--densities", default="3,15,75,1500")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "windows.json")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for per_cm in map(float, args.densities.split(",")):
        for seed in map(int, args.seeds.split(",")):
            rows += rows_of(per_cm, seed)
            args.out.write_text(json.dumps({"version": __version__, "rows": rows}, indent=1) + "\n")
    print("| loci per cM | seed | windows | NRD | log loss | switches per window | CPU s |", "|---" * 7 + "|", sep="\n")
    for r in rows:
        name = f"{r['core']}" + (f" (trial; {r['donors']} donors, {r['chains']} chains)" if r["by"] == "trial" else "")
        switches = f"{r['switch_rate'] * r['core']:.1f}"
        shown = (f"{r['loci_per_cm']:g}", r["seed"], name, r["nrd"], r["log_loss"], switches, r["cpu_s"])
        print("|", " | ".join(map(str, shown)), "|")


if __name__ == "__main__":
    main()
