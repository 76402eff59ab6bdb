"""The accuracy that a user may expect of the filled calls.

The figures of hidden calls are those of a model that saw fewer calls than the final one, of a mask that is only like
the real gaps, and of few cells. In all but large files the final model is therefore asked for the missing calls
themselves: how much better it takes itself to be there than on the hidden ones is added. These then tell how far the
model's own account is wrong, which few cells tell more precisely than how often it is right. (A difference estimator:
Cassel, Särndal & Wretman 1976; Angelopoulos et al. 2023.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any

import numpy as np

from imputevae_cli.data import frequencies as baselines
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence_frequencies import posterior
from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Context, Inputs, Task, loci_at_once
from imputevae_cli.decoders.registry import BASELINE
from imputevae_cli.ensemble.ensemble import Ensemble
from imputevae_cli.scoring.bootstrap import COVERAGE, draws_of_loci, figures, regrouped, resampled, sums_by_locus
from imputevae_cli.scoring.metrics import (
    Accuracy,
    Cells,
    ConfidencePoint,
    accuracy,
    call_by_dosage,
    confidence_curve,
    dosage,
)
from imputevae_cli.seeds import seed_for

LD_KNNI_LOCI = 8000
"""LD-kNNi stands beside the model in files of at most so many loci: its time grows with their square."""
MOST_MISSING = 20_000
"""Missing calls that the final model is asked for, at most."""
FEWEST_MISSING = 100
"""With fewer missing calls the hidden ones alone are gone by."""
LEAST_SHARE = 0.05
"""Of the known calls that are hidden. If it is less, in large files, the fit loses next to nothing by hiding them, and
they are many: they alone are gone by."""
STRETCH_CELLS = 1_000_000
"""Samples x loci of the stretches that the missing calls are taken from."""
DRAWS = 200_000
"""Genotypes that are drawn from the model's probabilities, about, to find what figures it expects of itself."""

WIDTH = NormalDist().inv_cdf((1 + COVERAGE) / 2)
FIGURES = tuple(field.name for field in fields(Accuracy) if field.name != "n")
TRANSFER = 1 / 3
"""Standard error of what the model's own account moves the figures by, as a share of it: it is as well calibrated on
missing calls as on hidden ones but about. Chosen by hand; see bench/forecast.py."""


@dataclass(frozen=True)
class Expected:
    """Accuracy to be expected of the filled calls, the model beside what needs no model.

    low, high: ends of the model's 95 % interval, from resampled loci and samples; NaN for a figure without one.
    by_dosage: the model's, where the genotype nearest to the dosage is called. baseline: genotype frequencies of each
    sample's population, or of all samples without a popmap. ld_knni: of that method (Money et al. 2015); None where
    calls are uncertain, loci more than LD_KNNI_LOCI, or one decoder is asked for by name. `n` of each counts the hidden
    calls.
    """

    model: Accuracy
    low: Accuracy
    high: Accuracy
    by_dosage: Accuracy
    baseline: Accuracy
    ld_knni: Accuracy | None = None

    def state(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Expected:
        """What `state` wrote. Raises TypeError where it does not fit."""
        there = {name: Accuracy(**figures) for name, figures in state.items() if figures is not None}
        return cls(**there)


@dataclass(frozen=True)
class Unaided:
    """What needs no model says of some cells: locus means float (M,), probabilities float32 (M, C), and the calls
    int8 (M,) and probabilities of LD-kNNi, or None."""

    means: np.ndarray
    frequencies: np.ndarray
    ld_knni: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, task: Task, cells: HiddenCells) -> Unaided:
        """To be asked while the held-out cells are hidden in the cohort."""
        cohort = task.cohort
        means = baselines.locus_means(cohort.calls)[cells.loci]
        found = None
        beside = task.config.model.decoder == "auto" and cohort.n_loci <= LD_KNNI_LOCI
        if beside and not _is_uncertain(cohort):
            from imputevae_cli.scoring.ld_knni import ld_knni  # with a compiler, which one decoder alone need not load

            rng = np.random.default_rng(seed_for(task.config.io.seed, "ld_knni"))
            where = (cells.samples, cells.loci)
            call, shares, _ = ld_knni(cohort.calls, cohort.chrom_codes, cohort.ploidy, *where, rng, cohort.records)
            possible = cohort.possible(shares, *where)
            found = np.where((possible == shares).all(1), call, possible.argmax(1)).astype(np.int8), possible
        frequencies = registry.get(BASELINE).fit(task, Inputs({})).gp_of(cells)
        return cls(means, cohort.possible(frequencies, cells.samples, cells.loci), found)

    def at(self, places: np.ndarray) -> Unaided:
        """Of the cells at `places`, int64, which may repeat."""
        found = None if self.ld_knni is None else (self.ld_knni[0][places], self.ld_knni[1][places])
        return Unaided(self.means[places], self.frequencies[places], found)


