"""Runs that were finished before: what a command that is queued again with --resume finds done, and by whom."""

from __future__ import annotations

import json
import os
import shlex
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from imputevae_cli.cli.session import Session
from imputevae_cli.cli.signals import check_run_folder, run_folder_of
from imputevae_cli.errors import ConfigError, ImputeVAEError
from imputevae_cli.io.outputs import INDEXES, STDOUT, check_output
from imputevae_cli.log import logger

WITHOUT_EFFECT = ("--force", "--resume", "-q", "--quiet", "-v", "--verbose")
"""Options that two runs of one command may differ in."""

CommandOf = Callable[[Path], str | None]
"""The command that wrote a file; None where the file does not tell. Raises ValueError where it is another's."""


class CheckFolder(Protocol):
    """What raises OutputError where a folder cannot be written, or is there and is not to be overwritten."""

    def __call__(self, *, force: bool) -> None: ...


def is_written(output: str | Path, session: Session, command_of: CommandOf) -> bool:
    """Whether this command wrote `output`, from what its inputs still hold: it is whole then, as all outputs are."""
    path = Path(output)
    if not path.exists():
        return False
    try:
        made_by = command_of(path)
        written = path.stat().st_mtime
        files = [Path(source) for source in session.inputs if str(source) != STDOUT]
        newer = [file for file in files if file.is_file() and file.stat().st_mtime > written]
    except (OSError, ValueError, EOFError, zlib.error, ImputeVAEError):
        return False
    return not newer and (made_by is None or _words(made_by) == _words(session.command))


def check_outputs(
    path: str, session: Session, command_of: CommandOf, folders: Mapping[str, CheckFolder] | None = None
) -> bool | None:
    """Whether the outputs of a run may be overwritten; None where the same command wrote all of them already.

    path: the output by which a stopped run is known. folders: outputs that are folders, with what checks the place of
    each. Raises OutputError for outputs that cannot be written, and for those that are there and are not to be
    overwritten.
    """
    common, outputs, folders = session.common, _outputs_of(session, path), folders or {}
    stopped = check_run_folder(path, common)
    ours = common.resume and not (stopped or common.force) and is_written(path, session, command_of)
    if ours and all(Path(output).exists() for output in (*outputs, *folders) if not is_index(output, outputs)):
        say_finished(path)
        return None
    if common.resume and not stopped:
        logger.info("--resume: there is no %s, so the run starts from the beginning", run_folder_of(path))
    force = stopped or ours or common.force
    for output in outputs:
        check_output(output, inputs=session.inputs, force=force or is_index(output, outputs))
    for check_folder in folders.values():
        check_folder(force=force)
    return force


def _outputs_of(session: Session, path: str) -> list[str | Path]:
    """What a run writes but for its log. Raises ConfigError where another output than `path` is standard output."""
    written = session.files.writes.values()
    outputs = [output for output in written if output is not None and output != session.common.log_file]
    if any(str(output) == STDOUT for output in outputs if output != path):
        raise ConfigError("standard output is for -o alone; give a file name to every other output")
    return outputs


def is_index(path: str | Path, outputs: Collection[str | Path]) -> bool:
    """Whether a path is that of an index of one of `outputs`, which comes and goes with it."""
    return str(path) in [f"{os.path.realpath(output)}{ending}" for output in outputs for ending in INDEXES]


def say_finished(path: str | Path) -> None:
    """Say that there is nothing to do."""
    logger.info("--resume: %s was finished before; there is nothing left to do", path)


def command_of_checkpoint(path: Path) -> str | None:
    """See `CommandOf`, of a checkpoint, whose content is checked."""
    from imputevae_cli.runtime.checkpoint import load_checkpoint

    return load_checkpoint(path)["command"]


def command_of_settings(path: Path) -> str | None:
    """See `CommandOf`, of the settings that a study wrote."""
    start = "# command: "
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(start):
            return line.removeprefix(start)
    raise ValueError("not written by imputevae")


def command_of_evaluation(path: Path) -> str | None:
    """See `CommandOf`, of an evaluation's folder, or of its report."""
    from imputevae_cli.report.evaluation_folder import REPORT, is_report

    file = path / REPORT if path.is_dir() else path
    if not is_report(file):
        raise ValueError("not written by imputevae")
    return json.loads(file.read_text(encoding="utf-8"))["software"]["command"]


def _words(command: str) -> list[str]:
    """The words of a command that say what comes out; headers hold it with single blanks."""
    return [word for word in shlex.split(" ".join(command.split())) if word not in WITHOUT_EFFECT]
