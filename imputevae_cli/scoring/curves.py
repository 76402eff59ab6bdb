"""Curves over scored cells: calibration, precision against recall, ROC, and the table of truth against calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from imputevae_cli.scoring.metrics import bounded

MOST_POINTS = 200
"""Of a curve: what a picture can show."""


def calibration(truth: np.ndarray, gp: np.ndarray, n_bins: int = 15) -> list[dict[str, float]]:
    """Bins of the best probability that hold cells: low, high, n, mean confidence, accuracy.

    truth: int (M,). gp: float (M, C).
    """
    raised = bounded(gp)
    confidence, right = raised.max(1), raised.argmax(1) == truth
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    n, total, hits = (np.bincount(bins, w, minlength=n_bins) for w in (None, confidence, right))
    return [
        {
            "low": k / n_bins,
            "high": (k + 1) / n_bins,
            "n": int(n[k]),
            "confidence": float(total[k] / n[k]),
            "accuracy": float(hits[k] / n[k]),
        }
        for k in np.flatnonzero(n).tolist()
    ]


def precision_recall(truth: np.ndarray, gp: np.ndarray) -> dict[str, dict[str, Any]]:
    """Precision-recall curves of each class against the rest: precision, recall (falling), and the area, by class as
    text."""
    from sklearn.metrics import precision_recall_curve

    out = {}
    for c in _told_apart(truth, gp.shape[1]):
        precision, recall, _ = precision_recall_curve(truth == c, gp[:, c])
        thin = _thinned(recall, precision)
        out[str(c)] = {
            "precision": precision[thin].tolist(),
            "recall": recall[thin].tolist(),
            "average_precision": float(-np.diff(recall) @ precision[:-1]),
        }
    return out


def roc(truth: np.ndarray, gp: np.ndarray) -> dict[str, dict[str, Any]]:
    """ROC curves of each class against the rest: false and true positive rates (rising), and the area, by class as
    text."""
    from sklearn.metrics import auc, roc_curve

    out = {}
    for c in _told_apart(truth, gp.shape[1]):
        fpr, tpr, _ = roc_curve(truth == c, gp[:, c])
        thin = _thinned(fpr, tpr)
        out[str(c)] = {"fpr": fpr[thin].tolist(), "tpr": tpr[thin].tolist(), "auc": float(auc(fpr, tpr))}
    return out


def _told_apart(truth: np.ndarray, n_classes: int) -> list[int]:
    """The classes that occur, and that are not all there is."""
    return [c for c in range(n_classes) if 0 < (truth == c).sum() < len(truth)]


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of at most MOST_POINTS points, evenly spread along the curve, both ends kept."""
    if len(x) <= MOST_POINTS:
        return np.arange(len(x))
    along = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS)).clip(0, len(x) - 1))


def confusion(truth: np.ndarray, call: np.ndarray, n_classes: int) -> list[list[int]]:
    """Cells of truth i (rows) called j (columns); calls left missing are in none."""
    called = call >= 0
    counts = np.bincount(truth[called] * n_classes + call[called], minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).tolist()
