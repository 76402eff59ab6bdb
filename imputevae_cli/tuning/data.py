"""What a study is scored on: known calls that no trial sees, and the part of the data that cheap trials are run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from imputevae_cli.config import Config, TuneSettings
from imputevae_cli.data.frequencies import locus_means
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.data.subsets import even_stretches, matrix_subset, some_samples
from imputevae_cli.errors import ConfigError, InputError, did_you_mean
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.masking.strategies import simulate_mask
from imputevae_cli.scoring.metrics import METRICS, Cells, dosage
from imputevae_cli.seeds import seed_for

ALIASES = {"accuracy": "concordance", "pr_macro": "average_precision"}
"""PG-SUI's names of metrics that have another name here."""
STRETCHES = 4
"""A part of the loci is so many stretches of neighbours, evenly spaced."""
MAX_PART_SAMPLES = 1000
LEAST_CELLS = 50
"""Fewer scored calls than this compare nothing."""
RESAMPLES = 200


@dataclass(frozen=True)
class ScoredData:
    """Genotypes without the calls that trials are scored on.

    genotypes: with those calls missing. score: calls that trials are compared by. test: calls that the study
    does not look at until its end.
    """

    genotypes: GenotypeMatrix
    score: HiddenCells
    test: HiddenCells

    @property
    def n_cells(self) -> int:
        return self.genotypes.calls.size


def metric_names(given: str | Sequence[str]) -> tuple[str, ...]:
    """The names of METRICS that are meant, without repeats. Raises ConfigError for one that is not known."""
    names = [given] if isinstance(given, str) else list(given)
    found = [ALIASES.get(name, name) for name in names]
    for name in found:
        if name not in METRICS:
            known = [*METRICS, *ALIASES]
            all_known = f"known: {', '.join(known)}"
            raise ConfigError(f"metric {name!r} is not known{did_you_mean(name, known, all_known)}")
    if not found:
        raise ConfigError("tune.metrics is empty; name a metric, such as log_loss")
    return tuple(dict.fromkeys(found))


def hide_for_study(genotypes: GenotypeMatrix, config: Config) -> ScoredData:
    """Hide the calls that trials are compared by, and those of the test, in the way of `sim.sim_strategy`.

    Raises InputError where there are too few known calls.
    """
    tune = config.tune
    prop = tune.score_prop + tune.test_prop
    if prop >= 1:
        raise ConfigError("tune.score_prop and tune.test_prop add up to all known calls; lower them")
    settings = msgspec.structs.replace(config.sim, sim_prop=prop, max_hidden=2 * tune.max_hidden)
    generator = np.random.default_rng(seed_for(config.io.seed, "study"))
    mask = simulate_mask(genotypes, settings, tune.score_prop / prop, generator)
    score, test = (HiddenCells.at(mask.cells[some], genotypes.calls) for some in (mask.fits, ~mask.fits))
    for cells, what in ((score, "compare trials by"), (test, "test the best on")):
        if len(cells.truth) < LEAST_CELLS:
            few = f"only {len(cells.truth)} known calls to {what}"
            raise InputError(f"{genotypes.name}: {few}; give more loci or samples")
    calls = genotypes.calls.copy()
    for cells in (score, test):
        cells.hide(calls)
    return ScoredData(genotypes.with_calls(calls), score, test)


def part_of(data: ScoredData, tune: TuneSettings, seed: int) -> ScoredData | None:
    """Stretches of loci, and of many samples some, of about `tune.cells` cells in all; None where that is all of them.

    Where the part would hold too few scored calls, all data are taken too.
    """
    n_samples, n_loci = data.genotypes.calls.shape
    rng = np.random.default_rng(seed_for(seed, "part"))
    samples = some_samples(n_samples, MAX_PART_SAMPLES, rng)
    length = -(-tune.cells // (len(samples) * STRETCHES))
    if len(samples) * length * STRETCHES >= 0.8 * data.n_cells:
        return None
    length = min(length, n_loci // STRETCHES)
    loci = even_stretches(n_loci, STRETCHES, length)
    score, test = (cells.within(samples, loci)[1] for cells in (data.score, data.test))
    part = ScoredData(matrix_subset(data.genotypes, samples, loci), score, test)
    return part if len(part.score.truth) >= 10 * LEAST_CELLS else None


def fill_cells(model: ImputeVAE, genotypes: GenotypeMatrix, *cells: HiddenCells) -> list[np.ndarray]:
    """Genotype probabilities, float32 (M, C), of hidden cells under a model that was fitted on `genotypes`."""
    imputed = model.transform(genotypes)
    ones = HiddenCells(*(np.concatenate([getattr(c, name) for c in cells]) for name in ("samples", "loci", "truth")))
    order = np.argsort(ones.loci, kind="stable")
    by_locus = HiddenCells(ones.samples[order], ones.loci[order], ones.truth[order])
    gp = np.empty((len(order), genotypes.n_classes), np.float32)
    gp[order] = pick(by_locus, genotypes.n_loci, lambda start, stop: imputed.block(start, stop).gp) / np.float32(1000)
    return np.split(gp, np.cumsum([len(c.truth) for c in cells])[:-1])


def score(genotypes: GenotypeMatrix, cells: HiddenCells, gp: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Metrics of the cells by name. Raises ConfigError for one that these cells do not define."""
    scored = _cells(genotypes, cells, gp)
    values = {name: METRICS[name].function(scored) for name in names}
    for name, value in values.items():
        if not np.isfinite(value):
            raise ConfigError(f"the metric {name} is not defined on the hidden calls; choose another, such as log_loss")
    return values


def gain_and_noise(
    genotypes: GenotypeMatrix, cells: HiddenCells, before: np.ndarray, after: np.ndarray, name: str, seed: int
) -> tuple[float, float]:
    """By how much `after` is the better of two sets of gp, float32 (M, C), in a metric; and the gain's standard error.

    The error is that of a bootstrap over loci, since the cells of a locus go wrong together.
    """
    metric = METRICS[name]
    sign = 1.0 if metric.lower_is_better else -1.0
    pair = [_cells(genotypes, cells, gp) for gp in (before, after)]

    def gain_of(rows: np.ndarray) -> float:
        first, second = (metric.function(part.take(rows)) for part in pair)
        return sign * (first - second)

    starts = np.flatnonzero(np.r_[True, np.diff(cells.loci) != 0])
    groups = np.split(np.arange(len(cells.loci)), starts[1:])
    rng = np.random.default_rng(seed_for(seed, "bootstrap"))
    draws = [
        gain_of(np.concatenate([groups[g] for g in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    return gain_of(np.arange(len(cells.loci))), float(np.nanstd(draws))


def _cells(genotypes: GenotypeMatrix, cells: HiddenCells, gp: np.ndarray) -> Cells:
    mean = locus_means(genotypes.calls)[cells.loci]
    gp = gp.astype(np.float64)
    return Cells(cells.truth, gp, gp.argmax(1), mean, cells.loci, dosage(gp))
