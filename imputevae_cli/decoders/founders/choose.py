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
STARTS, ITERATIONS = (3, 8), (30, 60)
AT_LEAST, ALWAYS = (4, 40), 10  # starts and iterations that matter more than many founders; founders
STEPS = 4e10
"""Pairs of founders times cells times iterations that may be spent, if the least numbers allow; about 1 ns each."""


@dataclass(frozen=True)
class Plan:
    """How the founders are fitted: `founders` of them in each of `starts` fits of `iterations`.

    one_path: whether inbred samples follow one path.
    """

    founders: int
    starts: int
    iterations: int
    one_path: bool


class Trial:
    """Fits to some samples and loci of a cohort, and what they say of evidence that is hidden from them."""

    def __init__(self, settings: FoundersSettings, block: Block, shape: tuple[int, int, int], distance: np.ndarray,
                 rng: np.random.Generator, pool: Executor):  # fmt: skip
        self.rows = np.sort(rng.permutation(shape[0])[:TRIAL_SAMPLES])
        first = int(rng.integers(0, max(1, shape[1] - TRIAL_LOCI + 1)))
        loci = slice(first, min(first + TRIAL_LOCI, shape[1]))
        picked = np.concatenate([block(int(row), int(row) + 1)[:, loci] for row in self.rows])
        self._block: Block = lambda start, stop: picked[start:stop]
        self._distance = distance[loci].copy()
        self._distance[0] = np.inf
        self._held = HeldEvidence.choose(self._block, picked.shape, TRIAL_HELD, rng)
        self._blocks = LaneBlocks(self._block, picked.shape, held=self._held)
        self._frequency, _ = frequencies(self._blocks)
        self._settings, self._rng, self._pool = settings, rng, pool

    def losses(self, number: int, paths: np.ndarray | None = None) -> np.ndarray:
        """float64 (M,): -log chance of each hidden cell's evidence, by `number` founders.

        paths: uint8 (N,), those of the whole cohort.
        """
        blocks = self._blocks if paths is None else self._blocks.following(paths[self.rows])
        known = (self._frequency, self._distance)
        fits = []
        for _ in range(TRIAL_STARTS):
            fit = first_fit(self._block, len(self.rows), self._frequency, number, self._rng)
            fits.append(train(fit, blocks, known, self._settings, TRIAL_ITERATIONS, self._rng, self._pool))
        logs = averaging.held_logs(blocks, fits, self._distance, self._pool)
        powers, _ = averaging.fit_powers(logs, self._held.likelihoods)
        return averaging.losses(logs, self._held.likelihoods, powers)

    def best_number(self, most: int) -> int:
        """The fewest founders that say as well as any what was hidden from them, up to `most`.

        As well: worse by no more than the standard error of the difference.
        """
        losses: dict[int, np.ndarray] = {}
        for number in CANDIDATES:
            if number > max(2, most):
                break
            losses[number] = self.losses(number)
            if len(losses) - 1 - list(losses).index(_best(losses)) == WORSE_IN_A_ROW:
                break
        return fewest(losses)


def plan(
    settings: FoundersSettings, block: Block, shape: tuple[int, int, int], distance: np.ndarray,
    rng: np.random.Generator, pool: Executor, paths: np.ndarray | None = None,
) -> Plan:  # fmt: skip
    """The settings, and where they are open, rules and a trial.

    paths: uint8 (N,), of samples that may follow one path if the trial says so, or None.
    """
    one_path = paths is not None and bool((paths < shape[2] - 1).any())
    founders = settings.founders
    if founders is None or one_path:
        trial = Trial(settings, block, shape, distance, rng, pool)
        most = min(affordable(shape[0] * shape[1]), shape[0] * (shape[2] - 1) // 2)
        founders = founders or trial.best_number(most)
        one_path = one_path and trial.losses(founders, paths).mean() <= trial.losses(founders).mean()
    starts, iterations = effort(shape[0] * shape[1], founders)
    return Plan(founders, settings.starts or starts, settings.iterations or iterations, one_path)


def affordable(n_cells: int) -> int:
    """The largest candidate that leaves work for AT_LEAST; ALWAYS is never too large."""
    per_pair = n_cells * AT_LEAST[0] * AT_LEAST[1]
    return max(number for number in CANDIDATES if number <= ALWAYS or per_pair * number * (number + 1) / 2 <= STEPS)


def effort(n_cells: int, founders: int) -> tuple[int, int]:
    """(starts, iterations): fewer and shorter fits where each takes long."""
    cost = n_cells * founders * (founders + 1) / 2
    starts = int(np.clip(STEPS / (cost * ITERATIONS[1]), *STARTS))
    return starts, int(np.clip(STEPS / (cost * starts), *ITERATIONS))


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
