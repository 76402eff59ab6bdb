"""Regression on linked loci as one of the decoders: dosages of polyploids predicted from those at other loci."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.ploidy import MOST_PLOIDY
from imputevae_cli.decoders.base import Context, Inputs, PlainDecoder, Role, Setting, Task
from imputevae_cli.decoders.regression.model import BLOCK, Passes, Predicted, Samples, next_pass
from imputevae_cli.decoders.regression.rules import DEFAULT
from imputevae_cli.runtime.cost import Cost, timed
from imputevae_cli.runtime.resumable import State
from imputevae_cli.scoring.likelihood_score import likelihood_loss
from imputevae_cli.scoring.metrics import log_loss

CERTAIN_ERROR = 0.001
"""The chance that a call is wrong which comes without evidence."""


class RegressionDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "regression", "regression on linked loci"
    role = Role(on_evidence="also", ploidies=(3, MOST_PLOIDY))

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`; of a stretch of the file, from which all follows: loci are taken one by one."""
        cohort = task.cohort
        n_tried = min(2 * BLOCK, cohort.n_loci)
        some = cohort.subset(np.arange(len(cohort.calls)), np.arange(n_tried))
        seconds, _ = timed(lambda: _passes(some, DEFAULT.residuals[0]))
        runs = len(DEFAULT.residuals) + 1
        return Cost(seconds * runs * cohort.n_loci / n_tried, 28 * cohort.calls.size)

    def fit(self, task: Task, inputs: Inputs) -> FittedRegression:
        """See `Decoder`: held-out cells choose how much of the variance the regressors leave unexplained."""
        chosen = task.stages.run("regression", lambda: _choose_residual(task))
        return FittedRegression(task.cohort, chosen, _Visible(task.cohort, chosen))

    def from_state(self, state: State, setting: Setting) -> FittedRegression:
        """See `Decoder`."""
        return FittedRegression(setting.cohort, float(state["residual"]))

    def notes(self, fitted: FittedRegression) -> list[str]:  # type: ignore[override]
        """See `Decoder`."""
        return [f"regression: linked loci and ancestry leave {fitted.residual:.0%} of the variance of dosages"]


@dataclass
class _Visible:
    """Predictions from the visible calls, made when they are first asked for."""

    cohort: Cohort
    residual: float
    made: Predicted | None = field(default=None, repr=False)

    def __call__(self) -> Predicted:
        if self.made is None:
            self.made = _passes(self.cohort, self.residual).known
        return self.made


@dataclass(frozen=True)
class FittedRegression:
    """See `FittedDecoder`. residual: share of the variance of dosages that regressors do not explain. All else follows
    from the cohort. visible: predictions from the visible calls, or None once held-out calls are back."""

    cohort: Cohort
    residual: float
    visible: Callable[[], Predicted] | None = None

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`."""
        if self.visible is None:
            raise ValueError("held-out calls are asked for while the fit is under way")
        return self.visible().gp_of(cells)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedRegression:
        """See `FittedDecoder`."""
        return FittedRegression(self.cohort, self.residual)

    def for_cohort(self, context: Context) -> Predicted:
        """See `FittedDecoder`."""
        return _passes(self.cohort, self.residual).known

    def for_samples(self, cohort: Cohort, context: Context) -> Predicted:
        """See `FittedDecoder`."""
        predicted = _passes(self.cohort, self.residual, cohort).others
        assert predicted is not None  # there are others
        return predicted

    def state(self) -> State:
        """See `FittedDecoder`."""
        return {"residual": self.residual}


def _choose_residual(task: Task) -> float:
    """The share of unexplained variance under which the validation cells are likeliest."""
    cohort, cells, stages = task.cohort, task.validation, task.stages
    begun = stages.resumed() or {"losses": [], "passes": None}
    losses: list[float] = begun["losses"]
    passes = Passes.from_state(begun["passes"]) if begun["passes"] else None

    def safe_point(done: Passes | None) -> None:
        stages.safe_point(lambda: {"losses": list(losses), "passes": done and done.state()})

    with task.progress.task("regressions", len(DEFAULT.residuals)) as progress:
        progress.advance(len(losses))
        for residual in DEFAULT.residuals[len(losses) :]:
            gp = _passes(cohort, residual, done=passes, before_each=safe_point).known.gp_of(cells)
            likelihoods, passes = cells.likelihoods, None
            losses.append(log_loss(cells.truth, gp) if likelihoods is None else likelihood_loss(gp, likelihoods))
            progress.advance(1)
    return DEFAULT.residuals[int(np.argmin(losses))]


def _passes(
    cohort: Cohort,
    residual: float,
    others: Cohort | None = None,
    done: Passes | None = None,
    before_each: Callable[[Passes | None], object] = lambda _: None,
) -> Passes:
    """All passes over the loci of a cohort, and of others, from what is known of them now.

    done: those that were made before. before_each: called with those so far before each that is to be made.
    """
    frequencies = _frequencies(cohort)
    fitted = Samples(_evidence(cohort), frequencies)
    beside = None if others is None else Samples(_evidence(others), frequencies)
    while done is None or done.number < DEFAULT.passes:
        before_each(done)
        done = next_pass(fitted, beside, cohort.chrom_codes, residual, done)
    return done


def _evidence(cohort: Cohort) -> Evidence:
    return cohort.evidence or Evidence.certain(cohort.calls, cohort.ploidy, CERTAIN_ERROR)


def _frequencies(cohort: Cohort) -> np.ndarray:
    """Genotype frequencies of all samples, float32 (L, C)."""
    return evidence_frequencies(_evidence(cohort))[-1]
