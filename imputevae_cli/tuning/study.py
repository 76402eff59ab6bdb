"""The Optuna studies of a run: made or joined, with a check that all workers mean the same."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import ConfigError
from imputevae_cli.scoring.metrics import METRICS
from imputevae_cli.tuning.run import Run, complete
from imputevae_cli.tuning.space import OF_OUTPUT
from imputevae_cli.tuning.storage import LABEL, NumberedTpe, Queued, Worker, counts, queue

MADE_OF = "made_of"
MADE_OF_TUNE = ("cells", "score_prop", "test_prop", "max_hidden", "finalists", "epochs", "batch_size", "pruner")


def open_study(
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
    settings: dict[str, Any] = {
        "sampler": sampler,
        "pruner": _pruner(run.base),
        "storage": run.storage,
        "study_name": name,
    }
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


def made_of_what(run: Run, genotypes: GenotypeMatrix) -> dict[str, str]:
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
    pruner: optuna.pruners.BasePruner
    if tune.pruner == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=base.train.warmup_epochs)
    else:
        pruner = optuna.pruners.HyperbandPruner(min_resource=5, max_resource=base.train.max_epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.PatientPruner(pruner, patience=tune.patience) if tune.patience else pruner


def work(
    run: Run,
    study: optuna.Study,
    budget: int,
    first: Sequence[Queued],
    run_trial: Callable[[Trial], Sequence[float]],
    title: str,
    may_draw: Callable[[], bool] = lambda: True,
    timeout: float | None = None,
) -> None:
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


def work_off(
    run: Run,
    study: optuna.Study,
    first: Sequence[Queued],
    run_trial: Callable[[Trial], Sequence[float]],
    title: str,
) -> None:
    """As `work`, where nothing is drawn: the trials of `first`, beside those that an earlier end of the study ran."""
    labels = {t.user_attrs.get(LABEL) for t in study.get_trials(deepcopy=False) if counts(t)}
    budget = len(labels | {trial.label for trial in first})
    work(run, study, budget, first, run_trial, title, may_draw=lambda: False)


def _best_so_far(run: Run, study: optuna.Study) -> str:
    if len(study.directions) != len(run.metrics) or study.study_name.endswith(".test"):
        return ""
    ranked = complete(study)
    if not ranked:
        return ""
    i = run.metrics.index(run.judge)
    pick = min if METRICS[run.judge].lower_is_better else max
    return f"best {run.judge} {pick(t.values[i] for t in ranked):.4f}"
