"""The chains of one fit of the copying decoder, one after the other, and the genotype chances averaged over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from imputevae_cli.data.genotypes import missing_per_sample
from imputevae_cli.decoders.copying import uncertain
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.kernel_choice import Kernel
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.copying.rules import CopyingRules, RefitRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.decoders.copying.window_frame import cell_offsets
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.run_options import RunOptions

SCALED_AT_ONCE = 1 << 20  # cells whose doses are scaled together
OTHER_DRAWS = 500
"""Added to the seeds of chains that go on, so that they don't draw what they drew before."""


class Span(NamedTuple):
    """Iterations of a chain, from `begin` to `stop` (exclusive), of which those from `kept` on are averaged."""

    begin: int
    kept: int
    stop: int


def whole_span(schedule: Schedule) -> Span:
    """The iterations of a chain that begins anew."""
    return Span(0, schedule.burn_in, schedule.iterations)


def refit_span(schedule: Schedule, rules: RefitRules) -> Span:
    """The iterations, as a chain counts that has begun anew, of one that goes on where another ended.

    It goes back to the rates of the last iterations of burn-in: at its own, haplotypes hardly move any more.
    """
    begin = max(schedule.burn_in - rules.reheated, 1)  # the first iteration of all knows no phase
    kept = max(schedule.burn_in, begin)
    return Span(begin, kept, kept + math.ceil(rules.kept_share * (schedule.iterations - schedule.burn_in)))


class Ended(NamedTuple):
    """What the chains of a fit leave behind.

    doses: uint16 (missing cells, 2), means over all of them, see `HaplotypePosterior`. last: the last chain. ends: see
    `HaplotypePosterior.ends`, of the others, or None where these are not asked for.
    """

    doses: np.ndarray
    last: Chain
    ends: np.ndarray | None


@dataclass(frozen=True)
class ChainRun:
    """The chains of a fit that are to be run.

    seed: of the first chain's draws; the others' follow it. earlier: a fit by this schedule whose chains go on; None:
    they begin anew. bits_of: the haplotypes of a chain that has ended, as bits; None: they are not asked for.
    """

    inputs: ChainInputs
    schedule: Schedule
    seed: int
    kernel: Kernel
    rules: CopyingRules
    options: RunOptions
    earlier: HaplotypePosterior | None = None
    bits_of: Callable[[Chain], np.ndarray] | None = None

    def run(self, pool: ThreadPoolExecutor) -> Ended:
        """Run them one after the other. Can be stopped at safe points of the options' stages, and resumed there."""
        calls, stages, span = self.inputs.cohort.calls, self.options.stages, self.span
        doses = np.zeros((int(missing_per_sample(calls).sum()), 2), np.uint16)
        n_kept = self.schedule.chains * (span.stop - span.kept)
        unit = DOSE_UNIT // n_kept  # whole numbers, so that two bytes a chance do
        ends: list[np.ndarray] = []
        begun, length = stages.resumed(), span.stop - span.begin
        with self.options.progress.task("haplotypes", self.schedule.chains * length) as task:
            for c in range(begun["chain"] if begun else 0, self.schedule.chains):
                chain = None  # the one before goes before the next comes
                chain = self._chain(c)
                at = cell_offsets(calls, chain.windows)
                if begun:
                    chain.resume(begun["state"])
                    ends = [bits.numpy() for bits in begun["ends"]]
                    if stages.ranks.leads:  # those of all processes, which are summed at the end
                        doses[:] = begun["doses"].numpy()
                    task.advance(c * length + chain.iteration - span.begin)
                    begun = None
                while chain.iteration < span.stop:
                    stages.safe_point(partial(_state, c, chain, doses, ends, stages.ranks))
                    before = chain.iteration
                    chain.iterate(pool, doses if before >= span.kept else doses[:0], at, unit, stages.is_due)
                    task.advance(chain.iteration - before, f"switch rate {chain.rate:.4f}")
                if self.bits_of is not None and c < self.schedule.chains - 1:
                    ends.append(self.bits_of(chain))
        stages.ranks.add_counts(doses)
        _scale(doses, DOSE_UNIT / (unit * n_kept))
        assert chain is not None
        if self.inputs.cohort.evidence is not None and self.inputs.cohort.ploidy == 2:
            uncertain.before_own(doses, self.inputs.cohort, chain.paths == 2, chain.windows)
        return Ended(doses, chain, None if self.bits_of is None else _stacked(ends, calls, self.inputs.cohort.ploidy))

    @property
    def span(self) -> Span:
        """The iterations that each chain makes."""
        return whole_span(self.schedule) if self.earlier is None else refit_span(self.schedule, self.rules.refit)

    def _chain(self, number: int) -> Chain:
        """A chain at its beginning."""
        seed, ranks, earlier = self.seed + number, self.options.stages.ranks, self.earlier
        if earlier is None:
            return Chain(self.inputs, self.schedule, seed, self.kernel, ranks, self.rules)
        assert earlier.ends is not None
        chain = Chain(self.inputs, self.schedule, seed + OTHER_DRAWS, self.kernel, ranks, self.rules)
        bits = earlier.ends[number] if number < len(earlier.ends) else earlier.packed
        chain.go_on_from(bits, earlier.switch, self.span.begin)
        return chain


def _stacked(bits: list[np.ndarray], calls: np.ndarray, ploidy: int) -> np.ndarray:
    """Bits of the haplotypes of some chains, each uint8 (N * ploidy, ceil(L / 8)), one after the other."""
    return np.array(bits, np.uint8).reshape(len(bits), len(calls) * ploidy, -(-calls.shape[1] // 8))


def _state(number: int, chain: Chain, doses: np.ndarray, ends: list[np.ndarray], ranks: Ranks) -> dict[str, Any]:
    """A run in its chain `number` as plain types and tensors; the doses of all processes pass to the first."""
    ranks.add_counts(doses)
    if not ranks.leads:
        doses[:] = 0
    ended = [torch.from_numpy(bits) for bits in ends]
    return {"chain": number, "state": chain.state(), "doses": torch.from_numpy(doses), "ends": ended}


def _scale(doses: np.ndarray, factor: float) -> None:
    """Multiply doses, uint16, by a factor, in place, rounded."""
    for start in range(0, len(doses), SCALED_AT_ONCE):
        some = doses[start : start + SCALED_AT_ONCE]
        some[:] = np.rint(some * np.float32(factor))
