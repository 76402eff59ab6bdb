"""`imputevae_cli.tune`: the settings that suit some genotypes best, in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import InMemoryStorage

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.log import ProgressOption, chosen_progress
from imputevae_cli.tuning.opening import open_storage, storage_at_work
from imputevae_cli.tuning.result import TuningResult
from imputevae_cli.tuning.space import make_space
from imputevae_cli.tuning.tune import tune as run_study


def tune(
    genotypes: GenotypeMatrix | Any,
    config: Config | None = None,
    *,
    n_trials: int | None = None,
    space: str | Path | None = None,
    fix: Iterable[str] = (),
    storage: str | None = None,
    study: str = "study",
    progress: ProgressOption = None,
) -> TuningResult:
    """Search the settings under which missing calls are filled best; `.config` of the result has them.

    genotypes: or what `GenotypeMatrix.from_array`, `from_dataframe` or `from_sgkit` takes. config: where the search
    begins; its section `tune` says what is compared. n_trials: how many settings are tried, in place of
    `tune.n_trials`. space, fix: what is searched, as `imputevae tune --space` and `--fix` take it. storage: the URL of
    a database or `journal:PATH`, to go on with the study of this name or to share it; by default it is in memory.
    Raises ConfigError, InputError, OutputError and TrainingError.
    """
    genotypes = GenotypeMatrix.of(genotypes)
    genotypes.check()
    config = config or Config()
    if n_trials is not None:
        config = config.replace({"tune.n_trials": n_trials})
    searched, bars = make_space(space, fix, config), chosen_progress(progress)
    if storage is None:
        return run_study(genotypes, config, searched, InMemoryStorage(), study, join=False, progress=bars)
    with storage_at_work(storage):
        kept = open_storage(storage)
        return run_study(genotypes, config, searched, kept, study, join=True, progress=bars)
