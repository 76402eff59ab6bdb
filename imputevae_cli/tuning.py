"""A study of settings: trials on a part of the data, the best of them on all of it, and a test of the winner.

Each of the three stages is an Optuna study that any number of workers may share (`tuning_storage`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.engine.device import is_out_of_memory
from imputevae_cli.engine.stages import Stages
from imputevae_cli.engine.trainer import EpochResult
from imputevae_cli.errors import ConfigError, TrainingError
from imputevae_cli.genotypes import GenotypeMatrix
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import NullProgress, Progress, logger
from imputevae_cli.metrics import METRICS
from imputevae_cli.stopping import StopRequest
from imputevae_cli.tuning_data import (
    ScoredData,
    fill_cells,
    gain_and_noise,
    hide_for_study,
    metric_names,
    part_of,
    score,
)
from imputevae_cli.tuning_memory import FittedParts
from imputevae_cli.tuning_result import DEFAULTS, TestScore, TrialRow, TuningResult
from imputevae_cli.tuning_space import DONORS, GATE, GLOBAL, HAPLOTYPE, OF_OUTPUT, Choices, Dimension, Numbers, Space
from imputevae_cli.tuning_storage import (
    LABEL,
    NOTE,
    RETRY_OF,
    NumberedTpe,
    Queued,
    Worker,
    labelled,
    queue,
)

THOROUGH = "thorough"
"""The label of the second trial: what the preset of that name sets, among the settings that are searched."""
TEST = "test"
SPACE, MADE_OF, SECONDS, PARTS, OUTCOME = "space", "made_of", "seconds", "parts", "outcome"
"""User attributes of studies and trials."""
BEYOND_NOISE = 2.0
"""Standard errors by which the chosen settings must be better in the test."""
MADE_OF_TUNE = ("cells", "score_prop", "test_prop", "max_hidden", "finalists", "epochs", "batch_size", "pruner")


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


def select_of(config: Config, metrics: Sequence[str]) -> str | int:
    """What picks one trial: one of the metrics, or a trial's number. Raises ConfigError for anything else."""
    chosen = config.tune.select
    if chosen is None:
        return metrics[0]
    if isinstance(chosen, int) or chosen.isdigit():
        return int(chosen)
    (name,) = metric_names(chosen)
    if name not in metrics:
        raise ConfigError(f"tune.select={chosen}: is none of the study's metrics, {', '.join(metrics)}")
    return name


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
        final = search if part is None else _on_all_data(run, search)
        test = _test(run, search, final)
        return _result(run, search, final, test)
    finally:
        stop.deferred = deferred


# --- the stages


def _search(run: Run, genotypes: GenotypeMatrix, join: bool) -> optuna.Study:
    """The trials themselves."""
    tune = run.base.tune
    sampler = NumberedTpe(run.base.io.seed, tune.sampler_startup)
    first = [Queued(DEFAULTS)]
    study = _open(run, run.name, run.metrics, first, sampler, join=join, made_of=_made_of(run, genotypes))
    trials = _Trials(run, study, run.part or run.whole, sampler)

    def defaults_are_done() -> bool:
        trial = labelled(study, DEFAULTS)
        return trial is not None and trial.state == TrialState.COMPLETE

    _work(run, study, tune.n_trials, first, trials.run_search, "tuning", defaults_are_done, tune.timeout)
    trial = labelled(study, DEFAULTS)
    if trial is None or trial.state != TrialState.COMPLETE:
        raise TrainingError(
            "the settings given could not be tried, so there is nothing to compare with"
            + (f": {trial.user_attrs.get(NOTE, '')}" if trial else "; give more time")
        )
    return study


def _on_all_data(run: Run, search: optuna.Study) -> optuna.Study:
    """The best trials once more, on all samples and loci."""
    best = [t for t in _ranked(run, search) if t.user_attrs.get(LABEL) != DEFAULTS][: run.base.tune.finalists]
    first = [Queued(DEFAULTS), *(Queued(f"trial {t.number}", t.params) for t in best)]
    sampler = NumberedTpe(run.base.io.seed, 0)
    study = _open(run, f"{run.name}.whole", run.metrics, first, sampler)
    study.set_user_attr(SPACE, search.user_attrs[SPACE])
    trials = _Trials(run, study, run.whole, sampler)
    _work(run, study, len(first), first, trials.run_again, "the best on all data")
    return study


