"""Scoring against a truth from elsewhere: the cells that are missing in the input, and uncertain calls too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.match_loci import match_loci
from imputevae_cli.data.popmap import match_names
from imputevae_cli.errors import InputError
from imputevae_cli.evaluation.guess import Guess, Round
from imputevae_cli.io.imputed_reader import ImputedCells, read_imputed
from imputevae_cli.log import Progress, logger
from imputevae_cli.scoring.metrics import certain

MOST_WRONG = 0.01
"""A truth of which more calls than this share are expected to be wrong, by its own reads, is scored by these reads."""
MOST_DIFFERING = 0.05
"""Where more of the visible calls are others in a truth, it may be that of other samples, which is said."""
MAX_SCORED = 5_000_000
"""More cells make no figure surer, and each takes some 150 bytes."""


@dataclass(frozen=True)
class FromFile:
    """What a file says. filled: int8 (N, L), the input's calls with what the file filled in, or rewrote where calls are
    uncertain; -1 where it did not.

    source: GP, DS or GT, what stands for the genotype probabilities. notes: what is amiss with the file, in sentences.
    """

    guess: Guess
    filled: np.ndarray
    source: str
    notes: tuple[str, ...]


def cells_of_truth(genotypes: GenotypeMatrix, truth: GenotypeMatrix, rng: np.random.Generator) -> Round:
    """The cells that are missing in `genotypes` and known in `truth`, samples matched by name.

    Where calls are uncertain, all cells that `truth` knows are scored, visible ones too. If its own calls are (see
    MOST_WRONG), they are no truth: the missing cells are scored by its reads. Loci are matched as `match_loci` does. Of
    more than MAX_SCORED cells, those of some loci are scored, drawn by `rng`.
    Raises InputError where the ploidies differ, where no sample or no locus is in both, and where no such cell is left.
    """
    name, given = truth.name, genotypes.name
    if truth.ploidy != genotypes.ploidy:
        raise InputError(
            f"{name}: has ploidy {truth.ploidy}, {given} has {genotypes.ploidy}; give the truth of that file"
        )
    row, place, swapped = _places_in_truth(genotypes, truth)
    where = (row >= 0)[:, None] & (place >= 0)
    by_reads = _is_no_truth(truth)
    if by_reads or not genotypes.visible_calls_are_uncertain:
        where &= genotypes.calls == MISSING
        _warn_of_other_calls(genotypes, truth, (row, place, swapped))
    _thin_out(where, rng)
    cells = HiddenCells.of(where, genotypes.calls)
    call = truth.calls[row[cells.samples], place[cells.loci]].astype(np.int64)
    known, likelihoods = call != MISSING, None
    call = np.where(swapped[cells.loci], truth.ploidy - call, call)
    if by_reads:
        likelihoods = _likelihoods(truth, row[cells.samples], place[cells.loci], swapped[cells.loci])
        known &= likelihoods.min(1) < 1
    if not known.any():
        raise InputError(f"{name}: no call that is missing in {given} is known in it; there is nothing to score")
    scored = HiddenCells(cells.samples, cells.loci, call, likelihoods).take(np.flatnonzero(known))
    return Round(scored, hides=False)


def _places_in_truth(genotypes: GenotypeMatrix, truth: GenotypeMatrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where `truth` has each sample, int (N,), and each locus, int (L,), -1 where it does not; and bool (L,): whether
    its alleles are exchanged. What is not in both is warned of; raises InputError where nothing is."""
    name, given = truth.name, genotypes.name
    row_of = {sample: i for i, sample in enumerate(truth.samples)}
    name_of = match_names(genotypes.samples, truth.samples)
    row = np.array([row_of[name_of[sample]] if sample in name_of else -1 for sample in genotypes.samples])
    place, swapped, ambiguous = match_loci(genotypes.loci, truth.loci)
    if ambiguous.any():
        logger.warning(
            "%s: %d of its loci cannot be told apart by chromosome, position, REF, ALT and ID, and are not scored",
            name, ambiguous.sum(),
        )  # fmt: skip
    _check_found("samples", row, truth, genotypes)
    _check_found("loci", place, truth, genotypes)
    if extra := truth.n_loci - int((place >= 0).sum()):
        logger.warning(
            "%s: %d of its loci are not in %s, or without a call there, and are not scored", name, extra, given
        )
    return row, place, swapped


