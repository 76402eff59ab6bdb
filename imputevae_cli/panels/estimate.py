"""How panel haplotypes are copied in a window: the switch rate and the error rate that fill its own haplotypes best.

Some of the panel's haplotypes are filled from the others, from their typed loci alone, and compared with what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from imputevae_cli.panels.impute_haplotypes import Gaps, HaplotypeFiller, States
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.panels.window import PanelWindow

LEFT_OUT = 24
"""Panel haplotypes that are filled from the others."""
LEAST_CHANCE = 1e-3
"""Of the true allele, where losses are summed."""
FEWEST, MOST = 1e-5, 1.0
"""Switches per mean distance between typed loci that are tried."""
LEAST_DISTANCE = 1e-9
START = 0.02
FACTOR = 1.5
"""Switches per mean distance at the start of the search, and from one rate that is tried to the next."""
ERRORS = (5e-3, 1e-3, 2e-2)
"""Tried, from the first on."""
MOST_STATES = 5000
"""Of the panel's haplotypes, the first, that they are filled from."""


def rates(window: PanelWindow, settings: PanelSettings, pool: ThreadPoolExecutor) -> tuple[float, float]:
    """(switches per unit of the positions, chance that a copied allele differs): of the settings, or the best.

    They hang on the whole window, whatever part of it is wanted. A panel of one sample, or one without other
    loci than the typed ones, can't tell: then they are those that the search starts from.
    """
    mean = float(np.diff(window.typed_positions).mean()) if len(window.typed) > 1 else 1.0
    per_unit = 1 / max(mean, LEAST_DISTANCE)
    rate, error = settings.switch_rate or START * per_unit, settings.error or ERRORS[0]
    whole = replace(window, wanted=slice(0, len(window.positions)))
    untyped = np.setdiff1d(np.arange(window.typed[0], window.typed[-1]), window.typed)  # beyond, nothing tells
    if len(window.haplotypes) < 4 or not len(untyped) or (settings.switch_rate and settings.error):
        return rate, error
    left_out = LeftOut.of(whole, untyped)
    filler = HaplotypeFiller.of(whole, left_out.gaps, rate, error)

    @cache
    def loss(rate: float, error: float) -> float:
        return left_out.loss(replace(filler, rate=rate, error=error), pool)

    if settings.switch_rate is None:
        rate = _lowest(lambda r: loss(r, error), rate, FEWEST * per_unit, MOST * per_unit)
    if settings.error is None:
        error = min(ERRORS, key=lambda e: loss(rate, e))
    return rate, error


@dataclass(frozen=True)
class LeftOut:
    """Panel haplotypes that are filled from the others.

    window: all of it is wanted. rows: int64, of the panel; untyped: int64, the loci at which they are compared.
    """

    window: PanelWindow
    gaps: Gaps
    states: States
    rows: np.ndarray
    untyped: np.ndarray

    @classmethod
    def of(cls, window: PanelWindow, untyped: np.ndarray) -> LeftOut:
        """Some of a window's, spread over the panel."""
        gaps, n_states = Gaps.of(window), min(len(window.haplotypes), MOST_STATES)
        rows = np.unique(np.linspace(0, n_states - 1, LEFT_OUT).astype(np.int64))
        return cls(window, gaps, States.of(window, gaps, np.arange(n_states)), rows, untyped)

    def loss(self, filler: HaplotypeFiller, pool: ThreadPoolExecutor) -> float:
        """Mean log loss of their alleles, in nats."""
        return float(np.mean(list(pool.map(lambda row: self._loss_of(filler, row), self.rows))))

    def _loss_of(self, filler: HaplotypeFiller, row: int) -> float:
        n_states = self.states.panel.shape[1]
        prior = np.ones(n_states, np.float32)
        prior[[row, min(row ^ 1, n_states - 1)]] = 0.0  # nor from the other haplotype of the sample
        dose = filler.fill(self.states.panel[None, :, row].astype(np.float32), self.states, prior / prior.sum())[0]
        right = np.where(self.window.haplotypes[row], dose, 1 - dose)[self.untyped]
        return float(-np.log(np.maximum(right, LEAST_CHANCE)).mean())


def _lowest(loss: Callable[[float], float], start: float, least: float, most: float) -> float:
    """The number, a power of FACTOR from the start, that has the lowest loss on the way downhill."""
    best = start
    for factor in (FACTOR, 1 / FACTOR):
        while least < best * factor < most and loss(best * factor) < loss(best):
            best *= factor
    return best
