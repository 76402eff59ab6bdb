"""Writing an imputed VCF with loci that the input lacks: their records are merged with the input's, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imputevae_cli.data.genotypes import ImputedBlocks, VcfSource
from imputevae_cli.io.vcf_info import count_alleles
from imputevae_cli.io.vcf_splice import Record, Splice
from imputevae_cli.io.vcf_writer import Filling, WriteSummary, write_walk
from imputevae_cli.log import Progress

_DR2 = b"Estimated squared correlation of the imputed and the true allele dose"
MERGED_DECLARATIONS = {
    (b"INFO", b"DR2"): b'##INFO=<ID=DR2,Number=A,Type=Float,Description="' + _DR2 + b'">',
    (b"INFO", b"TYPED"): b'##INFO=<ID=TYPED,Number=0,Type=Flag,Description="The input has this locus">',
    (b"FORMAT", b"GT"): b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
}
"""What is declared beside that of every imputed file."""
_OWN = (b"DR2", b"TYPED")


class AddedRecords(Protocol):
    """The records of loci that the input lacks, by the input's names of chromosomes; each is given once."""

    last_position: int
    n_loci: int

    def before(self, chrom: str, pos: int) -> Iterator[bytes]:
        """Those that come before a record of the input at this place."""
        ...

    def rest(self) -> Iterator[bytes]:
        """All others."""
        ...

    def holds(self, chrom: str, pos: int, ref: str, alt: str) -> bool:
        """Whether there is one of this very locus still to come."""
        ...

    def leave_out(self, chrom: str, pos: int, ref: str, alt: str) -> None:
        """Never give the one of this locus."""
        ...


class MergedBlocks(ImputedBlocks, Protocol):
    """What is written of the input's own loci."""

    def records(self) -> Iterator[tuple[Record, float]]:
        """The records of the loci of `genotypes`, in order, and the DR2 of each."""
        ...


@dataclass
class MergeSummary:
    """Counts of what was written. own: of the input's records. added: records of loci that it lacks. passed: records of
    the input that were not modelled and are written all the same."""

    own: WriteSummary
    added: int
    passed: int = 0


@dataclass(frozen=True)
class Merging:
    """How a merged file is written. only_added: leave out records of loci that only the input has."""

    output_type: str
    command: str
    version: str
    threads: int
    progress: Progress
    refines: bool = False
    only_added: bool = False


def write_merged(path: str | Path, blocks: MergedBlocks, added: AddedRecords, how: Merging) -> MergeSummary:
    """Write the input's records, filled, and between them those of loci that it lacks; see `vcf_writer.write_vcf`."""
    source = blocks.genotypes.source
    assert source is not None  # a merged file has an input
    walk = _Merged(blocks, source, added, how)
    write_walk(path, walk, how.output_type, how.threads)
    return MergeSummary(walk.summary, walk.n_added, walk.n_passed)


class _Merged(Filling):
    """The walk over the input into which records are merged."""

    def __init__(self, blocks: MergedBlocks, source: VcfSource, added: AddedRecords, how: Merging):
        super().__init__(blocks, source, how.command, how.version, how.progress)
        self.refines = how.refines
        self._blocks, self._added, self._how = blocks, added, how
        self._dr2, self._end = 0.0, b""
        self.n_added = self.n_passed = 0

    def _header(self, lines: list[bytes], extra: list[bytes]) -> list[bytes]:
        self._end = b"\r" if lines[-1].endswith(b"\r") else b""
        return super()._header(lines, extra)

    def _n_records(self) -> int:
        return super()._n_records() + self._added.n_loci

    def _declarations(self) -> Mapping[tuple[bytes, bytes], bytes]:
        return {**super()._declarations(), **MERGED_DECLARATIONS}

    def _modelled(self) -> Iterator[Record]:
        for record, dr2 in self._blocks.records():
            self._dr2 = dr2
            yield record

    def _spliced(self, splice: Splice, line: bytes, record: Record) -> bytes:
        fields = super()._spliced(splice, line, record).split(b"\t", 8)
        kept = [item for item in fields[7].split(b";") if item.partition(b"=")[0] not in (*_OWN, b".", b"")]
        fields[7] = b";".join([*kept, b"TYPED", b"DR2=%.3f" % self._dr2])
        return b"\t".join(fields)

    def _passed(self, splice: Splice, line: bytes) -> bytes | None:
        chrom, pos, _, ref, alt, _, _, _, form, cells = line.removesuffix(b"\r").split(b"\t", 9)
        place = chrom.decode(), int(pos), ref.decode(), alt.decode()
        if self._added.holds(*place):
            is_known = form.startswith(b"GT") and bool(count_alleles(self._chosen(cells), 1).an)
            if self._how.only_added or not is_known:
                return None  # the added one says more
            self._added.leave_out(*place)
        if self._how.only_added:
            return None
        self.n_passed += 1
        return super()._passed(splice, line)

    def _chosen(self, cells: bytes) -> list[bytes]:
        found = cells.split(b"\t")
        return found if self._columns is None else [found[column] for column in self._columns]

    def _before(self, chrom: bytes, pos: int) -> Iterator[bytes]:
        yield from self._counted(self._added.before(chrom.decode(), pos))

    def _at_end(self) -> Iterator[bytes]:
        yield from self._counted(self._added.rest())

    def _records(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        yield from super()._records(lines)
        self.last_position = max(self.last_position, self._added.last_position)

    def _counted(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            self.n_added += 1
            yield line + self._end
