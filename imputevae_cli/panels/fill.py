"""STUB"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.panels.settings import PanelSettings


@dataclass(frozen=True)
class PanelWindow:
    haplotypes: np.ndarray
    positions: np.ndarray
    typed: np.ndarray
    wanted: slice


@dataclass(frozen=True)
class PanelFill:
    gp: np.ndarray
    doses: np.ndarray


def fill_window(
    window: PanelWindow, targets: Cohort, settings: PanelSettings, seed: int, pool: ThreadPoolExecutor
) -> PanelFill:
    h = window.haplotypes
    doses = np.empty((len(targets.calls), 2, h[:, window.wanted].shape[1]), np.float32)
    part = h[:, window.wanted].astype(np.float32)
    for i, c in enumerate(targets.calls):
        known = c >= 0
        t = h[:, window.typed][:, known].astype(int)
        a = int(np.argmin(((t * 2 - c[known]) ** 2).sum(1)))
        b = int(np.argmin(((t + t[a] - c[known]) ** 2).sum(1)))
        doses[i] = 0.9 * part[[a, b]] + 0.1 * part.mean(0)
    p, q = doses[:, 0], doses[:, 1]
    return PanelFill(np.stack([(1 - p) * (1 - q), p * (1 - q) + q * (1 - p), p * q], 2), doses)
