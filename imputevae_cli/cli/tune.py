"""`imputevae tune`: search the settings that fit a file best."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imputevae_cli.cli.options import Common, Input, MapFile, Popmap, with_common
from imputevae_cli.cli.signals import STOPPED_BY
from imputevae_cli.errors import ConfigError, Preempted
from imputevae_cli.stopping import Stopped, StopRequest

if TYPE_CHECKING:
    from imputevae_cli.config import TuneSettings
    from imputevae_cli.report.tuning import TuningFiles


@with_common
def tune(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="BEST.yaml", help="The settings.", show_default=False)
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    trials: Annotated[int | None, typer.Option("--trials", help="Trials of the whole study, of all workers.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="What to tune for; repeatable, for a Pareto front."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="METRIC|TRIAL", help="Which one of a Pareto front to write."),
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", metavar="FILE.yaml", help="Ranges of settings to search.")
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option("--fix", metavar="KEY=VALUE", help="Hold a setting; repeatable.")
    ] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="NAME", help="Begin or join this study.")] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="journal:/path, sqlite:////path, or the URL of a database."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="Begin no trial after this time.")
    ] = None,
) -> None:
    """Search the settings for INPUT, and write those to go on with; `--config BEST.yaml` takes them up."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_tuning

    clock = Stopwatch()
    flags = {
        "tune.n_trials": trials,
        "tune.metrics": metric or None,
        "tune.select": select,
        "tune.study": study,
        "tune.storage": storage,
        "tune.timeout": timeout,
        "tune.resume": common.resume or None,
    }
    session = this.start(common, flags)
    from imputevae_cli.report.tuning import TuningFiles, write_tuning

    settings = session.config.tune
    path = this.output_path(output, session, ".yaml")
    if path == "-":
        raise ConfigError("tune writes several files beside its settings; give -o a file name")
    files = TuningFiles(Path(path), session.config.plot.fmt)
    name = settings.study or files.best.name.removesuffix(files.best.suffix)
    _check_outputs(files, name, [p for p in (input, popmap, map_, space) if p is not None], common)
    genotypes = this.read(input, popmap, session, map_)
    this.limit_threads(session)
    from imputevae_cli.tuning.space import make_space
    from imputevae_cli.tuning.storage import open_storage
    from imputevae_cli.tuning.tune import tune as run_study

    searched = make_space(space, fix or (), session.config)
    if common.dry_run:
        from imputevae_cli.cli.summary import show_estimate
        from imputevae_cli.imputer import ImputeVAE

        runs = _whole_fits(session.config.tune, genotypes.calls.size)
        show_estimate(ImputeVAE(session.config.replace(searched.held)), genotypes, clock, runs)
        return
    where = settings.storage or f"journal:{files.journal}"
    join = settings.resume or settings.study is not None
    if common.force and not join and settings.storage is None:
        files.journal.unlink(missing_ok=True)  # of the study that is written over
    with _until_stopped() as stop:
        result = run_study(
            genotypes,
            session.config,
            searched,
            open_storage(where),
            name,
            join=join,
            stop=stop,
            progress=session.progress,
        )
    write_tuning(files, result, session.config.plot, session.command)
    if settings.storage is None and not settings.save_db:
        files.journal.unlink(missing_ok=True)
    show_tuning(result, files, clock, common.quiet)


def _whole_fits(settings: TuneSettings, n_cells: int) -> int:
    """About how many fits to all data a study takes as long as: trials on a part, the best again, and the test."""
    share = min(1.0, settings.cells / n_cells)
    return round(settings.n_trials * share + (settings.finalists + 1 if share < 1 else 0) + 2)


def _check_outputs(files: TuningFiles, study: str, inputs: list[str | Path], common: Common) -> None:
    """Before any compute. What an earlier worker of the same study wrote may be written again."""
    from imputevae_cli.io.outputs import check_output
    from imputevae_cli.report.tuning import is_of_study

    force = common.force or is_of_study(files.best, study)
    for path in files.all:
        check_output(path, inputs=inputs, force=force)


@contextlib.contextmanager
def _until_stopped() -> Iterator[StopRequest]:
    """Signals give the trial at hand back to the study; raises Preempted then, Stopped where it was Ctrl-C."""
    stop = StopRequest()
    before = {number: signal.getsignal(number) for number in STOPPED_BY}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop.receive)
    try:
        yield stop
    except Stopped as stopped:
        if stopped.number == signal.SIGINT:
            raise
        raise Preempted(
            f"{STOPPED_BY[stopped.number]}; the study is kept, run again with --resume to go on"
        ) from stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
