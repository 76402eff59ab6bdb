"""Fitting a model: its plan, the decoders in their order, and the gate over them.

Every decoder sees the same visible calls; the held-out validation cells decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
import torch

from imputevae_cli.background import Begin, background
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Decoder, FittedDecoder, Inputs, SampleStructure, Screen, Task, View
from imputevae_cli.decoders.registry import BASELINE
from imputevae_cli.ensemble.ensemble import Ensemble
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.ensemble.held_out import HeldOut
from imputevae_cli.ensemble.plan import Data, Findings, Plan, Step, plan
from imputevae_cli.ensemble.screen import idle_decoders, loss_ratio
from imputevae_cli.log import Stage, logger
from imputevae_cli.runtime.cost import MOMENT_CELLS
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.resumable import State

T = TypeVar("T")


def fit_ensemble(task: Task, beside: Callable[[], T]) -> tuple[Ensemble, np.ndarray, T]:
    """Fit the decoders that `model.decoder` asks for, and the gate; with what is said of the held-out cells, float32
    (M, C), by gates that had not seen them, and with what `beside` makes of the visible calls meanwhile."""
    with task.progress.whole():
        with task.holding_out(), kernel_threads(1), background(task.threads) as begin:
            made_beside = begin(beside)
            ensemble, hidden_gp = Fit(task, begin).on_visible()
            result = made_beside()
        inputs = Inputs(ensemble.fitted)
        fitted = {name: one.on_all_calls(task, inputs) for name, one in ensemble.fitted.items()}
    ensemble.fitted = {
        name: one.for_others_alone() if isinstance(one, SampleStructure) and name not in ensemble.gate.parts else one
        for name, one in fitted.items()
    }
    return ensemble, hidden_gp, result


@dataclass
class Fit:
    """Carries out the plan of a fit on the visible calls of a task, and holds what was fitted so far.

    begin: begins work beside the main thread, see `background`. begun: what waits for the screens that were begun so.
    """

    task: Task
    begin: Begin = cache
    decoders: dict[str, Decoder] = field(default_factory=registry.every)
    fitted: dict[str, FittedDecoder] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    screens: dict[str, Screen | None] = field(default_factory=dict)
    begun: dict[str, Callable[[], Screen | None]] = field(default_factory=dict)
    learned: dict[str, State] = field(default_factory=dict)

    def first_plan(self) -> tuple[Plan, Findings]:
        """The plan after the screens that are run before all else, and what these have shown."""
        findings = Findings()
        first = self.plan(findings)
        for name in first.screens_first:
            screen = self.screens[name] = self._screened(name)
            if screen is not None:
                baseline = self.decoders[BASELINE].fit(self.task, Inputs({}))
                findings = Findings(ratio=loss_ratio(self.task, screen, baseline))
        return (self.plan(findings) if first.screens_first else first), findings

    def plan(self, findings: Findings) -> Plan:
        """The plan that goes by these findings."""
        task = self.task
        data = Data(task.cohort.calls.size, task.cohort.evidence is not None, task.cohort.ploidy)
        return plan(task.config, data, findings, self.decoders, task.rules)

    def on_visible(self) -> tuple[Ensemble, np.ndarray]:
        """The ensemble of the visible calls, and the probabilities of the held-out cells, (M, C)."""
        now, findings = self.first_plan()
        self.task.progress.expect(lambda: self._expected(now.steps))
        self._begin_screens(now.on_trial)
        for step in now.steps:
            if not step.on_trial or step.effort.serves_others:
                self.carry_out(step)
        held_out = self._held_out()
        if now.on_trial:
            now = self._after_trial(now, findings, held_out)
        gate, hidden_gp = self._weigh(held_out)
        notes = [*now.notes, *self._notes()]
        for note in [gate.summary(), *notes]:
            logger.debug("%s", note)
        self.views.clear()
        kept = {n: one for n, one in self.fitted.items() if n in gate.parts or isinstance(one, SampleStructure)}
        self.fitted.clear()
        return Ensemble(self.task.cohort, kept, gate, notes), hidden_gp

    def _begin_screens(self, names: Sequence[str]) -> None:
        """Begin the screens of these decoders that need not wait for a fit."""
        for name in names:
            if name not in self.screens and not self.decoders[name].role.serves:
                self.begun[name] = self.begin(partial(self._screened, name))

    def _notes(self) -> list[str]:
        """What the decoders have to say of their fits."""
        return [note for name, one in self.fitted.items() for note in self.decoders[name].notes(one)]

    def carry_out(self, step: Step) -> None:
        """Fit the decoder of a step."""
        name = step.decoder
        before = {n: self.fitted[n] for n in self.decoders[name].depends_on if n in self.fitted}
        inputs = Inputs(before, step.effort, self.fitted.get(name), self.learned.get(name))
        with self.task.progress.stage(name):
            self.fitted[name] = self.decoders[name].fit(self.task, inputs)
        if step.is_mixed:
            self.views[name] = partial(_possible, self.task.cohort, self.fitted[name])

    def _after_trial(self, now: Plan, findings: Findings, held_out: HeldOut) -> Plan:
        """The plan once those on trial were judged, with all of it carried out."""
        idle, self.learned = self.task.stages.run("screens judged", lambda: self._judge(held_out, now.on_trial))
        settled = self.plan(Findings(findings.ratio, idle))
        left = [step for step in settled.steps if self._is_left(step)]
        self.task.progress.expect(lambda: self._expected(left))
        for step in left:
            self.carry_out(step)
        return settled

    def _is_left(self, step: Step) -> bool:
        """Whether a step of the settled plan was not carried out before it was settled."""
        return step.decoder not in self.fitted or (step.is_mixed and step.decoder not in self.views)

    def _expected(self, steps: Sequence[Step]) -> list[Stage]:
        """What each step will take, about; 0 where a moment of it would take as long, or where it serves others."""
        small = self.task.cohort.calls.size < MOMENT_CELLS
        stages = []
        for step in steps:
            decoder, learned = self.decoders[step.decoder], self.learned.get(step.decoder)
            inputs = Inputs(dict(self.fitted), step.effort, learned=learned)
            unknown = small or step.effort.serves_others
            stages.append((step.decoder, 0.0 if unknown else decoder.cost(self.task, inputs).seconds))
        return stages

    def _judge(self, held_out: HeldOut, names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, State]]:
        """Those on trial that add nothing to what `held_out` knows, and why; what the screens of the others learned."""
        for name in names:
            if name not in self.screens:
                self.screens[name] = self.begun.get(name, partial(self._screened, name))()
        screens = {name: self.screens[name] for name in names}
        idle = idle_decoders(self.task, held_out, self.decoders, screens)
        passed = {name: screen for name, screen in screens.items() if screen is not None and name not in idle}
        return idle, {name: one.learned for name, one in passed.items() if one.learned is not None}

    def _screened(self, name: str) -> Screen | None:
        """What a cheap run of a decoder says, as it would be written."""
        screen = self.decoders[name].screen(self.task, self.fitted.get(name))
        if screen is None:
            return None
        cells = self.task.validation.take(screen.places)
        return replace(screen, gp=self.task.cohort.possible(screen.gp, cells.samples, cells.loci))

    def _held_out(self) -> HeldOut:
        """What the decoders fitted so far say of the validation cells."""
        task = self.task
        return task.stages.run(
            "held-out calls",
            lambda: HeldOut.of(task.cohort, self.views, task.validation),
            HeldOut.state,
            partial(HeldOut.from_state, task.validation),
        )

    def _weigh(self, held_out: HeldOut) -> tuple[Gate, np.ndarray]:
        """The gate over the decoders, which all held-out cells decide, and what is made of these with weights that the
        other half of them decided, float32 (M, C)."""
        task, views, seed = self.task, self.views, self.task.config.io.seed

        def fit() -> tuple[Gate, np.ndarray]:
            validated = held_out.with_all(views)
            tested = HeldOut.of(task.cohort, views, task.test)
            gate = validated.and_also(tested).gate(seed)
            return gate, validated.weighed_by_others(tested, gate)

        return task.stages.run("gate", fit, _gate_state, _gate_from_state)


def _possible(cohort: Cohort, fitted: FittedDecoder, cells: HiddenCells) -> np.ndarray:
    """What a decoder says of held-out cells, float (M, C), of which haploid ones are no heterozygotes."""
    return cohort.possible(fitted.gp_of(cells), cells.samples, cells.loci)


def _gate_state(weighed: tuple[Gate, np.ndarray]) -> dict[str, Any]:
    return {"gate": weighed[0].state_dict(), "hidden_gp": torch.from_numpy(weighed[1])}


def _gate_from_state(state: Mapping[str, Any]) -> tuple[Gate, np.ndarray]:
    return Gate.from_state_dict(state["gate"]), state["hidden_gp"].numpy()
