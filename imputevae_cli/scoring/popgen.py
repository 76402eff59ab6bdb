"""What imputation does to population genetics: heterozygosity, Fst, allele frequencies and PCA, before and after.

Each is computed from several views of one matrix:

- truth: the visible calls, with the hidden ones put back, or what is known from elsewhere; there may be none;
- visible: the calls that the imputer saw;
- imputed: every missing call filled with the likeliest genotype, as in the file that a user would analyse;
- drawn: every missing call drawn from its posterior; the mean of a figure over several such draws;
- imputed_same_cells, drawn_same_cells: without the cells that truth lacks, so that all that differs from truth is an
  error of the imputer. Left out where truth lacks none, and from the PCA.

A locus counts for a population where truth (else visible) and the view have two calls or more in it. All is summed over
blocks of loci: memory grows with the square of the samples, not with the loci.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.scoring.pca import pca_of_views
from imputevae_cli.scoring.popgen_draws import draws_in_words, with_draws

MAX_POPULATIONS = 30
"""Fst is taken between the pairs of this many populations, the largest; more make a table that nobody reads."""
EVERYONE = "all samples"
"""The one group where there are no populations."""
SPECTRUM_EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Bins of the minor allele frequency: exactly 0, then (low, high] between neighbours."""
_BLOCK_CELLS = 1 << 22
_PCA_VIEWS = ("truth", "visible", "imputed")


@dataclass(frozen=True)
class Counts:
    """Known calls, ALT alleles and heterozygotes of each population at a block of loci, float64 (P, b) each."""

    n: np.ndarray
    alt: np.ndarray
    het: np.ndarray


@dataclass
class Sums:
    """Sums of one view over loci: heterozygosities and loci (P,), parts of Fst (pairs,), loci by frequency (bins,)."""

    ho: np.ndarray
    he: np.ndarray
    loci: np.ndarray
    between: np.ndarray
    total: np.ndarray
    spectrum: np.ndarray = field(default_factory=lambda: np.zeros(len(SPECTRUM_EDGES)))

    @classmethod
    def zeros(cls, n_populations: int, n_pairs: int = 0) -> Sums:
        """Sums over no locus yet."""
        return cls(*(np.zeros(n_populations) for _ in range(3)), *(np.zeros(n_pairs) for _ in range(2)))


def bias(
    truth: np.ndarray | None,
    visible: np.ndarray,
    imputed: np.ndarray,
    populations: np.ndarray | None,
    ploidy: int,
    drawn: Iterable[np.ndarray] = (),
    haploid: HaploidCells | None = None,
) -> dict[str, Any]:
    """The analyses above as plain lists and floats, None where undefined, ready for JSON.

    truth, visible, imputed: int8 (N, L), -1 missing; truth None where it is not known. populations: object (N,) of str,
    or None. drawn: matrices like imputed, one after the other. haploid: cells of a diploid file, which have no part but
    in the PCA, as they have no heterozygosity.

    heterozygosity: a row a population; for each view Ho, Nei's (1978) He, FIS = 1 - sum Ho / sum He, and the loci.
    fst: a row a pair of populations; Weir and Cockerham's (1984) theta, a ratio of sums over loci. spectrum: shares of
    the loci by folded allele frequency over all samples. draws: of `popgen_draws.with_draws`, None without draws.
    pca: see `pca.pca_of_views`, None without a truth. sentences: the same in words.
    """
    groups = _Groups.of(populations, len(visible))
    result = _statistics(Matrices(truth, visible, imputed, haploid), groups, ploidy)
    each = [_statistics(Matrices(truth, visible, one, haploid), groups, ploidy) for one in drawn]
    result["draws"] = with_draws(result, each) if each else None
    result["pca"] = None
    if truth is not None:
        matrices = Matrices(truth, visible, imputed)
        result["pca"] = pca_of_views(matrices.pca_blocks, groups.codes, groups.names, ploidy)
    return result | {"sentences": _sentences(result)}


@dataclass(frozen=True)
class Matrices:
    """The calls before and after imputation, int8 (N, L) each, -1 missing; truth None where it is not known."""

    truth: np.ndarray | None
    visible: np.ndarray
    imputed: np.ndarray
    haploid: HaploidCells | None = None

    def diploid_blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """As `blocks`, with haploid cells missing."""
        start = 0
        for views in self.blocks():
            if self.haploid is not None:
                alone = self.haploid.block(start, start + views["visible"].shape[1])
                views = {view: np.where(alone, np.int8(MISSING), calls) for view, calls in views.items()}
            start += views["visible"].shape[1]
            yield views

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The views of a run of loci, int8 (N, b) each, run after run."""
        n_samples, n_loci = self.visible.shape
        step = max(1, _BLOCK_CELLS // n_samples)
        for start in range(0, n_loci, step):
            run = slice(start, start + step)
            views = {"visible": self.visible[:, run], "imputed": self.imputed[:, run]}
            if self.truth is not None:
                truth = self.truth[:, run]
                same = np.where(truth == MISSING, np.int8(MISSING), self.imputed[:, run])
                views = {"truth": truth, **views, "imputed_same_cells": same}
            yield views

    def pca_blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The views that a PCA is made of."""
        return ({view: block[view] for view in _PCA_VIEWS} for block in self.blocks())


