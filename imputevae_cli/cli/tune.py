"""`imputevae tune`: search the settings that fit a file best."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imputevae_cli.cli.help import FILES, STUDY
from imputevae_cli.cli.options import Common, Input, Likelihoods, MapFile, Parents, Popmap, names_of, with_common
from imputevae_cli.cli.signals import STOPPED_BY
from imputevae_cli.errors import ConfigError, Preempted
from imputevae_cli.runtime.stopping import Stopped, StopRequest

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.config import Config, TuneSettings
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.io.paths import Files
    from imputevae_cli.report.tuning import TuningFiles
    from imputevae_cli.tuning.result import TuningResult
    from imputevae_cli.tuning.space import Space


@with_common
def tune(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="BEST.yaml", help="The settings.", show_default=False, rich_help_panel=FILES
        ),
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    likelihoods: Likelihoods = None,
    parents: Parents = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            metavar="N",
            help="Trials of the whole study, of all workers.  [default: 100]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="What to tune for (log_loss by default); repeatable, for a Pareto front.",
            rich_help_panel=STUDY,
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select", metavar="METRIC|TRIAL", help="Which one of a Pareto front to write.", rich_help_panel=STUDY
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option("--space", metavar="FILE.yaml", help="Ranges of settings to search.", rich_help_panel=STUDY),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="KEY=VALUE", help="Hold a setting; repeatable.", rich_help_panel=STUDY),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Begin or join this study.", rich_help_panel=STUDY)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="journal:/path, sqlite:////path, or the URL of a database.",
            rich_help_panel=STUDY,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="Begin no trial after this time.", rich_help_panel=STUDY),
    ] = None,
) -> None:
    """Search the settings that suit INPUT best, and write them for `--config BEST.yaml`."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_tuning

    clock = Stopwatch()
    flags = {
        "io.likelihoods": likelihoods,
        "founders.parents": names_of(parents),
        "tune.n_trials": trials,
        "tune.metrics": metric or None,
        "tune.select": select,
        "tune.study": study,
        "tune.storage": storage,
        "tune.timeout": timeout,
        "tune.resume": common.resume or None,
    }
    reads = {"INPUT": input, "--popmap": popmap, "--map": map_, "--space": space}
    session = this.start(common, lambda config: _files(reads, output, config), flags)
    from imputevae_cli.report.tuning import write_tuning

    files = _results(output, session.config)
    name = session.config.tune.study or files.best.name.removesuffix(files.best.suffix)
    if not _check_outputs(files, name, session):
        return
    if session.config.tune.storage is not None and not common.dry_run:
        from imputevae_cli.tuning.opening import open_storage

        open_storage(session.config.tune.storage)  # before the reading, which may take long
    genotypes = this.read(input, popmap, session, map_)
    this.limit_threads(session)
    from imputevae_cli.tuning.space import make_space

    searched = make_space(space, fix or (), session.config)
    if common.dry_run:
        _show_estimate(session.config.replace(searched.held), genotypes, clock)
        return
    with _until_stopped() as stop:
        result = _run(session, genotypes, searched, files, name, stop)
        write_tuning(files, result, session.config.plot, session.command)
    if session.config.tune.storage is None and not session.config.tune.save_db:
        files.journal.unlink(missing_ok=True)
    show_tuning(result, files, clock, common.quiet)


def _results(output: str | None, config: Config) -> TuningFiles:
    """Where the results go."""
    from imputevae_cli.cli.session import output_path
    from imputevae_cli.report.tuning import TuningFiles

    path = output_path(output, config, ".yaml")
    if path == "-" or not Path(path).name:
        raise ConfigError("tune writes several files beside its settings; give -o a file name")
    return TuningFiles(Path(path), config.plot.fmt)


def _files(reads: dict[str, str | Path | None], output: str | None, config: Config) -> Files:
    """What is read and written, the study's journal or SQLite file included."""
    from imputevae_cli.io.paths import Files

    results, storage = _results(output, config), config.tune.storage
    kept = results.journal if storage is None else None
    for beginning in ("journal:", "sqlite:///"):
        if storage is not None and storage.startswith(beginning):
            kept = Path(storage.removeprefix(beginning).partition("?")[0])
    writes = {f"-o's {path.name}": path for path in results.all}
    return Files(reads, {**writes, "the study": kept, "the study's lock": kept and f"{kept}.lock"})


def _run(
    session: Session,
    genotypes: GenotypeMatrix,
    searched: Space,
    files: TuningFiles,
    name: str,
    stop: StopRequest,
) -> TuningResult:
    """The study, in the storage that the settings name or in a journal beside the output."""
    from imputevae_cli.tuning.opening import open_storage, storage_at_work
    from imputevae_cli.tuning.tune import tune as run_study

    settings = session.config.tune
    join = settings.resume or settings.study is not None
    where = settings.storage or f"journal:{files.journal}"
    if session.common.force and not join and settings.storage is None and files.journal.exists():
        open_storage(where)  # raises where it is no journal: only those are removed
        files.journal.unlink()  # of the study that is written over
    storage = open_storage(where)
    with storage_at_work(where):
        return run_study(
            genotypes, session.config, searched, storage, name, join=join, stop=stop, progress=session.progress
        )


def _show_estimate(config: Config, genotypes: GenotypeMatrix, clock: Stopwatch) -> None:
    from imputevae_cli.cli.summary import show_estimate
    from imputevae_cli.imputer import ImputeVAE

    show_estimate(ImputeVAE(config), genotypes, clock, _whole_fits(config.tune, genotypes.calls.size))


def _whole_fits(settings: TuneSettings, n_cells: int) -> int:
    """About how many fits to all data a study takes as long as: trials on a part, the best again, and the test."""
    share = min(1.0, settings.cells / n_cells)
    return round(settings.n_trials * share + (settings.finalists + 1 if share < 1 else 0) + 2)


def _check_outputs(files: TuningFiles, study: str, session: Session) -> bool:
    """Before any compute: whether there is anything to do. What the same study wrote before may be written again."""
    from imputevae_cli.cli.finished import command_of_settings, is_written, say_finished
    from imputevae_cli.io.outputs import check_output
    from imputevae_cli.report.tuning import is_of_study

    common = session.common
    again = common.resume and not common.force and all(path.exists() for path in files.all)
    if again and is_written(files.best, session, command_of_settings):
        say_finished(files.best)
        return False
    force = common.force or is_of_study(files, study)
    for path in files.all:
        check_output(path, inputs=session.inputs, force=force)
    return True


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
