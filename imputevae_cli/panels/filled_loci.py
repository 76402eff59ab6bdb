"""Loci of a panel as they are filled: probabilities, phase and doses in the coding of the targets, run by run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.data.haploid import without_heterozygotes
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.panels.imputation import PanelImputation, TargetChromosome
from imputevae_cli.panels.window import PanelFill


@dataclass(frozen=True)
class Calling:
    """How genotypes are called, for all records alike; see `ImputedGenotypes`."""

    min_gp: float = 0.0
    phased: bool = False
    refine: bool = False
    call: str = "map"
    draw: int = 0
    """Which draw from the posterior, from 1 on; 0 for the genotype that is called."""


class FilledLoci:
    """Some loci of a panel, filled for the samples of another file.

    genotypes: the targets there, in their own coding and by their own names of chromosomes.
    """

    def __init__(
        self, imputation: PanelImputation, genotypes: GenotypeMatrix, place: np.ndarray, exchanged: np.ndarray
    ):
        """place: int64 (l,), the loci's places in the panel, which rise within a chromosome and lie in its windows.
        exchanged: bool (l,), whether the panel's ALT is the targets' REF."""
        self.genotypes = genotypes
        self._imputation, self._place, self._exchanged = imputation, place, exchanged
        self._chroms = {one.chrom: one for one in imputation.chroms}

    @classmethod
    def typed(cls, imputation: PanelImputation) -> FilledLoci:
        """Those that the targets have."""
        return cls(imputation, imputation.genotypes, imputation.place, imputation.exchanged)

    @classmethod
    def all(cls, imputation: PanelImputation) -> FilledLoci:
        """Those that the targets have and those that they lack, in order. One byte a sample and locus is held."""
        parts = [_whole_chromosome(imputation, one) for one in imputation.chroms]
        genotypes = imputation.genotypes
        places = np.concatenate([places for places, _ in parts])
        codes = np.repeat(np.arange(len(parts)), [len(places) for places, _ in parts])
        loci = Loci(*(np.concatenate(columns) for columns in zip(*(columns for _, columns in parts), strict=True)))
        # Where each typed locus stands among all
        width = int(places.max(initial=0)) + 1
        numbers = {one.chrom: i for i, one in enumerate(imputation.chroms)}
        own = np.array([numbers[chrom] for chrom in genotypes.loci.chrom], np.int64)
        at = np.searchsorted(codes * width + places, own * width + imputation.place)
        loci.ref[at], loci.alt[at] = genotypes.loci.ref, genotypes.loci.alt
        calls = np.full((genotypes.n_samples, len(loci)), MISSING, np.int8)
        calls[:, at] = genotypes.calls
        exchanged = np.zeros(len(loci), bool)
        exchanged[at] = imputation.exchanged
        evidence = genotypes.evidence
        merged = GenotypeMatrix(
            calls,
            genotypes.samples,
            loci,
            populations=genotypes.populations,
            evidence=None if evidence is None else evidence.placed(at, len(loci), np.zeros(len(at), bool)),
            evidence_report=genotypes.evidence_report,
            haploid=None if genotypes.haploid is None else genotypes.haploid.placed(at, len(loci)),
        )
        return cls(imputation, merged, places, exchanged)

    def imputed(self, calling: Calling) -> ImputedGenotypes:
        """The genotypes, filled."""
        filled = ImputedGenotypes(
            self.genotypes,
            self.gp,
            calling.min_gp,
            self.alt_first if calling.phased else None,
            self._imputation.has_calls,
            refine=calling.refine,
            call=calling.call,
            numbers=self._place + self._offset(),
        )
        return filled.draw(calling.draw) if calling.draw else filled

    @property
    def is_typed(self) -> np.ndarray:
        """bool (l,): loci that the targets have."""
        out = np.zeros(len(self._place), bool)
        for one in self._chroms.values():
            here = self.genotypes.loci.chrom == one.chrom
            out[here] = np.isin(self._place[here], one.places)
        return out

    def panel_frequency(self, start: int, stop: int) -> np.ndarray:
        """float64 (stop - start,): frequencies of the targets' ALT in the panel."""
        store, out = self._imputation.store, np.empty(stop - start)
        for first, last in self._runs(start, stop, stop - start):
            one, _ = self._window_of(first)
            counts = store.alt_counts(one.panel_chrom)[self._place[first:last]]
            out[first - start : last - start] = counts / store.n_haplotypes
        return np.where(self._exchanged[start:stop], 1 - out, out)

    def _offset(self) -> np.ndarray:
        """int64 (l,): loci of the panel on the chromosomes before that of each, so that none has another's number."""
        before = self._imputation.store.loci_before
        return np.array([before[self._chroms[chrom].panel_chrom] for chrom in self.genotypes.loci.chrom], np.int64)

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """Start and stop of runs of at most `size` loci, each within one window."""
        return self._runs(0, self.genotypes.n_loci, size)

    def gp(self, start: int, stop: int) -> np.ndarray:
        """float32 (N, stop - start, 3): genotype probabilities; a haploid cell has no heterozygote."""
        gp = self._gathered(start, stop, 1, lambda fill, at: fill.gp[:, at])
        flipped = self._exchanged[start:stop]
        gp[:, flipped] = gp[:, flipped, ::-1]
        haploid = self._haploid(start, stop)
        return gp if haploid is None else gp_of_haploids(gp, haploid)

    def doses(self, start: int, stop: int) -> np.ndarray:
        """float32 (N, 2, stop - start): expected ALT of each haplotype; the second of a haploid cell is NaN."""
        doses = self._gathered(start, stop, 2, lambda fill, at: fill.doses[:, :, at])
        doses = np.where(self._exchanged[start:stop], 1 - doses, doses)
        haploid = self._haploid(start, stop)
        return doses if haploid is None else doses_of_haploids(doses, haploid)

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote is 1|0 rather than 0|1."""
        doses = self.doses(start, stop)
        return doses[:, 0] > doses[:, 1]

    def _haploid(self, start: int, stop: int) -> np.ndarray | None:
        haploid = self.genotypes.haploid
        return None if haploid is None else haploid.block(start, stop)

    def _gathered(
        self, start: int, stop: int, axis: int, part: Callable[[PanelFill, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """What each window has of a run of loci, put together along an axis. part: of a window, at some of its loci."""
        found = []
        for first, last in self._runs(start, stop, stop - start):
            one, number = self._window_of(first)
            found.append(part(self._imputation.fill(one, number), self._place[first:last] - one.first[number]))
        return found[0] if len(found) == 1 else np.concatenate(found, axis=axis)

    def _runs(self, start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
        chrom = self.genotypes.loci.chrom_codes
        while start < stop:
            one, number = self._window_of(start)
            last = min(start + size, stop)
            same = (chrom[start:last] == chrom[start]) & (self._place[start:last] < one.stop[number])
            end = start + int(same.sum())
            yield start, end
            start = end

    def _window_of(self, locus: int) -> tuple[TargetChromosome, int]:
        """The chromosome and the window of a locus."""
        one = self._chroms[self.genotypes.loci.chrom[locus]]
        return one, int(np.searchsorted(one.first, self._place[locus], "right")) - 1


def gp_of_haploids(gp: np.ndarray, haploid: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (N, b, 3), without heterozygotes in the cells of `haploid`, bool (N, b)."""
    out = gp.copy()
    out[haploid] = without_heterozygotes(gp[haploid])
    return out


def doses_of_haploids(doses: np.ndarray, haploid: np.ndarray) -> np.ndarray:
    """Doses, float32 (N, 2, b): in the cells of `haploid`, bool (N, b), the mean of both, and NaN for the second."""
    one = np.stack([doses.mean(1), np.full(haploid.shape, np.nan, doses.dtype)], axis=1)
    return np.where(haploid[:, None], one, doses)


def _whole_chromosome(imputation: PanelImputation, one: TargetChromosome) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The places of a chromosome's loci to write, int64 (l,), and CHROM, POS, REF and ALT of each."""
    places = imputation.places(one)
    panel = imputation.store.loci(one.panel_chrom, places)
    names = np.full(len(places), one.chrom, object)
    return places, (names, panel.pos, np.array(panel.ref, object), np.array(panel.alt, object))
