"""Trials: drawing settings, fitting with them, and scoring the fit on the calls that trials are compared by."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import optuna
from optuna.trial import Trial

from imputevae_cli.config import Config
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import EpochResult
from imputevae_cli.errors import ConfigError
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import logger
from imputevae_cli.runtime.device import is_out_of_memory
from imputevae_cli.runtime.search_space import Choices, Dimension, Numbers
from imputevae_cli.scoring.metrics import METRICS
from imputevae_cli.seeds import seed_for
from imputevae_cli.tuning.data import ScoredData, score
from imputevae_cli.tuning.memory import FittedParts
from imputevae_cli.tuning.result import DEFAULTS
from imputevae_cli.tuning.run import Run, complete, fit_and_fill, memory_key
from imputevae_cli.tuning.space import GATE
from imputevae_cli.tuning.storage import LABEL, NumberedTpe, Queued, queue

THOROUGH = "thorough"
"""The label of the second trial: what the preset of that name sets, among the settings that are searched."""
SPACE, GIVEN, SECONDS, PARTS = "space", "given", "seconds", "parts"
"""User attributes: of a study, what it searches, and the values of that as given; of a trial, what its fit took, and
what its gate said."""
KEPT = 0.5
"""Share of the settings that a trial before TPE begins leaves as given: single changes show what they do, and where
the settings given are good, a trial that changes all of them at once is lost."""


class Trials:
    """Runs trials of one study on some data."""

    def __init__(self, run: Run, study: optuna.Study, data: ScoredData, sampler: NumberedTpe):
        self._run, self._study, self._data, self._sampler = run, study, data, sampler
        self._parts = FittedParts()

    def run_search(self, trial: Trial) -> list[float]:
        """A trial of the search: the settings given, or others of the space."""
        if trial.user_attrs.get(LABEL) == DEFAULTS:
            return self._run_defaults(trial)
        return self._score(trial, self._drawn(trial))

    def run_again(self, trial: Trial) -> list[float]:
        """A trial of the best on all data, or the settings given."""
        given = trial.user_attrs.get(LABEL) == DEFAULTS
        return self._score(trial, self._run.base if given else self._drawn(trial))

    def _run_defaults(self, trial: Trial) -> list[float]:
        """The first trial, which tells what to search: the settings of the parts that these data use."""
        run = self._run
        model, values = self._fit(trial, run.base)
        dimensions = run.space.of_parts(_parts_in_use(model, run))
        learned = model.learned_settings
        given = {key: _value(run.base.get(key), key, learned, d) for key, d in dimensions.items()}
        dimensions = {key: dimension.holding(given[key]) for key, dimension in dimensions.items()}
        if not dimensions:
            raise ConfigError("there is nothing to search: every setting is held; free some with --space")
        self._study.set_user_attr(SPACE, {key: _plain(dimension) for key, dimension in dimensions.items()})
        self._study.set_user_attr(GIVEN, given)
        self._suggest_all(trial, dimensions, given)
        thorough = Config.from_preset("thorough")
        preset = {key: thorough.get(key) for key in dimensions if thorough.get(key) != Config().get(key)}
        preset = {k: v for k, v in preset.items() if _holds(dimensions[k], v)}
        if preset and {**given, **preset} != given and run.base.tune.n_trials > 1:
            queue(self._study, [Queued(THOROUGH, {**given, **preset})])
        logger.info("searching %d settings of: %s", len(dimensions), model.parts)
        return values

    def _drawn(self, trial: Trial) -> Config:
        """The settings given, with those of the space as the trial says, or drawn."""
        space = {key: _of_plain(values) for key, values in self._study.user_attrs[SPACE].items()}
        kept: dict[str, Any] = {}
        if trial.number < self._run.base.tune.sampler_startup:
            rng = np.random.default_rng(seed_for(self._run.base.io.seed, f"startup {trial.number}"))
            given = self._study.user_attrs[GIVEN]
            kept = {key: given[key] for key in space if rng.random() < KEPT}
            kept = kept if len(kept) < len(space) else {}
        return self._run.base.replace(self._suggest_all(trial, space, kept))

    def _suggest_all(self, trial: Trial, space: Mapping[str, Dimension], given: Mapping[str, Any]) -> dict[str, Any]:
        """A value of every setting of the space; those of `given` where the trial was not queued with others."""
        self._sampler.given = given
        try:
            return {key: _suggest(trial, key, dimension) for key, dimension in space.items()}
        finally:
            self._sampler.given = {}

    def _score(self, trial: Trial, config: Config) -> list[float]:
        return self._fit(trial, config)[1]

    def _fit(self, trial: Trial, config: Config) -> tuple[ImputeVAE, list[float]]:
        """The fitted model, and its metrics on the calls that trials are compared by."""
        run, data = self._run, self._data
        config = self._cheaper(config)
        cells = (data.score, data.test) if data is run.whole else (data.score,)
        given = trial.user_attrs.get(LABEL) == DEFAULTS  # what all else is measured by
        pruning = _Pruning(trial) if not given and _may_prune(run, self._study) else None
        start = time.monotonic()
        try:
            model, gp = fit_and_fill(run, data, config, *cells, on_epoch=pruning, stages=self._parts.of(config))
        except Exception as error:
            if is_out_of_memory(error):
                raise optuna.TrialPruned("out of memory") from error
            raise
        trial.set_user_attr(SECONDS, round(time.monotonic() - start, 2))
        trial.set_user_attr(PARTS, model.parts)
        values = score(data.genotypes, data.score, gp[0], run.metrics)
        if data is run.whole and self._may_be_asked_for(trial, values[run.judge]):
            run.memory[memory_key(config)] = gp[1]
        return model, [values[name] for name in run.metrics]

    def _cheaper(self, config: Config) -> Config:
        """The settings of a trial on a part of the data: `tune.epochs` at most, of `tune.batch_size`."""
        tune = self._run.base.tune
        if self._data is not self._run.part:
            return config
        epochs = config.train.max_epochs if tune.epochs is None else min(tune.epochs, config.train.max_epochs)
        batch = config.train.batch_size if tune.batch_size is None else tune.batch_size
        return config.replace({"train.max_epochs": epochs, "train.batch_size": batch})

    def _may_be_asked_for(self, trial: Trial, value: float) -> bool:
        """Whether the test may need this trial's fit: it is that of the settings given, or the best so far."""
        run = self._run
        i, sign = run.metrics.index(run.judge), 1 if METRICS[run.judge].lower_is_better else -1
        best = min((sign * t.values[i] for t in complete(self._study)), default=math.inf)
        return trial.user_attrs.get(LABEL) == DEFAULTS or sign * value <= best


