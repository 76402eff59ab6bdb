"""Reading a VCF, VCF.gz or BCF into a genotype matrix."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from sys import intern

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci, VcfSource
from imputevae_cli.data.popmap import PopMap
from imputevae_cli.data.region import Region
from imputevae_cli.errors import InputError
from imputevae_cli.io.sample_major import mapped, sample_major
from imputevae_cli.io.selection import choose_samples
from imputevae_cli.io.vcf_check import TextCheck, check_header, check_lines, line_place, what_is_malformed
from imputevae_cli.io.vcf_evidence import FieldReader, Likelihoods, choose_field, with_evidence
from imputevae_cli.io.vcf_text import file_kind, is_stream, read_lines, spool, vcf_lines
from imputevae_cli.log import NullProgress, Progress

MULTIALLELIC, NO_ALT, SYMBOLIC, NO_GT, NO_CALL = "multiallelic", "no ALT", "symbolic or * ALT", "no GT", "no call"
"""Reasons why a record is not modelled; records of another ploidy are counted as `haploid` or `diploid`."""

OUTSIDE = -1
"""The row of a locus that is read as context of the region: see `VcfSource.rows`."""

PLOIDY_NAMES = {1: "haploid", 2: "diploid"}
BATCH_BYTES = 2 << 20
PROBED = 500
"""Records at the beginning of a file that tell which of its fields is evidence."""
VECTOR_END = -(2**31) + 1  # htslib's int32 filler after the last allele of a call of lower ploidy
_END = 6  # the same in a code of three bits; alleles take 0..5: (allele + 1) << 1 | phased
_CONCRETE = re.compile(r"[A-Za-z]+")


def read_vcf(
    path: str | Path,
    popmap: str | Path | PopMap | None = None,
    *,
    samples: Sequence[str] | None = None,
    include_pops: Sequence[str] | None = None,
    region: str | None = None,
    context: int | None = 0,
    likelihoods: Likelihoods = "auto",
    progress: Progress | None = None,
    spool_dir: Path | None = None,
) -> GenotypeMatrix:
    """Read the calls of the biallelic records with a concrete ALT; a half-call is missing.

    path: VCF, VCF.gz (BGZF or gzip) or BCF, or `-` for standard input; a stream is copied into `spool_dir`.
    samples: keep these alone, in the file's order. include_pops: keep the samples of these populations.
    region: `chrom`, `chrom:start-end` (1-based, inclusive); a record is in it when its POS is.
    context: with a region, how many loci on either side of it, on its chromosome, are read as well, or None for all
    loci of the file: they are in the matrix, but no writer writes them (`GenotypeMatrix.is_context`).
    likelihoods: what stands behind the calls, for `GenotypeMatrix.evidence`: the FORMAT field PL, GL, AD, CATG or GP;
    `auto`, the first of them but GP that agrees with the calls, where calls are uncertain; `none`, calls alone.
    Records that are not modelled are counted by reason in `source.passed_through`.
    Raises InputError, one line naming file and record, on input that cannot be used; ConfigError on
    `include_pops` without a popmap and on a malformed region.
    """
    name = "standard input" if str(path) == "-" else str(path)
    file = spool(path, name, spool_dir) if is_stream(path) else Path(path)
    check = check_vcf(file, name)
    within = Region.parse(region, check.chroms) if region else None
    columns, populations = choose_samples(check.samples, name, popmap, samples, include_pops)

    def probe(reader: FieldReader) -> None:
        with open_records(file, name) as records:
            _first_records(_Reading(file, name, check, columns, within, 0, reader), records)

    evidence, refused = choose_field(likelihoods, name, len(check.samples), columns, probe)
    reading = _Reading(file, name, check, columns, within, context, evidence)
    total = check.n_records or 0
    with (progress or NullProgress()).task("reading", total) as task, open_records(file, name) as records:
        for done in reading.consume(records):
            task.advance(done)
        genotypes = reading.matrix(populations)  # within the task, which is not done if this fails
    if evidence is None:
        return genotypes
    return with_evidence(genotypes, evidence, reading.codes(), likelihoods, refused)


def _first_records(reading: _Reading, records: Iterator) -> None:
    """Give a reading the first PROBED records of its region. An error is left for the reading proper to meet."""
    region = reading.region
    inside = records if region is None else (r for r in records if (r.CHROM, r.POS) in region)
    with suppress(InputError):
        for _ in reading.consume(islice(inside, PROBED)):
            pass


def check_vcf(path: Path, name: str) -> TextCheck:
    """Check the raw lines of a file, or the header of a BCF, which has no lines."""
    kind = file_kind(path, name)
    if kind != "bcf":
        return check_lines(read_lines(path, name, gzipped=kind != "vcf"), name)
    with open_records(path, name) as records:
        try:
            header = records.raw_header.encode()
        except UnicodeDecodeError:
            raise InputError(
                f"{name}: the BCF header is not UTF-8; convert it, such as with `bcftools reheader`"
            ) from None
        names, _, contigs = check_header(iter(header.rstrip(b"\n\0").split(b"\n")), name)
    return TextCheck(names, chroms=frozenset(contigs))


@contextmanager
def open_records(path: Path, name: str) -> Iterator:
    """A cyvcf2.VCF, with htslib's own lines on standard error held back: what matters is raised."""
    from cyvcf2 import VCF
    from cyvcf2.cyvcf2 import set_htslib_log_level

    set_htslib_log_level(0)
    try:
        try:
            records = VCF(str(path))
        except UnicodeDecodeError:
            raise InputError(f"{name}: the header is not UTF-8; convert it, such as with `iconv`") from None
        except Exception as error:  # cyvcf2 raises OSError and bare Exception alike
            raise InputError(
                f"{name}: htslib cannot parse the header ({error}); mend it, or make the file again"
            ) from error
        with records:
            yield records
    finally:
        set_htslib_log_level(3)  # htslib's default


