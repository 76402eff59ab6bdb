"""`auto` beside each of its decoders alone, on cases, on thinned copies of them and over seeds; and what it promised.

usage: python bench/auto.py --cases DIR[,DIR...] [--only NAME,...] [--copies full,samples,loci] [--seeds 1,2,3]
       [--decoders auto,vae,knn,copying] [--out bench/results/auto.json]

  full     the case as it is
  samples  a quarter of its samples
  loci     an eighth of its loci

`auto` should be at or under the best decoder's log loss + .003 everywhere. Rows are added to those of OUT, which are
not run again. bench/forecast.py reads the same file.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import command_line
import numpy as np
import scoring
import torch

from imputevae_cli import Config, ImputeVAE, __version__, read_vcf
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix

AUTO = "auto"
DECODERS = (AUTO, "vae", "knn", "copying")
COPIES = {"full": (1.0, 1.0), "samples": (0.25, 1.0), "loci": (1.0, 0.125)}
ALLOWED = 0.003
"""Log loss by which `auto` may exceed the best decoder."""


def thinned(genotypes: GenotypeMatrix, truth: np.ndarray, copy: str) -> tuple[GenotypeMatrix, np.ndarray]:
    """Some samples and loci, the same ones each time; loci that do not vary in what is left are left out.

    truth: int8 (N, L), -1 missing.
    """
    of_samples, of_loci = COPIES[copy]
    rng = np.random.default_rng(77)
    n_samples, n_loci = genotypes.calls.shape
    rows = np.sort(rng.choice(n_samples, max(8, int(n_samples * of_samples)), replace=False))
    loci = np.zeros(n_loci, bool)
    loci[rng.choice(n_loci, max(20, int(n_loci * of_loci)), replace=False)] = True
    calls = genotypes.calls[rows]
    loci &= ((calls == 0).any(0) | (calls == 1).any(0)) & ((calls > 0).any(0))
    loci &= np.stack([(calls == genotype).any(0) for genotype in range(genotypes.n_classes)]).sum(0) > 1
    chosen = genotypes.at_loci(loci)
    some = replace(
        chosen,
        calls=chosen.calls[rows].copy(),
        samples=tuple(np.array(chosen.samples)[rows].tolist()),
        populations=None if chosen.populations is None else chosen.populations[rows],
    )
    return some, truth[rows][:, loci]


def run(case: Path, copy: str, decoder: str, seed: int) -> dict:
    """One fit, scored on the hidden calls, with what it promised; on one thread."""
    torch.set_num_threads(1)
    popmap = case / "pops.popmap"
    genotypes = read_vcf(case / "masked.vcf.gz", popmap if popmap.exists() else None)
    truth, _, _ = scoring.read_calls(case / "truth.vcf.gz")
    genotypes, truth = thinned(genotypes, truth.T, copy)
    started = time.process_time()
    model = ImputeVAE(Config().replace({"io.seed": seed, "model.decoder": decoder})).fit(genotypes)
    imputed = model.transform()
    figures = scoring.score_arrays(truth.T, genotypes.calls.T, imputed.calls.T, imputed.gp.transpose(1, 0, 2))
    by_dosage = model.transform(call="dosage").calls.T
    hidden = (truth.T != MISSING) & (genotypes.calls.T == MISSING)
    gp = imputed.gp.transpose(1, 0, 2)[hidden]
    return {
        **{"case": case.name, "copy": copy, "decoder": decoder, "seed": seed, "shape": list(genotypes.calls.shape)},
        **figures,
        "nrd_by_dosage": scoring.metrics.non_reference_discordance(truth.T[hidden], by_dosage[hidden]),
        "rare_hets": rare_hets(genotypes, truth, imputed.gp) if gp.shape[1] == 3 else None,
        "cpu_s": round(time.process_time() - started, 1),
        "promised": asdict(model.expected),
        "parts": model.parts,
    }


def rare_hets(genotypes: GenotypeMatrix, truth: np.ndarray, gp: np.ndarray) -> dict[str, float]:
    """Heterozygotes that GP promises and that come true, of the hidden calls of loci under 1 % minor-allele frequency;
    and of all hidden calls with a GP(het) of .01 to .05, the mean of it and the share that comes true."""
    hidden = (truth != MISSING) & (genotypes.calls == MISSING)
    known = np.maximum((genotypes.calls != MISSING).sum(0), 1)
    alt = np.where(genotypes.calls > 0, genotypes.calls, 0).sum(0) / (2 * known)
    rare = hidden & (np.minimum(alt, 1 - alt) < 0.01)
    unlikely = hidden & (gp[..., 1] >= 0.01) & (gp[..., 1] < 0.05)
    return {
        "rare_promised": float(gp[..., 1][rare].sum()),
        "rare_true": int((truth[rare] == 1).sum()),
        "unlikely_promised": float(gp[..., 1][unlikely].mean()) if unlikely.any() else float("nan"),
        "unlikely_true": float((truth[unlikely] == 1).mean()) if unlikely.any() else float("nan"),
        "unlikely_cells": int(unlikely.sum()),
    }


def as_table(rows: list[dict]) -> str:
    """Markdown: log loss of each decoder by case, copy and seed, and that of `auto` less the least of the others."""
    found: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        found.setdefault((row["case"], row["copy"], row["seed"]), {})[row["decoder"]] = row
    decoders = list(dict.fromkeys(row["decoder"] for row in rows))
    lines = [
        f"| case | copy | seed | {' | '.join(decoders)} | {AUTO} less the best | NRD of {AUTO} | CPU s |",
        "|---|---|---|" + "---|" * (len(decoders) + 3),
    ]
    for (case, copy, seed), by in found.items():
        others = [row["log_loss"] for name, row in by.items() if name != AUTO]
        more = f"{by[AUTO]['log_loss'] - min(others):+.4f}" if others and AUTO in by else "-"
        losses = [f"{by[name]['log_loss']:.4f}" if name in by else "-" for name in decoders]
        own = [f"{by[AUTO]['nrd']:.4f}", f"{by[AUTO]['cpu_s']:.0f}"] if AUTO in by else ["-", "-"]
        lines.append("| " + " | ".join([case, copy, str(seed), *losses, more, *own]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = command_line.parser(__doc__, "auto")
    parser.add_argument("--cases", required=True)
    parser.add_argument("--only")
    parser.add_argument("--copies", default=",".join(COPIES))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--decoders", default=",".join(DECODERS))
    args = parser.parse_args()
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    done = {(row["case"], row["copy"], row["decoder"], row["seed"]) for row in rows}
    cases = [case for folder in args.cases.split(",") for case in scoring.cases_in(Path(folder), args.only)]
    asked = product(cases, args.copies.split(","), map(int, args.seeds.split(",")), args.decoders.split(","))
    for case, copy, seed, decoder in asked:
        if (case.name, copy, decoder, seed) not in done:
            rows.append(run(case, copy, decoder, seed))
            command_line.write(args.out, {"version": __version__, "allowed": ALLOWED, "rows": rows})
    print(as_table(rows))


if __name__ == "__main__":
    main()
