"""All fits of a plan: more are begun than are finished, and each can be taken up where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from imputevae_cli.decoders.founders import choose
from imputevae_cli.decoders.founders.em import Fit
from imputevae_cli.decoders.founders.evidence_blocks import LaneBlocks
from imputevae_cli.decoders.founders.seeding import AT, first_fit
from imputevae_cli.decoders.founders.settings import FoundersSettings
from imputevae_cli.log import Progress
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.serialise import as_arrays, as_tensors


@dataclass(frozen=True)
class Fitting:
    """What the fits share; known: frequency and distance, float32 (L,) each; parents: see `seeding.first_fit`."""

    blocks: LaneBlocks
    known: tuple[np.ndarray, np.ndarray]
    plan: choose.Plan
    settings: FoundersSettings
    seed: int
    parents: Sequence[int | Sequence[int]] | None

    def run(self, pool: Executor, progress: Progress, stages: Stages) -> list[Fit]:
        """The finished fits: of those begun, the ones that made the evidence likeliest after a few iterations."""
        plan = self.plan
        screened = min(plan.screened, plan.iterations)
        steps = plan.begun * screened + plan.starts * (plan.iterations - screened)
        with progress.task("founders", steps) as task:

            def carried(name: str, number: int, fit: Fit | None, span: tuple[int, int]) -> Fit:
                make = lambda: self._carry(number, fit, span, pool, stages, task)  # noqa: E731
                return stages.run(f"{name} {number}", make, _state, _fit)

            begun = [carried("begin", number, None, (0, screened)) for number in range(plan.begun)]
            order = sorted(range(plan.begun), key=lambda number: -begun[number].score)
            kept = sorted(order[: plan.starts])
            return [carried("finish", number, begun[number], (screened, plan.iterations)) for number in kept]

    def _carry(self, number: int, fit: Fit | None, span: tuple[int, int], pool, stages: Stages, task) -> Fit:
        """Fit number `number` carried through iterations first..stop, from its last safe point where it was stopped."""
        first, stop = span
        begun = stages.resumed()
        if begun:
            fit, first = _fit(begun["fit"]), begun["iteration"]
        elif fit is None:
            n_samples, frequency = self.blocks.shape[0], self.known[0]
            fit = first_fit(
                self.blocks.block, n_samples, frequency, self.plan.founders, self._rng(2, number), self.parents
            )
        task.advance(first - span[0])
        for iteration in range(first, stop):
            stages.safe_point(lambda fit=fit, at=iteration: {"fit": _state(fit), "iteration": at})
            renew = iteration in AT and iteration + 2 < self.plan.iterations
            rng = self._rng(3, number, iteration) if renew else None
            fit = choose.step(fit, self.blocks, self.known, self.settings, pool, rng)
            task.advance(1, f"{self.plan.founders} founders")
        return fit

    def _rng(self, *path: int) -> np.random.Generator:
        """Draws that depend on the seed and on what they are for alone."""
        return np.random.default_rng([self.seed, *path])


def _state(fit: Fit) -> dict[str, Any]:
    return as_tensors(dict(vars(fit)))


def _fit(values: dict[str, Any]) -> Fit:
    return Fit(**as_arrays(values))
