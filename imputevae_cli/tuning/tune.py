"""A study of settings: trials on a part of the data, the best of them on all of it, and a test of the winner.

Each of the three stages is an Optuna study that any number of workers may share (`storage`).
"""

from __future__ import annotations

import warnings
from dataclasses import asdict

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import TrainingError
from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.runtime.stopping import StopRequest
from imputevae_cli.scoring.metrics import METRICS
from imputevae_cli.tuning.data import gain_and_noise, hide_for_study, metric_names, part_of, score
from imputevae_cli.tuning.result import DEFAULTS, TestScore, TrialRow, TuningResult
from imputevae_cli.tuning.run import (
    Run,
    chosen_of,
    complete,
    fit_and_fill,
    memory_key,
    number_in_search,
    ranked,
    select_of,
)
from imputevae_cli.tuning.space import Space
from imputevae_cli.tuning.storage import LABEL, NOTE, RETRY_OF, NumberedTpe, Queued, labelled
from imputevae_cli.tuning.study import made_of_what, open_study, work, work_off
from imputevae_cli.tuning.trials import GIVEN, PARTS, SECONDS, SPACE, Trials

OUTCOME = "outcome"
"""The user attribute of a trial of the last stage: what the test showed."""
BEYOND_NOISE = 2.0
"""Standard errors by which the chosen settings must be better in the test."""


def tune(
    genotypes: GenotypeMatrix,
    config: Config,
    space: Space,
    storage: BaseStorage,
    name: str,
    *,
    join: bool,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
) -> TuningResult:
    """Run a study, or this worker's share of one, to its end.

    join: whether to go on with a study of this name that is there; else it is refused. stop: where a request to end
    early is noted; `Stopped` then comes out of here, with the trial at hand given back to the study.
    Raises ConfigError, InputError, OutputError, and whatever a fit raises, but for lack of memory, which prunes.
    """
    stop = stop or StopRequest()
    base = config.replace(space.held).checked()
    metrics = metric_names(base.tune.metrics)
    select_of(base, metrics)
    whole = hide_for_study(genotypes, base)
    part = part_of(whole, base.tune, base.io.seed)
    run = Run(name, storage, base, space, metrics, whole, part, stop, progress or NullProgress())
    deferred, stop.deferred = stop.deferred, True
    try:
        search = _search(run, genotypes, join)
        final, among = (search, None) if part is None else _on_all_data(run, search)
        chosen = chosen_of(run, final, among)
        number = None if chosen is None else number_in_search(chosen, final is search)
        test = _test(run, chosen, number)
        return _result(run, search, final, chosen, number, test)
    finally:
        stop.deferred = deferred


# --- the stages


def _search(run: Run, genotypes: GenotypeMatrix, join: bool) -> optuna.Study:
    """The trials themselves."""
    tune = run.base.tune
    sampler = NumberedTpe(run.base.io.seed, tune.sampler_startup)
    first = [Queued(DEFAULTS)]
    study = open_study(run, run.name, run.metrics, first, sampler, join=join, made_of=made_of_what(run, genotypes))
    trials = Trials(run, study, run.part or run.whole, sampler)

    def defaults_are_done() -> bool:
        trial = labelled(study, DEFAULTS)
        if trial is not None and trial.state == TrialState.PRUNED:
            reason = trial.user_attrs.get(NOTE)
            raise TrainingError(f"the settings given cannot be fitted to these data, so nothing can be tuned: {reason}")
        return trial is not None and trial.state == TrialState.COMPLETE

    work(run, study, tune.n_trials, first, trials.run_search, "tuning", defaults_are_done, tune.timeout)
    if not defaults_are_done():
        raise TrainingError("no trial was finished, so there is nothing to compare; give more time with --timeout")
    return study


