"""Many fits as one: a weighted geometric mean of their genotype probabilities, made to mean what it says.

The probabilities that a fit gives a cell from all but the cell's own evidence enter by powers, p ~ prod_s p_s ** a_s,
and are then multiplied by the cell's likelihoods. The powers are fitted on hidden evidence (Genest and Zidek 1986,
doi:10.1214/ss/1177013825): a fit that ended badly gets little, and since fits that differ by chance make a mean too
flat, the powers may sum to more than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from scipy.optimize import minimize

from imputevae_cli.decoders.founders.em import Fit, sweep_block, switches
from imputevae_cli.decoders.founders.evidence_blocks import LaneBlocks

FLOOR = np.float32(1e-5)
FEWEST = 100  # hidden cells below which fits count the same, and to 1
MOST = 4.0  # what powers may sum to
PULL = 2.0  # cells' worth of penalty for a power far from the mean one
NEGLIGIBLE = 0.02  # of the sum of powers: such fits are left out


def block_chances(
    blocks: LaneBlocks, number: int, fits: Sequence[Fit], distance: np.ndarray, powers: Sequence[float], lik: np.ndarray
) -> np.ndarray:
    """float32 (L, C, WIDTH): the averaged probabilities of a block, the cells' own evidence left out."""
    logs = np.zeros(lik.shape, np.float32)
    for fit, power in zip(fits, powers, strict=True):
        if power > 0:
            chances = sweep_block(blocks, number, fit, switches(fit.rate, distance), None, lik)
            assert chances is not None  # they are where nothing is counted
            logs += np.float32(power) * np.log(np.maximum(chances, FLOOR))
    return normalised(logs, 1)


def held_logs(blocks: LaneBlocks, fits: Sequence[Fit], distance: np.ndarray, pool: Executor) -> np.ndarray:
    """float32 (S, M, C): log probabilities of each fit at the cells that are hidden in `blocks`."""
    held = blocks.held
    assert held is not None

    def some(number: int) -> np.ndarray:
        cells = held.of_block(number)
        lanes = held.samples[cells] - blocks.samples(number)[0]
        logs = np.empty((len(fits), len(lanes), blocks.shape[2]), np.float32)
        for s, fit in enumerate(fits if len(lanes) else []):
            switch = switches(fit.rate, distance)
            chances = sweep_block(blocks, number, fit, switch, None, blocks.likelihoods(number))
            assert chances is not None
            logs[s] = np.log(np.maximum(chances[held.loci[cells], :, lanes], FLOOR))
        return logs

    return np.concatenate(list(pool.map(some, range(blocks.n_blocks))), 1)


def normalised(logs: np.ndarray, axis: int) -> np.ndarray:
    """Probabilities like logs, summing to 1 along `axis`."""
    p = np.exp(logs - logs.max(axis, keepdims=True))
    return p / p.sum(axis, keepdims=True)


def loss(logs: np.ndarray, likelihoods: np.ndarray, powers: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of -log sum_g p[g] L[g] over cells, and its gradient by the powers; logs (S, M, C), likelihoods (M, C)."""
    p = normalised(np.tensordot(powers, logs, 1), 1)
    seen = p * likelihoods
    whole = np.maximum(seen.sum(1, keepdims=True), 1e-12)
    gradient = np.einsum("smg,mg->s", logs, p - seen / whole) / len(p)
    return float(-np.log(whole).mean()), gradient


def losses(logs: np.ndarray, likelihoods: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """-log sum_g p[g] L[g] of each cell, float64 (M,); see `loss`."""
    p = normalised(np.tensordot(powers, logs, 1), 1)
    return -np.log(np.maximum((p * likelihoods).sum(1), 1e-12))


def fit_powers(logs: np.ndarray, likelihoods: np.ndarray) -> tuple[np.ndarray, float]:
    """(powers float64 (S,), their loss) with the least loss on hidden evidence."""
    n_fits, n_cells, _ = logs.shape
    even = np.full(n_fits, 1.0 / n_fits)
    if n_cells < FEWEST:
        return even, loss(logs, likelihoods, even)[0] if n_cells else np.inf
    logs, likelihoods = logs.astype(np.float64), likelihoods.astype(np.float64)

    def penalised(powers: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(logs, likelihoods, powers)
        apart = (powers - powers.mean()) * n_fits
        return value + PULL * (apart**2).mean() / n_cells, gradient + 2 * PULL * apart / n_cells

    found = minimize(penalised, 1.2 * even, jac=True, method="L-BFGS-B", bounds=[(0.0, MOST)] * n_fits).x
    found = np.where(found < NEGLIGIBLE * found.sum(), 0.0, found)
    found *= min(1.0, MOST / max(found.sum(), 1e-9))
    return found, loss(logs, likelihoods, found)[0]
