"""Signals that end a run, and runs that can be resumed after one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imputevae_cli.cli.options import Common
from imputevae_cli.config import Config
from imputevae_cli.errors import ConfigError, OutputError, Preempted
from imputevae_cli.log import logger
from imputevae_cli.runtime.stopping import Stopped, StopRequest

if TYPE_CHECKING:
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.runtime.resumable import Stages
    from imputevae_cli.runtime.run_folder import RunFolder

STOPPED_BY: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
STOPPED_BY |= {
    getattr(signal, name): f"stopped by {name}" for name in ("SIGHUP", "SIGQUIT", "SIGUSR1") if hasattr(signal, name)
}
STDOUT = "-"

request = StopRequest()
"""Of this process: there is one signal handler."""


def listen() -> None:
    """From now on a signal raises Stopped: at once, or where a run is at work, when its state is whole."""
    for number in STOPPED_BY:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup, or in the background of a script
            signal.signal(number, _stop_at_once if number == signal.SIGINT else request.receive)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, a signal ends the process there and then: for waits outside Python, which would not see one."""
    handled = {number: signal.getsignal(number) for number in STOPPED_BY}
    for number, handler in handled.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def _stop_at_once(number: int, frame: object) -> None:
    """Whoever presses Ctrl-C wants the prompt back."""
    raise Stopped(number)


def ignore() -> None:
    """From now on no signal ends the run: its outputs are whole, and nothing is left to stop."""
    for number in STOPPED_BY:
        signal.signal(number, signal.SIG_IGN)


def run_folder_of(path: str) -> Path | None:
    """OUT.ckpt; None for standard output."""
    if path == STDOUT:
        return None
    target = Path(os.path.realpath(path))
    return target.with_name(target.name + ".ckpt")


def check_run_folder(path: str, common: Common) -> bool:
    """Whether there is a stopped run for the output `path` to go on with.

    Raises OutputError where there is one, and it is not said what to do with it, where what is there is not ours, and
    where a run is at work there; ConfigError where there cannot be one.
    """
    from imputevae_cli.runtime.run_lock import check_is_free
    from imputevae_cli.runtime.run_manifest import check_is_ours

    if path == STDOUT:
        if common.resume:
            raise ConfigError("--resume: a run that writes to standard output cannot be resumed; name a file with -o")
        return False
    folder = run_folder_of(path)
    assert folder is not None  # it is a file
    check_is_free(folder)
    there = check_is_ours(folder)
    if there and not (common.resume or common.force):
        raise OutputError(
            f"{folder}: holds a run that was stopped; give --resume to go on with it, or --force to start over"
        )
    return there and common.resume


@contextmanager
def resumable(
    path: str, common: Common, genotypes: GenotypeMatrix, config: Config, model: Path | None = None
) -> Iterator[Stages]:
    """The stages of a run that writes `path`, which on a signal are saved to be resumed.

    Raises Preempted on a signal where something is saved; CheckpointError where another run is kept for this output.
    """
    from imputevae_cli.runtime.resumable import Journal, Stages
    from imputevae_cli.runtime.run_folder import RunFolder, identity_of

    if path == STDOUT:
        yield Stages()
        return
    place = run_folder_of(path)
    assert place is not None  # it is a file
    folder = RunFolder(place, identity_of(genotypes, config, model))
    journal = Journal(folder, request, 60 * common.checkpoint_every)
    with kept_until_whole(folder, path, common, journal.save):
        yield journal


@contextmanager
def kept_until_whole(folder: RunFolder, path: str, common: Common, save: Callable[[], None]) -> Iterator[None]:
    """A run that writes `path`, and of which `folder` holds what is done until it is whole.

    save: writes what is not yet in the folder; on Ctrl-C there is no time for it. Raises Preempted on a signal where
    something is saved; CheckpointError where another run is kept for this output; OutputError where one is at work.
    """
    from imputevae_cli.runtime.run_lock import locked

    with locked(folder.path):
        before = _state_of(path)
        if common.resume and folder.is_there:
            folder.check()
            logger.info("%s: going on with the run that was stopped", folder.path)
        else:
            folder.remove()
        try:
            yield
        except Stopped as stopped:
            if stopped.number != signal.SIGINT:
                try:
                    save()
                except OutputError as error:
                    logger.warning("%s", error)
                except Stopped:
                    pass  # a second signal, which does not wait: what was saved before it is there to go on with
            if folder.is_there or _state_of(path) != before:
                where = folder.path if folder.is_there else path
                raise Preempted(
                    f"{STOPPED_BY[stopped.number]}; {where} holds what was done, run again with --resume to go on"
                ) from stopped
            folder.remove()  # it may have been made and hold nothing yet
            raise
        ignore()
        folder.remove()


def _state_of(path: str) -> tuple[int, ...] | None:
    """What changes where a file is replaced."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
