"""Simulated missingness: known calls that are hidden, from training to stop it, or from a whole fit to score it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imputevae_cli.config import SimSettings
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, missing_per_sample
from imputevae_cli.data.hidden_calls import of_whole_records
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.masking.observed_pattern import as_matrix, dropped_loci, hidden_clades, observed_like_hidden_cells
from imputevae_cli.masking.trees import Clades, distances, neighbour_joining

MIN_HIDDEN = 20
"""Fewer hidden calls than this say nothing about accuracy."""


@dataclass(frozen=True)
class Mask:
    """Which known calls were hidden.

    shape: (samples, loci). cells: int64 (M,), the hidden cells, sample * loci + locus, rising. fits: bool (M,), those
    that decide while decoders are fitted (when to stop); the gate goes by all of them. `hidden`, `validation` and
    `test` are the same as matrices, made when asked for.
    """

    shape: tuple[int, int]
    cells: np.ndarray
    fits: np.ndarray

    @property
    def hidden(self) -> np.ndarray:
        """bool (samples, loci), all hidden calls."""
        return self._matrix(self.cells)

    @property
    def validation(self) -> np.ndarray:
        """bool (samples, loci), the hidden calls that decide while decoders are fitted."""
        return self._matrix(self.cells[self.fits])

    @property
    def test(self) -> np.ndarray:
        """bool (samples, loci), the hidden calls that no decoder was fitted on."""
        return self._matrix(self.cells[~self.fits])

    def _matrix(self, cells: np.ndarray) -> np.ndarray:
        return as_matrix(cells, self.shape)


def simulate_mask(
    genotypes: GenotypeMatrix, settings: SimSettings, validation_split: float, generator: np.random.Generator
) -> Mask:
    """Hide known calls by `settings.sim_strategy`; a share `validation_split` decides while decoders are fitted.

    Strategies are those of `hide`. Raises InputError when fewer than MIN_HIDDEN calls can be hidden.
    """
    shape = genotypes.calls.shape
    n_known = genotypes.calls.size - int(missing_per_sample(genotypes.calls).sum())
    prop = min(settings.sim_prop, settings.max_hidden / max(n_known, 1))
    cells = hidden_cells(genotypes, settings.sim_strategy, prop, generator)
    return Mask(shape, cells, _drawn(cells, shape, generator) < validation_split)


def _drawn(cells: np.ndarray, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """A uniform draw for each of the cells, float32 (M,): each cell of the matrix has its own, one row at a time."""
    edges = np.searchsorted(cells, shape[1] * np.arange(shape[0] + 1))
    draws = np.empty(len(cells), np.float32)
    for sample in range(shape[0]):
        here = slice(edges[sample], edges[sample + 1])
        draws[here] = generator.random(shape[1], np.float32)[cells[here] - shape[1] * sample]
    return draws


def hide(
    genotypes: GenotypeMatrix, strategy: str, prop: float, generator: np.random.Generator, tree: Clades | None = None
) -> np.ndarray:
    """What `hidden_cells` gives, as bool (samples, loci)."""
    return as_matrix(hidden_cells(genotypes, strategy, prop, generator, tree), genotypes.calls.shape)


def hidden_cells(
    genotypes: GenotypeMatrix, strategy: str, prop: float, generator: np.random.Generator, tree: Clades | None = None
) -> np.ndarray:
    """Known calls to hide, about a share `prop` of them, int64 (cells,), sample * loci + locus, rising.

    observed: as the missing calls are missing (see observed_pattern.py). random: every known call alike.
    random_weighted: in proportion to its genotype's frequency at the locus. random_weighted_inv: to its inverse.
    nonrandom: clades of `tree`, or of a neighbour-joining tree, lose a locus together; nonrandom_weighted: drawn in
    proportion to the length of the branch above them. dropout: a population loses a locus, loci of rare alleles first.
    A locus that would show a single allele is left out, since its file would not hold it either; a sample keeps
    a known call. The loci of a record of several ALT alleles are hidden together. Raises InputError when fewer than
    MIN_HIDDEN calls can be hidden, or there is no tree to be had; ConfigError for dropout without populations.
    """
    calls = genotypes.calls
    if strategy == "observed":
        populations = None if genotypes.populations is None else _population_codes(genotypes)
        codes, haploid = genotypes.loci.chrom_codes, genotypes.haploid
        cells = observed_like_hidden_cells(calls, codes, prop, generator, populations, haploid=haploid)
    else:
        known = calls != MISSING
        hidden = _CHOICES[strategy](genotypes, known, prop, generator, tree)
        hidden[:, ~_is_polymorphic(np.where(hidden, MISSING, calls), genotypes.ploidy)] = False
        _keep_last_call(hidden, known)
        cells = np.flatnonzero(hidden)
    cells = of_whole_records(cells, genotypes.loci.several)
    if len(cells) < MIN_HIDDEN:
        n_known = calls.size - int(missing_per_sample(calls).sum())
        raise InputError(
            f"{genotypes.name}: of {n_known} known calls {len(cells)} can be hidden, too few to hide {prop:.0%} and "
            f"measure accuracy ({MIN_HIDDEN} at least, at loci that show both alleles without them); "
            "give more loci or samples"
        )
    return cells


def _draw_clades(weighted: bool) -> Callable[..., np.ndarray]:
    def choice(
        genotypes: GenotypeMatrix, known: np.ndarray, prop: float, generator: np.random.Generator, tree: Clades | None
    ) -> np.ndarray:
        tree = tree or neighbour_joining(distances(genotypes.calls))
        weights = tree.lengths if weighted else np.ones(len(tree.lengths))
        return hidden_clades(known, tree.members, weights, prop, generator)

    return choice


def _draw_dropout(
    genotypes: GenotypeMatrix, known: np.ndarray, prop: float, generator: np.random.Generator, tree: Clades | None
) -> np.ndarray:
    if genotypes.populations is None or len(set(genotypes.populations)) < 2:
        raise ConfigError("the strategy `dropout` takes loci from single populations; give --popmap with two or more")
    return dropped_loci(genotypes.calls, genotypes.ploidy, _population_codes(genotypes), prop, generator)


def _population_codes(genotypes: GenotypeMatrix) -> np.ndarray:
    """int (samples,), from 0 on."""
    assert genotypes.populations is not None
    return np.unique(genotypes.populations.astype(str), return_inverse=True)[1]


def _draw_cells(weights_of: Callable[[GenotypeMatrix], np.ndarray]) -> Callable[..., np.ndarray]:
    def choice(
        genotypes: GenotypeMatrix, known: np.ndarray, prop: float, generator: np.random.Generator, tree: Clades | None
    ) -> np.ndarray:
        return _draw_weighted(known, weights_of(genotypes), prop, generator)

    return choice


def _draw_weighted(known: np.ndarray, weights: np.ndarray, prop: float, generator: np.random.Generator) -> np.ndarray:
    """bool (samples, loci): a share `prop` of the known calls, drawn by weight without replacement."""
    scores = np.full(known.shape, -np.inf, np.float32)
    # By exponential keys (Efraimidis & Spirakis 2006)
    scores[known] = np.log(generator.random(int(known.sum()), np.float32).clip(1e-12)) / weights[known]
    hidden = np.zeros(known.shape, bool)
    n_hidden = round(prop * int(known.sum()))
    if n_hidden:
        hidden.flat[np.argpartition(scores, -n_hidden, axis=None)[-n_hidden:]] = True
    return hidden & known


def _is_polymorphic(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """bool (loci,): whether both alleles are seen among the known calls, int8 (samples, loci)."""
    has_ref = ((calls != MISSING) & (calls < ploidy)).any(0)
    return has_ref & (calls > 0).any(0)


def _keep_last_call(hidden: np.ndarray, known: np.ndarray) -> None:
    """Unhide, in place, one call of any sample that would lose all of them."""
    for sample in np.flatnonzero(~(known & ~hidden).any(1)):
        hidden[sample, np.flatnonzero(known[sample])[:1]] = False


def _genotype_frequency(genotypes: GenotypeMatrix) -> np.ndarray:
    """float32 (samples, loci): the frequency of each call's genotype among the locus's known calls."""
    calls = genotypes.calls
    n_known = np.maximum((calls != MISSING).sum(0), 1)
    out = np.ones(calls.shape, np.float32)
    for genotype in range(genotypes.n_classes):
        here = calls == genotype
        out = np.where(here, (here.sum(0) / n_known).astype(np.float32), out)
    return out


_CHOICES: dict[str, Callable[..., np.ndarray]] = {
    "random": _draw_cells(lambda g: np.ones(g.calls.shape, np.float32)),
    "random_weighted": _draw_cells(_genotype_frequency),
    "random_weighted_inv": _draw_cells(lambda g: 1.0 / _genotype_frequency(g)),
    "nonrandom": _draw_clades(weighted=False),
    "nonrandom_weighted": _draw_clades(weighted=True),
    "dropout": _draw_dropout,
}
