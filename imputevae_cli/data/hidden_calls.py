"""Single cells of the genotype matrix, and what is known around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.frequencies import alt_frequencies_of
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.unseen import minor_carriers

BLOCK = 2048
"""Loci at a time."""
BLOCK_CELLS = 1 << 18
"""Cells at a time, where whole blocks are worked out to pick some of their cells."""
FAR = 32
"""Distances to the nearest known call are counted up to this many loci."""

Inside = tuple[np.ndarray, np.ndarray]
"""Some cells of a block: sample, and place among the block's loci, int64 (M,) each."""


@dataclass(frozen=True)
class HiddenCells:
    """Known calls that the model does not see, by rising locus: sample, locus and call, int64 (M,) each.

    likelihoods: float32 (M, C) of each genotype, where calls are uncertain; None where they are taken as certain.
    """

    samples: np.ndarray
    loci: np.ndarray
    truth: np.ndarray
    likelihoods: np.ndarray | None = None

    @classmethod
    def of(cls, where: np.ndarray, calls: np.ndarray) -> HiddenCells:
        """The cells of `where`, bool (N, L), with their calls, int8 (N, L)."""
        loci, samples = (np.ascontiguousarray(index) for index in np.nonzero(where.T))
        return cls(samples, loci, calls[samples, loci].astype(np.int64))

    @classmethod
    def at(cls, cells: np.ndarray, calls: np.ndarray, evidence: Evidence | None = None) -> HiddenCells:
        """The cells of these numbers, int64 (M,), sample * loci + locus, with their calls, int8 (N, L)."""
        samples, loci = np.divmod(cells, calls.shape[1])
        order = np.argsort(loci, kind="stable")
        samples, loci = samples[order], loci[order]
        likelihoods = None if evidence is None else evidence.of_cells(samples, loci)
        return cls(samples, loci, calls[samples, loci].astype(np.int64), likelihoods)

    @classmethod
    def none(cls) -> HiddenCells:
        """No cells."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing)

    def and_also(self, other: HiddenCells) -> HiddenCells:
        """These cells and those of `other`, by rising locus."""
        samples, loci = np.concatenate((self.samples, other.samples)), np.concatenate((self.loci, other.loci))
        order = np.lexsort((samples, loci))
        truth, likelihoods = np.concatenate((self.truth, other.truth))[order], None
        if self.likelihoods is not None and other.likelihoods is not None:
            likelihoods = np.concatenate((self.likelihoods, other.likelihoods))[order]
        return HiddenCells(samples[order], loci[order], truth, likelihoods)

    @property
    def target(self) -> np.ndarray:
        """What probabilities are scored by: the calls, int64 (M,), or their likelihoods where these are uncertain."""
        return self.truth if self.likelihoods is None else self.likelihoods

    @contextmanager
    def hidden_in(self, calls: np.ndarray) -> Iterator[None]:
        """Hide these cells in calls, int8 (N, L), in place, and put them back whatever happens.

        A second matrix, with the cells hidden, would take as much memory as the first.
        """
        self.hide(calls)
        try:
            yield
        finally:
            calls[self.samples, self.loci] = self.truth

    def hide(self, calls: np.ndarray, start: int = 0) -> None:
        """Set these cells missing, in place; calls: int8 (N, l), a block that begins at locus `start`."""
        first, last = np.searchsorted(self.loci, [start, start + calls.shape[1]])
        calls[self.samples[first:last], self.loci[first:last] - start] = MISSING

    def take(self, places: np.ndarray) -> HiddenCells:
        """The cells at `places`, int64 rising."""
        likelihoods = None if self.likelihoods is None else self.likelihoods[places]
        return HiddenCells(self.samples[places], self.loci[places], self.truth[places], likelihoods)

    def within(self, samples: np.ndarray, loci: np.ndarray) -> tuple[np.ndarray, HiddenCells]:
        """Places, int64 (M,), of the cells of some samples at some loci, and those cells as their subset counts them.

        samples, loci: int64, rising.
        """
        row, column = np.searchsorted(samples, self.samples), np.searchsorted(loci, self.loci)
        inside = samples[np.minimum(row, len(samples) - 1)] == self.samples
        inside &= loci[np.minimum(column, len(loci) - 1)] == self.loci
        places = np.flatnonzero(inside)
        likelihoods = None if self.likelihoods is None else self.likelihoods[places]
        return places, HiddenCells(row[places], column[places], self.truth[places], likelihoods)

    def blocks(self, n_loci: int, size: int = BLOCK) -> Iterator[tuple[int, int, slice]]:
        """(start, stop, cells): runs of loci that hold cells, and the cells in each."""
        for start in range(0, n_loci, size):
            stop = min(start + size, n_loci)
            first, last = np.searchsorted(self.loci, [start, stop])
            if last > first:
                yield start, stop, slice(int(first), int(last))


def of_whole_records(cells: np.ndarray, records: np.ndarray | None) -> np.ndarray:
    """Cells by number, int64 rising, sample * loci + locus: of a record of several loci all, or none, as of the first.

    records: int64 (L,), see `Loci.records`; None where each locus is one. What a locus shows gives away much of the
    others of its record: cells are hidden together.
    """
    if records is None:
        return cells
    n_loci = len(records)
    begins = np.diff(records, prepend=-1) > 0
    first = cells[begins[cells % n_loci]]
    sizes = np.bincount(records)[records[first % n_loci]]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(first, sizes) + within


def first_of_records(records: np.ndarray | None) -> np.ndarray | slice:
    """The first locus of each locus's record, int64 (L,), as an index; records as in `of_whole_records`."""
    return slice(None) if records is None else np.searchsorted(records, records)


