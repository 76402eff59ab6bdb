"""`imputevae impute --refine` on polyploids beside simple ways, scored on every cell that the truth knows.

usage: python bench/polyploids.py CASE ... [--seed 1] [--threads 1] [--out bench/results/polyploids.json]

A case is a folder with truth.vcf.gz and masked.vcf.gz, which has AD and PL (bench/make_polyploids.py makes such). A
real one is the tetraploid potato diallel of polyBreedR's vignette, its reads thinned to a depth of 12 and a fifth of
its cells hidden. All methods are given the same file, and are scored on the same cells:

- frequencies x PL: allele frequencies by EM, Hardy-Weinberg proportions, times PL: the least that a tool must beat;
- frequencies x AD: the same with the likelihoods that imputevae makes of AD;
- kNN: the votes of the 10 nearest other samples, by the distance of their expected dosages (frequencies x PL) at the 40
  loci most correlated with the cell's, times PL;
- random forest (scikit-learn, 50 trees): trained at each locus on the visible calls, with the expected dosages at
  those 40 loci as features; out-of-bag for visible calls; times PL.

The last two are shrunk towards the frequencies by a tenth, as votes of none are no proof. Figures: exact concordance,
the root mean squared error of the dosage (in alleles), its r2, log loss and expected calibration error (bounded at
.001); over all cells, and over the hidden ones alone. Expected dosages and probabilities of imputevae are DS and GP.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import command_line
import numpy as np
import scoring
from lowdepth import dosages, guess_of

from imputevae_cli import __version__, read_vcf
from imputevae_cli.data.evidence_frequencies import Tally, allele_frequencies, inbred_proportions, posterior
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.scoring import metrics
from imputevae_cli.scoring.ld_knni import correlated_loci

LINKED, NEIGHBOURS, TREES, SHRINKAGE = 40, 10, 50, 0.1


def figures(truth: np.ndarray, masked: np.ndarray, gp: np.ndarray, dosage: np.ndarray) -> dict:
    """truth, masked: int8 (N, L), -1 unknown. gp: float (N, L, C). dosage: float (N, L)."""
    out = {}
    for name, cells in (("all", truth != MISSING), ("hidden", (truth != MISSING) & (masked == MISSING))):
        y, p, d = truth[cells].astype(int), metrics.bounded(gp[cells]), dosage[cells]
        out[name] = {
            "cells": len(y),
            "concordance": metrics.concordance(y, gp[cells].argmax(1)),
            "rmse": metrics.dosage_rmse(y, d),
            "r2": metrics.dosage_r2(y, d),
            "log_loss": metrics.log_loss(y, p),
            "ece": metrics.expected_calibration_error(y, p),
        }
    return out


def frequency_posterior(genotypes: GenotypeMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of each cell, float32 (N, L, C), and frequencies, float (L, C), at Hardy-Weinberg proportions."""
    evidence, ploidy = genotypes.evidence, genotypes.ploidy
    assert evidence is not None  # such files have reads
    alt, _ = allele_frequencies(Tally.of(evidence, np.arange(genotypes.n_loci)), ploidy, inbreeding=0.0)
    frequencies = inbred_proportions(alt, ploidy)
    return posterior(frequencies, evidence.block(slice(None), 0, genotypes.n_loci)), frequencies


def at_each_locus(
    genotypes: GenotypeMatrix, predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Posterior of each cell, (N, L, C): what `predict` says from other cells, times likelihoods.

    predict: expected dosages at linked loci (N, l), calls (N,), posterior of the cells (N, C) -> chances (N, C).
    """
    own, frequencies = frequency_posterior(genotypes)
    expected = own @ np.arange(own.shape[2])
    near = correlated_loci(np.rint(expected).astype(np.int8), LINKED)
    assert genotypes.evidence is not None
    likelihoods = genotypes.evidence.block(slice(None), 0, genotypes.n_loci)
    out = np.empty_like(own)
    for locus in range(genotypes.n_loci):
        chances = predict(expected[:, near[locus]], genotypes.calls[:, locus], own[:, locus])
        out[:, locus] = (1 - SHRINKAGE) * chances + SHRINKAGE * frequencies[locus]
    return posterior(out, likelihoods)


def knn(around: np.ndarray, calls: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Shares of the votes of the nearest samples with a call."""
    distance = np.abs(around[:, None] - around[None]).sum(2)
    np.fill_diagonal(distance, np.inf)
    distance[:, calls == MISSING] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights = 1 / (np.take_along_axis(distance, nearest, 1) + 0.5)
    votes = np.einsum("nk,nkc->nc", weights, own[nearest])
    return votes / votes.sum(1, keepdims=True)


def random_forest(around: np.ndarray, calls: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Shares of the trees."""
    from sklearn.ensemble import RandomForestClassifier

    known = calls != MISSING
    forest = RandomForestClassifier(TREES, min_samples_leaf=2, oob_score=True, random_state=1)
    forest.fit(around[known], calls[known])
    out = np.zeros_like(own)
    out[np.ix_(known, forest.classes_)] = np.nan_to_num(forest.oob_decision_function_)
    if (~known).any():
        out[np.ix_(~known, forest.classes_)] = forest.predict_proba(around[~known])
    return out


def ours(case: Path, out: Path, seed: int, threads: int) -> scoring.Cost:
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    return scoring.measure([*command, "--refine", "--force", "--seed", str(seed), "--threads", str(threads)])


def rows_of(case: Path, args: argparse.Namespace, out: Path) -> Iterator[dict]:
    """A row for each method."""
    truth, masked = (scoring.read_calls(case / f"{name}.vcf.gz")[0].T for name in ("truth", "masked"))
    with_pl = read_vcf(case / "masked.vcf.gz", likelihoods="PL")
    methods: dict[str, Callable[[], np.ndarray]] = {
        "frequencies x PL": lambda: frequency_posterior(with_pl)[0],
        "frequencies x AD": lambda: frequency_posterior(read_vcf(case / "masked.vcf.gz", likelihoods="AD"))[0],
        "kNN": lambda: at_each_locus(with_pl, knn),
        "random forest": lambda: at_each_locus(with_pl, random_forest),
    }
    cost = ours(case, out, args.seed, args.threads)
    guess = guess_of(case, out)
    assert guess.gp is not None  # imputevae writes it
    scored = figures(truth, masked, guess.gp.transpose(1, 0, 2), dosages(guess).T)
    yield {"case": case.name, "method": "imputevae --refine", **scored, **asdict(cost)}
    for name, method in methods.items():
        started = time.process_time()
        gp = method()
        seconds = round(time.process_time() - started, 2)
        yield {"case": case.name, "method": name, **figures(truth, masked, gp, metrics.dosage(gp)), "cpu_s": seconds}


def main() -> None:
    """Run the cases, write JSON, print a line for each method."""
    parser = command_line.parser(__doc__, "polyploids")
    parser.add_argument("case", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in args.case:
            for row in rows_of(case, args, Path(folder) / "imputed.vcf.gz"):
                rows.append(row)
                shown = {key: round(row["all"][key], 4) for key in ("concordance", "rmse", "ece", "log_loss")}
                print(case.name, row["method"], shown, row["cpu_s"], flush=True)
                head = {"version": __version__, "threads": args.threads, "seed": args.seed}
                command_line.write(args.out, {**head, "rows": rows})


if __name__ == "__main__":
    main()
