"""Accuracy over scored cells: known calls that were hidden from the imputer.

Shapes: M scored cells. truth: int (M,), the ALT-allele count. gp: float (M, C), genotype probabilities.
call: int (M,), the argmax of gp, or -1 for a cell that was left missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_PROBABILITY = 1e-3
"""GP are written with 3 decimals: a probability below this is counted as this, in log loss and scores of it."""


@dataclass(frozen=True)
class Accuracy:
    """The figures that are read together, over `n` scored cells."""

    n: int
    concordance: float
    nrd: float
    f1: float
    skill_r2: float
    log_loss: float
    ece: float


@dataclass(frozen=True)
class ConfidencePoint:
    """What a threshold on the best GP keeps: share of the cells, and the share of those that are right."""

    min_gp: float
    kept: float
    accuracy: float


def confidence_curve(truth: np.ndarray, gp: np.ndarray, least_kept: int = 20) -> list[ConfidencePoint]:
    """Accuracy of the calls whose best GP reaches each threshold, 0 to .99 by hundredths, while `least_kept` remain."""
    best, right = gp.max(1), gp.argmax(1) == truth
    points = []
    for threshold in np.arange(100) / 100:
        kept = best >= threshold
        if kept.sum() < least_kept:
            break
        points.append(ConfidencePoint(float(threshold), float(kept.mean()), float(right[kept].mean())))
    return points


def accuracy(truth: np.ndarray, gp: np.ndarray, locus_mean: np.ndarray, averaging: str = "macro") -> Accuracy:
    """Every figure of `Accuracy`. locus_mean: float (M,), mean dosage of the visible calls at each cell's locus."""
    call = gp.argmax(1)
    return Accuracy(
        n=len(truth),
        concordance=concordance(truth, call),
        nrd=non_reference_discordance(truth, call),
        f1=f1(truth, call, averaging),
        skill_r2=skill_r2(truth, dosage(gp), locus_mean),
        log_loss=log_loss(truth, gp),
        ece=expected_calibration_error(truth, gp),
    )


def dosage(gp: np.ndarray) -> np.ndarray:
    """Expected ALT-allele count, float (...,), of genotype probabilities, float (..., C)."""
    return gp @ np.arange(gp.shape[-1], dtype=gp.dtype)


def concordance(truth: np.ndarray, call: np.ndarray) -> float:
    """Share of cells called right."""
    return float((truth == call).mean())


def non_reference_discordance(truth: np.ndarray, call: np.ndarray) -> float:
    """Share of wrong calls among cells that truth and call do not both take for homozygous reference (bcftools)."""
    relevant = ~((truth == 0) & (call == 0))
    return float((truth != call)[relevant].mean()) if relevant.any() else 0.0


def f1(truth: np.ndarray, call: np.ndarray, averaging: str = "macro") -> float:
    """F1 averaged over the genotype classes that occur in `truth`, as scikit-learn's f1_score with those labels.

    averaging: macro (classes alike), weighted (by their cells) or micro (over all cells at once). Counted here,
    since importing scikit-learn takes 80 MB and a second of every run.
    """
    classes, cells = np.unique(truth, return_counts=True)
    right = np.array([np.sum((truth == c) & (call == c)) for c in classes])
    called = np.array([np.sum(call == c) for c in classes])
    if averaging == "micro":
        return float(2 * right.sum() / (cells.sum() + called.sum()))
    return float(np.average(2 * right / (cells + called), weights=cells if averaging == "weighted" else None))


def skill_r2(truth: np.ndarray, dosage: np.ndarray, locus_mean: np.ndarray) -> float:
    """1 - SSE / SST of the dosage, SST about the locus mean; 0 is no better than the mean. NaN where SST is 0."""
    total = float(np.square(truth - locus_mean).sum())
    return 1.0 - float(np.square(truth - dosage).sum()) / total if total else float("nan")


def log_loss(truth: np.ndarray, gp: np.ndarray) -> float:
    """Mean of -ln p(truth), in nats."""
    bounded = np.clip(gp, LEAST_PROBABILITY, 1.0)
    bounded = bounded / bounded.sum(1, keepdims=True)
    return float(-np.log(bounded[np.arange(len(truth)), truth]).mean())


def expected_calibration_error(truth: np.ndarray, gp: np.ndarray, n_bins: int = 15) -> float:
    """Sum over equal bins of max p of share x |accuracy - mean confidence| (Guo et al. 2017)."""
    confidence, right = gp.max(1), gp.argmax(1) == truth
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    weights = np.bincount(bins, minlength=n_bins)
    gaps = np.bincount(bins, confidence - right, minlength=n_bins)
    return float(np.abs(gaps).sum() / weights.sum())
