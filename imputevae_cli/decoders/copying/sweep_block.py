"""The arguments of a sweep, in the order in which the compiled kernel takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class SweepBlock(NamedTuple):
    """Some samples in one window, what they are read against, and the arrays that take the results.

    Shapes and meanings are those of `kernel.sweep`.
    """

    calls: np.ndarray
    by_descent: np.ndarray
    panel: np.ndarray
    state: np.ndarray
    donors: np.ndarray
    prior: np.ndarray
    global_share: float
    switch: np.ndarray
    error: float
    keys: np.ndarray
    first_pass: bool
    window: np.ndarray
    samples: np.ndarray
    at: np.ndarray
    doses: np.ndarray
    unit: int
    out: np.ndarray
    origin: int
    flips: np.ndarray
    jumps: np.ndarray
    usage: np.ndarray
