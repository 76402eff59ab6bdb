"""What a file filled from a panel is made of: the targets' own records, and those of the panel's other loci."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, Loci
from imputevae_cli.io.vcf_added import added_records, estimated_r2
from imputevae_cli.io.vcf_filled import block_loci, records_of
from imputevae_cli.io.vcf_splice import Record
from imputevae_cli.panels.added_counts import AddedCounts
from imputevae_cli.panels.filled_loci import Calling, FilledLoci
from imputevae_cli.panels.imputation import PanelImputation, TargetChromosome

CELLS = 1 << 15
"""Of a block of added records: some hundred bytes each are held."""
Key = tuple[int, str, str]
"""Position, REF and ALT of a locus of a chromosome."""


class TypedLoci:
    """The records of loci that the targets and the panel have; known calls stay, missing ones are filled."""

    def __init__(self, imputation: PanelImputation, calling: Calling):
        self.genotypes = imputation.genotypes
        self._filled = FilledLoci.typed(imputation)
        self._imputed = self._filled.imputed(calling)

    def block(self, start: int, stop: int) -> ImputedBlock:
        """A run of loci, filled."""
        return self._imputed.block(start, stop)

    def records(self) -> Iterator[tuple[Record, float]]:
        """In order, with the DR2 of each."""
        for start, stop in self._filled.blocks(block_loci(self.genotypes)):
            block = self.block(start, stop)
            dr2 = estimated_r2(self._doses(block, start, stop)).tolist()
            yield from zip(records_of(block, self.genotypes, start), dr2, strict=True)

    def _doses(self, block: ImputedBlock, start: int, stop: int) -> np.ndarray:
        """(N, 2, b): expected ALT of each haplotype; of a known call, its alleles. NaN where there is no second one."""
        calls = self.genotypes.calls[:, start:stop]
        known = calls != MISSING if block.uncertain is None else (calls != MISSING) & ~block.uncertain
        alleles = np.stack([calls >= 1, calls == 2], axis=1)
        doses = self._filled.doses(start, stop)
        return np.where(known[:, None] & ~np.isnan(doses), alleles, doses)


class AddedLoci:
    """The records of the panel's loci that the targets lack; see `vcf_merged.AddedRecords`.

    A window is filled when the first of its loci is asked for, and not before.
    """

    def __init__(self, imputation: PanelImputation, calling: Calling, counts: AddedCounts):
        """counts: of what is given from here."""
        self._imputation, self._calling, self._counts = imputation, calling, counts
        self._samples = imputation.genotypes.samples
        self._waiting = {one.chrom: one for one in imputation.chroms}
        self._chrom: TargetChromosome | None = None
        self._name = ""
        self._number = 0
        self._lines: Iterator[tuple[Key, bytes]] = iter(())
        self._ahead: tuple[Key, bytes] | None = None
        self._left_out: set[Key] = set()
        self.last_position = 0
        self.n_loci = sum(len(self._places(one, i)) for one in imputation.chroms for i in range(len(one.windows)))

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
            filled = self._filled(loci, one, some)
            block = filled.imputed(self._calling).block(0, len(some))
            dr2 = self._counts.add(block.gp, filled.doses(0, len(some)), filled.panel_frequency(0, len(some)))
            haploid = None if filled.genotypes.haploid is None else filled.genotypes.haploid.block(0, None)
            yield from zip(keys, added_records(heads, block, dr2, haploid), strict=True)

    def _places(self, one: TargetChromosome, number: int) -> np.ndarray:
        """int64 (W,): the loci of a window that the targets lack and that are to be written."""
        places = self._imputation.places(one)
        here = places[(places >= one.first[number]) & (places < one.stop[number])]
        return np.setdiff1d(here, one.places)

    def _filled(self, loci: Loci, one: TargetChromosome, places: np.ndarray) -> FilledLoci:
        """Loci at which every call is missing, filled."""
        calls = np.full((len(self._samples), len(loci)), MISSING, np.int8)
        haploid = None if one.haploid is None else one.haploid.at_loci(places)
        missing = GenotypeMatrix(calls, self._samples, loci, haploid=haploid)
        return FilledLoci(self._imputation, missing, places, np.zeros(len(places), bool))

    def holds(self, chrom: str, pos: int, ref: str, alt: str) -> bool:
        """See `AddedRecords`."""
        if chrom != self._name or self._chrom is None:
            return False
        one, store = self._chrom, self._imputation.store
        positions = store.positions(one.panel_chrom)
        found = np.arange(np.searchsorted(positions, pos), np.searchsorted(positions, pos, "right"))
        found = np.setdiff1d(np.intersect1d(found, self._imputation.places(one)), one.places)
        if not len(found):
            return False
        loci = store.loci(one.panel_chrom, found)
        return (ref, alt) in zip(loci.ref, loci.alt, strict=True)

    def leave_out(self, chrom: str, pos: int, ref: str, alt: str) -> None:
        """See `AddedRecords`."""
        self._left_out.add((pos, ref, alt))
