"""Fills the loci of a reference panel that a file lacks, one window of the panel at a time.

The targets are phased several times at the loci that they have (`phase_targets`), and each haplotype of each phasing is
filled from the panel's (`impute_haplotypes`). A genotype's probabilities are the mean over the phasings.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.errors import InputError
from imputevae_cli.panels.choose_states import most_similar
from imputevae_cli.panels.estimate import rates
from imputevae_cli.panels.impute_haplotypes import Gaps, HaplotypeFiller, States
from imputevae_cli.panels.phase_targets import phase
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.panels.typed_cells import TypedCells
from imputevae_cli.panels.window import PanelFill, PanelWindow

MOST_STATES = 1 << 16
"""They are numbered in two bytes."""
UNCERTAIN_ERROR = 1e-3
"""The chance that a copied allele differs, where the targets' calls are uncertain."""
__all__ = ["PanelFill", "PanelWindow", "fill_window"]


def fill_window(
    window: PanelWindow, targets: Cohort, settings: PanelSettings, seed: int, pool: ThreadPoolExecutor
) -> PanelFill:
    """Genotype probabilities of the targets at the wanted loci of a window, of typed ones too.

    targets: N diploid samples at the window's T typed loci; their evidence counts where they have any. Where a genotype
    is known for certain its probability is 1. The same seed gives the same numbers at any number of threads, and
    whatever part of the window is wanted. Raises InputError where the window has no typed locus, or another number of
    them than the targets have, and for targets that are not diploid.
    """
    _check(window, targets)
    phasings = phase(targets, window.haplotypes[:, window.typed], settings, seed, pool)
    window = window.with_distances(phasings.distances)
    gaps, typed = Gaps.of(window), TypedCells.of(window, targets)
    if targets.evidence is None:
        rate, error = rates(window, settings, pool)
    else:  # the panel's left-out haplotypes are certain, and a rate that is best for them is too high for these
        rate, error = settings.switch_rate or phasings.rate, settings.error or UNCERTAIN_ERROR
    filler = HaplotypeFiller.of(window, gaps, rate, error)
    shape = len(targets.calls), len(filler.before)
    fill = PanelFill(np.empty((*shape, 3), np.float32), np.empty((shape[0], 2, shape[1]), np.float32))
    unseen = gaps.unseen
    unseen[typed.at] = np.nan  # the targets' own data tell
    states_of = _states(window, gaps, phasings.haplotypes[:, -1], min(settings.states, MOST_STATES), seed, pool)

    def fill_sample(n: int) -> None:
        own = typed.of_sample(n)
        alt = own.alt(phasings.haplotypes[2 * n : 2 * n + 2])
        doses = filler.fill(alt.reshape(-1, alt.shape[-1]), states_of(n)).reshape(2, -1, shape[1])
        doses = np.where(np.isnan(unseen), doses, unseen)
        fill.gp[n] = own.genotypes(doses, alt, filler.error).mean(0)
        fill.doses[n] = _agreeing(doses[:, -1], fill.gp[n])

    list(pool.map(fill_sample, range(len(targets.calls))))
    return fill


def _check(window: PanelWindow, targets: Cohort) -> None:
    """Raise InputError for what `fill_window` does not take."""
    if targets.n_loci != len(window.typed) or not len(window.typed):
        raise InputError(
            f"the panel's window has {len(window.typed)} of the file's loci, and the targets {targets.n_loci}: "
            "give at least one, and the same ones"
        )
    if targets.ploidy != 2:
        raise InputError("a panel fills diploid samples only: write haploid calls as homozygotes, or leave them out")


def _states(
    window: PanelWindow, gaps: Gaps, haplotypes: np.ndarray, most: int, seed: int, pool: ThreadPoolExecutor
) -> Callable[[int], States]:
    """What each sample is filled from: the whole panel, or the `most` similar of more haplotypes.

    haplotypes: uint8 (2N, T), a phasing of the samples."""
    n_panel = len(window.haplotypes)
    if n_panel <= most:
        states = States.of(window, gaps, np.arange(n_panel))
        return lambda n: states
    rows = most_similar(window.haplotypes[:, window.typed], haplotypes, most, seed, pool)
    return lambda n: States.of(window, gaps, rows[n])


def _agreeing(doses: np.ndarray, gp: np.ndarray) -> np.ndarray:
    """Doses float32 (2, W) moved so that their sum is what gp, float32 (W, 3), expects, each still within 0 and 1."""
    doses = np.clip(doses, 0, 1)
    total, expected = doses.sum(0), gp[:, 1] + 2 * gp[:, 2]
    down = expected / np.maximum(total, 1e-30)
    up = (2 - expected) / np.maximum(2 - total, 1e-30)
    return np.clip(np.where(expected < total, doses * down, 1 - (1 - doses) * up), 0, 1)
