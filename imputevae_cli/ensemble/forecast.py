"""What a fit and its fill will take: the plan of the fit, and each decoder's own estimate of its cost.

Which decoders will be fitted is known only once they are, but the screens that a fit starts with tell most of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from imputevae_cli.decoders.base import Effort, Inputs, Task
from imputevae_cli.decoders.registry import BASELINE
from imputevae_cli.ensemble.fit import Fit
from imputevae_cli.ensemble.held_out import HeldOut
from imputevae_cli.ensemble.plan import Findings, Plan
from imputevae_cli.ensemble.screen import idle_decoders
from imputevae_cli.log import NullProgress
from imputevae_cli.runtime.cost import Cost, timed
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.resumable import State

GATE_SECONDS = 0.5
"""Of one fit of the gate; it hardly depends on the data."""


def forecast(task: Task) -> Cost:
    """Time and memory that `fit_ensemble` and filling every missing call will take, about."""
    with task.holding_out(), kernel_threads(1):
        fit = Fit(replace(task, progress=NullProgress()))
        seconds, (now, screened) = timed(lambda: expected_plan(fit))
        total = Cost(seconds + GATE_SECONDS * (1 + len(now.notes)), 0)
        for step in now.steps:
            decoder = fit.decoders[step.decoder]
            before = {name: fit.fitted[name] for name in decoder.depends_on if name in fit.fitted}
            if step.effort.serves_others:
                seconds, _ = timed(partial(fit.carry_out, step))
                total += Cost(seconds, 0)
                continue
            learned: State | None = {} if step.decoder in screened else None  # that there is some is all that counts
            total += decoder.cost(fit.task, Inputs(before, step.effort, learned=learned))
            if decoder.role.serves:  # what others need of it to tell their cost
                fit.carry_out(replace(step, effort=Effort.BRIEF, is_mixed=False))
    return total


def expected_plan(fit: Fit) -> tuple[Plan, tuple[str, ...]]:
    """The plan that the fit will carry out, as far as screens before it can tell, and the decoders whose screens will
    be run in the midst of it: where these pass, they go on from what they learned."""
    now, findings = fit.first_plan()
    if not now.on_trial:
        return now, ()
    task = fit.task
    baseline = fit.decoders[BASELINE].fit(task, Inputs({}))
    held_out = HeldOut.of(task.cohort, {BASELINE: baseline.gp_of}, task.validation)
    screens = {name: fit.screens.get(name) for name in now.on_trial}  # the others would have to be fitted first
    return fit.plan(Findings(findings.ratio, idle_decoders(task, held_out, fit.decoders, screens))), now.on_trial
