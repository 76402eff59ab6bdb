"""Writing an imputed VCF: the input is walked again, and only what was imputed is spliced into its text."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imputevae_cli.data.fill_bias import FillBias
from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlocks, VcfSource
from imputevae_cli.errors import InputError, OutputError
from imputevae_cli.io.bcftools import BcftoolsError, run_bcftools
from imputevae_cli.io.bgzf import BgzfFile
from imputevae_cli.io.outputs import INDEXES, STDOUT, atomic_output, standard_output
from imputevae_cli.io.vcf_filled import filled_records
from imputevae_cli.io.vcf_header import (
    DECLARATIONS,
    REFINED_DECLARATIONS,
    SEVERAL_ALT,
    Renamed,
    declared_by,
    missing_declarations,
    output_header,
    renamed_fields,
    with_renamed,
)
from imputevae_cli.io.vcf_index import make_index
from imputevae_cli.io.vcf_splice import Record, Splice
from imputevae_cli.io.vcf_text import vcf_lines
from imputevae_cli.log import Progress, ProgressOption, chosen_progress, logger

BGZF_LEVEL = 5  # half the time of 6 for a file 7 % larger
WRITE_BYTES = 1 << 18
TBI_END = 1 << 29  # a .tbi cannot index beyond


@dataclass
class WriteSummary:
    """Counts of what was written: records, those modelled, calls imputed, and calls of those left missing; visible
    calls with a posterior, and those that were refined. bias: of the filled alleles."""

    records: int = 0
    modelled: int = 0
    imputed: int = 0
    missing: int = 0
    uncertain: int = 0
    refined: int = 0
    bias: FillBias = field(default_factory=FillBias)


def write_vcf(
    path: str | Path,
    imputed: ImputedBlocks,
    *,
    output_type: str,
    command: str,
    version: str,
    threads: int = 1,
    progress: ProgressOption = None,
    refines: bool = False,
) -> WriteSummary:
    """Write the input's records with the imputed calls, GP, DS and IMP; all else stays byte for byte.

    path: a file, which appears whole or not at all, or `-`. output_type: v (VCF), z (VCF.gz) or b (BCF). `threads`
    compress and encode. refines: add OGT, the genotype before, of visible calls that `imputed` has otherwise.
    A file that is sorted gets an index (.tbi, or .csi), written last.
    Raises OutputError where it cannot be written, InputError where the input is not what it was when it was read.
    """
    source = imputed.genotypes.source
    if source is None:
        raise OutputError(
            f"{path}: these genotypes were not read from a VCF, so there is none to fill; write PHYLIP instead"
        )
    walk = Filling(imputed, source, command, version, chosen_progress(progress))
    walk.refines, walk.threads = refines, threads
    write_walk(path, walk, output_type, threads)
    return walk.summary


def write_walk(path: str | Path, walk: Walk, output_type: str, threads: int) -> None:
    """Write what a walk over the input gives, as `write_vcf` says."""
    try:
        if str(path) != STDOUT:
            _write_file(Path(os.path.realpath(path)), walk, output_type, threads)
        elif output_type == "v":
            with standard_output() as out:
                walk.copy_into(out)
        else:
            _write_compressed(walk, output_type, threads)
    except BcftoolsError as error:
        raise OutputError(
            f"{path}: cannot be written as BCF (bcftools: {error}); write a .vcf.gz instead, or see that the disk has "
            "room"
        ) from error


def _write_compressed(walk: Walk, output_type: str, threads: int) -> None:
    """To standard output, by way of a temporary file."""
    try:
        with tempfile.TemporaryDirectory(prefix="imputevae-") as folder:
            file = Path(folder) / "output"
            _encode(file, walk, output_type, threads)
            with open(file, "rb") as data, standard_output() as out:
                shutil.copyfileobj(data, out, WRITE_BYTES)
    except OSError as error:
        raise OutputError(
            f"-: no temporary file can be written ({error.strerror or error}); set TMPDIR to a disk with room"
        ) from error


def _write_file(path: Path, walk: Walk, output_type: str, threads: int) -> None:
    with atomic_output(path, INDEXES if output_type != "v" else ()) as temporary:
        _encode(temporary, walk, output_type, threads)
        if output_type != "v":
            _index(temporary, walk, output_type, path.name)


def _encode(file: Path, walk: Walk, output_type: str, threads: int) -> None:
    if output_type == "v":
        with open(file, "wb") as out:
            walk.copy_into(out)
    elif output_type == "z":
        with BgzfFile(file, BGZF_LEVEL, threads) as out:
            walk.copy_into(out)
    else:
        _encode_bcf(file, walk, threads)


def _encode_bcf(file: Path, walk: Walk, threads: int) -> None:
    """Write text, then let bcftools encode it: it fails where htslib's other writers lose records without a word."""
    text = file.with_name(file.name + ".vcf.gz")
    try:
        with BgzfFile(text, 1, threads) as out:
            walk.copy_into(out, declare_all=True)
        run_bcftools("view", "--no-version", "-Ob", "--threads", str(threads - 1), "-o", str(file), str(text))
    finally:
        text.unlink(missing_ok=True)


