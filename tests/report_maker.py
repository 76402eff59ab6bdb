"""A report as an evaluation makes it, from real arrays, for the tests of what shows it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from imputevae_cli.data.frequencies import genotype_frequencies, locus_means
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.scoring import metrics
from imputevae_cli.scoring.popgen import bias

MAF_BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
MISSING_BINS = (0.0, 0.2, 0.4, 0.6, 1.0)


def example_report(genotypes: GenotypeMatrix, truth: np.ndarray, model: np.ndarray | None = None, parts=None) -> dict:
    """A report on `genotypes`, whose missing calls are the hidden ones; truth: int8 (N, L).

    model: genotype probabilities float (N, L, C) that stand for the model's; by default the population's genotype
    frequencies, sharpened towards the truth in three cells of four.
    """
    calls, populations, ploidy = genotypes.calls, genotypes.populations, genotypes.ploidy
    hidden = (calls == MISSING) & (truth != MISSING)
    gps = baseline_probabilities(genotypes)
    if model is None:
        near = np.random.default_rng(1).random(truth.shape) < 0.75
        right = np.eye(ploidy + 1, dtype=np.float32)[np.maximum(truth, 0)]
        model = 0.5 * gps["population_frequencies"] + 0.5 * np.where(
            near[..., None], right, gps["population_frequencies"]
        )
    gps = {"model": model, **gps}
    imputed = np.where(calls == MISSING, model.argmax(2), calls).astype(np.int8)
    cells = Cells(genotypes, truth, hidden, gps)
    return {
        "schema_version": 1,
        "software": {"name": "imputevae", "version": "0.1.0", "command": "imputevae evaluate cohort.vcf.gz -o report"},
        "created": "2026-01-02",
        "input": {
            "name": "cohort.vcf.gz",
            "samples": truth.shape[0],
            "loci": truth.shape[1],
            "ploidy": ploidy,
            "missing_share": float((truth == MISSING).mean()),
            "populations": None if populations is None else dict(Counter(populations.tolist())),
        },
        "masking": {"strategy": "observed", "prop": float(hidden.mean()), "repeats": 1, "cells": int(hidden.sum())},
        "model": {"source": "fitted", "name": None, "parts": parts, "probabilities": "GP", "left_missing": 0},
        "verdict": {"sentences": [], "loses_to": []},
        "methods": list(gps),
        "metrics": {method: cells.metrics(method) for method in gps},
        "strata": cells.strata(),
        "calibration": {method: cells.calibration(method) for method in ("model", "population_frequencies")},
        "curves": {"precision_recall": cells.curves(precision=True), "roc": cells.curves(precision=False)},
        "confusion": {method: cells.confusion(method) for method in gps},
        "samples": cells.samples(),
        "bias": bias(np.where(hidden, truth, calls), calls, imputed, populations, ploidy),
    }  # fmt: skip


def baseline_probabilities(genotypes: GenotypeMatrix) -> dict[str, np.ndarray]:
    """mode, population_mode and population_frequencies, float32 (N, L, C)."""
    calls, n_classes = genotypes.calls, genotypes.n_classes
    codes = (
        np.zeros(len(calls), int)
        if genotypes.populations is None
        else np.unique(genotypes.populations, return_inverse=True)[1]
    )
    frequencies = genotype_frequencies(calls, n_classes, codes, codes.max() + 1)
    of_sample = frequencies[codes]
    certain = np.eye(n_classes, dtype=np.float32)
    everyone = np.broadcast_to(frequencies[-1], of_sample.shape)
    return {
        "mode": certain[everyone.argmax(2)],
        "population_mode": certain[of_sample.argmax(2)],
        "population_frequencies": of_sample,
    }


class Cells:
    """The scored cells and what each method says of them."""

    def __init__(self, genotypes: GenotypeMatrix, truth: np.ndarray, hidden: np.ndarray, gps: dict[str, np.ndarray]):
        self.genotypes, self.hidden = genotypes, hidden
        self.rows, self.columns = np.nonzero(hidden)
        self.truth = truth[hidden].astype(int)
        self.gp = {method: gp[hidden] for method, gp in gps.items()}
        self.means = locus_means(genotypes.calls)[self.columns]

    def figures(self, method: str, at: np.ndarray) -> dict:
        found = metrics.accuracy(self.truth[at], self.gp[method][at], self.means[at])
        dosage = metrics.dosage(self.gp[method][at])
        constant = np.ptp(dosage) == 0 or np.ptp(self.truth[at]) == 0
        return {
            "n": len(at),
            "concordance": found.concordance,
            "nrd": found.nrd,
            "f1": found.f1,
            "skill_r2": None if np.isnan(found.skill_r2) else found.skill_r2,
            "dosage_r2": None if constant else float(np.corrcoef(dosage, self.truth[at])[0, 1] ** 2),
            "log_loss": found.log_loss,
            "ece": found.ece,
        }

    def metrics(self, method: str) -> dict:
        found = self.figures(method, np.arange(len(self.truth)))
        del found["n"]
        half = 0.01
        return {
            k: {"value": v, "low": v - half, "high": v + half, "spread": None}
            for k, v in found.items()
            if v is not None
        }

    def strata(self) -> list[dict]:
        p = locus_means(self.genotypes.calls) / self.genotypes.ploidy
        missing = self.genotypes.calls == MISSING
        levels = {
            "maf": _binned(np.minimum(p, 1 - p)[self.columns], MAF_BINS),
            "sample_missingness": _binned(missing.mean(1)[self.rows], MISSING_BINS),
            "locus_missingness": _binned(missing.mean(0)[self.columns], MISSING_BINS),
            "true_class": self.truth.astype(str).astype(object),
        }
        if self.genotypes.populations is not None:
            levels["population"] = self.genotypes.populations[self.rows]
        rows = []
        for stratum, of_cell in levels.items():
            for level in sorted(set(of_cell)):
                at = np.flatnonzero(of_cell == level)
                for method in self.gp:
                    found = self.figures(method, at)
                    spread = 1 / np.sqrt(found["n"])
                    ends = {"nrd_low": found["nrd"] - spread / 2, "nrd_high": found["nrd"] + spread / 2}
                    rows.append({"stratum": stratum, "level": level, "method": method, **found, **ends})
        return rows

    def calibration(self, method: str) -> list[dict]:
        best, right = self.gp[method].max(1), self.gp[method].argmax(1) == self.truth
        at = np.minimum((best * 15).astype(int), 14)
        return [
            {"low": b / 15, "high": (b + 1) / 15, "n": int((at == b).sum()),
             "confidence": float(best[at == b].mean()), "accuracy": float(right[at == b].mean())}
            for b in np.unique(at)
        ]  # fmt: skip

    def curves(self, precision: bool) -> dict:
        out: dict = {}
        for method in ("model", "population_frequencies"):
            for genotype in np.unique(self.truth):
                there, score = self.truth == genotype, self.gp[method][:, genotype]
                if precision:
                    y, x, _ = precision_recall_curve(there, score)
                    curve = {
                        "precision": y.tolist(),
                        "recall": x.tolist(),
                        "average_precision": float(average_precision_score(there, score)),
                    }
                else:
                    x, y, _ = roc_curve(there, score)
                    curve = {"fpr": x.tolist(), "tpr": y.tolist(), "auc": float(roc_auc_score(there, score))}
                out.setdefault(method, {})[str(genotype)] = curve
        return out

    def confusion(self, method: str) -> list[list[int]]:
        counts = np.zeros((self.genotypes.n_classes,) * 2, int)
        np.add.at(counts, (self.truth, self.gp[method].argmax(1)), 1)
        return counts.tolist()

    def samples(self) -> list[dict]:
        missing = (self.genotypes.calls == MISSING).mean(1)
        rows = []
        for i, sample in enumerate(self.genotypes.samples):
            at = np.flatnonzero(self.rows == i)
            found = self.figures("model", at) if len(at) else dict.fromkeys(("concordance", "nrd", "log_loss"))
            population = None if self.genotypes.populations is None else self.genotypes.populations[i]
            rows.append(
                {"sample": sample, "population": population, "missing_share": float(missing[i]), "n": len(at)}
                | {key: found[key] for key in ("concordance", "nrd", "log_loss")}
            )
        return rows


def _binned(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    names = np.array([f"({low:g}, {high:g}]" for low, high in pairwise(edges)], object)
    return names[np.clip(np.searchsorted(edges, values) - 1, 0, len(names) - 1)]