def _on_all_data(run: Run, search: optuna.Study) -> tuple[optuna.Study, set[str]]:
    """The best trials once more, on all samples and loci, and the labels that they have there.

    What an earlier end of the study ran there, before more trials were asked for, is there still.
    """
    best = [t for t in ranked(run, search) if t.user_attrs.get(LABEL) != DEFAULTS][: run.base.tune.finalists]
    first = [Queued(DEFAULTS), *(Queued(f"trial {t.number}", t.params) for t in best)]
    sampler = NumberedTpe(run.base.io.seed, 0)
    study = open_study(run, f"{run.name}.whole", run.metrics, first, sampler)
    for attribute in (SPACE, GIVEN):
        study.set_user_attr(attribute, search.user_attrs[attribute])
    trials = Trials(run, study, run.whole, sampler)
    work_off(run, study, first, trials.run_again, "the best on all data")
    return study, {trial.label for trial in first}


def _test(run: Run, chosen: FrozenTrial | None, number: int | None) -> TestScore:
    """The chosen settings beside those given, on calls that no trial was compared by."""
    label = DEFAULTS if number is None else f"trial {number}"
    study = open_study(run, f"{run.name}.test", [], [Queued(label)], NumberedTpe(run.base.io.seed, 0))

    def run_test(trial: Trial) -> list[float]:
        outcome = _compare(run, run.base if chosen is None else run.base.replace(chosen.params))
        trial.set_user_attr(OUTCOME, asdict(outcome))
        return [outcome.gain]

    work_off(run, study, [Queued(label)], run_test, "test")
    tested = labelled(study, label)
    assert tested is not None  # `work_off` ends when it is there
    return TestScore(**tested.user_attrs[OUTCOME])


def _compare(run: Run, config: Config) -> TestScore:
    data, names = run.whole, (run.judge, *(m for m in run.metrics if m != run.judge))

    def filled(settings: Config) -> np.ndarray:
        if memory_key(settings) in run.memory:
            return run.memory[memory_key(settings)]
        return fit_and_fill(run, data, settings, data.test)[1][0]

    given = filled(run.base)
    pair = (given, given if config == run.base else filled(config))
    before, after = (score(data.genotypes, data.test, gp, names) for gp in pair)
    gain, noise = gain_and_noise(data.genotypes, data.test, *pair, run.judge, run.base.io.seed)
    won = gain > BEYOND_NOISE * noise
    return TestScore(run.judge, len(data.test.truth), after, before, gain, noise, won)


# --- what came of it


def _result(
    run: Run,
    search: optuna.Study,
    final: optuna.Study,
    chosen: FrozenTrial | None,
    number: int | None,
    test: TestScore,
) -> TuningResult:
    stages = [("search", search)] + ([("whole", final)] if final is not search else [])
    calls = None if run.part is None else run.part.genotypes.calls.shape
    return TuningResult(
        study=run.name,
        metrics={name: METRICS[name].lower_is_better for name in run.metrics},
        searched=list(search.user_attrs[SPACE]),
        rows=[_row(run, stage, t) for stage, study in stages for t in study.get_trials(deepcopy=False)],
        importances={name: _importances(search, i) for i, name in enumerate(run.metrics)},
        front=sorted(t.number for t in search.best_trials),
        chosen=number,
        params={} if chosen is None else dict(chosen.params),
        test=test,
        on_part=calls,
        config=run.base.replace(chosen.params) if test.won and chosen is not None else run.base,
    )


def _row(run: Run, stage: str, trial: FrozenTrial) -> TrialRow:
    attributes = trial.user_attrs
    values = trial.values if trial.state == TrialState.COMPLETE else [float("nan")] * len(run.metrics)
    return TrialRow(
        stage=stage,
        number=trial.number,
        state="failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
        label=attributes.get(LABEL, ""),
        values=dict(zip(run.metrics, values, strict=True)),
        params=dict(trial.params),
        seconds=attributes.get(SECONDS, float("nan")),
        parts=attributes.get(PARTS, ""),
        retry_of=attributes.get(RETRY_OF),
        note=attributes.get(NOTE, "" if trial.state != TrialState.FAIL else "its worker went silent"),
    )


def _importances(study: optuna.Study, objective: int) -> dict[str, float]:
    """Share of the spread of a metric that each setting accounts for (PED-ANOVA); {} for too few trials."""
    if len(complete(study)) < 4:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(study, target=lambda t: t.values[objective])
        except (RuntimeError, ValueError):  # every trial came out alike
            return {}
    return {key: float(value) for key, value in found.items() if np.isfinite(value)}