@dataclass(frozen=True)
class _Groups:
    """Populations: their names, each sample's code, int64 (N,), samples of each, and codes of the pairs for Fst."""

    names: list[str]
    codes: np.ndarray
    sizes: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, populations: np.ndarray | None, n_samples: int) -> _Groups:
        names, codes = groups_of(populations, n_samples)
        sizes = np.bincount(codes)
        largest = np.sort(np.argsort(-sizes, kind="stable")[:MAX_POPULATIONS])
        first, second = np.triu_indices(len(largest), 1)
        return cls(names, codes, sizes, (largest[first], largest[second]))


def _statistics(matrices: Matrices, groups: _Groups, ploidy: int) -> dict[str, Any]:
    """Heterozygosity, Fst and spectrum of every view."""
    sums = _sum_over_loci(matrices, groups.codes, groups.pairs, ploidy)
    if matrices.truth is not None and not (matrices.truth == MISSING).any():
        del sums["imputed_same_cells"]
    names = groups.names
    return {
        "ploidy": ploidy,
        "views": list(sums),
        "heterozygosity": [
            {"population": name, "samples": int(groups.sizes[p])}
            | {view: heterozygosity_of(of_view, p, ploidy) for view, of_view in sums.items()}
            for p, name in enumerate(names)
        ],
        "fst": [
            {"population_1": names[i], "population_2": names[j]}
            | {view: _ratio(of_view.between[k], of_view.total[k]) for view, of_view in sums.items()}
            for k, (i, j) in enumerate(zip(*groups.pairs, strict=True))
        ],
        "spectrum": {"edges": list(SPECTRUM_EDGES)} | {view: shares_of(s.spectrum) for view, s in sums.items()},
    }


def fst_parts(n: np.ndarray, p: np.ndarray, h: np.ndarray, ploidy: int) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of Weir and Cockerham's (1984) theta of two populations, float64 (...,) each.

    n: individuals, p: ALT frequency, h: share of heterozygotes; float64 (2, ...), every n >= 2. Haploid: the
    mean squares of Weir (1996), where a gene is an individual; polyploids likewise, as under random mating.
    """
    n = n * ploidy if ploidy > 2 else n
    mean_n = n.mean(0)
    n_c = 2 * mean_n - (n**2).sum(0) / (2 * mean_n)
    mean_p = (n * p).sum(0) / (2 * mean_n)
    spread = (n * (p - mean_p) ** 2).sum(0)
    if ploidy != 2:
        within = (n * p * (1 - p)).sum(0) / (n - 1).sum(0)
        return spread - within, spread + (n_c - 1) * within
    s2 = spread / mean_n
    mean_h = (n * h).sum(0) / (2 * mean_n)
    rest = mean_p * (1 - mean_p) - s2 / 2
    a = mean_n / n_c * (s2 - (rest - mean_h / 4) / (mean_n - 1))
    b = mean_n / (mean_n - 1) * (rest - (2 * mean_n - 1) / (4 * mean_n) * mean_h)
    return a, a + b + mean_h / 2


def groups_of(populations: np.ndarray | None, n_samples: int) -> tuple[list[str], np.ndarray]:
    """Names of the populations, and each sample's code among them, int64 (N,); one group where there are none."""
    if populations is None:
        return [EVERYONE], np.zeros(n_samples, np.int64)
    names, codes = np.unique(populations.astype(str), return_inverse=True)
    return names.tolist(), codes


def _sum_over_loci(
    matrices: Matrices, codes: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], ploidy: int
) -> dict[str, Sums]:
    """Sums of every view. codes: int64 (N,). pairs: codes of the two populations of each pair, int64 (pairs,)."""
    n_groups, n_pairs = codes.max() + 1, len(pairs[0])
    sums: dict[str, Sums] = {}
    for views in matrices.diploid_blocks():
        counts = {view: count_calls(calls, codes, ploidy) for view, calls in views.items()}
        reference = counts.get("truth", counts["visible"])
        for view, of_view in counts.items():
            if view not in sums:
                sums[view] = Sums.zeros(n_groups, n_pairs)
            usable = (of_view.n >= 2) & (reference.n >= 2)  # (P, b)
            add_heterozygosity(sums[view], of_view, usable, ploidy)
            _add_fst(sums[view], of_view, usable, pairs, ploidy)
            add_spectrum(sums[view], of_view, reference, ploidy)
    return sums


def count_calls(calls: np.ndarray, codes: np.ndarray, ploidy: int) -> Counts:
    """Counts by population. calls: int8 (N, b); codes: int64 (N,), each of 0..P-1 taken by a sample.

    `het` of a polyploid is its gametic heterozygosity (Moody et al. 1993).
    """
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    calls = calls[order]

    def per_population(values: np.ndarray) -> np.ndarray:
        kind = values.dtype if values.dtype == float else np.int32
        return np.add.reduceat(values, starts, axis=0, dtype=kind).astype(float)

    het = calls == 1
    if ploidy > 2:
        het = np.where(calls == MISSING, 0.0, heterozygosity_of_classes(ploidy)[calls])
    return Counts(*map(per_population, (calls != MISSING, np.maximum(calls, 0), het)))


