"""How many founders, and how long to fit: rules by size, and a trial on hidden evidence."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from imputevae_cli.decoders.founders import averaging
from imputevae_cli.decoders.founders.em import Fit, maximised, sweep
from imputevae_cli.decoders.founders.evidence_blocks import Block, HeldEvidence, LaneBlocks, frequencies
from imputevae_cli.decoders.founders.seeding import AT, first_fit, renewed
from imputevae_cli.decoders.founders.settings import FoundersSettings

CANDIDATES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24)
TRIAL_SAMPLES, TRIAL_LOCI, TRIAL_STARTS, TRIAL_ITERATIONS = 320, 1200, 3, 30
TRIAL_HELD = 0.05
WORSE_IN_A_ROW = 2  # candidates after which no larger one is tried
LARGE = 20_000_000  # cells, above which fewer and shorter fits do


@dataclass(frozen=True)
class Plan:
    """What is fitted: `founders` in each of `starts` fits of `iterations`."""

    founders: int
    starts: int
    iterations: int


def plan(
    settings: FoundersSettings, block: Block, shape: tuple[int, int, int], distance: np.ndarray,
    rng: np.random.Generator, pool: Executor,
) -> Plan:  # fmt: skip
    """The settings, and where they are open, rules and a trial."""
    large = shape[0] * shape[1] > LARGE
    founders = settings.founders or best_number(settings, block, shape, distance, rng, pool)
    return Plan(founders, settings.starts or (4 if large else 8), settings.iterations or (40 if large else 60))


def best_number(
    settings: FoundersSettings, block: Block, shape: tuple[int, int, int], distance: np.ndarray,
    rng: np.random.Generator, pool: Executor,
) -> int:  # fmt: skip
    """The fewest founders that say as well as any what was hidden from them, on some samples and loci.

    As well: worse by no more than the standard error of the difference.
    """
    n_samples = min(shape[0], TRIAL_SAMPLES)
    rows = np.sort(rng.permutation(shape[0])[:n_samples])
    first = int(rng.integers(0, max(1, shape[1] - TRIAL_LOCI + 1)))
    loci = slice(first, min(first + TRIAL_LOCI, shape[1]))
    picked = np.concatenate([block(int(row), int(row) + 1)[:, loci] for row in rows])
    near = distance[loci].copy()
    near[0] = np.inf
    held = HeldEvidence.choose(excerpt(picked), picked.shape, TRIAL_HELD, rng)
    blocks = LaneBlocks(excerpt(picked), picked.shape, held=held)
    frequency, _ = frequencies(blocks)
    losses: dict[int, np.ndarray] = {}
    for number in CANDIDATES:
        if number > max(2, n_samples * (shape[2] - 1) // 2):
            break
        fits = [
            train(first_fit(excerpt(picked), n_samples, frequency, number, rng), blocks, (frequency, near), settings,
                  TRIAL_ITERATIONS, rng, pool)
            for _ in range(TRIAL_STARTS)
        ]  # fmt: skip
        logs = averaging.held_logs(blocks, fits, near, pool)
        powers, _ = averaging.fit_powers(logs, held.likelihoods)
        losses[number] = averaging.losses(logs, held.likelihoods, powers)
        if len(losses) - 1 - list(losses).index(_best(losses)) == WORSE_IN_A_ROW:
            break
    return fewest(losses)


def _best(losses: dict[int, np.ndarray]) -> int:
    return min(losses, key=lambda number: losses[number].mean())


def fewest(losses: dict[int, np.ndarray]) -> int:
    """The smallest number whose losses, float (M,) by cell, are not clearly above those of the best number."""
    best = losses[_best(losses)]
    for number in sorted(losses):
        excess = losses[number] - best
        if excess.mean() <= excess.std() / np.sqrt(max(len(excess), 1)):
            return number
    return _best(losses)


def excerpt(likelihoods: np.ndarray) -> Block:
    """The block function of an array float32 (N, L, C)."""
    return lambda start, stop: likelihoods[start:stop]


def train(
    fit: Fit, blocks: LaneBlocks, known: Sequence[np.ndarray], settings: FoundersSettings, iterations: int,
    rng: np.random.Generator, pool: Executor,
) -> Fit:  # fmt: skip
    """A fit carried through all its iterations; known: frequency and distance, float32 (L,) each."""
    for iteration in range(iterations):
        fit = step(fit, blocks, known, settings, pool, rng if iteration in AT and iteration + 2 < iterations else None)
    return fit


def step(
    fit: Fit, blocks: LaneBlocks, known: Sequence[np.ndarray], settings: FoundersSettings, pool: Executor,
    renew: np.random.Generator | None = None,
) -> Fit:  # fmt: skip
    """One iteration; renew: where seldom used founders begin anew, what decides how."""
    frequency, distance = known
    counts = sweep(blocks, fit, distance, pool)
    fit = maximised(fit, counts, frequency, distance, (settings.theta_prior, settings.own_prior))
    return fit if renew is None else renewed(fit, counts, renew)
