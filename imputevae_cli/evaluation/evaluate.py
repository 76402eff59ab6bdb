"""Evaluation: known calls are hidden, filled by a method, and scored; the model beside baselines on the same cells.

A `Round` is one mask. What a method says of its cells is a `Guess`. Methods are scored one after the other, over the
cells of all rounds, so that memory holds the probabilities of two methods at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imputevae_cli.data import frequencies as baselines
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.haploid import without_heterozygotes
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.data.match_loci import places_in_file
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import NullProgress, Progress, logger
from imputevae_cli.masking.strategies import hide
from imputevae_cli.masking.trees import Clades, distances, neighbour_joining
from imputevae_cli.scoring import curves
from imputevae_cli.scoring.bootstrap import draws_of_loci, intervals, sums_by_locus
from imputevae_cli.scoring.ld_knni import ld_knni
from imputevae_cli.scoring.metrics import (
    BY_LOCUS,
    METRICS,
    OF_PROBABILITIES,
    Cells,
    certain,
    dosage,
    fill_dosage,
    score_cells,
)
from imputevae_cli.scoring.popgen import bias
from imputevae_cli.scoring.strata import rows_of, strata_of
from imputevae_cli.seeds import seed_for

MODEL = "model"
MODE, POPULATION_MODE = "mode", "population_mode"
FREQUENCIES, LD_KNNI = "population_frequencies", "ld_knni"
HARDLY = 1e-3
"""Samples' worth of all others that a population's commonest genotype is chosen with: only to decide ties."""
MAX_CELLS = 1_000_000
"""A mask hides at most so many calls: more make no figure surer, and cost memory and time."""


@dataclass(frozen=True)
class Round:
    """One mask: the cells that are hidden, known to the scorer alone."""

    cells: HiddenCells

    def visible(self, genotypes: GenotypeMatrix) -> GenotypeMatrix:
        """The genotypes that an imputer is given."""
        calls = genotypes.calls.copy()
        calls[self.cells.samples, self.cells.loci] = MISSING
        return genotypes.with_calls(calls)


@dataclass(frozen=True)
class Guess:
    """What a method says of M cells.

    call: int8 (M,), -1 left missing. gp: float32 (M, C), NaN where a cell has none. doses: float32 (M,), NaN where
    unknown, or None: from gp. has_probabilities: whether gp are probabilities, rather than a call taken as certain.
    """

    call: np.ndarray
    gp: np.ndarray
    doses: np.ndarray | None = None
    has_probabilities: bool = True


@dataclass
class MethodScore:
    """All figures of one method; `spread` is the standard deviation over rounds, NaN for one round."""

    method: str
    figures: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    spread: dict[str, float]
    strata: list[dict[str, Any]]
    calibration: list[dict[str, Any]]
    precision_recall: dict[str, dict[str, Any]]
    roc: dict[str, dict[str, Any]]
    confusion: list[list[int]]


@dataclass
class Evaluation:
    """The scores of all methods, and the model's guesses cell by cell.

    samples, loci: int (M,), where the scored cells are, loci rising; rounds one after the other.
    """

    methods: list[MethodScore]
    cells: Cells
    samples: np.ndarray
    loci: np.ndarray
    guess: Guess
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict[str, Any])


def draw_rounds(
    genotypes: GenotypeMatrix, strategy: str, prop: float, repeats: int, seed: int, tree: Clades | None = None
) -> list[Round]:
    """Masks over known calls, a share `prop` of them, MAX_CELLS at most; strategies and errors as in `masking.hide`."""
    if tree is None and strategy.startswith("nonrandom"):
        tree = neighbour_joining(distances(genotypes.calls))
    n_known = int((genotypes.calls != MISSING).sum())
    if prop * n_known > MAX_CELLS:
        prop = MAX_CELLS / n_known
        logger.info("--prop is lowered to %.4f, for no more than %d hidden calls", prop, MAX_CELLS)
    rounds = []
    for number in range(repeats):
        generator = np.random.default_rng(seed_for(seed, f"evaluation mask {number}"))
        hidden = hide(genotypes, strategy, prop, generator, tree)
        rounds.append(Round(HiddenCells.of(hidden, genotypes.calls)))
    return rounds


def guess_of(imputed: ImputedGenotypes, genotypes: GenotypeMatrix, cells: HiddenCells) -> Guess:
    """What an imputation says of the cells; a cell of a locus that it does not cover is left missing.

    imputed: of `genotypes` with the cells hidden, perhaps of fewer loci.
    """
    place = np.full(genotypes.n_loci, -1)
    place[places_in_file(imputed.genotypes, genotypes)] = np.arange(imputed.genotypes.n_loci)
    at = place[cells.loci]
    covered = np.flatnonzero(at >= 0)
    covered = covered[np.argsort(at[covered], kind="stable")]  # another file's loci may lie in another order
    inner = HiddenCells(cells.samples[covered], at[covered], cells.truth[covered])
    call = np.full(len(at), MISSING, np.int8)
    gp = np.full((len(at), genotypes.n_classes), np.nan, np.float32)

    def block(start: int, stop: int) -> np.ndarray:
        part = imputed.block(start, stop)
        return np.concatenate([part.gp, part.calls[..., None].astype(np.uint16)], 2)  # -1 wraps, and back

    if len(covered):
        values = pick(inner, imputed.genotypes.n_loci, block)
        call[covered] = values[:, -1].astype(np.int16)
        total = values[:, :-1].sum(1, keepdims=True)
        gp[covered] = np.where(total > 0, values[:, :-1] / np.float32(1000), np.nan)
    return Guess(call, gp)


def guesses_of_model(
    genotypes: GenotypeMatrix,
    rounds: list[Round],
    model_for: Callable[[GenotypeMatrix], ImputeVAE],
    progress: Progress | None = None,
) -> tuple[list[Guess], ImputeVAE, np.ndarray]:
    """The model's guesses of each round; the last model; and the first round's calls, all filled, int8 (N, L).

    model_for: gives a fitted model, from the visible genotypes.
    """
    guesses: list[Guess] = []
    filled: np.ndarray | None = None
    for one in rounds:
        visible = one.visible(genotypes)
        model = model_for(visible)
        imputed = model.transform(visible, progress=progress)
        guesses.append(guess_of(imputed, visible, one.cells))
        if filled is None:
            filled = visible.calls.copy()
            place = places_in_file(imputed.genotypes, genotypes)
            for loci, block in imputed.blocks():
                filled[:, place[loci]] = block.calls
    assert filled is not None  # there is a round
    return guesses, model, filled


def baselines_of(genotypes: GenotypeMatrix) -> list[str]:
    """The baselines that there are: the commonest genotype of the population needs two populations at least."""
    own = [POPULATION_MODE] if genotypes.populations is not None and len(set(genotypes.populations)) > 1 else []
    return [MODE, *own, FREQUENCIES, LD_KNNI]


def guess_of_baseline(
    method: str, visible: GenotypeMatrix, cells: HiddenCells, seed: int
) -> tuple[Guess, dict[str, Any]]:
    """A baseline's guess from the visible calls, and what it chose."""
    calls, n_classes = visible.calls, visible.n_classes
    if method == LD_KNNI:
        generator = np.random.default_rng(seed_for(seed, "ld_knni"))
        loci, where = visible.loci, (cells.samples, cells.loci)
        call, gp, chosen = ld_knni(calls, loci.chrom_codes, visible.ploidy, *where, generator, loci.several)
        possible = _possible(gp, visible, cells)
        return Guess(np.where((possible == gp).all(1), call, possible.argmax(1)).astype(np.int8), possible), chosen
    populations, n_populations = np.zeros(visible.n_samples, int), 0
    if visible.populations is not None and method != MODE:
        names, populations = np.unique(visible.populations.astype(str), return_inverse=True)
        n_populations = len(names)
    shrinkage = 2.0 if method == FREQUENCIES else HARDLY
    shares = baselines.genotype_frequencies(
        calls, n_classes, populations, n_populations, shrinkage=shrinkage, haploid=visible.haploid
    )
    gp = _possible(shares[populations[cells.samples], cells.loci], visible, cells)
    call = gp.argmax(1).astype(np.int8)
    if method == FREQUENCIES:
        return Guess(call, gp), {}
    return Guess(call, certain(call, n_classes), has_probabilities=False), {}