def heterozygosity_of_classes(ploidy: int) -> np.ndarray:
    """The chance that two alleles of a sample differ, float64 (ploidy + 1,), by its number of ALT alleles."""
    copies = np.arange(ploidy + 1)
    return copies * (ploidy - copies) / max(ploidy * (ploidy - 1) / 2, 1)


def _frequency(counts: Counts, ploidy: int) -> np.ndarray:
    return alt_frequencies(counts.alt, counts.n, ploidy)


def add_heterozygosity(sums: Sums, counts: Counts, usable: np.ndarray, ploidy: int) -> None:
    """Add the loci that are usable in each population, bool (P, b), to the sums of a view."""
    genes = ploidy * counts.n
    p = _frequency(counts, ploidy)
    he = 2 * p * (1 - p) * genes / np.maximum(genes - 1, 1)
    sums.he += np.where(usable, he, 0).sum(1)
    sums.ho += np.where(usable, counts.het / np.maximum(counts.n, 1), 0).sum(1)
    sums.loci += usable.sum(1)


def _add_fst(sums: Sums, counts: Counts, usable: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], ploidy: int) -> None:
    step = max(1, _BLOCK_CELLS // 8 // max(len(pairs[0]), 1))
    for start in range(0, usable.shape[1], step):
        run = slice(start, start + step)
        both = usable[pairs[0], run] & usable[pairs[1], run]  # (pairs, b)
        # Counts of 2 where a locus is not used: nothing is divided by zero, and the result is dropped
        n = np.stack([np.where(both, counts.n[side, run], 2.0) for side in pairs])  # (2, pairs, b)
        alt, het = (np.stack([values[side, run] for side in pairs]) for values in (counts.alt, counts.het))
        between, total = fst_parts(n, alt / (ploidy * n), het / n, ploidy)
        sums.between += np.where(both, between, 0).sum(1)
        sums.total += np.where(both, total, 0).sum(1)


def add_spectrum(sums: Sums, counts: Counts, reference: Counts, ploidy: int) -> None:
    """Add loci to the spectrum of a view; those without a call in the view, or in the reference, are left out."""
    n = counts.n.sum(0)
    p = alt_frequencies(counts.alt.sum(0), n, ploidy)
    folded = np.minimum(p, 1 - p)[(n > 0) & (reference.n.sum(0) > 0)]
    # A hair is taken off, so that 1/20 and 1 - 19/20 fall into one bin
    bins = np.searchsorted(SPECTRUM_EDGES, folded - 1e-9)
    sums.spectrum += np.bincount(bins, minlength=len(SPECTRUM_EDGES))


def heterozygosity_of(sums: Sums, population: int, ploidy: int) -> dict[str, Any]:
    """Ho, He, FIS, None where undefined, and the loci that they are of."""
    loci = sums.loci[population]
    ho, he = sums.ho[population], sums.he[population]
    diploid = ploidy > 1
    inbreeding = _ratio(he - ho, he) if diploid else None
    return {"ho": _ratio(ho, loci) if diploid else None, "he": _ratio(he, loci), "fis": inbreeding, "loci": int(loci)}


def _ratio(above: float, below: float) -> float | None:
    return round(float(above / below), 6) if below else None


def shares_of(numbers: np.ndarray) -> list[float]:
    """Numbers as shares of their sum."""
    return [round(float(share), 6) for share in numbers / max(numbers.sum(), 1)]


def _sentences(result: dict[str, Any]) -> list[str]:
    if "truth" not in result["views"]:
        return ["The calls are uncertain, so they are no truth to compare with."]
    rows = result["heterozygosity"]
    words = [
        _change(f"{noun} ({short})", [(row["truth"][key], row["imputed"][key]) for row in rows])
        for key, noun, short in (
            ("ho", "observed heterozygosity", "Ho"),
            ("he", "expected heterozygosity", "He"),
            ("fis", "the inbreeding coefficient", "FIS"),
        )
    ]
    words.append(
        _change("differentiation between populations (Fst)", [(r["truth"], r["imputed"]) for r in result["fst"]])
    )
    words.append(draws_in_words(result["draws"]))
    if result["pca"]:
        words.append(result["pca"]["drift"]["sentence"])
    return [sentence for sentence in words if sentence]


def _change(noun: str, pairs: list[tuple[float | None, float | None]]) -> str | None:
    """What becomes of the mean of a figure, from truth to imputed; None where it is nowhere defined."""
    known = [(before, after) for before, after in pairs if before is not None and after is not None]
    if not known:
        return None
    before, after = np.mean(known, axis=0)
    noun = noun[0].upper() + noun[1:]
    change = after - before
    if abs(change) < max(0.005, 0.02 * abs(before)):
        return f"{noun} hardly changes: {before:.3f} with the true calls, {after:.3f} after imputation."
    verb = "rises" if change > 0 else "falls"
    return f"{noun} {verb} from {before:.3f} with the true calls to {after:.3f} after imputation."
