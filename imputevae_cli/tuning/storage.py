"""Optuna studies that many workers share: who runs which trial, and who has gone silent.

Nothing here needs a lock beyond what every storage gives: that a name of a study is taken once, that trials are
numbered one after the other, and that a trial is taken from the queue, or finished, by one worker alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from imputevae_cli.log import logger
from imputevae_cli.runtime.stopping import StopRequest
from imputevae_cli.seeds import seed_for

optuna.logging.set_verbosity(optuna.logging.ERROR)

LABEL, RETRY_OF, NOTE, BEAT = "label", "retry_of", "note", "beat"
"""User attributes of a trial: why it was queued, the number of the lost trial that it repeats, why it came to nothing,
and how often its worker has given a sign of life."""
STOPPED = "stopped"
POLL_SECONDS = 0.5
GRACE_SECONDS = 5.0
"""What a worker that was killed on the spot left undone, such as to queue the first trials of the study that it made,
is done by whoever finds it so for this long."""


class NumberedTpe(BaseSampler):
    """Optuna's TPE, with draws that depend on a seed and on the trial's number.

    A study that was stopped goes on as if it had not been, and workers never draw alike. given: values that are
    taken instead, for a trial whose settings are known.
    """

    def __init__(self, seed: int, n_startup: int):
        self._seed, self._n_startup = seed, n_startup
        self._tpe = self._sampler("none")
        self.given: Mapping[str, Any] = {}

    def _sampler(self, purpose: str) -> TPESampler:
        seed = seed_for(self._seed, f"sampler {purpose}") % 2**32
        return TPESampler(n_startup_trials=self._n_startup, constant_liar=True, seed=seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._tpe = self._sampler(str(trial.number))
        self._tpe.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {} if self.given else self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name in self.given:
            return self.given[param_name]
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._tpe.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        pass


@dataclass(frozen=True)
class Queued:
    """A trial that a study is to hold in any case. params: its settings; those left out are drawn."""

    label: str
    params: Mapping[str, Any] = field(default_factory=dict)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that were asked for: not one that was lost, stopped, or too many."""
    return trial.state != TrialState.FAIL


def lost(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that came to nothing by no fault of theirs, and are still to be run again."""
    again = {t.user_attrs.get(RETRY_OF) for t in trials}
    return [t for t in trials if not counts(t) and t.user_attrs.get(NOTE, STOPPED) == STOPPED and t.number not in again]


def _holding_places(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that the budget is used up by; one that is lost keeps its place for its repetition."""
    return [t for t in trials if counts(t)] + lost(trials)


def labelled(study: optuna.Study, label: str) -> FrozenTrial | None:
    """The trial of this label that counts."""
    found = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(LABEL) == label and counts(t)]
    return found[0] if found else None


def queue(study: optuna.Study, wanted: Sequence[Queued]) -> None:
    """Add those of `wanted` that the study does not hold."""
    for trial in wanted:
        if labelled(study, trial.label) is None:
            study.enqueue_trial(dict(trial.params), user_attrs={LABEL: trial.label})