def _test(run: Run, search: optuna.Study, final: optuna.Study) -> TestScore:
    """The chosen settings beside those given, on calls that no trial was compared by."""
    first = [Queued(TEST)]
    study = _open(run, f"{run.name}.test", [], first, NumberedTpe(run.base.io.seed, 0))
    chosen = _chosen(run, final)

    def run_test(trial: Trial) -> list[float]:
        config = run.base if chosen is None else run.base.replace(chosen.params)
        outcome = _compare(run, config)
        trial.set_user_attr(OUTCOME, asdict(outcome))
        return [outcome.gain]

    _work(run, study, 1, first, run_test, "test")
    return TestScore(**labelled(study, TEST).user_attrs[OUTCOME])


def _compare(run: Run, config: Config) -> TestScore:
    data, names = run.whole, (run.judge, *(m for m in run.metrics if m != run.judge))

    def filled(settings: Config) -> np.ndarray:
        if _memory_key(settings) in run.memory:
            return run.memory[_memory_key(settings)]
        model, _ = _fit(run, data, settings)
        return fill_cells(model, data.genotypes, data.test)[0]

    given = filled(run.base)
    pair = (given, given if config == run.base else filled(config))
    before, after = (score(data.genotypes, data.test, gp, names) for gp in pair)
    gain, noise = gain_and_noise(data.genotypes, data.test, *pair, run.judge, run.base.io.seed)
    won = gain > BEYOND_NOISE * noise
    return TestScore(run.judge, len(data.test.truth), after, before, gain, noise, won)


def _memory_key(config: Config) -> str:
    settings = config.to_dict()
    return repr([settings[section] for section in OF_OUTPUT])


class _Trials:
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
        model, seconds = self._fit(trial, run.base)
        values = self._scored(trial, model, seconds)
        dimensions = run.space.of_parts(_parts_in_use(model, run))
        schedule = model.haplotype_schedule
        given = {key: _value(run.base.get(key), key, schedule, d) for key, d in dimensions.items()}
        dimensions = {key: dimension.holding(given[key]) for key, dimension in dimensions.items()}
        if not dimensions:
            raise ConfigError("there is nothing to search: every setting is held; free some with --space")
        self._study.set_user_attr(SPACE, {key: _plain(dimension) for key, dimension in dimensions.items()})
        self._sampler.given = given
        for key, dimension in dimensions.items():
            _suggest(trial, key, dimension)
        self._sampler.given = {}
        thorough = Config.from_preset("thorough")
        preset = {key: thorough.get(key) for key in dimensions if thorough.get(key) != Config().get(key)}
        preset = {k: v for k, v in preset.items() if _holds(dimensions[k], v)}
        if preset and {**given, **preset} != given and run.base.tune.n_trials > 1:
            queue(self._study, [Queued(THOROUGH, {**given, **preset})])
        logger.info("searching %d settings of: %s", len(dimensions), model.parts)
        return values

    def _drawn(self, trial: Trial) -> Config:
        space = self._study.user_attrs[SPACE]
        return self._run.base.replace({key: _suggest(trial, key, _of_plain(d)) for key, d in space.items()})

    def _score(self, trial: Trial, config: Config) -> list[float]:
        model, seconds = self._fit(trial, config)
        return self._scored(trial, model, seconds)

    def _fit(self, trial: Trial, config: Config) -> tuple[ImputeVAE, float]:
        run = self._run
        cheap = {"train.max_epochs": run.base.tune.epochs, "train.batch_size": run.base.tune.batch_size}
        if self._data is run.part:
            if cheap["train.max_epochs"] is not None:
                cheap["train.max_epochs"] = min(cheap["train.max_epochs"], config.train.max_epochs)
            config = config.replace({key: value for key, value in cheap.items() if value is not None})
        try:
            pruning = _Pruning(trial) if _may_prune(run, self._study) else None
            return _fit(run, self._data, config, pruning, self._parts.of(config))
        except Exception as error:
            if is_out_of_memory(error):
                raise optuna.TrialPruned("out of memory") from error
            raise

    def _scored(self, trial: Trial, model: ImputeVAE, seconds: float) -> list[float]:
        run, data = self._run, self._data
        if data is run.whole:
            gp, for_test = fill_cells(model, data.genotypes, data.score, data.test)
        else:
            (gp,), for_test = fill_cells(model, data.genotypes, data.score), None
        values = score(data.genotypes, data.score, gp, run.metrics)
        trial.set_user_attr(SECONDS, round(seconds, 2))
        trial.set_user_attr(PARTS, model.parts)
        if for_test is not None and self._may_be_asked_for(trial, values[run.judge]):
            run.memory[_memory_key(model.config)] = for_test
        return [values[name] for name in run.metrics]

    def _may_be_asked_for(self, trial: Trial, value: float) -> bool:
        """Whether the test may need this trial's fit: it is that of the settings given, or the best so far."""
        run = self._run
        i, sign = run.metrics.index(run.judge), 1 if METRICS[run.judge].lower_is_better else -1
        best = min((sign * t.values[i] for t in _complete(self._study)), default=math.inf)
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
    alone = run.base.model.decoder == GLOBAL and run.metrics == ("log_loss",) and study.study_name == run.name
    searched = study.user_attrs.get(SPACE, {})
    return alone and not any(key.startswith("sim.") or key == "train.validation_split" for key in searched)