@dataclass(frozen=True)
class Predictions:
    """What is said of some cells: by the model, float32 (M, C), and by what needs no model."""

    gp: np.ndarray
    unaided: Unaided

    def figures(self, truth: np.ndarray, averaging: str) -> dict[str, Accuracy]:
        """By the names of `Expected`; truth: int64 (M,)."""
        means = self.unaided.means
        by_name = {
            "model": accuracy(truth, self.gp, means, averaging),
            "by_dosage": accuracy(truth, self.gp, means, averaging, call_by_dosage(self.gp)),
            "baseline": accuracy(truth, self.unaided.frequencies, means, averaging),
        }
        if self.unaided.ld_knni is not None:
            call, shares = self.unaided.ld_knni
            by_name["ld_knni"] = accuracy(truth, shares, means, averaging, call)
        return by_name

    def drawn(self, seed: int) -> Drawn:
        """The cells several times, with genotypes as the model's probabilities have them: the draws for a cell are
        spread evenly over these."""
        n_cells = len(self.gp)
        times = int(np.clip(DRAWS // n_cells, 1, 50))
        draws = np.random.default_rng(seed).random(n_cells)
        places = np.tile(np.arange(n_cells), times)
        spread = (draws[places] + np.repeat(np.arange(times), n_cells) / times) % 1.0
        said = Predictions(self.gp[places], self.unaided.at(places))
        return Drawn(places, said, _genotypes_at(said.gp, spread))


@dataclass(frozen=True)
class Drawn:
    """Cells, some of them several times, with genotypes that the model's probabilities might have for the truth.

    places: int64 (R,), of the cells. said: of these. truth: int64 (R,).
    """

    places: np.ndarray
    said: Predictions
    truth: np.ndarray


@dataclass(frozen=True)
class ScoredCells:
    """The cells by which the accuracy is told: hidden calls, and some missing."""

    hidden: HiddenCells
    missing: HiddenCells

    @classmethod
    def of(cls, task: Task) -> ScoredCells:
        """To be asked before the fit."""
        seed = seed_for(task.config.io.seed, "missing calls")
        alone = _is_uncertain(task.cohort) or _hidden_share(task) < LEAST_SHARE
        return cls(task.hidden, HiddenCells.none() if alone else some_missing(task.cohort, seed))

    def unaided(self, task: Task) -> tuple[Unaided, Unaided]:
        """What needs no model says of the hidden calls, and of the missing ones; to be asked while the held-out cells
        are hidden in the cohort."""
        cells = self.hidden.and_also(self.missing)
        is_hidden, both = cells.truth != MISSING, Unaided.of(task, cells)
        return both.at(np.flatnonzero(is_hidden)), both.at(np.flatnonzero(~is_hidden))

    def result(
        self, task: Task, ensemble: Ensemble, hidden_gp: np.ndarray, unaided: tuple[Unaided, Unaided]
    ) -> tuple[Expected, list[ConfidencePoint]]:
        """After the fit. hidden_gp: float32 (M, C), what gates that did not see a hidden call say of it."""
        cohort, config, missing = task.cohort, task.config, None
        gp = cohort.possible(hidden_gp, self.hidden.samples, self.hidden.loci)
        if len(self.missing.truth) >= FEWEST_MISSING:
            filled = ensemble.fill(Context(config, {}, task.options))
            missing = Predictions(pick(self.missing, cohort.n_loci, filled.gp), unaided[1])
        held_out = Predictions(gp, unaided[0])
        return expected_accuracy(self.hidden, held_out, missing, config.io.scoring_averaging, config.io.seed)


def some_missing(cohort: Cohort, seed: int) -> HiddenCells:
    """At most MOST_MISSING missing calls, without a truth, of stretches of loci that are spread over the file.

    Loci without any call are left out: of what nobody knows no call was hidden either.
    """
    size = loci_at_once(len(cohort.calls))
    n_blocks = -(-cohort.n_loci // size)
    n_used = min(n_blocks, max(STRETCH_CELLS // (size * max(len(cohort.calls), 1)), 1))
    samples, loci = [], []
    for start in size * np.unique(np.linspace(0, n_blocks - 1, n_used).round().astype(np.int64)):
        missing = cohort.calls[:, start : start + size] == MISSING
        missing &= ~missing.all(0)
        if cohort.haploid is not None:
            missing &= ~cohort.haploid.absent_in(start, start + size)
        some_loci, some_samples = np.nonzero(missing.T)
        samples.append(some_samples)
        loci.append(some_loci + start)
    rows, columns = np.concatenate(samples), np.concatenate(loci)
    if len(rows) > MOST_MISSING:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), MOST_MISSING, replace=False))
        rows, columns = rows[chosen], columns[chosen]
    return HiddenCells(rows, columns, np.full(len(rows), MISSING, np.int64))


def expected_accuracy(
    hidden: HiddenCells, held_out: Predictions, missing: Predictions | None, averaging: str, seed: int
) -> tuple[Expected, list[ConfidencePoint]]:
    """The expected accuracy, and what thresholds on GP keep.

    held_out: what is said of the hidden calls. missing: of missing ones, by the final model; None where the hidden ones
    alone are to be gone by. Where calls are uncertain, the truth of a cell is drawn from its posterior.
    """
    truth = hidden.truth
    if hidden.likelihoods is not None:
        draws = np.random.default_rng(seed_for(seed, "expected accuracy")).random(len(truth))
        truth = _genotypes_at(posterior(held_out.gp, hidden.likelihoods), draws)
    own, found = None, held_out.figures(truth, averaging)
    moved = found
    if missing is not None:
        own, there = (said.drawn(seed_for(seed, "own account")) for said in (held_out, missing))
        start, end = (drawn.said.figures(drawn.truth, averaging) for drawn in (own, there))
        moved = {name: _moved(found[name], start[name], end[name]) for name in found}
    errors = _standard_errors(found["model"], moved["model"], _variances(hidden, truth, held_out, own, seed))
    low, high = (_bounded(_shifted(moved["model"], errors, sign * WIDTH)) for sign in (-1, 1))
    curve = confidence_curve(truth, held_out.gp, None if missing is None else missing.gp)
    return Expected(low=low, high=high, **moved), curve


def _moved(found: Accuracy, start: Accuracy, end: Accuracy) -> Accuracy:
    """`found` moved as from `start` to `end`, within what is possible."""
    return _bounded(_shifted(found, {name: getattr(end, name) - getattr(start, name) for name in FIGURES}))


def _shifted(figures: Accuracy, steps: Mapping[str, float], times: float = 1.0) -> Accuracy:
    """Each figure with so many times its step added."""
    return Accuracy(figures.n, **{name: getattr(figures, name) + times * steps[name] for name in FIGURES})


def _bounded(figures: Accuracy) -> Accuracy:
    """Shares within 0 and 1; what is explained, 1 at most; a loss, 0 at least."""
    limits = {"skill_r2": (-np.inf, 1.0), "log_loss": (0.0, np.inf)}
    values = {name: np.clip(getattr(figures, name), *limits.get(name, (0.0, 1.0))) for name in FIGURES}
    return Accuracy(figures.n, **{name: float(value) for name, value in values.items()})


def _standard_errors(
    found: Accuracy, moved: Accuracy, variances: tuple[Mapping[str, float], Mapping[str, float], Mapping[str, float]]
) -> dict[str, float]:
    """Of each figure, NaN where there is none. variances: of resampled loci, samples and cells.

    Errors come together at a locus, and in a sample: their variance is that of loci and that of samples less that of
    cells (Cameron, Gelbach & Miller 2011), and no less than the greater of the two.
    """
    errors = {}
    for name in FIGURES:
        loci, samples, cells = (found_by.get(name, float("nan")) for found_by in variances)
        sampling = max(loci + samples - cells, loci, samples)
        errors[name] = float(np.hypot(np.sqrt(sampling), TRANSFER * (getattr(moved, name) - getattr(found, name))))
    return errors


def _variances(
    hidden: HiddenCells, truth: np.ndarray, said: Predictions, own: Drawn | None, seed: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """The variance of what the hidden calls contribute to each figure, over draws of their loci, samples, and cells.

    own: drawn for the hidden calls, where what the model expects of itself there is subtracted.
    """
    rng, n_cells = np.random.default_rng(seed_for(seed, "interval")), len(truth)
    found = _sums_by_cell(truth, said, np.arange(n_cells), n_cells)
    expected = None if own is None else _sums_by_cell(own.truth, own.said, own.places, n_cells)

    def over(groups: np.ndarray) -> dict[str, float]:
        codes = np.unique(groups, return_inverse=True)[1]
        draws = draws_of_loci(int(codes.max()) + 1, rng)

        def of(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return figures(resampled(regrouped(sums, codes, draws.shape[1]), draws), said.gp.shape[1])

        values = of(found)
        if expected is not None:
            own_values = of(expected)
            values = {name: value - own_values[name] for name, value in values.items()}
        return {name: float(np.nanvar(value)) for name, value in values.items() if np.isfinite(value).any()}

    return over(hidden.loci), over(hidden.samples), over(np.arange(n_cells))


def _sums_by_cell(truth: np.ndarray, said: Predictions, places: np.ndarray, n_cells: int) -> dict[str, np.ndarray]:
    """What the model's figures follow from, by hidden call; places: int64 (R,), of which calls these are."""
    gp = said.gp
    return sums_by_locus(Cells(truth, gp, gp.argmax(1), said.unaided.means, places, dosage(gp)), n_cells)


def _genotypes_at(gp: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The genotype of each cell, int64 (M,), at a uniform draw, float (M,), of its probabilities, float (M, C).

    A low-depth call is not the truth: accuracy is expected over what the reads leave open.
    """
    return np.minimum((gp.cumsum(1) < draws[:, None]).sum(1), gp.shape[1] - 1).astype(np.int64)


def _hidden_share(task: Task) -> float:
    """Of the known calls, the share that is hidden."""
    calls = task.cohort.calls
    return len(task.hidden.truth) / (calls.size - int(missing_per_sample(calls).sum()))


def _is_uncertain(cohort: Cohort) -> bool:
    """Whether any known call is."""
    return cohort.evidence is not None and bool(cohort.evidence.n_uncertain(cohort.calls))
