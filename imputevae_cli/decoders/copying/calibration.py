"""From the chances of each haplotype to genotype probabilities that mean what they say.

The decoder's probabilities are sharpened or flattened by a temperature and mixed with the genotype frequencies of the
locus; both are fitted on calls that were hidden from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imputevae_cli.decoders.copying.rules import CalibrationRules

LEAST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """temperature: p ** (1 / temperature), normalised; blend: the weight of the locus's genotype frequencies."""

    temperature: float = 1.0
    blend: float = 0.0

    def apply(self, gp: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """gp float32 (cells, classes), each row summing to 1; frequencies float32 like it. Returns float32 like it."""
        hot = np.maximum(gp, LEAST) ** np.float32(1.0 / self.temperature)
        hot /= hot.sum(1, keepdims=True)
        return ((1.0 - self.blend) * hot + self.blend * frequencies).astype(np.float32)


def fit(
    gp: np.ndarray, frequencies: np.ndarray, calls: np.ndarray, rules: CalibrationRules | None = None
) -> Calibration:
    """The calibration with the least log loss on hidden calls, by a grid that is refined once.

    gp, frequencies: float32 (cells, classes); calls: int (cells,), the hidden truth, or where that is uncertain
    its likelihoods, float32 (cells, classes). Of few cells: hardly a change.
    """
    rules = rules or CalibrationRules()
    if len(calls) < rules.least_cells:
        return Calibration(blend=rules.blend_of_few)
    best = _best_of(gp, frequencies, calls, np.geomspace(*rules.temperatures), rules.blends)
    near = best.temperature * np.geomspace(*rules.refined_temperatures)
    return _best_of(gp, frequencies, calls, near, np.unique(best.blend * np.array(rules.refined_blends)))


def _best_of(
    gp: np.ndarray,
    frequencies: np.ndarray,
    calls: np.ndarray,
    temperatures: np.ndarray,
    blends: Sequence[float] | np.ndarray,
) -> Calibration:
    chosen, least = Calibration(), np.inf
    base = _of_calls(frequencies, calls)
    for temperature in temperatures:
        hot = _of_calls(Calibration(float(temperature)).apply(gp, frequencies), calls)
        for blend in blends:
            loss = -np.log(np.maximum((1 - blend) * hot + blend * base, LEAST)).mean()
            if loss < least:
                chosen, least = Calibration(float(temperature), float(blend)), loss
    return chosen


def _of_calls(gp: np.ndarray, calls: np.ndarray) -> np.ndarray:
    """What gp (cells, classes) gives the calls, int (cells,), or the likelihoods (cells, classes): float32 (cells,)."""
    return gp[np.arange(len(calls)), calls] if calls.ndim == 1 else (gp * calls).sum(1)
