"""All fits of a plan, each of which can be resumed where it was stopped."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from imputevae_cli.decoders.founders import choose
from imputevae_cli.decoders.founders.em import Fit
from imputevae_cli.decoders.founders.evidence_blocks import LaneBlocks
from imputevae_cli.decoders.founders.seeding import AT, Seeds, first_fit
from imputevae_cli.decoders.founders.settings import FoundersSettings
from imputevae_cli.log import Progress, Task
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.serialise import as_arrays, as_tensors


@dataclass(frozen=True)
class Fitting:
    """Data and settings that all fits of the founders share.

    known: frequency and distance, float32 (L,) each. seeds: of the founders.
    """

    blocks: LaneBlocks
    known: tuple[np.ndarray, np.ndarray]
    plan: choose.Plan
    settings: FoundersSettings
    seed: int
    seeds: Seeds

    def run(self, pool: Executor, progress: Progress, stages: Stages) -> list[Fit]:
        """The fits, one after the other."""
        plan = self.plan
        with progress.task("founders", plan.starts * plan.iterations) as task:
            return [
                stages.run(
                    f"founders start {number}",
                    partial(self._start, number, pool, stages, task),
                    _state,
                    _fit,
                )
                for number in range(plan.starts)
            ]

    def _start(self, number: int, pool: Executor, stages: Stages, task: Task) -> Fit:
        """Fit number `number`, from its last safe point where it was stopped."""
        begun = stages.resumed()
        if begun:
            fit, done = _fit(begun["fit"]), begun["iteration"]
        else:
            block, n_samples, done = self.blocks.block, self.blocks.shape[0], 0
            seeds, drawing = self.seeds.of_start(number), self._rng(2, number)
            fit = first_fit(block, n_samples, self.known[0], self.plan.founders, drawing, seeds)
        task.advance(done)
        for iteration in range(done, self.plan.iterations):
            stages.safe_point(partial(_state_at, fit, iteration))
            renew = iteration in AT and iteration + 2 < self.plan.iterations
            rng = self._rng(3, number, iteration) if renew else None
            fit = choose.step(fit, self.blocks, self.known, self.settings, pool, rng)
            task.advance(1, f"fit {number + 1} of {self.plan.starts}, {self.plan.founders} founders")
        return fit

    def _rng(self, *path: int) -> np.random.Generator:
        """Draws that depend on the seed and on what they are for alone."""
        return np.random.default_rng([self.seed, *path])


def _state(fit: Fit) -> dict[str, Any]:
    return as_tensors(dict(vars(fit)))


def _state_at(fit: Fit, iteration: int) -> dict[str, Any]:
    return {"fit": _state(fit), "iteration": iteration}


def _fit(values: dict[str, Any]) -> Fit:
    return Fit(**as_arrays(values))
