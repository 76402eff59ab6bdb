"""Every figure of a method over the scored cells: against known genotypes, or by what the cells' reads say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imputevae_cli.data.frequencies import locus_means
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.evaluation.guess import Guess, Round, joined
from imputevae_cli.io.read_depths import read_depths
from imputevae_cli.scoring import curves
from imputevae_cli.scoring.bootstrap import draws_of_loci, intervals, sums_by_locus
from imputevae_cli.scoring.likelihood_score import estimated_calibration, estimated_figures, likelihood_loss
from imputevae_cli.scoring.metrics import (
    BY_LOCUS,
    METRICS,
    OF_PROBABILITIES,
    Cells,
    dosage,
    fill_dosage,
    score_cells,
)
from imputevae_cli.scoring.strata import rows_of, strata_of
from imputevae_cli.seeds import seed_for

MODEL = "model"


@dataclass
class MethodScore:
    """All figures of one method; `spread` is the standard deviation over rounds, NaN for one round.

    What needs the true genotypes is empty where cells are scored by their reads.
    """

    method: str
    figures: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    spread: dict[str, float]
    strata: list[dict[str, Any]]
    calibration: list[dict[str, Any]]
    precision_recall: dict[str, dict[str, Any]] = field(default_factory=dict)
    roc: dict[str, dict[str, Any]] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)


class Scorer:
    """Scores guesses of the same cells: what does not depend on the method is computed once."""

    def __init__(self, genotypes: GenotypeMatrix, rounds: list[Round], seed: int):
        self._rounds = rounds
        self.samples, self.loci, self._truth = (
            np.concatenate([getattr(one.cells, name) for one in rounds]) for name in ("samples", "loci", "truth")
        )
        likelihoods = [one.cells.likelihoods for one in rounds if one.cells.likelihoods is not None]
        self._likelihoods = np.concatenate(likelihoods) if likelihoods else None
        # Loci without a scored cell have no part in the resampling
        self._with_cells, self._locus = np.unique(self.loci, return_inverse=True)
        visible = rounds[0].visible(genotypes).calls
        self._means = np.concatenate([locus_means(one.visible(genotypes).calls)[one.cells.loci] for one in rounds])
        truth = genotypes.calls.copy()
        truth[self.samples, self.loci] = self._truth
        depths = read_depths(genotypes, self.samples, self.loci)
        cells = HiddenCells(self.samples, self.loci, self._truth, self._likelihoods)
        groups = genotypes.ploidy, genotypes.populations
        self._strata = strata_of(truth, visible, *groups, cells, depths, genotypes.haploid)
        generator = np.random.default_rng(seed_for(seed, "bootstrap"))
        self._draws = draws_of_loci(len(self._with_cells), generator)

    def pooled(self, guesses: list[Guess]) -> Cells:
        """The cells of all rounds with what a method says of them; loci count from 0 among those with cells."""
        guess = joined(guesses)
        doses = dosage(guess.gp) if guess.doses is None else guess.doses
        doses = fill_dosage(doses, guess.call, self._means)
        if guess.doses is None and not guess.has_probabilities:  # a row of zeros is no dosage
            doses = np.where(guess.call < 0, self._means, doses)
        return Cells(self._truth, guess.gp, guess.call, self._means, self._locus, doses, self._likelihoods)

    def score(self, method: str, guesses: list[Guess], cells: Cells) -> MethodScore:
        """Every figure of one method."""
        has_probabilities = guesses[0].has_probabilities
        if cells.likelihoods is not None:
            return self._by_reads(method, has_probabilities, cells)
        names = [name for name in METRICS if has_probabilities or name not in OF_PROBABILITIES]
        scores = [score_cells(*_arguments(cells.take(part))) for part in self._parts()]
        each = [{name: score[name] for name in names} for score in scores]
        spans = {name: span for name, span in self._spans(cells).items() if name in names}
        truth, gp = cells.with_probabilities()
        precision_recall = curves.precision_recall(truth, gp)
        by_class = {f"average_precision_{c}": one["average_precision"] for c, one in precision_recall.items()}
        return MethodScore(
            method=method,
            figures=_means(each) | by_class,
            low={name: low for name, (low, _) in spans.items()},
            high={name: high for name, (_, high) in spans.items()},
            spread=_spread(each),
            strata=self._strata_rows(method, has_probabilities, cells),
            calibration=curves.calibration(truth, gp) if has_probabilities else [],
            precision_recall=precision_recall,
            roc=curves.roc(truth, gp),
            confusion=curves.confusion(cells.truth, cells.call, cells.gp.shape[1]),
        )

    def _spans(self, cells: Cells) -> dict[str, tuple[float, float]]:
        """The 95 % interval of every figure that has one.

        Sums over loci pool the rounds; what is averaged over loci is another figure then, not the rounds' mean.
        """
        spans = intervals(sums_by_locus(cells, len(self._with_cells)), self._draws, cells.gp.shape[1])
        return {name: span for name, span in spans.items() if len(self._rounds) == 1 or name not in BY_LOCUS}

    def _by_reads(self, method: str, has_probabilities: bool, cells: Cells) -> MethodScore:
        """The score by the reads, and what they let one estimate of the calls; the true genotypes are not known."""
        each = [_figures_by_reads(cells.take(part), has_probabilities) for part in self._parts()]
        low, high = {}, {}
        if has_probabilities:
            low, high = ({"read_loss": end} for end in self._spans(cells)["read_loss"])
        return MethodScore(
            method=method,
            figures=_means(each),
            low=low,
            high=high,
            spread=_spread(each),
            strata=self._strata_rows(method, has_probabilities, cells),
            calibration=estimated_calibration(*cells.known_likelihoods()) if has_probabilities else [],
        )

    def _strata_rows(self, method: str, has_probabilities: bool, cells: Cells) -> list[dict[str, Any]]:
        strata = [stratum for stratum in self._strata if method == MODEL or not stratum.crossed]
        return rows_of(strata, cells, self._draws, method, has_probabilities)

    def _parts(self) -> Iterator[slice]:
        start = 0
        for one in self._rounds:
            yield slice(start, start + len(one.cells.truth))
            start += len(one.cells.truth)


def _figures_by_reads(cells: Cells, has_probabilities: bool) -> dict[str, float]:
    assert cells.likelihoods is not None  # by which cells are scored here
    if not has_probabilities:
        return estimated_figures(cells.call, cells.likelihoods)
    gp, likelihoods = cells.known_likelihoods()
    bins = estimated_calibration(gp, likelihoods)
    gaps = sum(one["n"] * abs(one["confidence"] - one["accuracy"]) for one in bins)
    return {
        "read_loss": likelihood_loss(gp, likelihoods),
        **estimated_figures(cells.call, cells.likelihoods, cells.gp),
        "estimated_ece": gaps / max(len(gp), 1),
    }


def _means(each: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over rounds."""
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def _spread(each: list[dict[str, float]]) -> dict[str, float]:
    """The standard deviation of each figure over rounds; nothing for one round."""
    if len(each) < 2:
        return {}
    return {name: float(np.std([one[name] for one in each], ddof=1)) for name in each[0]}


def _arguments(cells: Cells) -> tuple[Any, ...]:
    return cells.truth, cells.gp, cells.call, cells.locus_mean, cells.locus, cells.dosage
