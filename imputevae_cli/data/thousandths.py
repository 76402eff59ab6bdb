"""Probabilities as files hold them, in whole thousandths."""

from __future__ import annotations

import numpy as np

from imputevae_cli.errors import TrainingError


def to_thousandths(gp: np.ndarray) -> np.ndarray:
    """Probabilities (M, C) as whole thousandths that sum to 1000, uint16 (M, C), by largest remainder."""
    scaled = np.asarray(gp, np.float64) * 1000.0
    if not np.isfinite(scaled).all():
        raise TrainingError("the model gives probabilities that are not numbers; train it again with other settings")
    whole = np.floor(scaled + 1e-9)
    order = np.argsort(whole - scaled, axis=1, kind="stable")  # largest remainder first
    rank = np.argsort(order, axis=1, kind="stable")
    short = np.rint(1000.0 - whole.sum(1, keepdims=True))
    return (whole + (rank < short)).astype(np.uint16)
