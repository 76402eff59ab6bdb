"""The least of a smooth function of some numbers, by L-BFGS (Nocedal & Wright 2006, algorithms 3.1, 7.4 and 7.5).

scipy has it too, and is not asked: to load its `optimize` takes as long as all fits of a gate, and 37 MB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]

FLAT = 1e-5
"""A gradient of which no entry is greater ends the search."""
STILL = 2e-9
"""So does a step by which the function falls by less, as a share of it, or of one if that is more."""
_REMEMBERED = 10  # steps that the curvature is told by
_ENOUGH = 1e-4  # of the fall that the slope promises, for a step to be taken
_TRIALS = 20  # of shorter and shorter steps


class _Taken(NamedTuple):
    """A step that was taken, how the gradient changed by it, and the product of the two, above 0."""

    step: np.ndarray
    change: np.ndarray
    curvature: float


def least(function: Function, start: np.ndarray, most_steps: int) -> np.ndarray:
    """Where the function is least, float64 (n,), or where so many steps from `start` lead.

    function: point -> its value and its gradient, float64 (n,).
    """
    point, (value, gradient) = start, function(start)
    taken: deque[_Taken] = deque(maxlen=_REMEMBERED)
    for _ in range(most_steps):
        if np.abs(gradient).max() <= FLAT:
            break
        step, after, gradient_after = _stepped(function, point, value, gradient, _direction(gradient, taken))
        fall, change = value - after, gradient_after - gradient
        if not fall > 0:
            break
        if (curvature := _dot(step, change)) > 0:
            taken.append(_Taken(step, change, curvature))
        point, value, gradient = point + step, after, gradient_after
        if fall <= STILL * max(abs(value), 1.0):
            break
    return point


def _direction(gradient: np.ndarray, taken: deque[_Taken]) -> np.ndarray:
    """Where the function would be least if it curved everywhere as along the steps taken."""
    ahead = -gradient
    if not taken:
        return ahead * min(1.0, 1.0 / np.abs(gradient).sum())
    shares = []
    for step, change, curvature in reversed(taken):
        shares.append(_dot(step, ahead) / curvature)
        ahead = ahead - shares[-1] * change
    ahead = ahead * (taken[-1].curvature / _dot(taken[-1].change, taken[-1].change))
    for (step, change, curvature), share in zip(taken, reversed(shares), strict=True):
        ahead = ahead + (share - _dot(change, ahead) / curvature) * step
    return ahead


def _stepped(
    function: Function, point: np.ndarray, value: float, gradient: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """As much of a step as the function falls by, with its value and gradient there; the next trial is where a parabola
    through what is known is least."""
    slope = _dot(step, gradient)
    for _ in range(_TRIALS):
        after, gradient_after = function(point + step)
        if after <= value + _ENOUGH * slope:
            break
        part = max(0.1, min(0.5, slope / (2 * (slope + value - after))))
        step, slope = part * step, part * slope
    return step, after, gradient_after


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b)