def _check_found(noun: str, found: np.ndarray, truth: GenotypeMatrix, genotypes: GenotypeMatrix) -> None:
    """Say which samples or loci `truth` lacks; InputError where it has none. found: int, -1 for one that it lacks."""
    name, given, lacking = truth.name, genotypes.name, int((found < 0).sum())
    if lacking == len(found):
        theirs, ours = (one.samples[0] if noun == "samples" else one.loci.in_words(0) for one in (truth, genotypes))
        raise InputError(
            f"{name}: none of its {noun} is in {given} (the first is {theirs} there and {ours} here); "
            "give the truth of that file"
        )
    if lacking:
        logger.warning("%s: lacks %d of the %d %s of %s, which are not scored", name, lacking, len(found), noun, given)


def _warn_of_other_calls(
    genotypes: GenotypeMatrix, truth: GenotypeMatrix, places: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """Say where many visible calls are others in the truth: samples may be exchanged. places: `_places_in_truth`."""
    row, place, swapped = places
    at = np.flatnonzero(place >= 0)
    n_shared, n_other = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    for i in np.flatnonzero(row >= 0):
        call, true = genotypes.calls[i, at], truth.calls[row[i], place[at]]
        both = (call != MISSING) & (true != MISSING)
        true = np.where(swapped[at], truth.ploidy - true, true)
        n_shared[i], n_other[i] = both.sum(), (both & (call != true)).sum()
    if n_other.sum() > MOST_DIFFERING * n_shared.sum():
        worst = genotypes.samples[(n_other / np.maximum(n_shared, 1)).argmax()]
        logger.warning(
            "%s: %.0f %% of the calls that %s has too are others there, most in sample %s; is it of the same samples?",
            truth.name, 100 * n_other.sum() / n_shared.sum(), genotypes.name, worst,
        )  # fmt: skip


def _is_no_truth(truth: GenotypeMatrix) -> bool:
    """Whether the calls are too uncertain to be scored against, which is said."""
    report = truth.evidence_report
    if not truth.visible_calls_are_uncertain or report is None:
        return False
    too_many = report.expected_wrong > MOST_WRONG
    then = "so calls are scored by its reads" if too_many else "so figures are a little lower than they should be"
    logger.warning(
        "%s: %.1f %% of its calls are expected to be wrong by %s, %s", truth.name, 100 * report.expected_wrong,
        report.field, then,
    )  # fmt: skip
    return too_many


def _likelihoods(truth: GenotypeMatrix, rows: np.ndarray, loci: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """float32 (M, C) of some cells of `truth`, its alleles exchanged where `swapped`, bool (M,)."""
    assert truth.evidence is not None  # by which they are uncertain
    likelihoods = truth.evidence.of_cells(rows, loci)
    return np.where(swapped[:, None], likelihoods[:, ::-1], likelihoods)


def _thin_out(where: np.ndarray, rng: np.random.Generator) -> None:
    """Take loci out of `where`, bool (N, L), in place, until at most MAX_SCORED cells are left."""
    if where.sum() <= MAX_SCORED:
        return
    order = rng.permutation(where.shape[1])
    left_out = order[np.cumsum(where.sum(0)[order]) > MAX_SCORED]
    where[:, left_out] = False
    logger.warning(
        "more than %d calls could be scored: those of %d loci, drawn at random, are not", MAX_SCORED, len(left_out)
    )


def read_guess(path: str | Path, genotypes: GenotypeMatrix, cells: HiddenCells, progress: Progress | None) -> FromFile:
    """What the file says of the cells. Errors as in `read_imputed`."""
    said = read_imputed(path, genotypes, cells.samples, cells.loci, progress)
    notes = []
    if said.n_changed and genotypes.visible_calls_are_uncertain:
        notes.append(f"The file rewrites {said.n_changed:,} visible calls, as uncertain calls may be.")
    elif said.n_changed:
        notes.append(f"The file changed {said.n_changed:,} calls that were known in the input.")
    if said.n_lost:
        notes.append(f"The file lacks {said.n_lost:,} loci with scored calls, which count as left missing.")
    for note in notes:
        logger.warning("%s: %s", path, note)
    return FromFile(_guess(said), said.filled, said.source, tuple(notes))


def _guess(said: ImputedCells) -> Guess:
    call, gp, doses = said.call, said.gp, said.dosage
    if said.source == "GP":
        return Guess(call, gp, np.where(np.isfinite(doses), doses, gp @ np.arange(gp.shape[1], dtype=np.float32)))
    if said.source == "DS":
        return Guess(call, between_neighbours(doses, gp.shape[1]), doses, has_probabilities=False)
    return Guess(call, certain(call, gp.shape[1]), has_probabilities=False)


def between_neighbours(doses: np.ndarray, n_classes: int) -> np.ndarray:
    """Weights of genotypes, float32 (M, C), that have these dosages: shared by the two counts on either side."""
    return np.maximum(1 - np.abs(doses[:, None] - np.arange(n_classes)), 0).astype(np.float32)
