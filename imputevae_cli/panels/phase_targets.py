"""Phases samples at the loci that they share with a reference panel, several times over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.model import plain_inputs
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.panels.settings import PanelSettings

PHASING = Schedule(core=512, halo=96, scales=(300, 600), start_rate=0.1, refresh=1)
"""But for what the settings say."""
UNCERTAIN_RATE = 0.005
"""The switch rate at the start where calls are uncertain: too high a rate hides there, and falls but slowly."""
MOST_SWITCH, LEAST_SWITCHES, LEAST_SPAN = 0.9, 1e-6, 1e-9
NO_DOSES = np.zeros((0, 2), np.uint16)


@dataclass(frozen=True)
class Phasings:
    """Draws of samples' haplotypes at the loci that they have, and how far these loci are apart.

    haplotypes: uint8 (2N, P, T), P phasings: 0 REF, 255 ALT, between them the chance of ALT. distances: float64 (T,),
    from the locus before, as the haplotypes' switches tell: large at a hotspot of recombination; their sum is that of
    the distances between the positions. rate: switches per unit of the positions, as the phasing has it.
    """

    haplotypes: np.ndarray
    distances: np.ndarray
    rate: float


def phase(targets: Cohort, panel: np.ndarray, settings: PanelSettings, seed: int, pool: ThreadPoolExecutor) -> Phasings:
    """Phase samples at T loci, see `chain_inputs`; panel: uint8 (H, T) 0/1."""
    schedule = _schedule(settings, is_uncertain=targets.evidence is not None)
    chain = Chain(chain_inputs(targets, panel), schedule, seed)
    found = draws(chain, _kept(schedule, settings.phasings), pool)
    steps = _steps(chain.switch)
    span = max(float(targets.positions[-1] - targets.positions[0]), LEAST_SPAN)
    rate = max(steps.sum(), LEAST_SWITCHES) / span
    return Phasings(found, steps / rate, rate)


def draws(chain: Chain, kept: list[int], pool: ThreadPoolExecutor) -> np.ndarray:
    """The haplotypes of a chain, uint8 (2N, P, T), after each of the P iterations `kept`, numbers that rise."""
    at, found = cell_offsets(chain.cohort.calls, chain.windows), []
    for iteration in range(kept[-1] + 1):
        chain.iterate(pool, NO_DOSES, at, 1)
        if iteration in kept:
            found.append(chain.haplotypes.copy())
    return np.stack(found, 1)


def _steps(switch: np.ndarray) -> np.ndarray:
    """Switches expected before each locus, float64 (T,), of their probabilities; none before the first."""
    steps = -np.log1p(-switch.astype(np.float64).clip(0, MOST_SWITCH))
    steps[0] = 0.0
    return steps


def chain_inputs(targets: Cohort, panel: np.ndarray) -> ChainInputs:
    """What samples are phased by: their own calls or likelihoods, and the haplotypes of the panel and of each other.

    Haplotypes drawn from likelihoods err, so samples whose calls are uncertain are copied from the panel alone.
    """
    alleles, inputs = panel * np.uint8(255), plain_inputs(targets)
    return replace(inputs, reference=alleles) if targets.evidence is None else replace(inputs, panel=alleles)


def _kept(schedule: Schedule, n_phasings: int) -> list[int]:
    """The iterations whose haplotypes are kept, evenly spaced up to the last."""
    burn_in = min(schedule.burn_in, schedule.iterations - 1)
    n_kept = min(n_phasings, schedule.iterations - burn_in)
    spaced = np.linspace(burn_in - 1, schedule.iterations - 1, n_kept + 1)[1:]
    return [int(i) for i in np.rint(spaced)]


def _schedule(settings: PanelSettings, is_uncertain: bool) -> Schedule:
    if not is_uncertain:
        return replace(PHASING, iterations=settings.iterations, burn_in=settings.burn_in, donors=settings.donors)
    return replace(
        PHASING,
        iterations=settings.uncertain_iterations,
        burn_in=settings.uncertain_burn_in,
        donors=settings.uncertain_donors,
        start_rate=UNCERTAIN_RATE,
    )
