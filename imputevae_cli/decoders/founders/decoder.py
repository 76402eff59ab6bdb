"""Founders as one of the decoders: samples are mosaics of a few ancestral haplotypes that are learned from the reads.

It takes part where calls are uncertain: there it is the best decoder by far (fastPHASE, Scheet and Stephens 2006;
STITCH, Davies et al. 2016). Where they are certain haplotype copying is better, and the two together gain a per cent.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders.base import Context, Inputs, PhasedCohort, PlainDecoder, Posterior, Role, Setting, Task
from imputevae_cli.runtime.cost import MOMENT_CELLS, Cost, timed
from imputevae_cli.runtime.resumable import State
from imputevae_cli.runtime.search_space import Numbers, whole
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.seeds import seed_for

if TYPE_CHECKING:
    from imputevae_cli.decoders.founders.evidence_blocks import Block
    from imputevae_cli.decoders.founders.posterior import FounderPanel, FoundersPosterior

CALL_ERROR = 0.005
"""The chance that a call is wrong, where founders are asked for by name and calls are taken as certain."""


class FoundersDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "founders", "founder haplotypes"
    role = Role(on_evidence="only", trusted=True, ploidies=(1, 2))
    depends_on = ("copying",)
    sections = ("founders",)
    search_space = {  # noqa: RUF012
        "founders.founders": whole(2, 24, log=True),
        "founders.theta_prior": Numbers(0.01, 2.0, log=True),
        "founders.own_prior": Numbers(2.0, 200.0, log=True),
    }

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`; measured by a fit of a stretch of the loci of all samples."""
        cohort = task.cohort
        n_samples, n_loci = cohort.calls.shape
        width = min(n_loci, max(MOMENT_CELLS // (20 * n_samples), 50))
        first = (n_loci - width) // 2
        some = cohort.subset(np.arange(n_samples), np.arange(first, first + width))
        seconds, _ = timed(lambda: _fitted(task, some))
        return Cost(seconds * n_loci / width, 8 * cohort.calls.size)

    def fit(self, task: Task, inputs: Inputs) -> FittedFounders:
        """See `Decoder`."""
        known = next((one for one in inputs.fitted.values() if isinstance(one, PhasedCohort)), None)
        return _fitted(task, task.cohort, known)

    def from_state(self, state: State, setting: Setting) -> FittedFounders:
        """See `Decoder`."""
        from imputevae_cli.decoders.founders.posterior import FounderPanel

        values = as_arrays(state)
        return FittedFounders(setting.cohort, FounderPanel.from_state(values["panel"]), values["own"], values["paths"])


@dataclass
class FittedFounders:
    """See `FittedDecoder`. panel: the founders. own, paths: of the cohort's samples, see `FoundersPosterior`.

    What is filled follows from these and the evidence: it is worked out when it is asked for.
    """

    cohort: Cohort
    panel: FounderPanel
    own: np.ndarray
    paths: np.ndarray
    visible: FoundersPosterior | None = field(default=None, repr=False)

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`."""
        posterior = self.visible or self._filled(1)
        return pick(cells, self.cohort.n_loci, posterior.gp)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedFounders:
        """See `FittedDecoder`; what the visible evidence said is dropped."""
        self.visible = None
        return self

    def for_cohort(self, context: Context) -> Posterior:
        """See `FittedDecoder`."""
        return self._filled(context.options.threads)

    def for_samples(self, cohort: Cohort, context: Context) -> Posterior:
        """See `FittedDecoder`."""
        return self.panel.for_samples(_block_of(cohort), len(cohort.calls), context.options.threads)

    def without_samples(self) -> FittedFounders:
        """The same without the cohort: the founders alone."""
        nobody = self.cohort.without_samples()
        return FittedFounders(nobody, self.panel, self.own[:, :0], self.paths[:0])

    def state(self) -> State:
        """See `FittedDecoder`."""
        return as_tensors({"panel": self.panel.state(), "own": self.own, "paths": self.paths})

    def _filled(self, threads: int) -> FoundersPosterior:
        from imputevae_cli.decoders.founders.evidence_blocks import LaneBlocks
        from imputevae_cli.decoders.founders.posterior import filled

        shape = (*self.cohort.calls.shape, self.cohort.ploidy + 1)
        blocks = LaneBlocks(_block_of(self.cohort), shape, self.paths, stray=self.panel.stray)
        with ThreadPoolExecutor(threads) as pool:
            return filled(self.panel, blocks, self.own, pool)


def _fitted(task: Task, cohort: Cohort, known: PhasedCohort | None = None) -> FittedFounders:
    """Of a cohort; known: its haplotypes, if another decoder has found them."""
    from imputevae_cli.decoders.founders.model import FoundersModel
    from imputevae_cli.decoders.founders.seeding import Seeds

    model = FoundersModel(task.config.founders, seed_for(task.config.io.seed, "founders") % 2**31)
    seeds = Seeds(_parents_of(task))
    if known is not None:
        seeds = replace(seeds, n_haplotypes=known.n_haplotypes, haplotypes=known.haplotypes)
    posterior = model.fit(
        _block_of(cohort),
        (*cohort.calls.shape, cohort.ploidy + 1),
        cohort.chrom_codes,
        cohort.positions,
        cohort.ploidy,
        seeds=seeds,
        threads=task.threads,
        progress=task.progress,
        stages=task.stages,
    )
    return FittedFounders(cohort, posterior.panel, posterior.own, posterior.paths, posterior)


def _parents_of(task: Task) -> list[int]:
    """Rows of the samples that `founders.parents` names. Raises ConfigError as `Task.rows_of` does."""
    return task.rows_of(task.config.founders.parents)


def _block_of(cohort: Cohort) -> Block:
    """Likelihoods of some samples of a cohort, at all loci."""
    evidence = cohort.evidence
    if evidence is None:
        evidence = Evidence.certain(cohort.calls, cohort.ploidy, CALL_ERROR)
    return lambda start, stop: evidence.block(slice(start, stop), 0, cohort.n_loci)
