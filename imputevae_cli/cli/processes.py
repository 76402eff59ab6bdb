"""Runs that several processes share: who started them, and what each may say and write.

torchrun starts the processes, and tells each by its environment who it is. The first of them shows progress, logs and
writes; the others are silent but for errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from imputevae_cli.cli.options import Common
from imputevae_cli.cli.signals import ended_by_signals, request, resumable
from imputevae_cli.config import Config
from imputevae_cli.errors import ConfigError, PeerLost, Preempted
from imputevae_cli.runtime.stopping import Stopped

if TYPE_CHECKING:
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.runtime.processes import Ranks
    from imputevae_cli.runtime.resumable import Stages

OWN_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""All are there where torchrun, or whoever does as it does, has started the processes."""


def process_count() -> int:
    """How many processes share this run; 1 for a process by itself."""
    return _number("WORLD_SIZE") if all(name in os.environ for name in OWN_VARIABLES) else 1


def process_number() -> int:
    """Which of them this is, from 0."""
    return _number("RANK") if process_count() > 1 else 0


def processes_here() -> int:
    """How many of them share this machine, as far as torchrun tells."""
    return _number("LOCAL_WORLD_SIZE") if process_count() > 1 and "LOCAL_WORLD_SIZE" in os.environ else 1


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdigit():
        raise ConfigError(f"{name} is {text!r} in the environment; start the processes with torchrun")
    return int(text)


def refuse_many() -> None:
    """Raise ConfigError where several processes run a command that is for one."""
    if process_count() > 1:
        raise ConfigError(
            f"{process_count()} processes can share `imputevae train` alone; run that with torchrun, "
            "and then this command in one process, with --model"
        )


@contextmanager
def joined(config: Config, source: str | None) -> Iterator[Ranks]:
    """This process as one of those that share the run. config: its settings; source: INPUT.

    Raises ConfigError where they cannot share it.
    """
    if process_count() == 1:
        from imputevae_cli.runtime.processes import Ranks

        yield Ranks()
        return
    if source == "-":
        raise ConfigError("several processes cannot read one standard input; name a file")
    from imputevae_cli.runtime.torch_processes import Group

    device = _device(config)
    with ended_by_signals():
        ranks = Group(process_number(), process_count(), int(os.environ.get("LOCAL_RANK", "0")), device)
    try:
        yield ranks
    except (PeerLost, Stopped) as error:
        if ranks.leads:
            raise
        raise typer.Exit(_silent_code(error)) from error
    finally:
        ranks.leave()


def _silent_code(error: PeerLost | Stopped) -> int:
    """The exit code of a process that is not the first, which has said why."""
    if request.is_asked:
        return Preempted.exit_code
    return 128 + error.number if isinstance(error, Stopped) else error.exit_code


def _device(config: Config) -> str:
    """`cpu` or `cuda`."""
    from imputevae_cli.runtime.device import choose_device

    kind = choose_device(config.train.device).type
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"several processes cannot share {kind}; give --device cpu or cuda")
    return kind


@contextmanager
def shared(ranks: Ranks, path: str, common: Common, genotypes: GenotypeMatrix, config: Config) -> Iterator[Stages]:
    """See `signals.resumable`: of the first process, with the others at its side."""
    if ranks.size == 1:
        with resumable(path, common, genotypes, config) as stages:
            yield stages
        return
    from imputevae_cli.runtime.resumable import Stages
    from imputevae_cli.runtime.resumable_distributed import SharedStages

    if not ranks.leads:
        yield SharedStages(ranks, Stages(), request)
        return
    with resumable(path, common, genotypes, config) as stages:
        try:
            yield SharedStages(ranks, stages, request)
        except PeerLost:  # such as a process that ran out of memory
            stages.save()
            raise
