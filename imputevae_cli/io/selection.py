"""Which samples of a file are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imputevae_cli.data.popmap import PopMap, match_names, unknown_names
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.log import counted


def choose_samples(
    names: Sequence[str],
    where: str,
    popmap: str | Path | PopMap | None,
    samples: Sequence[str] | None,
    include_pops: Sequence[str] | None,
    least: int = 2,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Columns to keep, int64 (samples,), and their populations, object (samples,) or None without a popmap.

    least: samples that must be kept. Raises InputError where fewer are, ConfigError as `read_vcf` says.
    """
    keep = np.ones(len(names), bool) if samples is None else _named(names, where, samples)
    populations = None
    if popmap is not None:
        popmap = popmap if isinstance(popmap, PopMap) else PopMap.read(popmap)
        populations = popmap.align(names, where)
    if include_pops is not None:
        if populations is None or popmap is None:
            raise ConfigError("--include-pops needs a popmap; give --popmap as well")
        keep &= _of_populations(populations, popmap.name, include_pops)
    if keep.sum() < least:
        kept = counted(len(names), "sample") if keep.all() else f"{keep.sum()} of {len(names)} samples"
        raise InputError(
            f"{where}: {kept} to learn from, where at least {least} are needed; give more (a single one is filled from "
            "a saved model, --model, or from a panel, --panel)"
        )
    columns = np.flatnonzero(keep)
    return columns, None if populations is None else populations[columns]


def _named(names: Sequence[str], where: str, samples: Sequence[str]) -> np.ndarray:
    """bool (len(names),): those that are asked for by name. Raises InputError for one that is not there."""
    found = match_names(samples, names)
    if unknown := [sample for sample in dict.fromkeys(samples) if sample not in found]:
        raise InputError(
            f"{where}: requested {unknown_names(unknown, names, 'sample')} not in the file; fix the request"
        )
    wanted = set(found.values())
    return np.array([name in wanted for name in names])


def _of_populations(populations: np.ndarray, popmap: str, wanted: Sequence[str]) -> np.ndarray:
    """bool (samples,): those of some populations. Raises InputError for one without a sample."""
    present = sorted(set(populations))
    if unknown := [pop for pop in dict.fromkeys(wanted) if pop not in present]:
        raise InputError(f"{popmap}: {unknown_names(unknown, present, 'population')} not there; fix --include-pops")
    return np.isin(populations, list(wanted))
