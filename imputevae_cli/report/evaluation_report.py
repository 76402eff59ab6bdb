"""The report of an evaluation as plain values, ready for JSON: what every other output is made from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.evaluation.evaluate import Evaluation
from imputevae_cli.evaluation.score import MethodScore
from imputevae_cli.report.evaluation_tables import per_locus, per_sample
from imputevae_cli.report.findings import Findings, findings_of
from imputevae_cli.report.verdict import verdict

SCHEMA_VERSION = 1
HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class Source:
    """Where the guesses come from.

    kind: fitted, checkpoint or file. name: of the checkpoint or the file. parts: what the gate chose, or None.
    probabilities: GP, DS or GT, what stands for the genotype probabilities. notes: what the reader must know before
    all else, in sentences.
    """

    kind: str
    name: str
    parts: str | None = None
    probabilities: str = "GP"
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None


@dataclass(frozen=True)
class Masking:
    """How the cells came to be hidden. strategy: None where they were missing in the input as given, file where a mask
    was read. prop: share of the known calls, of the first round."""

    strategy: str | None
    prop: float
    repeats: int
    seed: int


@dataclass(frozen=True)
class Made:
    """By what the report was made, and when. version: of imputevae. created: ISO date and time."""

    version: str
    command: str
    created: str


def report_of(
    evaluation: Evaluation,
    genotypes: GenotypeMatrix,
    source: Source,
    masking: Masking,
    bias: dict[str, Any],
    made: Made,
) -> dict[str, Any]:
    """The report; numbers that are not defined are None. bias: of `popgen.bias`."""
    found = findings_of(evaluation, "The file" if source.kind == "file" else "The model", source.notes)
    if bias["pca"]:
        bias = {**bias, "pca": {**bias["pca"], "samples": list(genotypes.samples)}}
    report = {
        "schema_version": SCHEMA_VERSION,
        "software": {"name": "imputevae", "version": made.version, "command": made.command},
        "created": made.created,
        "input": _input(genotypes),
        "masking": _masking(masking, evaluation, genotypes.n_classes),
        "model": _model(source, evaluation),
        "verdict": _verdict(found),
        **_by_method(evaluation.methods),
        "chosen": evaluation.chosen,
        "samples": per_sample(evaluation, genotypes),
        "loci": _histograms(evaluation, genotypes),
        "bias": bias,
        "settings": source.settings,
    }
    report = plain(report)
    trust = verdict(report)
    report["verdict"] = {"level": trust.level, "headline": trust.headline, **report["verdict"]}
    return report


def _masking(masking: Masking, evaluation: Evaluation, n_classes: int) -> dict[str, Any]:
    """How the scored cells came to be hidden, and what is in them."""
    return {
        "strategy": masking.strategy,
        "prop": masking.prop,
        "repeats": masking.repeats,
        "seed": masking.seed,
        "scored_by": _scored_by(evaluation, masking),
        "cells": len(evaluation.samples),
        "classes": np.bincount(evaluation.cells.truth, minlength=n_classes).tolist(),
    }


def _model(source: Source, evaluation: Evaluation) -> dict[str, Any]:
    """Where the guesses come from."""
    return {
        "source": source.kind,
        "name": source.name,
        "parts": source.parts,
        "probabilities": source.probabilities,
        "left_missing": int((evaluation.guess.call == MISSING).sum()),
    }


def _by_method(scores: Sequence[MethodScore]) -> dict[str, Any]:
    """What is scored of each method, the model first."""
    return {
        "methods": [score.method for score in scores],
        "metrics": {score.method: _metrics(score) for score in scores},
        "strata": [row for score in scores for row in score.strata],
        "calibration": {score.method: score.calibration for score in scores},
        "curves": {
            "precision_recall": {score.method: score.precision_recall for score in scores},
            "roc": {score.method: score.roc for score in scores},
        },
        "confusion": {score.method: score.confusion for score in scores},
    }


def _scored_by(evaluation: Evaluation, masking: Masking) -> str:
    """What stands for the true genotypes: `truth`, of a file; the hidden `calls`; or the `reads` of uncertain ones."""
    if evaluation.cells.likelihoods is not None:
        return "reads"
    return "truth" if masking.strategy is None else "calls"


def _input(genotypes: GenotypeMatrix) -> dict[str, Any]:
    populations = genotypes.populations
    return {
        "name": genotypes.name,
        "samples": genotypes.n_samples,
        "loci": genotypes.n_loci,
        "ploidy": genotypes.ploidy,
        "haploid_cells": genotypes.haploid.n_cells if genotypes.haploid is not None else 0,
        "missing_share": float((genotypes.calls == MISSING).mean()),
        "evidence": genotypes.evidence_report.reason
        if genotypes.visible_calls_are_uncertain and genotypes.evidence_report
        else None,
        "populations": None if populations is None else dict(sorted(Counter(populations.tolist()).items())),
    }


def _verdict(findings: Findings) -> dict[str, Any]:
    return {
        "sentences": list(findings.sentences),
        "loses_to": [
            {"method": loss.method, "metric": loss.metric, "model": loss.model, "baseline": loss.baseline}
            for loss in findings.losses
        ],
    }


def _metrics(score: MethodScore) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            "value": value,
            "low": score.low.get(name),
            "high": score.high.get(name),
            "spread": score.spread.get(name),
        }
        for name, value in score.figures.items()
    }


def _histograms(evaluation: Evaluation, genotypes: GenotypeMatrix) -> dict[str, Any]:
    """How many loci have which figure, for the model; `undefined` counts those where it cannot be told."""
    table = per_locus(evaluation, genotypes)
    histograms: dict[str, Any] = {}
    for name in ("concordance", "dosage_r2", "iqs", "info"):
        if name not in table:
            continue
        values = table[name][np.isfinite(table[name])]
        low = 0.0 if name != "iqs" else -1.0
        counts, edges = np.histogram(values.clip(low, 1.0), HISTOGRAM_BINS, (low, 1.0))
        undefined = len(table["n"]) - len(values)
        histograms[name] = {"edges": edges.tolist(), "counts": counts.tolist(), "undefined": undefined}
    return {"scored": len(table["n"]), "histograms": histograms}


def plain(value: Any) -> Any:
    """The same in plain Python types; floats to nine significant digits, and None where they are not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value
