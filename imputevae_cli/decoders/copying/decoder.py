"""Haplotype copying as one of the decoders: each haplotype is a mosaic of the other samples' (Li and Stephens 2003).

The compiler of its kernel, 56 MB, is imported with the first fit, and never for a model that does without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders.base import (
    Context,
    FittedDecoder,
    Inputs,
    PlainDecoder,
    Role,
    SampleStructure,
    Screen,
    Setting,
    Task,
    log_of,
    structure_among,
)
from imputevae_cli.decoders.copying import rules as copying_rules
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior, Stretch
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.settings import CopyingSettings
from imputevae_cli.decoders.copying.uncertain import certain_part
from imputevae_cli.decoders.screening import subset_to_screen
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.resumable import State
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.runtime.search_space import Numbers, whole
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.seeds import seed_for

if TYPE_CHECKING:
    from imputevae_cli.decoders.copying.draws import HaplotypeDraws
    from imputevae_cli.decoders.copying.model import CopyingModel


class CopyingDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "copying", "haplotype copying"
    role = Role(screens_first=True, on_trial=True, trusted=True, on_evidence="also", ploidies=(1, 2), score=1.2)
    depends_on = ("vae",)
    sections = ("copying",)
    search_space = {  # noqa: RUF012
        "copying.iterations": whole(10, 32, log=True),
        "copying.chains": whole(1, 8, log=True),
        "copying.donors": whole(16, 160, log=True),
        "copying.core": whole(96, 1536, log=True),
        "copying.halo": whole(16, 256, log=True),
        "copying.error": Numbers(2e-5, 1e-2, log=True),
    }

    def needs_in_full(self, config: Config) -> tuple[str, ...]:
        """See `Decoder`: the VAE, where it is one more state to copy from."""
        return ("vae",) if config.copying.global_share != 0 else ()

    def screen(self, task: Task, earlier: FittedDecoder | None) -> Screen | None:
        """What one short chain says on a few stretches."""

        def run() -> Screen | None:
            samples, loci = subset_to_screen(task)
            places, inside = task.validation.within(samples, loci)
            if len(places) < task.rules.screen_cells:
                return None
            small = task.cohort.subset(samples, loci)
            quick = copying_model(msgspec.structs.replace(task.config.copying, trial=False, chains=1), 0)
            quiet = RunOptions(task.threads, task.device, stages=task.stages)
            posterior = quick.fit(small, hidden=HiddenCells.none(), options=quiet)
            return Screen(places, pick(inside, small.n_loci, posterior.shown_gp))

        return task.stages.run_together("screen copying", run, _screen_state, _screen_from_state)

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`."""
        from imputevae_cli.decoders.copying.cost import fitting_cost

        return fitting_cost(task)

    def fit(self, task: Task, inputs: Inputs) -> FittedCopying:
        """See `Decoder`. Calibrated on the validation cells, which choose the share of the VAE's state where it is left
        open."""
        structure = structure_among(inputs.fitted)
        return _Fit(task, structure, _state_to_copy(task, structure)).best()

    def from_state(self, state: State, setting: Setting) -> FittedCopying:
        """See `Decoder`."""
        # Its cells are those missing in what it was shown: all known calls, or the visible ones
        unseen = HiddenCells.none() if state["saw_all"] else setting.hidden
        calls = certain_part(setting.cohort).calls
        posterior = HaplotypePosterior.from_dict(as_arrays(state["posterior"]), calls, unseen)
        return FittedCopying(setting.cohort, posterior, state["note"])

    def notes(self, fitted: FittedDecoder) -> list[str]:
        """See `Decoder`: what became of the VAE's state."""
        note = cast(FittedCopying, fitted).note
        return [note] if note else []

    def learned_settings(self, fitted: FittedDecoder) -> dict[str, Any]:
        """See `Decoder`: the schedule that it ended with."""
        known, schedule = CopyingSettings.__struct_fields__, cast(FittedCopying, fitted).posterior.schedule
        return {f"copying.{k}": v for k, v in asdict(schedule).items() if k in known}


