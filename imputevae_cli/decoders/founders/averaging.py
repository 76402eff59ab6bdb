"""Many fits as one: the geometric mean of their genotype probabilities, made to mean what it says.

Probabilities of all but the cell's own evidence are averaged and sharpened, p ** (1 / temperature), and then multiplied
by the cell's likelihoods. Fits that differ by chance make the mean too flat; the temperature is fitted on hidden evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from imputevae_cli.decoders.founders.em import Fit, sweep_block, switches
from imputevae_cli.decoders.founders.evidence_blocks import HeldEvidence, LaneBlocks

FLOOR = np.float32(1e-5)
FEWEST = 100  # hidden cells below which the temperature stays 1
TEMPERATURES = np.geomspace(0.3, 2.0, 24)


def log_chances(
    blocks: LaneBlocks, number: int, fits: Sequence[Fit], distance: np.ndarray, lik: np.ndarray
) -> np.ndarray:
    """float32 (L, C, WIDTH): mean log probability of the genotypes of a block, the cells' own evidence left out."""
    mean = np.zeros(lik.shape, np.float32)
    for fit in fits:
        chances = sweep_block(blocks, number, fit, switches(fit.rate, distance), None, lik)
        mean += np.log(np.maximum(chances, FLOOR))
    return mean / np.float32(len(fits))


def held_chances(blocks: LaneBlocks, fits: Sequence[Fit], distance: np.ndarray, pool: Executor) -> np.ndarray:
    """float32 (M, C): `log_chances` at the cells that are hidden in `blocks`."""
    held = blocks.held

    def some(number: int) -> np.ndarray:
        cells = held.of_block(number)
        if cells.start == cells.stop:
            return np.zeros((0, blocks.shape[2]), np.float32)
        logs = log_chances(blocks, number, fits, distance, blocks.likelihoods(number))
        return logs[held.loci[cells], :, held.samples[cells] - blocks.samples(number)[0]]

    return np.concatenate(list(pool.map(some, range(blocks.n_blocks))))


def loss(logs: np.ndarray, likelihoods: np.ndarray, temperature: float) -> float:
    """Mean of -log sum_g p[g] L[g] over cells; logs, likelihoods float32 (M, C)."""
    return float(-np.log(np.maximum((sharpened(logs, temperature) * likelihoods).sum(1), 1e-9)).mean())


def sharpened(logs: np.ndarray, temperature: float, axis: int = 1) -> np.ndarray:
    """Probabilities float32 like logs, summing to 1 along `axis`."""
    p = np.exp((logs - logs.max(axis, keepdims=True)) * np.float32(1.0 / temperature))
    return p / p.sum(axis, keepdims=True)


def fit_temperature(logs: np.ndarray, held: HeldEvidence) -> tuple[float, float]:
    """(temperature, its loss) with the least loss on hidden evidence."""
    if len(logs) < FEWEST:
        return 1.0, loss(logs, held.likelihoods, 1.0) if len(logs) else np.inf
    coarse = min(TEMPERATURES, key=lambda t: loss(logs, held.likelihoods, t))
    best = min(coarse * np.geomspace(0.93, 1.07, 7), key=lambda t: loss(logs, held.likelihoods, t))
    return float(best), loss(logs, held.likelihoods, best)
