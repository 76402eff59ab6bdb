"""The tables of an evaluation: tidy TSV files, and one row a scored cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.evaluation.evaluate import Evaluation
from imputevae_cli.io.mask_file import gzip_text
from imputevae_cli.scoring.bootstrap import figures, sums_by_locus
from imputevae_cli.scoring.metrics import OF_PROBABILITIES, impute_info
from imputevae_cli.scoring.strata import FIGURES, minor_allele_frequencies

CHUNK = 1 << 16
"""Rows of the table of cells that are put together at a time."""


def per_sample(evaluation: Evaluation, genotypes: GenotypeMatrix) -> list[dict[str, Any]]:
    """A row for each sample that has scored cells, of the model."""
    who, place = np.unique(evaluation.samples, return_inverse=True)
    by_reads = evaluation.cells.likelihoods is not None
    names = ("read_loss",) if by_reads else ("concordance", "nrd", "f1", "skill_r2", "log_loss")
    table = _figures_by(evaluation, place, len(who), names)
    missing = (genotypes.calls == MISSING).mean(1)
    populations = genotypes.populations
    return [
        {
            "sample": genotypes.samples[sample],
            "population": None if populations is None else populations[sample],
            "missing_share": float(missing[sample]),
            "n": int(table["n"][k]),
            **{name: float(table[name][k]) for name in names},
        }
        for k, sample in enumerate(who.tolist())
    ]


def per_locus(evaluation: Evaluation, genotypes: GenotypeMatrix) -> dict[str, np.ndarray]:
    """Columns over the loci that have scored cells, of the model: chrom, pos, ref, alt, maf, missing_share, n, figures.

    maf: among the visible calls of the input, hidden ones too. info: the IMPUTE info score of the scored cells.
    """
    index, place = np.unique(evaluation.loci, return_inverse=True)
    loci = genotypes.loci
    by_reads = evaluation.cells.likelihoods is not None
    names = ("read_loss",) if by_reads else ("concordance", "nrd", "dosage_r2", "iqs", "log_loss")
    there = np.isfinite(evaluation.guess.gp[:, 0])
    return {
        **{name: getattr(loci, name)[index] for name in ("chrom", "pos", "ref", "alt")},
        "maf": minor_allele_frequencies(genotypes.calls, genotypes.ploidy, genotypes.haploid)[index],
        "missing_share": (genotypes.calls == MISSING).mean(0)[index],
        **_figures_by(evaluation, place, len(index), names),
        "info": impute_info(evaluation.guess.gp[there], place[there], len(index)),
    }


def _figures_by(evaluation: Evaluation, place: np.ndarray, n: int, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The number of cells, and figures, of each group of cells, (n,); place: int (M,), the group of each cell."""
    cells = evaluation.cells
    by_place = replace(cells, locus=place)
    found = figures(sums_by_locus(by_place, n), cells.gp.shape[1])
    if not evaluation.guess.has_probabilities:
        found |= {name: np.full(n, np.nan) for name in (*OF_PROBABILITIES, "read_loss")}
    return {"n": np.bincount(place, minlength=n), **{name: found[name] for name in names}}


def write_tables(folder: Path, report: dict[str, Any], evaluation: Evaluation, genotypes: GenotypeMatrix) -> None:
    """metrics.tsv, strata.tsv, samples.tsv, loci.tsv, calibration.tsv and masked_cells.tsv.gz."""
    metrics = [
        {"method": method, "metric": name, **values}
        for method, found in report["metrics"].items()
        for name, values in found.items()
    ]
    _write(folder / "metrics.tsv", ["method", "metric", "value", "low", "high", "spread"], metrics)
    spans = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    _write(folder / "strata.tsv", ["stratum", "level", "method", "n", *spans, "expected_accuracy"], report["strata"])
    samples = report["samples"]
    _write(folder / "samples.tsv", list(samples[0]), samples)
    bins = [{"method": method, **row} for method, rows in report["calibration"].items() for row in rows]
    _write(folder / "calibration.tsv", ["method", "low", "high", "n", "confidence", "accuracy"], bins)
    table = per_locus(evaluation, genotypes)
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    _write(folder / "loci.tsv", list(table), (dict(zip(table, row, strict=True)) for row in rows))
    _write_cells(folder / "masked_cells.tsv.gz", evaluation, genotypes)


def _write(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write("\t".join(columns) + "\n")
        out.writelines("\t".join(_text(row.get(column)) for column in columns) + "\n" for row in rows)


def _text(value: Any) -> str:
    if value is None or value != value:  # None, or NaN
        return "NA"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _write_cells(path: Path, evaluation: Evaluation, genotypes: GenotypeMatrix) -> None:
    """One row a scored cell: where it is, its true and its called ALT-allele count (NA where left missing), and GP.

    In place of a truth there is the hidden call where that is uncertain.
    """
    loci, names, guess = genotypes.loci, np.array(genotypes.samples, object), evaluation.guess
    truth = "truth" if evaluation.cells.likelihoods is None else "hidden_call"
    probabilities = [f"gp{k}" for k in range(guess.gp.shape[1])]
    with gzip_text(path) as out:
        out.write("\t".join(["chrom", "pos", "ref", "alt", "sample", truth, "call", *probabilities]) + "\n")
        for start in range(0, len(evaluation.loci), CHUNK):
            some = slice(start, start + CHUNK)
            at = evaluation.loci[some]
            place = (getattr(loci, name)[at].tolist() for name in ("chrom", "pos", "ref", "alt"))
            call = ["NA" if call == MISSING else str(call) for call in guess.call[some].tolist()]
            gp = ["\t".join(map(_text, row)) for row in guess.gp[some].tolist()]
            columns = (
                *place,
                names[evaluation.samples[some]].tolist(),
                evaluation.cells.truth[some].tolist(),
                call,
                gp,
            )
            out.writelines("\t".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))
