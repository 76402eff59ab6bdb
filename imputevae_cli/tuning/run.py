"""What the stages of a study share: the data, the settings given, and how trials are compared and chosen."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from imputevae_cli.config import Config
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import EpochResult
from imputevae_cli.errors import ConfigError, TrainingError
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import Progress, logger
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.stopping import StopRequest
from imputevae_cli.scoring.metrics import METRICS
from imputevae_cli.tuning.data import ScoredData, fill_cells, metric_names
from imputevae_cli.tuning.result import DEFAULTS
from imputevae_cli.tuning.space import OF_OUTPUT, Space
from imputevae_cli.tuning.storage import LABEL


@dataclass(frozen=True)
class Run:
    """What the stages of a study share.

    base: the settings given, with those that are held. metrics: names; the first to be minimised or maximised.
    """

    name: str
    storage: BaseStorage
    base: Config
    space: Space
    metrics: tuple[str, ...]
    whole: ScoredData
    part: ScoredData | None
    stop: StopRequest
    progress: Progress
    memory: dict[str, np.ndarray] = field(default_factory=dict)
    """Genotype probabilities of the test's cells under fits on all data that may be asked for again, by settings."""

    @property
    def select(self) -> str | int:
        """The metric, or the trial's number, that picks one of a Pareto front."""
        return select_of(self.base, self.metrics)

    @property
    def judge(self) -> str:
        """The metric that a single best trial is found by."""
        return self.select if isinstance(self.select, str) else self.metrics[0]


def memory_key(config: Config) -> str:
    """The settings that a model follows from, as one text: the key of `Run.memory`."""
    settings = config.to_dict()
    return repr([settings[section] for section in OF_OUTPUT])


def select_of(config: Config, metrics: Sequence[str]) -> str | int:
    """By what one trial is picked: one of the metrics, or a trial's number. Raises ConfigError for anything else."""
    chosen = config.tune.select
    if chosen is None:
        return metrics[0]
    if isinstance(chosen, int) or (chosen.isdecimal() and len(chosen) < 18):
        return int(chosen)
    (name,) = metric_names(chosen)
    if name not in metrics:
        raise ConfigError(f"tune.select={chosen}: is none of the study's metrics, {', '.join(metrics)}")
    return name


def complete(study: Study) -> list[FrozenTrial]:
    """The trials that came to their end."""
    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def ranked(run: Run, study: Study, among: Set[str] | None = None) -> list[FrozenTrial]:
    """The trials to choose from, the best first: all by a single metric, else the Pareto front by the one that picks.

    among: the labels of those that may be chosen; None: any trial. Where a trial was picked by its number, it alone.
    """
    trials = [t for t in complete(study) if among is None or t.user_attrs.get(LABEL) in among]
    if isinstance(run.select, int):
        return [_picked(run.select, trials, among is not None)]
    if len(run.metrics) > 1:
        front = {t.number for t in study.best_trials}
        trials = [t for t in trials if t.number in front]
    i = run.metrics.index(run.judge)
    sign = 1 if METRICS[run.judge].lower_is_better else -1
    return sorted(trials, key=lambda t: (sign * t.values[i], t.number))


def _picked(number: int, trials: list[FrozenTrial], is_repeated: bool) -> FrozenTrial:
    """The trial that was picked by its number, or its repetition, which stands alone beside the settings given."""
    if is_repeated:
        found = [t for t in trials if t.user_attrs.get(LABEL) != DEFAULTS] or trials
    else:
        found = [t for t in trials if t.number == number]
    if not found:
        raise ConfigError(f"--select {number}: the study holds no finished trial of this number")
    return found[0]


def chosen_of(run: Run, final: Study, among: Set[str] | None) -> FrozenTrial | None:
    """The trial to go on with; None where that is the one of the settings given. Raises TrainingError without any."""
    found = ranked(run, final, among)
    if not found:
        raise TrainingError("neither the best trials nor the settings given fit in memory with all data; use --region")
    return None if found[0].user_attrs.get(LABEL) == DEFAULTS else found[0]


def number_in_search(trial: FrozenTrial, is_of_search: bool) -> int:
    """The number that a trial has in the search, where it may be its repetition on all data."""
    return trial.number if is_of_search else int(trial.user_attrs[LABEL].removeprefix("trial "))


def fit_and_fill(
    run: Run,
    data: ScoredData,
    config: Config,
    *cells: HiddenCells,
    on_epoch: Callable[[EpochResult], Any] | None = None,
    stages: Stages | None = None,
) -> tuple[ImputeVAE, list[np.ndarray]]:
    """A model fitted with these settings, and genotype probabilities, float32 (M, C), of hidden cells.

    Meanwhile a request to stop is obeyed at once.
    """
    with _quiet_log():
        run.stop.deferred = False
        try:
            run.stop.obey()
            model = ImputeVAE(config).fit(data.genotypes, on_epoch=on_epoch, stages=stages)
            return model, fill_cells(model, data.genotypes, *cells)
        finally:
            run.stop.deferred = True


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """What single fits say is for the debugging log alone."""
    before = logger.level
    logger.setLevel(max(before, logging.WARNING) if before > logging.DEBUG else before)
    try:
        yield
    finally:
        logger.setLevel(before)