def _possible(gp: np.ndarray, visible: GenotypeMatrix, cells: HiddenCells) -> np.ndarray:
    """Genotype probabilities of the cells, float (M, C), without the heterozygotes that haploid ones cannot be."""
    if visible.haploid is None:
        return gp
    haploid = visible.haploid.of_cells(cells.samples, cells.loci)
    return np.where(haploid[:, None], without_heterozygotes(gp), gp)


def evaluate(
    genotypes: GenotypeMatrix,
    rounds: list[Round],
    model: list[Guess],
    seed: int,
    progress: Progress | None = None,
) -> Evaluation:
    """Score the model's guesses of each round, and those of every baseline on the same cells.

    genotypes: the input; a round's cells are missing in it, or are hidden by the round.
    """
    scorer = _Scorer(genotypes, rounds, seed)
    others = baselines_of(genotypes)
    with (progress or NullProgress()).task("scoring", 1 + len(others)) as task:
        first = scorer.pooled(model)
        score = scorer.score(MODEL, model, first)
        evaluation = Evaluation([score], first, scorer.samples, scorer.loci, _joined(model))
        task.advance()
        for method in others:
            said = [guess_of_baseline(method, one.visible(genotypes), one.cells, seed) for one in rounds]
            guesses = [guess for guess, _ in said]
            evaluation.methods.append(scorer.score(method, guesses, scorer.pooled(guesses)))
            if said[0][1]:
                evaluation.chosen[method] = said[0][1]
            task.advance(note=method)
    return evaluation


