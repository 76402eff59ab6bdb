"""Scores of genotype probabilities by what the reads say: fair where the hidden calls themselves are uncertain."""

from __future__ import annotations

import numpy as np

from imputevae_cli.scoring.metrics import bounded


def likelihood_losses(gp: np.ndarray, likelihoods: np.ndarray) -> np.ndarray:
    """-ln sum_g p[g] L[g] of each cell, in nats, float64 (M,); gp, likelihoods: float (M, C), L at most 1.

    Where a likelihood is one-hot that is the log loss. Probabilities are bounded below as in `metrics.log_loss`.
    """
    return -np.log(np.maximum((bounded(gp) * likelihoods).sum(1), 1e-30))


def likelihood_loss(gp: np.ndarray, likelihoods: np.ndarray) -> float:
    """The mean of `likelihood_losses`; NaN for no cells."""
    return float(likelihood_losses(gp, likelihoods).mean()) if len(gp) else float("nan")
