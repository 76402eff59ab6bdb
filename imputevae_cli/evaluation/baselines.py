"""Simple methods that any model must beat, on the same cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from imputevae_cli.data import frequencies
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, posterior
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.haploid import without_heterozygotes
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.evaluation.guess import Guess
from imputevae_cli.scoring.ld_knni import ld_knni
from imputevae_cli.scoring.metrics import certain
from imputevae_cli.seeds import seed_for

MODE, POPULATION_MODE = "mode", "population_mode"
FREQUENCIES, LD_KNNI = "population_frequencies", "ld_knni"
HARDLY = 1e-3
"""Samples' worth of all others that a population's commonest genotype is chosen with: only to decide ties."""


def baselines_of(genotypes: GenotypeMatrix) -> list[str]:
    """The baselines that there are: the commonest genotype of the population needs two populations at least."""
    own = [POPULATION_MODE] if genotypes.populations is not None and len(set(genotypes.populations)) > 1 else []
    return [MODE, *own, FREQUENCIES, LD_KNNI]


def guess_of_baseline(
    method: str, visible: GenotypeMatrix, cells: HiddenCells, seed: int
) -> tuple[Guess, dict[str, Any]]:
    """A baseline's guess from what is visible, and what it chose.

    Where calls are uncertain, genotype frequencies are estimated from the likelihoods, and multiplied with those of the
    cell. The others go by the calls alone, and leave a visible one as it is.
    """
    calls, n_classes = visible.calls, visible.n_classes
    if method == LD_KNNI:
        generator = np.random.default_rng(seed_for(seed, "ld_knni"))
        loci, where = visible.loci, (cells.samples, cells.loci)
        call, gp, chosen = ld_knni(calls, loci.chrom_codes, visible.ploidy, *where, generator, loci.several)
        possible = _possible(gp, visible, cells)
        call = np.where((possible == gp).all(1), call, possible.argmax(1)).astype(np.int8)
        return _with_visible(Guess(call, possible), visible, cells), chosen
    populations, n_populations = np.zeros(visible.n_samples, int), 0
    if visible.populations is not None and method != MODE:
        names, populations = np.unique(visible.populations.astype(str), return_inverse=True)
        n_populations = len(names)
    place = populations[cells.samples], cells.loci
    if method == FREQUENCIES:
        gp = _possible(_frequencies(visible, populations, n_populations)[place], visible, cells)
        if visible.visible_calls_are_uncertain:
            assert visible.evidence is not None  # as they are
            gp = posterior(gp, visible.evidence.of_cells(cells.samples, cells.loci))
        return Guess(gp.argmax(1).astype(np.int8), gp), {}
    shares = frequencies.genotype_frequencies(
        calls, n_classes, populations, n_populations, shrinkage=HARDLY, haploid=visible.haploid
    )
    call = _possible(shares[place], visible, cells).argmax(1).astype(np.int8)
    guess = Guess(call, certain(call, n_classes), has_probabilities=False)
    return _with_visible(guess, visible, cells), {}


def _frequencies(visible: GenotypeMatrix, populations: np.ndarray, n_populations: int) -> np.ndarray:
    """float32 (populations + 1, loci, C)."""
    if visible.visible_calls_are_uncertain:
        assert visible.evidence is not None  # as they are
        return evidence_frequencies(visible.evidence, populations, n_populations)
    groups = populations, n_populations
    return frequencies.genotype_frequencies(visible.calls, visible.n_classes, *groups, haploid=visible.haploid)


def _possible(gp: np.ndarray, visible: GenotypeMatrix, cells: HiddenCells) -> np.ndarray:
    """Genotype probabilities of the cells, float (M, C), without the heterozygotes that haploid ones cannot be."""
    if visible.haploid is None:
        return gp
    haploid = visible.haploid.of_cells(cells.samples, cells.loci)
    return np.where(haploid[:, None], without_heterozygotes(gp), gp)


def _with_visible(guess: Guess, visible: GenotypeMatrix, cells: HiddenCells) -> Guess:
    """The guess with the cells whose call is visible as they are, and as certain."""
    seen = visible.calls[cells.samples, cells.loci]
    known = seen != MISSING
    if not known.any():
        return guess
    gp = np.where(known[:, None], certain(seen, visible.n_classes), guess.gp)
    return Guess(np.where(known, seen, guess.call), gp, has_probabilities=guess.has_probabilities)
