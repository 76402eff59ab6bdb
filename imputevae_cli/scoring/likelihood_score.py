"""Scores by what the reads of a cell say: fair where the hidden calls are uncertain themselves.

Shapes: M scored cells. gp, likelihoods: float (M, C), genotype probabilities and L[g] = P(reads | g), at most 1. call:
int (M,), -1 left missing.

No single read tells how many calls are right, but all of them together do. Among the cells of which a method says the
same, the shares of the true genotypes are those under which the reads of these cells are likeliest (`genotype_shares`).
How sure the method is only groups the cells, so the estimate favours none.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.scoring.metrics import bounded

EM_STEPS = 200
BINS = 15
"""Of the best probability, for calibration."""


def likelihood_losses(gp: np.ndarray, likelihoods: np.ndarray) -> np.ndarray:
    """-ln sum_g p[g] L[g] of each cell, in nats, float64 (M,).

    Where a likelihood is one-hot that is the log loss. Probabilities are bounded below as in `metrics.log_loss`.
    """
    return -np.log(np.maximum((bounded(gp) * likelihoods).sum(1), 1e-30))


def likelihood_loss(gp: np.ndarray, likelihoods: np.ndarray) -> float:
    """The mean of `likelihood_losses`; NaN for no cells."""
    return float(likelihood_losses(gp, likelihoods).mean()) if len(gp) else float("nan")


def genotype_shares(group: np.ndarray, likelihoods: np.ndarray, n_groups: int) -> np.ndarray:
    """Shares of the true genotypes among the cells of each group, float64 (n_groups, C), by maximum likelihood (EM).

    group: int (M,), 0..n_groups - 1. Equal shares for a group without cells. How many reads a cell has must not hang
    on its genotype beyond what the group tells.
    """
    cells = np.bincount(group, minlength=n_groups)[:, None]
    n_classes = likelihoods.shape[1]
    shares = np.full((n_groups, n_classes), 1.0 / n_classes)
    vectors, kind = np.unique(likelihoods, axis=0, return_inverse=True)  # far fewer than cells
    pairs, n = np.unique(group * len(vectors) + kind.reshape(-1), return_counts=True)
    of_group, of_vector = np.divmod(pairs, len(vectors))
    for _ in range(EM_STEPS):
        joint = shares[of_group] * vectors[of_vector] + 1e-30
        joint *= (n / joint.sum(1))[:, None]
        counts = np.stack([np.bincount(of_group, column, n_groups) for column in joint.T], 1)
        shares = np.where(cells > 0, counts / np.maximum(cells, 1), shares)
    return shares


def estimated_figures(call: np.ndarray, likelihoods: np.ndarray, gp: np.ndarray | None = None) -> dict[str, float]:
    """estimated_concordance and estimated_nrd (see `metrics`) of the calls; one left missing counts as wrong.

    gp: cells are grouped by the probability of the likeliest genotype too; None where there are no probabilities.
    """
    n_classes = likelihoods.shape[1]
    bins = np.zeros(len(call), int) if gp is None else _bin_of(np.nan_to_num(gp).max(1))
    called = np.where(call < 0, n_classes, call)
    true = _counts(called, bins, likelihoods, n_classes + 1).sum(1)  # (called, true)
    right, n, both_reference = float(np.trace(true)), len(call), float(true[0, 0])
    return {
        "estimated_concordance": right / n if n else float("nan"),
        "estimated_nrd": (n - right) / (n - both_reference) if n > both_reference else 0.0,
    }


def estimated_calibration(gp: np.ndarray, likelihoods: np.ndarray) -> list[dict[str, float]]:
    """What `curves.calibration` gives, the accuracy of each bin estimated from the reads of its cells."""
    raised = bounded(gp)
    confidence, best = raised.max(1), raised.argmax(1)
    bins = _bin_of(confidence)
    right = np.einsum("gbg->b", _counts(best, bins, likelihoods, gp.shape[1]))
    n, total = np.bincount(bins, minlength=BINS), np.bincount(bins, confidence, BINS)
    return [
        {
            "low": k / BINS,
            "high": (k + 1) / BINS,
            "n": int(n[k]),
            "confidence": float(total[k] / n[k]),
            "accuracy": float(right[k] / n[k]),
        }
        for k in np.flatnonzero(n).tolist()
    ]


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _counts(called: np.ndarray, bins: np.ndarray, likelihoods: np.ndarray, n_called: int) -> np.ndarray:
    """Estimated cells by call, bin of confidence and true genotype, float64 (n_called, BINS, C)."""
    group = called.astype(np.int64) * BINS + bins
    n_groups = n_called * BINS
    cells = np.bincount(group, minlength=n_groups)[:, None]
    return (genotype_shares(group, likelihoods, n_groups) * cells).reshape(n_called, BINS, -1)
