"""What the gate expects before it has seen a held-out call: mixtures fitted on many hidden calls of simulated files.

usage: python bench/gate_prior.py [--seeds 1,2] [--out bench/results/gate_prior.json]

Each kind of bench/make_cases.py, in two sizes: every decoder is fitted, and a mixture of all on the hidden calls, whose
truth is known, with hardly a penalty. The mean of the parts' scores over the files is `Role.score`; the spreads are
`mixture.Prior`. Rows are added to those of OUT, which are not run again.

The rows of seed 1 are of mixtures whose bias of heterozygotes had a parameter for each feature; it has two since, and
five where inbreeding pays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import make_cases
import numpy as np
import scoring
import torch

from imputevae_cli import Config, ImputeVAE, __version__, read_vcf
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders.base import Context, Inputs, log_of
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.ensemble import mixture
from imputevae_cli.ensemble.fit import Fit
from imputevae_cli.ensemble.gate import cells_of
from imputevae_cli.ensemble.held_out import surroundings_of
from imputevae_cli.ensemble.mixture import Prior

SIZES = {
    "wgs": ((0.5, 450), (0.25, 100)),
    "cross": ((0.5, 450), (0.25, 100)),
    "rad": ((0.5, 400), (0.25, 100)),
    "clonal": ((0.5, 225), (0.25, 60)),
    "rare": ((0.1, 400),),
    "families": ((0.15, 725),),
}
"""Kind -> scale of the samples, and loci."""
LOOSE = Prior(score=3.0, temperature=1.0)
EVERYTHING = Rules(small_cells=10**12)


def run(kind: str, scale: float, n_loci: int, seed: int) -> dict:
    """The parameters of a mixture of all decoders on the hidden calls of one simulated file."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / kind
        rng = np.random.default_rng([seed, list(make_cases.CASES).index(kind)])
        make_cases.write_case(case, make_cases.CASES[kind](rng, scale), rng)
        genotypes = read_vcf(case / "masked.vcf.gz", case / "pops.popmap")
        truth = scoring.read_calls(case / "truth.vcf.gz")[0].T
    first = max(0, (genotypes.n_loci - n_loci) // 2)
    if kind in ("rad", "wgs", "rare"):  # neighbours on the genome
        some = (np.arange(genotypes.n_loci) >= first) & (np.arange(genotypes.n_loci) < first + n_loci)
    else:  # all chromosomes
        some = np.arange(genotypes.n_loci) % max(1, genotypes.n_loci // n_loci) == 0
    genotypes, truth = genotypes.at_loci(some), truth[:, some]
    cells, logs, around = said(genotypes, truth, seed)
    hidden = cells_of(logs, cells.truth, around)
    fitted = mixture.fitted(mixture.Kind(mixture.RARE_FEATURES), hidden, LOOSE)
    scores = fitted["part"] - fitted["part"].mean()
    return {
        **{"kind": kind, "seed": seed, "shape": list(genotypes.calls.shape), "cells": len(cells.truth)},
        "losses": {n: float(-log[np.arange(len(cells.truth)), cells.truth].mean()) for n, log in logs.items()},
        "mixture": float(hidden.losses(fitted).mean()),
        "scores": dict(zip(hidden.parts, scores.tolist(), strict=True)),
        "temperature": float(fitted["temperature"]),
    }


def said(genotypes, truth: np.ndarray, seed: int) -> tuple[HiddenCells, dict[str, np.ndarray], np.ndarray]:
    """The hidden calls of a case, what each decoder says of them, and what is known around them."""
    config = Config().replace({"io.seed": seed})
    _, _, task = ImputeVAE(config, EVERYTHING)._task(genotypes, None, None, None)
    with task.holding_out():
        fit = Fit(task)
        for step in fit.first_plan()[0].steps:
            fit.carry_out(step)
    inputs = Inputs(fit.fitted)
    fitted = {name: one.on_all_calls(task, inputs) for name, one in fit.fitted.items()}
    context = replace(Context(config, {}, task.options), fitted=fitted)
    cohort = task.cohort
    cells = HiddenCells.of((truth != MISSING) & (cohort.calls == MISSING), truth)
    logs = {name: log_of(pick(cells, cohort.n_loci, fitted[name].for_cohort(context).gp)) for name in fit.views}
    return cells, logs, surroundings_of(cohort, cells)


def summary(rows: list[dict]) -> dict:
    """Means and standard deviations over the files."""
    scores = {name: np.array([row["scores"][name] for row in rows]) for name in rows[0]["scores"]}
    return {
        "scores": {name: round(float(values.mean()), 2) for name, values in scores.items()},
        "score": round(float(np.mean([values.std() for values in scores.values()])), 2),
        "temperature": [round(float(f([row["temperature"] for row in rows])), 3) for f in (np.mean, np.std)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gate_prior.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    done = {(row["kind"], row["asked"], row["seed"]) for row in rows}
    for seed in map(int, args.seeds.split(",")):
        for kind, sizes in SIZES.items():
            for scale, n_loci in sizes:
                if (kind, n_loci, seed) not in done:
                    rows.append({**run(kind, scale, n_loci, seed), "asked": n_loci})
                    content = {"version": __version__, "summary": summary(rows), "rows": rows}
                    args.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
