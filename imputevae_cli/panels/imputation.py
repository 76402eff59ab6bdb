"""Targets filled from a panel, window by window: what is in memory is one window, whatever the size of the panel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genetic_map import GeneticMap
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci, missing_per_sample
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.errors import InputError
from imputevae_cli.panels.cut_windows import Window, most_loci, windows_of
from imputevae_cli.panels.fill import fill_window
from imputevae_cli.panels.kept_windows import KeptWindows
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
    loci to write in each. haploid: which samples are haploid where, of all its loci in the panel; None where none is.
    """

    chrom: str
    panel_chrom: str
    places: np.ndarray
    offset: int
    windows: tuple[Window, ...]
    first: np.ndarray
    stop: np.ndarray
    haploid: HaploidCells | None = None


@dataclass(frozen=True)
class How:
    """How targets are filled. seed: of the command. kept: windows that were filled before."""

    settings: PanelSettings
    seed: int
    pool: ThreadPoolExecutor
    genetic_map: GeneticMap | None = None
    kept: KeptWindows = field(default_factory=KeptWindows)


class PanelImputation:
    """Every locus of the panel for samples of another file.

    genotypes: the targets at the typed loci that are to be written; place: int64 (l,), where these are in the panel;
    exchanged: bool (l,), whether its ALT is their REF. has_calls: bool (N,), targets with any call. chroms: in the
    targets' order. on_window: called once for each window, when it is filled.
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
        self._regions = targets.source.regions if targets.source else None
        self._haploid = None if targets.haploid is None else targets.haploid.at_loci(typed)
        chrom, place = targets.loci.chrom[typed], match.place[typed]
        self.chroms = tuple(
            self._chromosome(mine, theirs, np.flatnonzero(chrom == mine), place)
            for mine, theirs in match.chroms.items()
        )
        written = match.typed & ~targets.is_context
        self.genotypes = targets.at_loci(written)
        self.place, self.exchanged = match.place[written], match.exchanged[written]
        self._last: tuple[tuple[str, int], PanelFill] | None = None
        self._places: dict[str, np.ndarray] = {}
        self._told: set[tuple[str, int]] = set()

    def _chromosome(self, chrom: str, name: str, here: np.ndarray, place: np.ndarray) -> TargetChromosome:
        """here: int64 (T,), its loci among all typed ones, whose places in the panel are `place`."""
        positions, places = self.store.positions(name), place[here]
        limit = most_loci(self.store.n_haplotypes, len(self._cohort.calls))
        windows, first, stop = [], [], []
        for window in windows_of(positions, places, limit):
            begin, end = window.start, window.stop
            if self._regions is not None:
                found = np.flatnonzero(self._regions.inside(chrom, positions[begin:end]))
                if not len(found):
                    continue
                begin, end = begin + int(found[0]), begin + int(found[-1]) + 1
            windows.append(window)
            first.append(begin)
            stop.append(end)
        haploid = None
        if self._haploid is not None and not self._haploid.at_loci(here).diploid_loci.all():
            haploid = self._haploid.at_loci(here).placed(places, len(positions))
        edges = np.array(first, np.int64), np.array(stop, np.int64)
        return TargetChromosome(chrom, name, places, int(here[0]), tuple(windows), *edges, haploid)

    def places(self, one: TargetChromosome) -> np.ndarray:
        """int64 (l,): the loci of a chromosome of the panel that are to be written, rising."""
        if one.chrom not in self._places:
            found = [np.arange(first, stop) for first, stop in zip(one.first, one.stop, strict=True)]
            places = np.concatenate([np.zeros(0, np.int64), *found])
            if self._regions is not None:
                places = places[self._regions.inside(one.chrom, self.store.positions(one.panel_chrom)[places])]
            self._places[one.chrom] = places
        return self._places[one.chrom]

    @property
    def n_windows(self) -> int:
        """Number of windows, of all chromosomes."""
        return sum(len(one.windows) for one in self.chroms)

    def fill(self, one: TargetChromosome, number: int) -> PanelFill:
        """A window's loci to write; the last that was asked for is kept."""
        key = one.chrom, number
        if self._last is None or self._last[0] != key:
            self._last = None  # two are never held
            begins = self.store.positions(one.panel_chrom)[one.first[number]]
            name = f"window {list(self.chroms).index(one)} {begins}"
            self._last = key, self.how.kept.get(name, lambda: self._fill(one, number))
            if key not in self._told:
                self._told.add(key)
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
