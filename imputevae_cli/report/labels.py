"""What methods, metrics, views and classes are called where people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeGuard

from imputevae_cli.data.ploidy import PLOIDY_NAMES, genotype_texts

MODEL = "model"
METHODS = {
    "model": "imputevae",
    "mode": "Commonest genotype",
    "population_mode": "Commonest genotype of the population",
    "population_frequencies": "Genotype frequencies of the population",
    "ld_knni": "LD-kNNi (nearest neighbours)",
}
SHORT = 16
"""Letters of a name in a legend."""
SHORT_METHODS = {
    "model": "imputevae",
    "mode": "commonest",
    "population_mode": "commonest in pop.",
    "population_frequencies": "pop. frequencies",
    "ld_knni": "LD-kNNi",
}
VIEWS = {
    "truth": "true calls",
    "visible": "calls left visible",
    "imputed": "imputed",
    "drawn": "drawn from the posterior",
    "imputed_same_cells": "imputed, only where the truth is known",
    "drawn_same_cells": "drawn, only where the truth is known",
}
STRATEGIES = {
    "random": "evenly at random",
    "random_weighted": "at random, common genotypes more often",
    "random_weighted_inv": "at random, rare genotypes more often",
    "nonrandom": "in whole clades of a tree",
    "nonrandom_weighted": "in whole clades of a tree, by branch length",
    "observed": "the way this file's own calls are missing",
    "file": "as a file says",
    "dropout": "as loci that drop out of one population, rare alleles first",
}


@dataclass(frozen=True)
class Metric:
    """A metric as readers meet it: `meaning` is one plain sentence; `rises`: whether more is better."""

    name: str
    meaning: str
    rises: bool = True


METRICS = {
    "concordance": Metric("Concordance", "Share of hidden calls that were filled in right."),
    "nrd": Metric(
        "NRD (non-reference discordance)",
        "Share filled in wrong, leaving out the calls that are, and were called, homozygous reference.",
        rises=False,
    ),
    "f1": Metric("Macro F1", "Balance of finding and not over-calling, each genotype class counting alike."),
    "skill_r2": Metric("Skill r²", "Share of the variation explained; 0 is no better than the mean of each locus."),
    "iqs": Metric("IQS (imputation quality score)", "Agreement beyond what chance would give; 0 is chance, 1 perfect."),
    "log_loss": Metric("Log loss", "How far the probabilities are from the truth; surprises cost most.", rises=False),
    "read_loss": Metric(
        "Log loss of the reads",
        "How unlikely the reads of the hidden calls are under the probabilities; for uncertain calls.",
        rises=False,
    ),
    "estimated_concordance": Metric(
        "Concordance, estimated from reads",
        "Share of hidden calls that were filled in right, estimated from the reads of all of them together.",
    ),
    "estimated_nrd": Metric(
        "NRD, estimated from reads",
        "Share filled in wrong, leaving out homozygous reference, estimated from the reads of all cells together.",
        rises=False,
    ),
}
"""The figures that are read side by side."""
MORE_METRICS = {
    "mcc": Metric("MCC", "Matthews correlation of call and truth over all classes."),
    "dosage_r2": Metric("Dosage r²", "Squared correlation of expected and true ALT-allele counts."),
    "dosage_rmse": Metric("Dosage RMSE", "Typical error of the expected ALT-allele counts, in alleles.", rises=False),
    "hellinger": Metric("Hellinger score", "Closeness of the probabilities to the truth; 1 is perfect."),
    "brier": Metric("Brier score", "Squared error of the probabilities.", rises=False),
    "ece": Metric("ECE (calibration error)", "How far, on average, confidence is from accuracy.", rises=False),
    "estimated_ece": Metric(
        "ECE, estimated from reads",
        "How far confidence is from the accuracy that the reads of all cells let one estimate.",
        rises=False,
    ),
    "iqs_calls": Metric("IQS of the calls", "IQS of the calls alone, without their probabilities."),
    "precision": Metric("Macro precision", "Of the calls of a class, the share that is right; mean over classes."),
    "recall": Metric("Macro recall", "Of the true ones of a class, the share that is found; mean over classes."),
    "jaccard": Metric("Macro Jaccard", "Overlap of the called and the true ones of a class; mean over classes."),
    "average_precision": Metric("Average precision", "Area under the precision-recall curve; mean over classes."),
    "roc_auc": Metric("ROC AUC", "Area under the ROC curve; mean over classes."),
    "average_precision_0": Metric("Average precision, {0}", "Area under the precision-recall curve of this class."),
    "average_precision_1": Metric("Average precision, {1}", "Area under the precision-recall curve of this class."),
    "average_precision_2": Metric("Average precision, {2}", "Area under the precision-recall curve of this class."),
}


def methods_of(report: Mapping[str, Any]) -> list[str]:
    """The methods that were compared, in the report's order."""
    return list(report.get("methods") or report.get("metrics") or [MODEL])


def method_name(report: Mapping[str, Any], method: str, short: bool = False) -> str:
    """What a method is called; the model of another tool's file has the file's name, an unknown method its own."""
    model = report.get("model") or {}
    if method == MODEL and model.get("source") == "file" and model.get("name"):
        name = PurePath(model["name"]).name
        return name if len(name) <= SHORT or not short else name[: SHORT - 1] + "…"
    return (SHORT_METHODS if short else METHODS).get(method, method)


def metric_in_words(metric: str) -> str:
    """What a metric is called within a sentence."""
    short = metric_name(metric).split(" (")[0]
    return short if short[:2].isupper() else short[:1].lower() + short[1:]


def metric_name(metric: str) -> str:
    """What a metric is called; one that is not known keeps its name."""
    known = {**METRICS, **MORE_METRICS}.get(metric)
    return known.name.format(*class_names(2)) if known else metric


def class_names(ploidy: int) -> list[str]:
    """The genotype classes by their number of ALT alleles."""
    if ploidy > 2:
        return list(genotype_texts(ploidy))
    return ["REF", "ALT"] if ploidy == 1 else ["hom. REF", "het.", "hom. ALT"]


def ploidy_in_words(ploidy: int, n_haploid: int | None) -> str:
    """The ploidy of a file. n_haploid: cells of a diploid file that are haploid."""
    name = PLOIDY_NAMES.get(ploidy, f"ploidy {ploidy}")
    return f"{name}, {n_haploid:,} calls haploid" if n_haploid else name


def known_value(report: Mapping[str, Any], method: str, metric: str) -> float | None:
    """A metric's value, or what the reads let one estimate of it; None where there is neither."""
    found = value(report, method, metric)
    return value(report, method, f"estimated_{metric}") if found is None else found


def value(report: Mapping[str, Any], method: str, metric: str) -> float | None:
    """A metric's value in the report, None where it has none."""
    found = (report.get("metrics") or {}).get(method, {}).get(metric) or {}
    return found.get("value") if is_number(found.get("value")) else None


def file_name(report: Mapping[str, Any]) -> str:
    """What was imputed: the file's name without its folder."""
    return PurePath((report.get("input") or {}).get("name") or "genotypes").name


def is_number(thing: object) -> TypeGuard[float]:
    """Whether it is a finite number."""
    return isinstance(thing, (int, float)) and not isinstance(thing, bool) and math.isfinite(thing)


def number(thing: object, digits: int = 4) -> str:
    """A number for a table; a dash where there is none."""
    if not is_number(thing):
        return "–"
    return f"{thing:.{digits}f}".replace("-", "−")


def percent(thing: object, digits: int = 1) -> str:
    """A share in per cent; a dash where there is none."""
    return f"{100 * thing:.{digits}f}%" if is_number(thing) else "–"
