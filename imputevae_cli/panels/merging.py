"""What a file filled from a panel is made of: the targets' own records, and those of the panel's other loci."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, Loci
from imputevae_cli.data.region import Regions
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.io.vcf_added import added_records, estimated_r2
from imputevae_cli.io.vcf_filled import block_loci, records_of
from imputevae_cli.io.vcf_splice import Record
from imputevae_cli.panels.frequency_bins import FrequencyBins
from imputevae_cli.panels.imputation import PanelImputation, TargetChromosome

CELLS = 1 << 15
"""Of a block of added records: some hundred bytes each are held."""
Key = tuple[int, str, str]
"""Position, REF and ALT of a locus of a chromosome."""


@dataclass(frozen=True)
class Calling:
    """How genotypes are called, for all records alike; see `ImputedGenotypes`."""

    min_gp: float = 0.0
    phased: bool = False
    refine: bool = False
    call: str = "map"


class TypedLoci:
    """The records of loci that the targets and the panel have; known calls stay, missing ones are filled."""

    def __init__(self, imputation: PanelImputation, calling: Calling):
        self._imputation, self.genotypes = imputation, imputation.genotypes
        self._imputed = ImputedGenotypes(
            imputation.genotypes,
            imputation.gp,
            calling.min_gp,
            imputation.alt_first if calling.phased else None,
            imputation.has_calls,
            refine=calling.refine,
            call=calling.call,
        )

    def block(self, start: int, stop: int) -> ImputedBlock:
        """A run of `PanelImputation.blocks`, filled."""
        return self._imputed.block(start, stop)

    def records(self) -> Iterator[tuple[Record, float]]:
        """In order, with the DR2 of each."""
        for start, stop in self._imputation.blocks(block_loci(self.genotypes)):
            block = self.block(start, stop)
            dr2 = estimated_r2(self._doses(block, start, stop)).tolist()
            yield from zip(records_of(block, self.genotypes, start), dr2, strict=True)

    def _doses(self, block: ImputedBlock, start: int, stop: int) -> np.ndarray:
        """(N, 2, b): expected ALT of each haplotype; of a known call, its alleles."""
        calls = self.genotypes.calls[:, start:stop]
        known = calls != MISSING if block.uncertain is None else (calls != MISSING) & ~block.uncertain
        alleles = np.stack([calls >= 1, calls == 2], axis=1)
        return np.where(known[:, None], alleles, self._imputation.doses(start, stop))


class AddedLoci:
    """The records of the panel's loci that the targets lack; see `vcf_merged.AddedRecords`.

    A window is filled when the first of its loci is asked for, and not before.
    """

    def __init__(self, imputation: PanelImputation, targets: GenotypeMatrix, calling: Calling):
        self._imputation, self._calling, self._samples = imputation, calling, targets.samples
        self._regions: Regions | None = targets.source.regions if targets.source else None
        self._waiting = {one.chrom: one for one in imputation.chroms}
        self._chrom: TargetChromosome | None = None
        self._name = ""
        self._number = 0
        self._lines: Iterator[tuple[Key, bytes]] = iter(())
        self._ahead: tuple[Key, bytes] | None = None
        self._left_out: set[Key] = set()
        self.last_position = 0
        self.n_loci = sum(len(self._places(one, i)) for one in imputation.chroms for i in range(len(one.windows)))
        self.expected = FrequencyBins()
        """DR2 of the loci, by frequency in the panel."""

    def before(self, chrom: str, pos: int) -> Iterator[bytes]:
        """See `AddedRecords`."""
        if chrom != self._name:
            yield from self._until(None)
            self._begin(chrom)
        yield from self._until(pos)

    def rest(self) -> Iterator[bytes]:
        """See `AddedRecords`."""
        yield from self._until(None)
        for chrom in tuple(self._waiting):
            self._begin(chrom)
            yield from self._until(None)

    def _begin(self, chrom: str) -> None:
        self._name, self._chrom = chrom, self._waiting.pop(chrom, None)
        self._number, self._lines, self._ahead = 0, iter(()), None
        self._left_out = set()

    def _until(self, pos: int | None) -> Iterator[bytes]:
        """The lines of the chromosome that come before a position, or all that are left."""
        while True:
            self._ahead = self._ahead or next(self._lines, None)
            if self._ahead is None:
                if not self._open_window(pos):
                    return
                continue
            key, line = self._ahead
            if pos is not None and key[0] >= pos:
                return
            self._ahead = None
            if key not in self._left_out:
                self.last_position = max(self.last_position, key[0])
                yield line

    def _open_window(self, pos: int | None) -> bool:
        """Go on to the next window, if it begins before a position."""
        one, number = self._chrom, self._number
        if one is None or number == len(one.windows):
            return False
        first = int(self._imputation.store.positions(one.panel_chrom)[one.first[number]])
        if pos is not None and first >= pos:
            return False
        self._lines, self._number = self._lines_of(one, number), number + 1
        return True

    def _lines_of(self, one: TargetChromosome, number: int) -> Iterator[tuple[Key, bytes]]:
        """The lines of a window, each with its locus."""
        places = self._places(one, number)
        size = max(CELLS // len(self._samples), 1)
        for start in range(0, len(places), size):
            some = places[start : start + size]
            panel = self._imputation.store.loci(one.panel_chrom, some)
            names = np.array([one.chrom] * len(some), object)
            loci = Loci(names, panel.pos, np.array(panel.ref, object), np.array(panel.alt, object))
            keys = list(zip(panel.pos.tolist(), panel.ref, panel.alt, strict=True))
            heads = [
                f"{one.chrom}\t{pos}\t{name or '.'}\t{ref}\t{alt}".encode()
                for (pos, ref, alt), name in zip(keys, panel.ids, strict=True)
            ]
            fill = self._imputation.fill(one, number)
            at = some - one.first[number]
            doses = fill.doses[:, :, at]
            dr2 = estimated_r2(doses)
            self.expected.add(self._frequency(one, some), dr2)
            yield from zip(keys, added_records(heads, self._block(loci, fill.gp[:, at], doses), dr2), strict=True)

    def _frequency(self, one: TargetChromosome, places: np.ndarray) -> np.ndarray:
        """float64 (b,): the frequency of ALT in the panel."""
        store = self._imputation.store
        return store.alt_counts(one.panel_chrom)[places] / store.n_haplotypes

    def _places(self, one: TargetChromosome, number: int) -> np.ndarray:
        """int64 (W,): the loci of a window that the targets lack and that lie in the regions."""
        places = np.setdiff1d(np.arange(one.first[number], one.stop[number]), one.places)
        if self._regions is None:
            return places
        return places[self._regions.inside(one.chrom, self._imputation.store.positions(one.panel_chrom)[places])]

    def _block(self, loci: Loci, gp: np.ndarray, doses: np.ndarray) -> ImputedBlock:
        """Loci at which every call is missing, filled."""
        calls = np.full((len(self._samples), len(loci)), MISSING, np.int8)
        calling = self._calling
        imputed = ImputedGenotypes(
            GenotypeMatrix(calls, self._samples, loci),
            lambda start, stop: gp[:, start:stop],
            calling.min_gp,
            (lambda start, stop: doses[:, 0, start:stop] > doses[:, 1, start:stop]) if calling.phased else None,
            self._imputation.has_calls,
            call=calling.call,
        )
        return imputed.block(0, len(loci))

    def holds(self, chrom: str, pos: int, ref: str, alt: str) -> bool:
        """See `AddedRecords`."""
        if chrom != self._name or self._chrom is None:
            return False
        one, store = self._chrom, self._imputation.store
        positions = store.positions(one.panel_chrom)
        found = np.arange(np.searchsorted(positions, pos), np.searchsorted(positions, pos, "right"))
        found = np.setdiff1d(found, one.places)
        if not len(found) or (self._regions is not None and (chrom, pos) not in self._regions):
            return False
        loci = store.loci(one.panel_chrom, found)
        return (ref, alt) in zip(loci.ref, loci.alt, strict=True)

    def leave_out(self, chrom: str, pos: int, ref: str, alt: str) -> None:
        """See `AddedRecords`."""
        self._left_out.add((pos, ref, alt))