def _fit(
    run: Run, data: ScoredData, config: Config, on_epoch: _Pruning | None = None, stages: Stages | None = None
) -> tuple[ImputeVAE, float]:
    """A fitted model, and the seconds that it took; may be interrupted."""
    start = time.monotonic()
    with _quiet_log():
        run.stop.deferred = False
        try:
            run.stop.obey()
            model = ImputeVAE(config).fit(data.genotypes, on_epoch=on_epoch, stages=stages)
        finally:
            run.stop.deferred = True
    return model, time.monotonic() - start


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """What single fits say is for the debugging log alone."""
    before = logger.level
    logger.setLevel(max(before, logging.WARNING) if before > logging.DEBUG else before)
    try:
        yield
    finally:
        logger.setLevel(before)


# --- studies and what is in them


def _open(
    run: Run,
    name: str,
    metrics: Sequence[str],
    first: Sequence[Queued],
    sampler: NumberedTpe,
    *,
    join: bool = True,
    made_of: Mapping[str, str] | None = None,
) -> optuna.Study:
    """The study of this name, made with its first trials where it is not there. metrics: none to maximise a gain."""
    lower = [METRICS[name].lower_is_better for name in metrics] or [False]
    settings = {"sampler": sampler, "pruner": _pruner(run.base), "storage": run.storage, "study_name": name}
    try:
        study = optuna.create_study(directions=["minimize" if low else "maximize" for low in lower], **settings)
    except optuna.exceptions.DuplicatedStudyError:
        if not join:
            raise ConfigError(
                f"study {name!r} is there already; --resume goes on with it, --study names another"
            ) from None
        study = optuna.load_study(**settings)
        _check_made_of(study, made_of or {})
        return study
    if made_of is not None:
        study.set_user_attr(MADE_OF, dict(made_of))
    queue(study, first)
    return study


def _made_of(run: Run, genotypes: GenotypeMatrix) -> dict[str, str]:
    """What must be the same for workers to share a study, as short digests."""
    settings = run.base.to_dict()
    shape = (genotypes.calls.shape, genotypes.samples, genotypes.populations is None or list(genotypes.populations))
    return {
        "genotypes": _digest(genotypes.calls.tobytes(), repr(shape).encode(), genotypes.loci.positions.tobytes()),
        "settings": _digest(repr([settings[s] for s in OF_OUTPUT]).encode()),
        "search space": _digest(repr(run.space).encode()),
        "metrics": ", ".join(run.metrics),
        "seed": str(run.base.io.seed),
        "tune settings": _digest(repr([settings["tune"][key] for key in MADE_OF_TUNE]).encode()),
        "version": __version__,
    }


def _digest(*content: bytes) -> str:
    return hashlib.sha256(b"\0".join(content)).hexdigest()[:16]


def _check_made_of(study: optuna.Study, made_of: Mapping[str, str]) -> None:
    kept = study.user_attrs.get(MADE_OF, made_of)
    other = [what for what, digest in made_of.items() if kept.get(what) != digest]
    if other:
        raise ConfigError(
            f"study {study.study_name!r} was begun with another {' and '.join(other)}; give it the same, "
            "or name another study with --study"
        )