def downstream_bias(genotypes: GenotypeMatrix, one: Round, filled: np.ndarray) -> dict[str, Any]:
    """What the imputation does to population genetics: `popgen.bias` of one round; filled: int8 (N, L)."""
    cells, truth = one.cells, genotypes.calls.copy()
    truth[cells.samples, cells.loci] = cells.truth
    hidden = np.zeros(truth.shape, bool)
    hidden[cells.samples, cells.loci] = True
    visible = one.visible(genotypes).calls
    return bias(truth, visible, filled, hidden, genotypes.populations, genotypes.ploidy, genotypes.haploid)


class _Scorer:
    """Scores guesses of the same cells: what does not depend on the method is computed once."""

    def __init__(self, genotypes: GenotypeMatrix, rounds: list[Round], seed: int):
        self._rounds = rounds
        self.samples, self.loci, self._truth = (
            np.concatenate([getattr(one.cells, name) for one in rounds]) for name in ("samples", "loci", "truth")
        )
        # Loci without a scored cell have no part in the resampling
        self._with_cells, self._locus = np.unique(self.loci, return_inverse=True)
        visible = rounds[0].visible(genotypes).calls
        self._means = np.concatenate(
            [baselines.locus_means(one.visible(genotypes).calls)[one.cells.loci] for one in rounds]
        )
        truth = genotypes.calls.copy()
        truth[self.samples, self.loci] = self._truth
        self._strata = strata_of(
            truth,
            visible,
            genotypes.ploidy,
            genotypes.populations,
            HiddenCells(self.samples, self.loci, self._truth),
            genotypes.haploid,
        )
        generator = np.random.default_rng(seed_for(seed, "bootstrap"))
        self._draws = draws_of_loci(len(self._with_cells), generator)

    def pooled(self, guesses: list[Guess]) -> Cells:
        """The cells of all rounds with what a method says of them; loci count from 0 among those with cells."""
        guess = _joined(guesses)
        doses = dosage(guess.gp) if guess.doses is None else guess.doses
        doses = fill_dosage(doses, guess.call, self._means)
        if guess.doses is None and not guess.has_probabilities:  # a row of zeros is no dosage
            doses = np.where(guess.call < 0, self._means, doses)
        return Cells(self._truth, guess.gp, guess.call, self._means, self._locus, doses)

    def score(self, method: str, guesses: list[Guess], cells: Cells) -> MethodScore:
        """Every figure of one method."""
        n_classes = cells.gp.shape[1]
        has_probabilities = guesses[0].has_probabilities
        each = [score_cells(*_arguments(cells.take(part))) for part in self._parts()]
        spans = intervals(sums_by_locus(cells, len(self._with_cells)), self._draws, n_classes)
        unknown = () if has_probabilities else OF_PROBABILITIES
        names = [name for name in METRICS if name not in unknown]
        # Sums over loci pool the rounds; what is averaged over loci is another figure then, not the rounds' mean
        spanned = [name for name in names if name in spans and (len(each) == 1 or name not in BY_LOCUS)]
        strata = [stratum for stratum in self._strata if method == MODEL or not stratum.crossed]
        truth, gp = cells.with_probabilities()
        precision_recall = curves.precision_recall(truth, gp)
        by_class = {f"average_precision_{c}": one["average_precision"] for c, one in precision_recall.items()}
        return MethodScore(
            method=method,
            figures={name: float(np.mean([one[name] for one in each])) for name in names} | by_class,
            low={name: spans[name][0] for name in spanned},
            high={name: spans[name][1] for name in spanned},
            spread={name: float(np.std([one[name] for one in each], ddof=1)) for name in names}
            if len(each) > 1
            else {},
            strata=rows_of(strata, cells, self._draws, method, has_probabilities),
            calibration=curves.calibration(truth, gp) if has_probabilities else [],
            precision_recall=precision_recall,
            roc=curves.roc(truth, gp),
            confusion=curves.confusion(cells.truth, cells.call, n_classes),
        )

    def _parts(self) -> Iterator[slice]:
        start = 0
        for one in self._rounds:
            yield slice(start, start + len(one.cells.truth))
            start += len(one.cells.truth)


def _arguments(cells: Cells) -> tuple[Any, ...]:
    return cells.truth, cells.gp, cells.call, cells.locus_mean, cells.locus, cells.dosage


def _joined(guesses: list[Guess]) -> Guess:
    """The guesses of all rounds as one."""
    if len(guesses) == 1:
        return guesses[0]
    doses = None if guesses[0].doses is None else np.concatenate([guess.doses for guess in guesses])
    return Guess(
        np.concatenate([guess.call for guess in guesses]),
        np.concatenate([guess.gp for guess in guesses]),
        doses,
        guesses[0].has_probabilities,
    )
