"""Evaluation: known calls are hidden, filled by a method, and scored; the model beside baselines on the same cells.

A `Round` is one mask, or the cells of a truth. What a method says of its cells is a `Guess`. Methods are scored one
after the other, over the cells of all rounds, so that memory holds the probabilities of two methods at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.data.match_loci import places_in_file
from imputevae_cli.errors import InputError
from imputevae_cli.evaluation.baselines import baselines_of, guess_of_baseline
from imputevae_cli.evaluation.guess import Guess, Round, joined
from imputevae_cli.evaluation.score import MODEL, MethodScore, Scorer
from imputevae_cli.imputed import BLOCK, ImputedGenotypes
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import NullProgress, Progress, logger
from imputevae_cli.masking.strategies import hide
from imputevae_cli.masking.trees import Clades, distances, neighbour_joining
from imputevae_cli.scoring.metrics import Cells
from imputevae_cli.scoring.popgen import bias
from imputevae_cli.seeds import seed_for

MAX_CELLS = 1_000_000
"""A mask hides at most so many calls: more make no figure surer, and cost memory and time."""


@dataclass(repr=False)
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

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Method -> figure -> value, such as `figures["model"]["concordance"]`."""
        return {score.method: score.figures for score in self.methods}

    def __repr__(self) -> str:
        names = ", ".join(score.method for score in self.methods)
        return f"<Evaluation: {len(self.samples):,} hidden calls, methods {names}>"


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
        rounds.append(round_of(hide(genotypes, strategy, prop, generator, tree), genotypes))
    return rounds


def round_of(hidden: np.ndarray, genotypes: GenotypeMatrix) -> Round:
    """The round that hides these known calls, bool (N, L): scored by their reads where calls are uncertain.

    A call without any read is no evidence of anything, and is left out then.
    """
    if not genotypes.visible_calls_are_uncertain:
        return Round(HiddenCells.of(hidden, genotypes.calls))
    evidence = genotypes.evidence
    assert evidence is not None  # else calls were certain
    hidden = hidden & evidence.known(slice(None), 0, genotypes.n_loci)
    if not hidden.any():
        raise InputError("the hidden calls have no reads behind them, so there is nothing to score")
    return Round(HiddenCells.at(np.flatnonzero(hidden), genotypes.calls, evidence))


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


@dataclass(frozen=True)
class Guessed:
    """What was said of the cells of each round, and the whole matrix that came of the first.

    filled: int8 (N, L), the first round's visible calls with all that was filled in or refined. drawn: the same with
    genotypes drawn from the posterior, a matrix a draw.
    """

    rounds: list[Round]
    guesses: list[Guess]
    filled: np.ndarray
    drawn: Sequence[np.ndarray] = ()


def guess_with_model(
    genotypes: GenotypeMatrix,
    rounds: list[Round],
    model_for: Callable[[GenotypeMatrix], ImputeVAE],
    progress: Progress | None = None,
    n_draws: int = 0,
    call: str = "map",
) -> tuple[Guessed, ImputeVAE]:
    """What a model says of each round, uncertain visible calls refined, and the last round's model.

    model_for: gives a fitted model, from the visible genotypes. call: see `ImputeVAE.transform`.
    """
    first: ImputedGenotypes | None = None
    guesses: list[Guess] = []
    for one in rounds:
        visible = one.visible(genotypes)
        model = model_for(visible)
        refine = genotypes.visible_calls_are_uncertain
        imputed = model.transform(visible, refine=refine, call=call, progress=progress)
        guesses.append(guess_of(imputed, visible, one.cells))
        first = first or imputed
    assert first is not None  # there is a round
    drawn = [first.draw(number) for number in range(1, n_draws + 1)]
    filled, *rest = _in_place([first, *drawn], rounds[0].visible(genotypes))
    return Guessed(rounds, guesses, filled, rest), model


def _in_place(imputed: list[ImputedGenotypes], visible: GenotypeMatrix) -> list[np.ndarray]:
    """Imputed calls at the loci of `visible`, int8 (N, L) each; those of loci that a model lacks are as they are there.

    imputed: an imputation and draws from it. Block by block, so that the model works out each block once.
    """
    filled = [visible.calls.copy() for _ in imputed]
    place = places_in_file(imputed[0].genotypes, visible)
    for start in range(0, len(place), BLOCK):
        stop = min(start + BLOCK, len(place))
        for one, calls in zip(imputed, filled, strict=True):
            calls[:, place[start:stop]] = one.block(start, stop).calls
    return filled


def evaluate(
    genotypes: GenotypeMatrix,
    rounds: list[Round],
    model: list[Guess],
    seed: int,
    progress: Progress | None = None,
) -> Evaluation:
    """Score the model's guesses of each round, and those of every baseline on the same cells.

    genotypes: the input; a round's cells are missing in it, or are hidden by the round, or are scored by a truth.
    """
    scorer = Scorer(genotypes, rounds, seed)
    others = baselines_of(genotypes)
    with (progress or NullProgress()).task("scoring", 1 + len(others)) as task:
        first = scorer.pooled(model)
        score = scorer.score(MODEL, model, first)
        evaluation = Evaluation([score], first, scorer.samples, scorer.loci, joined(model))
        task.advance()
        for method in others:
            said = [guess_of_baseline(method, one.visible(genotypes), one.cells, seed) for one in rounds]
            guesses = [guess for guess, _ in said]
            evaluation.methods.append(scorer.score(method, guesses, scorer.pooled(guesses)))
            if said[0][1]:
                evaluation.chosen[method] = said[0][1]
            task.advance(note=method)
    return evaluation


def downstream_bias(genotypes: GenotypeMatrix, guessed: Guessed) -> dict[str, Any]:
    """What the imputation does to population genetics: `popgen.bias` of the first round.

    Uncertain calls are no truth: then it is what the round's cells have, or is not known.
    """
    one = guessed.rounds[0]
    cells, truth = one.cells, None
    if cells.likelihoods is None:
        uncertain = genotypes.visible_calls_are_uncertain
        truth = np.full_like(genotypes.calls, MISSING) if uncertain else genotypes.calls.copy()
        truth[cells.samples, cells.loci] = cells.truth
    visible = one.visible(genotypes).calls
    groups = genotypes.populations, genotypes.ploidy
    return bias(truth, visible, guessed.filled, *groups, guessed.drawn, genotypes.haploid)