def run_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial that came to nothing once more, with the settings that it had."""
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    label = trial.user_attrs.get(LABEL)
    study.enqueue_trial(params, user_attrs={RETRY_OF: trial.number} | ({} if label is None else {LABEL: label}))


class Worker:
    """One of those who run the trials of a study together, until so many are finished.

    budget: how many. first: those that the study holds in any case. may_draw: whether, beyond them, new trials may
    be drawn yet. deadline: time.monotonic() after which no trial is begun. stale_after: seconds without a sign of
    life from a trial's worker.
    """

    def __init__(
        self,
        study: optuna.Study,
        budget: int,
        first: Sequence[Queued],
        *,
        stop: StopRequest,
        stale_after: float,
        may_draw: Callable[[], bool] = lambda: True,
        deadline: float | None = None,
    ):
        self._study, self._budget, self._first = study, budget, first
        self._stop, self._stale_after = stop, stale_after
        self._may_draw, self._deadline = may_draw, deadline
        self._beats: dict[int, tuple[int, float]] = {}
        self._incomplete_since: float | None = None
        self._has_waited = False

    def run(self, run_trial: Callable[[Trial], Sequence[float]], on_change: Callable[[], None]) -> None:
        """Run trials, this worker's share of them, and wait for those of others.

        run_trial gives a trial's values, or raises optuna.TrialPruned; any other error ends the worker.
        on_change: called when a trial may have finished, here or elsewhere.
        """
        while True:
            self._stop.obey()
            self._fail_stale()
            self._mend()
            late = self._deadline is not None and time.monotonic() > self._deadline
            trial = None if late else self._claim()
            on_change()
            if trial is not None:
                self._run_one(trial, run_trial)
            elif self._is_over(late):
                return
            else:
                self._wait()

    def _wait(self) -> None:
        if not self._has_waited:
            logger.info("waiting for the trials of other workers")
            self._has_waited = True
        time.sleep(POLL_SECONDS)

    def _is_over(self, late: bool) -> bool:
        trials = self._study.get_trials(deepcopy=False)
        if any(t.state == TrialState.RUNNING for t in trials):
            return False
        return late or sum(t.state.is_finished() and counts(t) for t in trials) >= self._budget

    def _claim(self) -> Trial | None:
        """A trial to run: from the queue, else a new one, while fewer than the budget are begun or done."""
        trials = self._study.get_trials(deepcopy=False)
        waiting = any(t.state == TrialState.WAITING for t in trials)
        if not waiting and (len(_holding_places(trials)) >= self._budget or not self._may_draw()):
            return None
        trial = self._study.ask()
        was_queued = not {LABEL, RETRY_OF}.isdisjoint(trial.user_attrs)
        places = _holding_places(self._study.get_trials(deepcopy=False))
        has_place = sum(t.number < trial.number for t in places) < self._budget
        if has_place and (was_queued or self._may_draw()):
            return trial
        # Another worker was faster. Two went for the last place: numbers are dealt out one by one, and the higher one
        # gives way. Or both went for the last trial of the queue, and who came too late was given a new one
        trial.set_user_attr(NOTE, "one too many")
        self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _run_one(self, trial: Trial, run_trial: Callable[[Trial], Sequence[float]]) -> None:
        try:
            with _heartbeat(trial, self._stale_after / 6):
                values = run_trial(trial)
        except optuna.TrialPruned as pruned:
            self._finish(trial, note=str(pruned), state=TrialState.PRUNED)
        except UpdateFinishedTrialError:
            _say_dropped(trial)
        except Exception as error:
            self._finish(trial, note=f"{type(error).__name__}: {error}", state=TrialState.FAIL)
            raise
        except BaseException:
            if self._finish(trial, note=STOPPED, state=TrialState.FAIL):
                run_again(self._study, self._study.get_trials(deepcopy=False)[trial.number])
            raise
        else:
            self._finish(trial, values=values)

    def _finish(self, trial: Trial, *, note: str = "", **outcome: Any) -> bool:
        """Finish a trial; False where others gave it up as lost, and have run it again or will."""
        try:
            if note:
                trial.set_user_attr(NOTE, note)
            self._study.tell(trial, **outcome)
        except (UpdateFinishedTrialError, ValueError):
            if not self._study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise
            _say_dropped(trial)
            return False
        return True

    def _fail_stale(self) -> None:
        """Fail the trials whose worker has not moved for `stale_after` seconds by this worker's clock; queue them anew.

        No two clocks are compared: only whether a count has changed while this worker looked on.
        """
        now = time.monotonic()
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            beat = trial.user_attrs.get(BEAT, 0)
            seen, since = self._beats.get(trial.number, (None, now))
            if seen != beat:
                self._beats[trial.number] = beat, now
            elif now - since > self._stale_after and self._give_up(trial):
                logger.warning("trial %d: its worker has gone silent; it is run again", trial.number)
                run_again(self._study, trial)

    def _give_up(self, trial: FrozenTrial) -> bool:
        """Whether it was this worker that failed the trial."""
        try:
            self._study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            return False
        return True

    def _mend(self) -> None:
        """Queue what a worker that was killed on the spot did not come to queue."""
        trials = self._study.get_trials(deepcopy=False)
        left = lost(trials)
        if not left and all(labelled(self._study, trial.label) for trial in self._first):
            self._incomplete_since = None
        elif self._incomplete_since is None:
            self._incomplete_since = time.monotonic()
        elif time.monotonic() - self._incomplete_since > GRACE_SECONDS:
            for trial in left:
                run_again(self._study, trial)
            queue(self._study, self._first)


def _say_dropped(trial: Trial) -> None:
    logger.warning("trial %d was given up as lost by another worker; its result is dropped", trial.number)


@contextlib.contextmanager
def _heartbeat(trial: Trial, every: float) -> Iterator[None]:
    """Signs of life of a trial from a thread, while it runs."""
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(every):
            count += 1
            try:
                trial.set_user_attr(BEAT, count)
            except Exception as error:  # the trial was given up, or the storage is away for a while
                logger.debug("trial %d: no sign of life could be given (%s)", trial.number, error)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