class _Pruning:
    """Tells Optuna how the global decoder comes along, and ends a trial that lags behind the others."""

    def __init__(self, trial: Trial):
        self._trial = trial

    def __call__(self, result: EpochResult) -> None:
        if result.member:  # further models of an ensemble begin anew
            return
        self._trial.report(result.validation_loss, result.epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"behind the other trials at epoch {result.epoch + 1}")


def _may_prune(run: Run, study: optuna.Study) -> bool:
    """Whether epochs of different trials can be compared, and by the metric itself: the log loss on the same cells."""
    decoder = run.base.model.decoder
    alone = (
        decoder != "auto"
        and registry.get(decoder).role.reports_epochs
        and run.metrics == ("log_loss",)
        and study.study_name == run.name
    )
    searched = study.user_attrs.get(SPACE, {})
    return alone and not any(key.startswith("sim.") or key == "train.validation_split" for key in searched)


def _parts_in_use(model: ImputeVAE, run: Run) -> list[str]:
    """The parts of the model whose settings can matter on these data, going by a fit with the settings given."""
    searched = [name for name in registry.names() if registry.get(name).search_space]
    used = [name for name in searched if name in model.part_names]
    if run.base.model.decoder != "auto":
        return used
    if not used:
        return searched
    return used if len(used) == 1 and registry.get(used[0]).role.screens_first else [*used, GATE]


def _value(value: Any, key: str, learned: Mapping[str, Any], dimension: Dimension) -> Any:
    """A setting's value, or what the rules made of null."""
    if value is not None:
        return value
    found = learned.get(key)
    if found is not None or isinstance(dimension, Choices):
        return found
    return dimension.low


def _suggest(trial: Trial, key: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Choices):
        return trial.suggest_categorical(key, dimension.values)
    if dimension.whole:
        return trial.suggest_int(key, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)


def _holds(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Choices):
        return value in dimension.values
    return dimension.low <= value <= dimension.high


def _plain(dimension: Dimension) -> dict[str, Any]:
    return asdict(dimension)


def _of_plain(values: Mapping[str, Any]) -> Dimension:
    return Choices(tuple(values["values"])) if "values" in values else Numbers(**values)
