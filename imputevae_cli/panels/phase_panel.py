"""Phases a reference panel whose file gives no phase, once, when it is stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.rules import SizeRules
from imputevae_cli.errors import InputError
from imputevae_cli.panels.phase_targets import draws
from imputevae_cli.panels.settings import PanelSettings


def phase_panel(
    calls: np.ndarray, positions: np.ndarray, settings: PanelSettings, seed: int, pool: ThreadPoolExecutor
) -> np.ndarray:
    """Haplotypes uint8 (2N, L), 0 REF and 1 ALT, rows 2i and 2i + 1 of sample i, missing alleles filled.

    calls: int8 (N, L) of one chromosome of diploid samples, -1 missing; positions: int64 bp or float64 cM (L,). The
    settings' donors count; iterations are those of the copying decoder for so many samples. Raises InputError for fewer
    than two samples, who have nobody to be phased by.
    """
    if len(calls) < 2:
        raise InputError("a panel of one sample cannot be phased: give one that is phased, or of more samples")
    cohort = Cohort(calls, np.zeros(len(positions), np.int32), positions, 2)
    schedule = replace(SizeRules().schedule_for(len(calls)), donors=settings.donors, chains=1)
    chain = Chain(ChainInputs(cohort), schedule, seed)
    haplotypes = draws(chain, [schedule.iterations - 1], pool)[:, 0]
    return (haplotypes >= 128).astype(np.uint8)
