"""Phases a reference panel whose file gives no phase, once, when it is stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.panels.settings import PanelSettings


def phase_panel(
    calls: np.ndarray, positions: np.ndarray, settings: PanelSettings, seed: int, pool: ThreadPoolExecutor
) -> np.ndarray:
    """Haplotypes uint8 (2N, L), 0 REF and 1 ALT, rows 2i and 2i + 1 of sample i, missing alleles filled.

    calls: int8 (N, L) of one chromosome of diploid samples, -1 missing; positions: int64 bp or float64 cM (L,).
    """
