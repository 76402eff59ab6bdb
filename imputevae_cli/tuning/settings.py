"""Settings of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from imputevae_cli.schema import Count, CountOrZero, OpenShare, Seconds, Section


class TuneSettings(Section):
    """Hyperparameter search; `train` and `impute` do not read these.

    metrics: what trials are compared by; a list gives a Pareto front. select: the metric, or the number of a trial,
    that picks one of the front; null takes the first metric. n_trials: trials of the whole study, however many
    workers share them. study: its name; null takes the output's. storage: where the study is kept, `journal:PATH` or
    a database's URL; null: a journal beside the output. resume: go on with a study that is there. save_db: keep the
    journal beside the output when the study is done. timeout: seconds after which no trial is begun. sampler_startup:
    trials that are drawn at random before TPE begins. pruner: of single trials, by the epochs of the VAE. patience:
    epochs without a better score before it may act. cells: trials are run on a part of the data of about so many
    samples x loci. finalists: so many of the best trials are run on all data. score_prop: share of the known calls
    hidden to compare trials by. test_prop: share hidden from the whole study. max_hidden: of each at most so many.
    epochs: most of train.max_epochs in trials on a part; null: those of the trial. batch_size: train.batch_size of
    trials on a part; null: that of the trial. stale_after: seconds without a sign of life after which another
    worker's trial counts as lost, and is run again.
    """

    metrics: str | list[str] = "log_loss"
    select: str | int | None = None
    n_trials: Count = 100
    study: str | None = None
    storage: str | None = None
    resume: bool = False
    save_db: bool = True
    timeout: Seconds | None = None
    sampler_startup: CountOrZero = 10
    pruner: Literal["median", "hyperband", "none"] = "median"
    patience: CountOrZero = 10
    cells: Count = 600_000
    finalists: Count = 3
    score_prop: OpenShare = 0.08
    test_prop: OpenShare = 0.08
    max_hidden: Count = 60_000
    epochs: Count | None = None
    batch_size: Count | None = None
    stale_after: Annotated[float, Meta(gt=0.0, le=1e6)] = 60.0