def _decoding_tables() -> tuple[np.ndarray, np.ndarray]:
    """For a code `first << 3 | second` of two raw alleles: the call, and a bit for the ploidy it shows.

    Bit 1: a haploid call, 2: a diploid one (a half-call too), 0: a missing call, which shows neither.
    """
    calls, ploidies = np.full(64, MISSING, np.int8), np.zeros(64, np.uint8)
    for first in range(6):
        for second in range(6):
            a, b = first // 2 - 1, second // 2 - 1
            calls[first << 3 | second] = a + b if a >= 0 and b >= 0 else MISSING
            ploidies[first << 3 | second] = 2 if a >= 0 or b >= 0 else 0
        calls[first << 3 | _END] = max(first // 2 - 1, MISSING)
        ploidies[first << 3 | _END] = first >= 2
    return calls, ploidies


CALL_OF, PLOIDY_OF = _decoding_tables()
HALF_OF = np.zeros(64, np.int8)
"""For the same code: 1 where one allele is known and is REF, 2 where it is ALT, else 0."""
for _one in (2, 3, 4, 5):
    for _none in (0, 1):
        HALF_OF[[_one << 3 | _none, _none << 3 | _one]] = _one // 2


@dataclass
class _Reading:
    """Records on their way into a matrix: a batch of raw alleles is gathered, then decoded at once."""

    path: Path
    name: str
    check: TextCheck
    columns: np.ndarray
    region: Region | None
    context: int | None
    evidence: FieldReader | None = None
    passed: Counter = field(default_factory=Counter)
    blocks: deque = field(default_factory=deque)  # int8 (b, samples) each
    evidence_blocks: deque = field(default_factory=deque)  # uint16 (b, samples) each, where there is evidence
    ploidies: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    loci: tuple[list, list, list, list] = field(default_factory=lambda: ([], [], [], []))  # chrom, pos, ref, alt
    n_kept: int = 0  # records of the region
    n_after: int = 0  # loci taken since the last of them
    n_with_gt: int = 0
    batch: list[tuple[int, int, tuple[str, int, str, str]]] = field(default_factory=list)  # (record, row, locus)
    kept: np.ndarray | None = None  # bool, the loci read that `matrix` kept

    def consume(self, records: Iterator) -> Iterator[int]:
        """Take every record; yields the number of records taken since the last time."""
        size = int(np.clip(BATCH_BYTES // (8 * len(self.columns)), 16, 8192))
        raw = np.empty((size, len(self.columns), 2), np.int32)
        taken = 0
        for number, record in enumerate(self._safely(records)):
            row = self._row_of(record.CHROM, record.POS)
            if row is None:
                continue
            self._take(number, record, row, raw)
            if len(self.batch) == size:
                self._decode(raw)
                self._forget_early_loci()
                yield number + 1 - taken
                taken = number + 1
        self._decode(raw[: len(self.batch)])

    def _row_of(self, chrom: str, pos: int) -> int | None:
        """A record's place among those of the region, OUTSIDE for context of it, None where it is not read."""
        region = self.region
        if region is None or (chrom, pos) in region:
            self.n_kept, self.n_after = self.n_kept + 1, 0
            return self.n_kept - 1
        if self.context is None:
            return OUTSIDE
        near = self.context and chrom == region.chrom and (pos < region.start or self.n_after < self.context)
        return OUTSIDE if near else None

    def _forget_early_loci(self) -> None:
        """Let go of loci so far before the region that they are no context of it."""
        while self.context and not self.n_kept and len(self.rows) - len(self.blocks[0]) >= self.context:
            n = len(self.blocks.popleft())
            if self.evidence_blocks:
                self.evidence_blocks.popleft()
            for column in (self.rows, self.ploidies, *self.loci):
                del column[:n]

    def _safely(self, records: Iterator) -> Iterator:
        number = 0
        while True:
            try:
                record = next(records, None)
            except Exception as error:  # cyvcf2 raises bare Exception
                raise self._unparsed(number) from error
            if record is None:
                return
            yield record
            number += 1

    def _unparsed(self, number: int) -> InputError:
        if self.check.n_records is None:
            return InputError(f"{self.name}: record {number + 1} cannot be parsed; the BCF is damaged, make it again")
        with vcf_lines(self.path, self.name) as lines:
            line = next(islice(lines, self.check.header_lines + number, None))
        place = self.check.where(number, *line_place(line))
        return InputError(f"{self.name}: {place}: {what_is_malformed(line, self.check)}")

    def _take(self, number: int, record, row: int, raw: np.ndarray) -> None:
        """Put a record's alleles into the batch, or count it as passed through."""
        alts = record.ALT
        alleles = record.format("GT", int)
        if alleles is None:
            self.passed[NO_GT] += row != OUTSIDE
            return
        self.n_with_gt += 1
        place = (record.CHROM, record.POS)
        if self.check.n_records is None and record.FORMAT[0] != "GT":
            raise self._error(number, place, "GT is not the first FORMAT field, as VCF requires", "mend the record")
        if alleles.max(initial=0) > 2 * len(alts) + 3:
            self._reject_allele(number, place, alleles, len(alts))
        reason = why_not_modelled(record.REF, alts)
        if reason:
            self.passed[reason] += row != OUTSIDE
            return
        if len(self.columns) < len(alleles):
            alleles = alleles[self.columns]
        if alleles.shape[1] > 2 and (alleles[:, 2:] != VECTOR_END).any():
            self._reject_polyploid(number, place, alleles)
        target = raw[len(self.batch)]
        width = min(alleles.shape[1], 2)
        target[:, :width] = alleles[:, :width]
        target[:, width:] = VECTOR_END
        self.n_after += row == OUTSIDE
        if self.evidence is not None:
            self.evidence.take(record)
        self.batch.append((number, row, (intern(place[0]), place[1], intern(record.REF), intern(alts[0]))))

    def _decode(self, raw: np.ndarray) -> None:
        """Turn the batch of raw alleles, int32 (b, samples, 2), into calls."""
        if not self.batch:
            return
        first, second = np.maximum(raw[..., 0], 0), raw[..., 1]
        code = (first << 3 | np.where(second < 0, _END, second)).astype(np.uint8)
        shown = PLOIDY_OF[code]
        ploidy = np.bitwise_or.reduce(shown, axis=1)
        if (ploidy == 3).any():
            self._reject_mixed(int(np.argmax(ploidy == 3)), shown)
        called = ploidy > 0
        inside = np.array([row for _, row, _ in self.batch]) != OUTSIDE
        self.passed[NO_CALL] += int((inside & ~called).sum())
        block = mapped((int(called.sum()), len(self.columns)), np.int8)
        block[:] = CALL_OF[code[called]]
        self.blocks.append(block)
        if self.evidence is not None:
            self.evidence_blocks.append(self.evidence.decode(block, HALF_OF[code[called]], ploidy[called], called))
        self.ploidies.extend(ploidy[called].tolist())
        for keep, (_, row, locus) in zip(called.tolist(), self.batch, strict=True):
            if keep:
                self.rows.append(row)
                for column, value in zip(self.loci, locus, strict=True):
                    column.append(value)
        self.batch.clear()

    def matrix(self, populations: np.ndarray | None) -> GenotypeMatrix:
        """The matrix of all that was read. Raises InputError where there is too little to model."""
        self._check_content()
        rows = np.array(self.rows, np.int64)
        ploidy = 1 if self.ploidies.count(1) > len(self.ploidies) / 2 else 2
        keep = np.array(self.ploidies) == ploidy
        self.passed[PLOIDY_NAMES[3 - ploidy]] += int((~keep & (rows != OUTSIDE)).sum())
        keep &= self._is_near(rows)
        if keep.sum() < 2:
            raise InputError(
                f"{self.name}: {keep.sum()} record can be modelled, at least 2 are needed "
                f"(not modelled: {self._passed_in_words()})"
            )
        loci = Loci(*(np.array(column, dtype)[keep] for column, dtype in zip(self.loci, "OqOO", strict=True)))
        source = VcfSource(
            path=self.path,
            name=self.name,
            n_records=self.n_kept,
            rows=rows[keep],
            columns=self.columns,
            passed_through={reason: count for reason, count in self.passed.items() if count},
            region=self.region,
        )
        samples = tuple(self.check.samples[column] for column in self.columns)
        calls = sample_major(self.blocks, keep, len(samples), np.int8)
        self.kept = keep
        return GenotypeMatrix(calls, samples, loci, ploidy, populations, source)

    def codes(self) -> np.ndarray | None:
        """uint16 (samples, loci): the evidence beside the matrix, None where there is none."""
        if self.evidence is None or (self.evidence.field is None and not self.evidence.n_half_calls):
            return None
        return sample_major(self.evidence_blocks, self.kept, len(self.columns), np.uint16)

    def _is_near(self, rows: np.ndarray) -> np.ndarray:
        """bool (loci,): those of the region, and no more than `context` on either side; rows: int64 (loci,)."""
        inside = np.flatnonzero(rows != OUTSIDE)
        if not self.context or not len(inside):
            return np.ones(len(rows), bool)
        place = np.arange(len(rows))
        return (place >= inside[0] - self.context) & (place <= inside[-1] + self.context)

    def _check_content(self) -> None:
        if not self.n_kept and not self._may_be_empty():
            region = self.region
            where = (
                f"no record lies in --region {region}; check the chromosome's name" if region else "there is no record"
            )
            raise InputError(f"{self.name}: {where}")
        if not self.n_with_gt:
            raise InputError(f"{self.name}: no record has GT in its FORMAT; give a file with genotypes")
        if not self.rows and self.passed[NO_CALL] == self.n_with_gt:
            raise InputError(f"{self.name}: every call is missing; there is nothing to impute from")
        if not self.rows:
            raise InputError(f"{self.name}: no record can be modelled ({self._passed_in_words()})")

    def _may_be_empty(self) -> bool:
        """Whether a region without a record is nothing odd: the file knows its chromosome, and has loci elsewhere."""
        return self.context is None and self.region is not None and self.region.chrom in self.check.chroms

    def _passed_in_words(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.passed.items() if count) or "none"

    def _error(self, number: int, place: tuple[str, int], what: str, mend: str) -> InputError:
        return InputError(f"{self.name}: {self.check.where(number, *place)}: {what}; {mend}")

    def _reject_allele(self, number: int, place: tuple[str, int], alleles: np.ndarray, n_alt: int) -> None:
        sample, slot = np.argwhere(alleles > 2 * n_alt + 3)[0]
        what = (
            f"sample {self.check.samples[sample]!r} has allele {alleles[sample, slot] // 2 - 1}, but ALT lists {n_alt}"
        )
        raise self._error(number, place, what, "mend the call, or set it to `./.`")

    def _reject_polyploid(self, number: int, place: tuple[str, int], alleles: np.ndarray) -> None:
        ploidy = (alleles != VECTOR_END).sum(axis=1)
        sample = self.check.samples[self.columns[int(ploidy.argmax())]]
        what = f"sample {sample!r} has a call of ploidy {ploidy.max()}"
        raise self._error(number, place, what, "only haploid and diploid calls are supported, call genotypes anew")

    def _reject_mixed(self, index: int, shown: np.ndarray) -> None:
        number, _, locus = self.batch[index]
        rare = 1 if (shown[index] == 1).sum() <= (shown[index] == 2).sum() else 2
        sample = self.check.samples[self.columns[int(np.argmax(shown[index] == rare))]]
        what = f"sample {sample!r} is {PLOIDY_NAMES[rare]} where others are {PLOIDY_NAMES[3 - rare]}"
        mend = "keep samples of one ploidy with --samples, or run `bcftools +fixploidy`"
        raise self._error(number, locus[:2], what, mend)


def why_not_modelled(ref: str, alts: Sequence[str]) -> str | None:
    """The reason why a record of these alleles is passed through, or None where it is modelled."""
    if not alts or alts[0] == ".":
        return NO_ALT
    if len(alts) > 1:
        return MULTIALLELIC
    return None if _CONCRETE.fullmatch(alts[0]) and _CONCRETE.fullmatch(ref) else SYMBOLIC