def _pruner(base: Config) -> optuna.pruners.BasePruner:
    tune = base.tune
    if tune.pruner == "none":
        return optuna.pruners.NopPruner()
    median = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=base.train.warmup_epochs)
    if tune.pruner == "median":
        pruner = median
    else:
        pruner = optuna.pruners.HyperbandPruner(min_resource=5, max_resource=base.train.max_epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.PatientPruner(pruner, patience=tune.patience) if tune.patience else pruner


def _work(run: Run, study, budget: int, first, run_trial, title: str, may_draw=lambda: True, timeout=None) -> None:
    """This worker's share of a stage, under a progress bar that counts everyone's trials."""
    tune = run.base.tune
    deadline = None if timeout is None else time.monotonic() + timeout
    worker = Worker(
        study, budget, first, stop=run.stop, stale_after=tune.stale_after, may_draw=may_draw, deadline=deadline
    )
    with run.progress.task(title, budget) as task:
        shown = 0

        def show() -> None:
            nonlocal shown
            done = [t for t in study.get_trials(deepcopy=False) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
            if len(done) > shown:
                task.advance(len(done) - shown, _best_so_far(run, study))
                shown = len(done)

        worker.run(run_trial, show)


def _best_so_far(run: Run, study: optuna.Study) -> str:
    if len(study.directions) != len(run.metrics) or study.study_name.endswith(".test"):
        return ""
    ranked = _complete(study)
    if not ranked:
        return ""
    i = run.metrics.index(run.judge)
    pick = min if METRICS[run.judge].lower_is_better else max
    return f"best {run.judge} {pick(t.values[i] for t in ranked):.4f}"


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _ranked(run: Run, study: optuna.Study) -> list[FrozenTrial]:
    """The trials to choose from, the best first: all by a single metric, else the Pareto front by the one that picks.

    Where a trial was picked by its number, it alone.
    """
    trials = _complete(study)
    if isinstance(run.select, int):
        name = run.select if study.study_name == run.name else f"trial {run.select}"
        found = [t for t in trials if name in (t.number, t.user_attrs.get(LABEL))]
        if not found:
            raise ConfigError(f"--select {run.select}: the study holds no finished trial of this number")
        return found[:1]
    if len(run.metrics) > 1:
        front = {t.number for t in study.best_trials}
        trials = [t for t in trials if t.number in front]
    i = run.metrics.index(run.judge)
    sign = 1 if METRICS[run.judge].lower_is_better else -1
    return sorted(trials, key=lambda t: (sign * t.values[i], t.number))


def _chosen(run: Run, final: optuna.Study) -> FrozenTrial | None:
    """The trial to go on with; None where that is the one of the settings given."""
    best = _ranked(run, final)[0]
    return None if best.user_attrs.get(LABEL) == DEFAULTS else best


# --- settings and dimensions


def _parts_in_use(model: ImputeVAE, run: Run) -> list[str]:
    """The parts of the model whose settings can matter on these data, going by a fit with the settings given."""
    used = [part for part in (GLOBAL, DONORS, HAPLOTYPE) if part in model.part_names]
    if run.base.model.decoder != "auto":
        return used
    if not used:
        return [GLOBAL, DONORS, HAPLOTYPE]
    return used if used == [HAPLOTYPE] else [*used, GATE]


def _value(value: Any, key: str, schedule: Mapping[str, Any], dimension: Dimension) -> Any:
    """A setting's value, or what the rules made of null."""
    if value is not None:
        return value
    found = schedule.get(key.split(".")[1])
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


# --- what came of it


def _result(run: Run, search: optuna.Study, final: optuna.Study, test: TestScore) -> TuningResult:
    chosen = _chosen(run, final)
    won = test.won and chosen is not None
    label = "" if chosen is None else chosen.user_attrs.get(LABEL, "")
    number = None if chosen is None else chosen.number if final is search else int(label.removeprefix("trial "))
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
        config=run.base.replace(chosen.params) if won else run.base,
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
    if len(_complete(study)) < 4:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(study, target=lambda t: t.values[objective])
        except (RuntimeError, ValueError):  # every trial came out alike
            return {}
    return {key: float(value) for key, value in found.items() if np.isfinite(value)}
