"""Targets filled from a panel, window by window: what is in memory is one window, whatever the size of the panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genetic_map import GeneticMap
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci, missing_per_sample
from imputevae_cli.data.region import Regions
from imputevae_cli.errors import InputError
from imputevae_cli.panels.cut_windows import Window, most_loci, windows_of
from imputevae_cli.panels.fill import fill_window
from imputevae_cli.panels.match import PanelMatch
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.panels.store import PanelStore
from imputevae_cli.panels.window import PanelFill, PanelWindow
from imputevae_cli.seeds import seed_for


@dataclass(frozen=True)
class TargetChromosome:
    """A chromosome of the targets that the panel has.

    chrom, panel_chrom: what they call it. places: int64 (T,), its typed loci in the panel, rising. offset: the first of
    them among all typed loci. windows: those that hold a locus to write. first, stop: int64 (windows,), of the panel's
    loci to write in each.
    """

    chrom: str
    panel_chrom: str
    places: np.ndarray
    offset: int
    windows: tuple[Window, ...]
    first: np.ndarray
    stop: np.ndarray


@dataclass(frozen=True)
class How:
    """How targets are filled. seed: of the command."""

    settings: PanelSettings
    seed: int
    pool: ThreadPoolExecutor
    genetic_map: GeneticMap | None = None


class PanelImputation:
    """Every locus of the panel for samples of another file.

    genotypes: the targets at the typed loci that are to be written; has_calls: bool (N,), targets with any call.
    chroms: in the targets' order. on_window: called after each window that was filled.
    """

    def __init__(self, store: PanelStore, targets: GenotypeMatrix, match: PanelMatch, how: How):
        """targets: all of their loci, those outside of the regions too, whose windows they belong to.

        Raises InputError where a map lacks one of their chromosomes.
        """
        self.store, self.how = store, how
        if how.genetic_map is not None:
            for names in match.chroms.items():
                _name_in_map(how.genetic_map, names)
        self.on_window: Callable[[], object] = lambda: None
        typed = np.flatnonzero(match.typed)
        self._cohort = _cohort_of(targets, typed, match.exchanged[typed])
        self.has_calls = missing_per_sample(self._cohort.calls) < len(typed)
        if self._cohort.evidence is not None:
            self.has_calls |= self._cohort.evidence.known(slice(None), 0, len(typed)).any(1)
        regions = targets.source.regions if targets.source else None
        chrom, place = targets.loci.chrom[typed], match.place[typed]
        self.chroms = tuple(
            self._chromosome(mine, theirs, np.flatnonzero(chrom == mine), place, regions)
            for mine, theirs in match.chroms.items()
        )
        written = match.typed & ~targets.is_context
        self.genotypes = targets.at_loci(written)
        self._place, self._exchanged = match.place[written], match.exchanged[written]
        self._last: tuple[tuple[str, int], PanelFill] | None = None

    def _chromosome(
        self, chrom: str, name: str, here: np.ndarray, place: np.ndarray, regions: Regions | None
    ) -> TargetChromosome:
        """here: int64 (T,), its loci among all typed ones, whose places in the panel are `place`."""
        positions, places = self.store.positions(name), place[here]
        limit = most_loci(self.store.n_haplotypes, len(self._cohort.calls))
        windows, first, stop = [], [], []
        for window in windows_of(positions, places, limit):
            begin, end = window.start, window.stop
            if regions is not None:
                found = np.flatnonzero(regions.inside(chrom, positions[begin:end]))
                if not len(found):
                    continue
                begin, end = begin + int(found[0]), begin + int(found[-1]) + 1
            windows.append(window)
            first.append(begin)
            stop.append(end)
        return TargetChromosome(
            chrom, name, places, int(here[0]), tuple(windows), np.array(first, np.int64), np.array(stop, np.int64)
        )

    @property
    def n_windows(self) -> int:
        return sum(len(one.windows) for one in self.chroms)

    def fill(self, one: TargetChromosome, number: int) -> PanelFill:
        """A window's loci to write; the last that was asked for is kept."""
        key = one.chrom, number
        if self._last is None or self._last[0] != key:
            self._last = None  # two are never held
            self._last = key, self._fill(one, number)
            self.on_window()
        return self._last[1]

    def _fill(self, one: TargetChromosome, number: int) -> PanelFill:
        window, (first, stop) = one.windows[number], (int(one.first[number]), int(one.stop[number]))
        places = one.places[window.first : window.last]
        # All of the window, whatever is to be written of it: rates are learned from all of it
        index = np.union1d(places, np.arange(window.start, window.stop))
        wanted = slice(int(np.searchsorted(index, first)), int(np.searchsorted(index, stop)))
        where = self._where(one, index)
        part = PanelWindow(self.store.haplotypes(one.panel_chrom, index), where, np.searchsorted(index, places), wanted)
        return self._filled(one, window, part, np.arange(window.first, window.last))

    def held_out(self, one: TargetChromosome, number: int, hidden: np.ndarray) -> tuple[np.ndarray, PanelFill] | None:
        """Typed loci of a window, filled from those that are not hidden, bool (T,); the other loci are left out.

        With the fill come the numbers of its loci among the chromosome's typed ones, int64 (W,). None where there are
        none.
        """
        window = one.windows[number]
        loci = np.arange(window.first, window.last)
        places = one.places[loci]
        core = np.flatnonzero((places >= one.first[number]) & (places < one.stop[number]))
        if not len(core):
            return None
        seen, wanted = np.flatnonzero(~hidden[loci]), slice(int(core[0]), int(core[-1]) + 1)
        haplotypes = self.store.haplotypes(one.panel_chrom, places)
        part = PanelWindow(haplotypes, self._where(one, places), seen, wanted)
        return loci[core], self._filled(one, window, part, loci[seen])

    def typed_calls(self, one: TargetChromosome, loci: np.ndarray) -> np.ndarray:
        """int8 (N, W): the targets' calls at some typed loci of a chromosome, in the panel's coding."""
        return self._cohort.calls[:, one.offset + loci]

    def _filled(self, one: TargetChromosome, window: Window, part: PanelWindow, loci: np.ndarray) -> PanelFill:
        """loci: int64 (T,), the window's typed loci among those of the chromosome."""
        begins = self.store.positions(one.panel_chrom)[window.start]
        seed = seed_for(self.how.seed, f"panel {one.panel_chrom} {begins}")
        targets = self._cohort.subset(np.arange(len(self._cohort.calls)), one.offset + loci)
        where = part.positions[part.typed]
        targets = replace(targets, chrom_codes=np.zeros(len(loci), np.int32), positions=where)
        return fill_window(part, targets, self.how.settings, seed, self.how.pool)

    def _where(self, one: TargetChromosome, index: np.ndarray) -> np.ndarray:
        """Positions of loci of a chromosome: base pairs, int64, or with a map centimorgans, float64."""
        pos = self.store.positions(one.panel_chrom)[index]
        genetic_map = self.how.genetic_map
        if genetic_map is None:
            return pos
        names = np.full(len(pos), _name_in_map(genetic_map, (one.chrom, one.panel_chrom)), object)
        return genetic_map.centimorgans(Loci(names, pos, names, names))

    def _window_of(self, locus: int) -> tuple[TargetChromosome, int]:
        """The chromosome and the window of a locus of `genotypes`."""
        name = self.genotypes.loci.chrom[locus]
        one = next(one for one in self.chroms if one.chrom == name)
        return one, int(np.searchsorted(one.first, self._place[locus], "right")) - 1

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """Start and stop of runs of at most `size` loci of `genotypes`, each within one window."""
        start, n_loci = 0, self.genotypes.n_loci
        chrom = self.genotypes.loci.chrom_codes
        while start < n_loci:
            one, number = self._window_of(start)
            same = chrom[start : start + size] == chrom[start]
            stop = start + int((same & (self._place[start : start + size] < one.stop[number])).sum())
            yield start, stop
            start = stop

    def gp(self, start: int, stop: int) -> np.ndarray:
        """float32 (N, stop - start, 3): genotype probabilities of a run of `blocks`, in the targets' coding."""
        one, number = self._window_of(start)
        at = self._place[start:stop] - one.first[number]
        gp = self.fill(one, number).gp[:, at]
        gp[:, self._exchanged[start:stop]] = gp[:, self._exchanged[start:stop], ::-1]
        return gp

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote of a run of `blocks` is 1|0 rather than 0|1."""
        doses = self.doses(start, stop)
        return doses[:, 0] > doses[:, 1]

    def doses(self, start: int, stop: int) -> np.ndarray:
        """float32 (N, 2, stop - start): expected ALT of each haplotype, in the targets' coding."""
        one, number = self._window_of(start)
        doses = self.fill(one, number).doses[:, :, self._place[start:stop] - one.first[number]]
        return np.where(self._exchanged[start:stop], 1 - doses, doses)


def _name_in_map(genetic_map: GeneticMap, names: tuple[str, str]) -> str:
    """What a map calls a chromosome, by its names in the targets and in the panel. Raises InputError."""
    for name in names:
        if name in genetic_map.markers:
            return name
    raise InputError(f"{genetic_map.name}: lacks chromosome {names[0]}; add it, or leave --map out to go by base pairs")


def _cohort_of(targets: GenotypeMatrix, typed: np.ndarray, exchanged: np.ndarray) -> Cohort:
    """The targets at their typed loci, int64 (T,), in the panel's coding; exchanged: bool (T,)."""
    calls = targets.calls[:, typed]
    calls = np.where(exchanged & (calls != MISSING), 2 - calls, calls).astype(np.int8)
    evidence = None
    if targets.calls_are_uncertain and targets.evidence is not None:
        evidence = targets.evidence.at_loci(typed).placed(np.arange(len(typed)), len(typed), exchanged)
    loci = targets.loci.take(typed)
    return Cohort(calls, loci.chrom_codes, loci.pos, 2, evidence=evidence)