def _index(file: Path, walk: Walk, output_type: str, name: str) -> None:
    """Index `file`, beside it; with a note in the log, and without one, where it cannot be indexed."""
    if not walk.is_sorted:
        logger.warning("%s: the records are not sorted, so no index is written; `bcftools sort` sorts them", name)
        return
    ending = ".csi" if output_type == "b" or walk.last_position >= TBI_END else ".tbi"
    reason = make_index(file, file.with_name(file.name + ending))
    if reason is not None:
        logger.warning("%s: no index is written (%s)", name, reason)


class Walk:
    """The walk over the input, record by record, in its order; heirs say what becomes of a modelled record."""

    def __init__(self, genotypes: GenotypeMatrix, source: VcfSource, command: str, version: str, progress: Progress):
        self.summary = WriteSummary()
        self.is_sorted = True
        self.last_position = 0
        self.refines = False
        self.threads = 1
        self._genotypes, self._source = genotypes, source
        self._command, self._version = command, version
        self._progress = progress
        self._columns: list[int] | None = None  # set where not all samples are written

    def _header(self, lines: list[bytes], extra: list[bytes]) -> list[bytes]:
        """The header of the output, out of the input's and of declarations that it lacks."""
        raise NotImplementedError

    def _modelled(self) -> Iterator[Any]:
        """What is to be spliced into each modelled record, in order."""
        raise NotImplementedError

    def _spliced(self, splice: Splice, line: bytes, record: Any) -> bytes:
        """A modelled record's line for the output."""
        raise NotImplementedError

    def _taken_over(self, line: bytes) -> bytes:
        """A record's line before anything is spliced into it."""
        return line

    def _n_records(self) -> int:
        """Records of the output, for the progress."""
        return self._source.n_records

    def _passed(self, splice: Splice, line: bytes) -> bytes | None:
        """The line for the output of a record that is not modelled; None leaves it out."""
        return line if self._columns is None else splice.passed(line)

    def _before(self, chrom: bytes, pos: int) -> Iterator[bytes]:
        """Records that the input lacks and that come before one of it at this place."""
        yield from ()

    def _at_end(self) -> Iterator[bytes]:
        """Records that the input lacks and that come after all of it."""
        yield from ()

    def copy_into(self, out: BinaryIO | BgzfFile, declare_all: bool = False) -> None:
        """Write header and records to `out`; `declare_all` adds the declarations that the input lacks."""
        source = self._source
        with vcf_lines(source.path, source.name) as lines:
            header = []
            for line in lines:
                header.append(line)
                if line.startswith(b"#CHROM"):
                    break
            if len(header[-1].split(b"\t")) - 9 != len(source.columns):
                self._columns = source.columns.tolist()
            extra = self._undeclared() if declare_all else []
            header = self._header(header, extra)
            out.write(b"".join(line + b"\n" for line in header))
            with self._progress.task("writing", self._n_records()) as task:
                for texts in _bundles(self._records(lines)):
                    out.write(b"\n".join(texts) + b"\n")
                    task.advance(len(texts))

    def _undeclared(self) -> list[bytes]:
        with vcf_lines(self._source.path, self._source.name) as lines:
            return missing_declarations(lines)

    def _records(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Every record of the output, without its newline."""
        source, genotypes = self._source, self._genotypes
        regions = source.regions
        place = _Order()
        records = self._modelled()
        splice = Splice(self._columns, self.refines)
        first_loci = np.flatnonzero(np.diff(source.rows, prepend=-1))  # of each record
        rows = iter(zip(source.rows[first_loci].tolist(), genotypes.loci.pos[first_loci].tolist(), strict=True))
        next_row, next_pos = next(rows, (None, None))
        number = -1
        for line in lines:
            chrom, pos, _ = line.split(b"\t", 2)
            if regions and (chrom.decode(), int(pos)) not in regions:
                continue
            number += 1
            place.see(chrom, int(pos))
            yield from self._before(chrom, int(pos))
            line = self._taken_over(line)
            if number == next_row:
                if int(pos) != next_pos:
                    raise self._changed()
                next_row, next_pos = next(rows, (None, None))
                self.summary.modelled += 1
                yield self._spliced(splice, line, next(records))
            elif (passed := self._passed(splice, line)) is not None:
                yield passed
        yield from self._at_end()
        self.summary.records = number + 1
        self.is_sorted, self.last_position = place.is_sorted, place.last
        if next_row is not None or self.summary.records != source.n_records:
            raise self._changed()

    def _changed(self) -> InputError:
        return InputError(f"{self._source.name}: the file changed while it was imputed; run again on a file at rest")


class Filling(Walk):
    """The walk that fills missing calls."""

    def __init__(self, imputed: ImputedBlocks, source: VcfSource, command: str, version: str, progress: Progress):
        super().__init__(imputed.genotypes, source, command, version, progress)
        self._imputed = imputed
        self._renamed: dict[tuple[bytes, bytes], Renamed] = {}

    def _header(self, lines: list[bytes], extra: list[bytes]) -> list[bytes]:
        declarations = self._declarations()
        self._renamed = renamed_fields(lines, self._source.own_keys, declarations)
        extra = [line for line in extra if declared_by(line) not in declarations]
        extra = [*(field.declaration for field in self._renamed.values()), *extra]
        return output_header(lines, self._genotypes.samples, self._version, self._command, extra, declarations)

    def _declarations(self) -> Mapping[tuple[bytes, bytes], bytes]:
        """What is added to the input's records, by section and key."""
        declarations = REFINED_DECLARATIONS if self.refines else DECLARATIONS
        return declarations if self._genotypes.loci.begins_record.all() else declarations | SEVERAL_ALT

    def _taken_over(self, line: bytes) -> bytes:
        return with_renamed(line, self._renamed) if self._renamed else line

    def _modelled(self) -> Iterator[Record]:
        return filled_records(self._imputed, self.threads)

    def _spliced(self, splice: Splice, line: bytes, record: Record) -> bytes:
        self.summary.imputed += record.n_imputed
        self.summary.missing += record.n_missing
        self.summary.uncertain += record.n_uncertain
        self.summary.refined += 0 if record.refined is None else int(record.refined.sum())
        return splice.modelled(line, record)


class _Order:
    """Whether records are sorted as an index needs them: chromosomes in one piece each, positions rising."""

    def __init__(self) -> None:
        self.is_sorted, self.last = True, 0
        self._chrom, self._pos = b"", 0
        self._seen: set[bytes] = set()

    def see(self, chrom: bytes, pos: int) -> None:
        if chrom != self._chrom:
            self.is_sorted &= chrom not in self._seen
            self._seen.add(chrom)
            self._chrom, self._pos = chrom, 0
        self.is_sorted &= pos >= self._pos
        self._pos = pos
        self.last = max(self.last, pos)


def _bundles(texts: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Texts in lists of about WRITE_BYTES."""
    bundle, size = [], 0
    for text in texts:
        bundle.append(text)
        size += len(text)
        if size >= WRITE_BYTES:
            yield bundle
            bundle, size = [], 0
    if bundle:
        yield bundle