def pick(cells: HiddenCells, n_loci: int, block: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Values of the cells, (M, ...), from a function that gives those of whole blocks, (N, stop - start, ...)."""
    return by_blocks(cells, n_loci, lambda loci, inside: block(loci.start, loci.stop)[inside])


def by_blocks(cells: HiddenCells, n_loci: int, values: Callable[[slice, Inside], np.ndarray]) -> np.ndarray:
    """Values of the cells, (M, ...), from a function that gives those of the cells inside a block of loci, (m, ...)."""
    n_samples = int(cells.samples.max(initial=0)) + 1
    return np.concatenate(
        [
            values(slice(start, stop), (cells.samples[some], cells.loci[some] - start))
            for start, stop, some in cells.blocks(n_loci, int(np.clip(BLOCK_CELLS // n_samples, 64, BLOCK)))
        ]
    )


def surroundings(
    calls: np.ndarray, chrom_codes: np.ndarray, ploidy: int, unseen: np.ndarray, loci: slice, inside: Inside
) -> np.ndarray:
    """Covariates of some cells, by which the gate decides which decoder to believe there, float32 (M, 8).

    calls: int8 (N, L), -1 missing. unseen: float32, what `log_unseen` gives. loci: the block that the cells `inside`
    are of; no value hangs on it. The log distance in loci to the nearest known call of the sample before and after the
    cell on its chromosome; the locus's log minor-allele frequency; the share of its calls that is known; one over the
    minor alleles among them plus one, since what is very rare is a case of its own; what `unseen` has for so many
    carriers; and how heterozygous the locus is, and the sample within FAR loci, see `_excess_of_hets`.
    """
    low, high = max(0, loci.start - FAR), min(calls.shape[1], loci.stop + FAR)
    around, codes = calls[:, low:high], chrom_codes[low:high]
    known = around != MISSING
    sample, locus = inside[0], inside[1] + (loci.start - low)
    before = _steps_since(known, codes, (sample, locus))
    after = _steps_since(known[:, ::-1], codes[::-1], (sample, high - low - 1 - locus))
    alt = alt_frequencies_of(around, ploidy, pseudo_count=0.5)
    n_known = known.sum(0)
    alleles = np.where(known, around, 0).sum(0, dtype=np.int64)
    rarity = 1.0 / (1 + np.minimum(alleles, ploidy * n_known - alleles))
    all_ref, all_alt = ((around == genotype).sum(0) for genotype in (0, ploidy))
    carriers = minor_carriers(all_ref, all_alt, n_known)
    rare = [rarity, unseen[np.minimum(carriers, len(unseen) - 1)]]
    per_locus = np.stack([np.log(np.minimum(alt, 1 - alt)), n_known / len(calls), *rare], 1).astype(np.float32)
    distances = np.log1p(np.stack([before, after], 1).astype(np.float32))
    excess = _excess_of_hets(around, known, alt, ploidy, (sample, locus))
    return np.concatenate([distances, per_locus[locus], excess], 1)


def _excess_of_hets(calls: np.ndarray, known: np.ndarray, alt: np.ndarray, ploidy: int, inside: Inside) -> np.ndarray:
    """Log of heterozygotes seen to those expected under random mating, each plus one, float32 (M, 2): among the known
    calls of the locus, and of the sample within FAR loci; the cell's own does not count.

    alt: float (b,), ALT frequencies. Low where samples are inbred, high where reads of two loci are taken for one; 0
    for haploids.
    """
    share = (1.0 - alt**ploidy - (1.0 - alt) ** ploidy).astype(np.float32)
    counts = ((calls > 0) & (calls < ploidy)).astype(np.float32), known * share
    own = [values[inside] for values in counts]
    at_locus = [values.sum(0)[inside[1]] for values in counts]
    near_by = [_sums_around(values, inside) for values in counts]
    excess = [
        np.log((np.maximum(seen - own[0], 0) + 1) / (np.maximum(expected - own[1], 0) + 1))
        for seen, expected in (at_locus, near_by)
    ]
    return np.stack(excess, 1)


def _sums_around(values: np.ndarray, inside: Inside) -> np.ndarray:
    """Sums of values, (N, b), over the loci from FAR before each cell to FAR after it; float32 (M,)."""
    n_loci = values.shape[1]
    until = np.concatenate([np.zeros((len(values), 1)), values.cumsum(1, dtype=np.float64)], 1)
    sample, locus = inside
    above, below = np.minimum(locus + FAR + 1, n_loci), np.maximum(locus - FAR, 0)
    return (until[sample, above] - until[sample, below]).astype(np.float32)


def _steps_since(known: np.ndarray, chrom_codes: np.ndarray, inside: Inside) -> np.ndarray:
    """int64 (M,): loci since the last known call strictly before each cell, on its chromosome; at most FAR."""
    sample, locus = inside
    place = np.arange(known.shape[1], dtype=np.int32)
    last = np.maximum.accumulate(np.where(known, place, -FAR), axis=1)
    last_before = np.where(locus > 0, last[sample, np.maximum(locus - 1, 0)], -FAR)
    first_here = np.maximum.accumulate(np.where(np.r_[True, chrom_codes[1:] != chrom_codes[:-1]], place, 0))[locus]
    return np.minimum(np.where(last_before >= first_here, locus - last_before, FAR), FAR)
