"""Figures by stratum: by minor-allele frequency, population, missingness, depth and true genotype."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies_of
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.ploidy import genotype_texts
from imputevae_cli.scoring.bootstrap import added_up, figures, intervals, sums_by_locus
from imputevae_cli.scoring.metrics import OF_PROBABILITIES, Cells

MAF_EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
MISSING_EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0)
DEPTH_EDGES = (0, 1, 2, 3, 5, 10, 20)
"""The least reads of each bin; the last has no end."""
FIGURES = ("concordance", "nrd", "f1", "skill_r2", "dosage_r2", "iqs", "log_loss", "read_loss")
"""What is reported of a stratum, each with its interval; None where the cells have no truth, or no reads, for it."""
MOST_POPULATIONS = 50
"""Of more, the largest."""


@dataclass(frozen=True)
class Stratum:
    """A way to part the cells. codes: int (M,), the place in `levels`, -1 for none. crossed: made of two others."""

    name: str
    levels: tuple[str, ...]
    codes: np.ndarray
    crossed: bool = False


def minor_allele_frequencies(calls: np.ndarray, ploidy: int, haploid: HaploidCells | None = None) -> np.ndarray:
    """float (L,), from the known calls, int8 (N, L); 0 where none is known."""
    frequency = alt_frequencies_of(calls, ploidy, haploid=None if haploid is None else haploid.block(0, None))
    return np.minimum(frequency, 1 - frequency)


def strata_of(
    truth: np.ndarray,
    visible: np.ndarray,
    ploidy: int,
    populations: np.ndarray | None,
    cells: HiddenCells,
    depths: np.ndarray,
    haploid: HaploidCells | None = None,
) -> list[Stratum]:
    """The strata of M scored cells.

    truth, visible: int8 (N, L), with all that is known, and what the imputer was given: the first gives minor-allele
    frequencies, the second missingness. populations: object (N,) or None. cells: those scored, with the true calls; by
    these they are parted unless they are scored by their reads. depths: int (M,), reads of each cell, -1 unknown.
    """
    samples, loci, genotypes = cells.samples, cells.loci, cells.truth
    missing = visible == MISSING
    maf = _binned("maf", minor_allele_frequencies(truth, ploidy, haploid), MAF_EDGES)
    of_sample = _binned("sample_missingness", missing.mean(1), MISSING_EDGES)
    of_locus = _binned("locus_missingness", missing.mean(0), MISSING_EDGES)
    strata = [_at(maf, loci), _at(of_sample, samples), _at(of_locus, loci), by_depth(depths)]
    if populations is not None:
        names, codes, sizes = np.unique(populations.astype(str), return_inverse=True, return_counts=True)
        kept = np.sort(np.argsort(-sizes, kind="stable")[:MOST_POPULATIONS])
        place = np.full(len(names), -1)
        place[kept] = np.arange(len(kept))
        population = Stratum("population", tuple(names[kept].tolist()), place[codes][samples])
        strata += [population, _crossed(population, strata[0])]
    if cells.likelihoods is not None:
        return strata
    true = Stratum("class", genotype_texts(ploidy), genotypes)
    return [*strata, true, _crossed(strata[0], true)]


def by_depth(depths: np.ndarray) -> Stratum:
    """Cells by their number of reads, int (M,); -1 is in no level."""
    ends = [following - 1 for following in DEPTH_EDGES[1:]]
    levels = [f"{low}" if low == end else f"{low}-{end}" for low, end in zip(DEPTH_EDGES[:-1], ends, strict=True)]
    codes = np.searchsorted(DEPTH_EDGES, depths, side="right") - 1
    return Stratum("depth", (*levels, f"{DEPTH_EDGES[-1]}+"), codes)


def _binned(name: str, values: np.ndarray, edges: tuple[float, ...]) -> Stratum:
    """Bins (lo, hi], and the first from lo on."""
    codes = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    levels = [f"({low:g}, {high:g}]" for low, high in pairwise(edges)]
    return Stratum(name, (levels[0].replace("(", "["), *levels[1:]), codes)


def _at(stratum: Stratum, index: np.ndarray) -> Stratum:
    return Stratum(stratum.name, stratum.levels, stratum.codes[index])


def _crossed(a: Stratum, b: Stratum) -> Stratum:
    levels = tuple(f"{one}; {other}" for one in a.levels for other in b.levels)
    codes = np.where((a.codes < 0) | (b.codes < 0), -1, a.codes * len(b.levels) + b.codes)
    return Stratum(f"{a.name} x {b.name}", levels, codes, crossed=True)


def rows_of(
    strata: list[Stratum], cells: Cells, draws: np.ndarray, method: str, has_probabilities: bool
) -> list[dict[str, Any]]:
    """A row for each level that has cells: stratum, level, method, n, FIGURES with `_low` and `_high`, and
    expected_accuracy, the mean probability of the likeliest genotype."""
    n_loci, n_classes = draws.shape[1], cells.gp.shape[1]
    rows = []
    for stratum in strata:
        for code in np.unique(stratum.codes[stratum.codes >= 0]).tolist():
            some = cells.take(stratum.codes == code)
            sums = sums_by_locus(some, n_loci)
            values = figures(added_up(sums), n_classes)
            spans = intervals(sums, draws, n_classes)
            row = {"stratum": stratum.name, "level": stratum.levels[code], "method": method, "n": len(some.truth)}
            row |= dict.fromkeys(FIGURES) | {"expected_accuracy": None}
            for name in FIGURES:
                if name in values and (has_probabilities or name not in (*OF_PROBABILITIES, "read_loss")):
                    row[name] = float(values[name])
                    row[f"{name}_low"], row[f"{name}_high"] = spans[name]
            if has_probabilities:
                row["expected_accuracy"] = some.expected_accuracy
            rows.append(row)
    return rows