@dataclass(frozen=True)
class FittedCopying:
    """See `FittedDecoder`. note: what became of the VAE's state, or nothing."""

    cohort: Cohort
    posterior: HaplotypePosterior
    note: str = ""

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`."""
        return pick(cells, self.cohort.n_loci, self.posterior.shown_gp)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedCopying:
        """The chains go on from all known calls, where so many were held out that it tells."""
        if self.posterior.ends is None:
            return self
        structure = structure_among(inputs.fitted)
        use_state = self.posterior.schedule.global_share > 0
        with_state = _state_to_copy(task, structure)[0] if use_state else None
        fit = _Fit(task, structure, (None, ""))
        again = fit.run("copying with all calls", HiddenCells.none(), None, with_state, earlier=self.posterior)
        return replace(self, posterior=again)

    @property
    def n_haplotypes(self) -> int:
        """See `PhasedCohort`."""
        return len(self.posterior.packed)

    def haplotypes(self, numbers: np.ndarray) -> np.ndarray:
        """See `PhasedCohort`."""
        posterior = self.posterior
        alleles = np.uint8(255) * np.unpackbits(posterior.packed[numbers], axis=1, count=self.cohort.n_loci)
        for own, number in zip(alleles, numbers, strict=True):
            own[posterior.hidden.loci[posterior.hidden.samples == number // posterior.ploidy]] = 128
        return alleles

    def for_cohort(self, context: Context) -> Shown:
        """See `FittedDecoder`."""
        return Shown(self.posterior, self.cohort)

    def for_samples(self, cohort: Cohort, context: Context) -> Stretch:
        """See `FittedDecoder`: they are read against the cohort's haplotypes."""
        model = copying_model(context.config.copying, context.config.io.seed)
        panel = self.posterior.panel()
        return context.options.stages.run(
            "new samples",
            lambda: model.impute_new(panel, cohort, wanted=context.wanted, options=context.options),
            Stretch.state,
            lambda state: Stretch.from_state(state, certain_part(cohort).calls),
        )

    def state(self) -> State:
        """See `FittedDecoder`."""
        saw_all = not len(self.posterior.hidden.truth)
        return {"posterior": as_tensors(self.posterior.to_dict()), "saw_all": saw_all, "note": self.note}


@dataclass(frozen=True)
class Shown:
    """The posterior of a cohort, in which a call that was hidden from the fit has what the fit makes of it."""

    posterior: HaplotypePosterior
    cohort: Cohort

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `Posterior`."""
        return self.posterior.shown_gp(start, stop)

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """See `Phased`."""
        return self.posterior.alt_first(start, stop)

    def draw(self, number: int, start: int, stop: int) -> np.ndarray:
        """See `Drawing`."""
        return self._draws.draw(number, start, stop)

    @cached_property
    def _draws(self) -> HaplotypeDraws:
        from imputevae_cli.decoders.copying.draws import HaplotypeDraws  # brings the compiler

        return HaplotypeDraws(self.posterior, self.cohort, copying_rules.DEFAULT)


def copying_model(settings: CopyingSettings, seed: int) -> CopyingModel:
    """The model itself, which brings the compiler."""
    from imputevae_cli.decoders.copying.model import CopyingModel

    return CopyingModel(settings, seed)


def _state_to_copy(task: Task, structure: SampleStructure | None) -> tuple[np.ndarray | None, str]:
    """What the VAE expects of each allele, uint8 (N, L), as one more state to copy from, or None and why not."""
    if task.config.copying.global_share == 0 or structure is None:
        return None, ""
    if not structure.in_full:
        return None, "copying does without the global state: vae was not fitted in full"
    return structure.allele_chances(), ""


class _Fit:
    """Runs of copying on the visible calls of a task. rows: what `_state_to_copy` gave."""

    def __init__(self, task: Task, structure: SampleStructure | None, rows: tuple[np.ndarray | None, str]):
        self._task, (self._rows, self._note) = task, rows
        # Where the latent was fitted on some of the loci, the genotypes' own correlations make the better copying prior
        self._similarity: Callable[[], np.ndarray | None] = lambda: None
        if structure is not None and structure.reads_all_loci:
            self._similarity = structure.similarity

    def best(self) -> FittedCopying:
        """With as much of the VAE's state as the settings say, or as serves the validation cells."""
        task = self._task
        if self._rows is None:
            return FittedCopying(task.cohort, self._calibrated("copying", None, None), self._note)
        if task.config.copying.global_share is not None:
            return FittedCopying(task.cohort, self._calibrated("copying with the global state", None, self._rows))
        best = self._calibrated("copying", None, None)
        losses = self._losses(best)
        if len(losses) < task.rules.screen_cells:
            return FittedCopying(task.cohort, best)
        for number, share in enumerate(task.rules.global_shares):
            schedule = replace(best.schedule, global_share=share)
            other = self._calibrated(f"copying with the global state {number}", schedule, self._rows)
            other_losses = self._losses(other)
            gain = losses - other_losses
            if gain.mean() <= gain.std() / np.sqrt(len(gain)):  # by a standard error
                break
            best, losses = other, other_losses
        share = best.schedule.global_share
        return FittedCopying(
            task.cohort,
            best,
            f"copying has the global state with a prior of {share:g}"
            if share
            else "copying does without the global state: it adds nothing on held-out calls",
        )

    def run(
        self,
        name: str,
        hidden: HiddenCells,
        schedule: Schedule | None,
        rows: np.ndarray | None,
        calibrate: bool = False,
        earlier: HaplotypePosterior | None = None,
    ) -> HaplotypePosterior:
        """A stage of this name. hidden: known calls that are hidden at the time. earlier: a fit whose
        chains go on, see `CopyingModel.go_on`."""
        task = self._task
        cohort = task.cohort

        def fit() -> HaplotypePosterior:
            from imputevae_cli.decoders.copying.inputs import CopyingGuides  # and with it the compiler

            model = copying_model(task.config.copying, seed_for(task.config.io.seed, "haplotype") % 2**31)
            guides = CopyingGuides(similarity=self._similarity(), global_rows=rows)
            if earlier is not None:
                return model.go_on(cohort, earlier, guides=guides, options=task.options)
            posterior = model.fit(cohort, hidden=hidden, guides=guides, schedule=schedule, options=task.options)
            return posterior.calibrated(task.validation) if calibrate else posterior

        return task.stages.run_together(
            name,
            fit,
            HaplotypePosterior.state,
            lambda state: HaplotypePosterior.from_state(state, certain_part(cohort).calls, hidden),
        )

    def _calibrated(self, name: str, schedule: Schedule | None, rows: np.ndarray | None) -> HaplotypePosterior:
        return self.run(name, self._task.hidden, schedule, rows, calibrate=True)

    def _losses(self, posterior: HaplotypePosterior) -> np.ndarray:
        """Log loss of each validation cell, float (M,)."""
        task = self._task
        gp = pick(task.validation, task.cohort.n_loci, posterior.shown_gp)
        target = task.validation.target
        return -log_of(gp[np.arange(len(gp)), target] if target.ndim == 1 else (gp * target).sum(1))


def _screen_state(screen: Screen | None) -> State:
    return None if screen is None else as_tensors(vars(screen))


def _screen_from_state(state: State) -> Screen | None:
    return None if state is None else Screen(**as_arrays(state))
