"""Reading a VCF, VCF.gz or BCF into a genotype matrix."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from imputevae_cli.data.alleles import loci_of
from imputevae_cli.data.evidence import CALL
from imputevae_cli.data.genotypes import GenotypeMatrix, Loci, VcfSource
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.data.ploidy import MOST_PLOIDY, PLOIDY_NAMES
from imputevae_cli.data.popmap import PopMap
from imputevae_cli.data.region import ListedRegion, Region, Regions
from imputevae_cli.errors import InputError
from imputevae_cli.io.inputs.without_calls import with_calls
from imputevae_cli.io.passed_through import (
    MIXED,
    NO_CALL,
    NO_GT,
    POLYPLOID_ALT,
    UNCLEAR_PLOIDY,
    fix_for,
    in_words,
    why_not_modelled,
)
from imputevae_cli.io.rows_to_read import OUTSIDE, RowsToRead
from imputevae_cli.io.sample_major import mapped, sample_major
from imputevae_cli.io.selection import choose_samples
from imputevae_cli.io.vcf_alleles import states_by_allele
from imputevae_cli.io.vcf_evidence import FieldReader, Likelihoods, with_evidence
from imputevae_cli.io.vcf_evidence_choice import choose_field
from imputevae_cli.io.vcf_fields import RecordFields
from imputevae_cli.io.vcf_genotypes import CALL_OF, HALF_OF, HAPLOID_ALT, PLOIDY_OF, POLYPLOID, long_genotype
from imputevae_cli.io.vcf_header import REFINED_FORMAT
from imputevae_cli.io.vcf_ploidy import BOTH, HAPLOID, PloidiesSeen, chromosomes
from imputevae_cli.io.vcf_records import Fixed, RecordBlock, VcfFile, open_vcf
from imputevae_cli.io.vcf_text import is_stream, spool
from imputevae_cli.log import ProgressOption, chosen_progress, counted

SHOWN_NAMES = 5
"""Chromosomes that a message names."""

PROBED = 500
"""Records at the beginning of a file that tell which of its fields is evidence."""
_PLOIDY_OF_BITS = np.array([0 if bits & (bits - 1) else bits.bit_length() for bits in range(1 << MOST_PLOIDY)])
"""By what the calls of a record show, a bit for each ploidy: the ploidy, or 0 where it is not one alone."""
_COPIES_OF = np.where(np.arange(len(CALL_OF)) == HAPLOID_ALT, 2, CALL_OF).astype(np.int8)
"""By state of a cell, the call as a count of ALT alleles of two: a haploid one is a homozygote (see `HaploidCells`)."""
_OWN_INFO = re.compile(rb"(?:^|;)(INFO|NIMP)(?=[=;]|$)")


def read_vcf(
    path: str | Path,
    popmap: str | Path | PopMap | None = None,
    *,
    samples: Sequence[str] | None = None,
    include_pops: Sequence[str] | None = None,
    region: str | Sequence[str | Region | ListedRegion] | None = None,
    context: int | None = 0,
    likelihoods: Likelihoods = "auto",
    progress: ProgressOption = None,
    spool_dir: Path | None = None,
    to_fit: bool = True,
) -> GenotypeMatrix:
    """Read the calls of the records; a half-call is missing, and the allele seen is evidence.

    A record of several ALT alleles becomes a locus for each of them, against all others: see `Loci`. A record whose
    samples are of another ploidy than around it is not modelled.

    path: VCF, VCF.gz (BGZF or gzip) or BCF, or `-` for standard input; a stream is copied into `spool_dir`, and a BCF
    as text. samples: keep these alone, in the file's order. include_pops: keep the samples of these populations.
    region: `chrom`, `chrom:start-end` (1-based, inclusive), or several; a record is in one when its POS is.
    context: with a region, how many loci on either side of it, on its chromosome, are read as well, or None for all
    loci of the file: they are in the matrix, but no writer writes them (`GenotypeMatrix.is_context`).
    likelihoods: what stands behind the calls, for `GenotypeMatrix.evidence`: the FORMAT field PL, GL, AD, CATG or GP;
    `auto`, the first of them but GP that agrees with the calls, where calls are uncertain, and counts in place of
    likelihoods that misread them; `none`, calls alone.
    to_fit: whether a model is to be fitted on these genotypes, which takes two samples, and records with a call; False
    for what a saved model or a panel fills: one sample is enough, and records without any call are read too.
    Records that are not modelled are counted by reason in `source.passed_through`.
    Raises InputError, one line naming file and record, on input that cannot be used; ConfigError on
    `include_pops` without a popmap and on a malformed region.
    """
    name = "standard input" if str(path) == "-" else str(path)
    given = spool(path, name, spool_dir) if is_stream(path) else Path(path)
    file = with_calls(open_vcf(given, name, spool_dir), likelihoods, spool_dir)
    within = Regions.parse([region] if isinstance(region, str) else region, file.chroms()) if region else None
    columns, populations = choose_samples(file.header.samples, name, popmap, samples, include_pops, 2 if to_fit else 1)

    def probe(reader: FieldReader) -> None:
        _first_records(_Reading(open_vcf(file.path, name, again=True), given, columns, RowsToRead(within, 0), reader))

    evidence, refused = choose_field(likelihoods, name, len(file.header.samples), columns, probe)
    reading = _Reading(file, given, columns, RowsToRead(within, context), evidence, to_fit)
    with chosen_progress(progress).task("reading", 0) as task:
        for block in file.blocks():
            reading.take(block)
            task.advance(len(block))
        genotypes = reading.matrix(populations)  # within the task, which is not done if this fails
    if evidence is None:
        return genotypes
    return with_evidence(genotypes, evidence, reading.codes(), likelihoods, refused)


def _first_records(reading: _Reading) -> None:
    """Give a reading the first PROBED records of its region. An error is left for the reading proper to meet."""
    with suppress(InputError):
        for block in reading.file.blocks():
            reading.take(block)
            if reading.to_read.n_kept >= PROBED:
                return


@dataclass
class _Reading:
    """Records on their way into a matrix, a block of them at a time."""

    file: VcfFile
    given: Path
    columns: np.ndarray
    to_read: RowsToRead
    evidence: FieldReader | None = None
    to_fit: bool = True
    passed: Counter[str] = field(default_factory=Counter)
    blocks: deque[np.ndarray] = field(default_factory=deque)  # int8 (b, samples) each
    evidence_blocks: deque[np.ndarray] = field(
        default_factory=deque
    )  # uint16 (b, samples) each, where there is evidence
    rows: list[int] = field(default_factory=list)
    loci: tuple[list[Any], ...] = field(default_factory=lambda: ([], [], [], [], []))  # chrom, pos, ref, alt, id
    own_keys: set[tuple[bytes, bytes]] = field(default_factory=set)
    formats: set[bytes] = field(default_factory=set)
    n_with_gt: int = 0
    reasons: dict[tuple[str, str], str | None] = field(default_factory=dict)
    kept: np.ndarray | None = None  # bool, the loci read that `matrix` kept
    ploidy: int = 2  # of the matrix, once it is made

    def __post_init__(self) -> None:
        self.ploidies = PloidiesSeen(len(self.columns))

    def take(self, block: RecordBlock) -> None:
        """Put a block's records into the matrix, or count them as passed through."""
        wanted, rows, checked = [], [], []
        for i, fixed in enumerate(block.fixed):
            row = self.to_read.row_of(fixed.chrom, fixed.pos)
            if row is None:
                continue
            if fixed.has_gt:
                checked.append(i)
            self._see_own_keys(fixed)
            reason = self._why_not(fixed)
            if reason:
                self.passed[reason] += row != OUTSIDE
                continue
            self.to_read.n_after += row == OUTSIDE
            wanted.append(i)
            rows.append(row)
        self.n_with_gt += len(checked)
        if checked:
            states = block.states(np.array(checked))
            if wanted:
                places = np.searchsorted(checked, wanted)
                self._keep(block, np.array(wanted), np.array(rows), states[places])
        self._forget_early_loci()

    def _why_not(self, fixed: Fixed) -> str | None:
        if not fixed.has_gt:
            return NO_GT
        key = fixed.ref, fixed.alt
        if key not in self.reasons:
            self.reasons[key] = why_not_modelled(*key)
        return self.reasons[key]

    def _see_own_keys(self, fixed: Fixed) -> None:
        """Note fields of the names that the writer adds: it says what becomes of them."""
        self.own_keys.update((b"INFO", key) for key in _OWN_INFO.findall(fixed.info))
        if fixed.format not in self.formats:
            self.formats.add(fixed.format)
            self.own_keys.update((b"FORMAT", key) for key in fixed.format.split(b":") if key in REFINED_FORMAT)

    def _keep(self, block: RecordBlock, wanted: np.ndarray, rows: np.ndarray, states: np.ndarray) -> None:
        """Keep the calls of modelled records: `wanted` of the block, at `rows`; states: uint8 (wanted, all samples)."""
        if len(self.columns) < states.shape[1]:
            states = states[:, self.columns]
        self._check_ploidy(block, wanted, states)
        wanted, rows, states, alleles = self._by_allele(block, wanted, rows, states)
        bits = np.bitwise_or.reduce(PLOIDY_OF[states], axis=1)
        keep = self._of_one_kind(block, wanted, rows, bits, alleles)
        kept = np.flatnonzero(keep)
        states = states[kept]
        calls = mapped(states.shape, np.int8)
        calls[:] = _COPIES_OF[states]
        self.blocks.append(calls)
        self.ploidies.take(states, bits[kept])
        if self.evidence is not None:
            fields = {i: RecordFields(block, i) for i in set(wanted.tolist())}
            for i, allele in zip(wanted.tolist(), alleles.tolist(), strict=True):
                self.evidence.take(fields[i], allele)
            shown = bits[kept, None]
            if (shown == BOTH).any():
                shown = np.where(shown == BOTH, PLOIDY_OF[states], shown)
            shown = np.where(shown == 0, self.ploidies.unshown, _PLOIDY_OF_BITS[shown])
            self.evidence_blocks.append(self.evidence.decode(calls, HALF_OF[states], shown, keep))
        self.rows.extend(rows[kept].tolist())
        for i, allele in zip(wanted[kept].tolist(), alleles[kept].tolist(), strict=True):
            fixed = block.fixed[i]
            alt = fixed.alt if fixed.n_alt == 1 else loci_of(fixed.alt)[allele]
            locus = (intern(fixed.chrom), fixed.pos, intern(fixed.ref), intern(alt), fixed.id)
            for column, value in zip(self.loci, locus, strict=True):
                column.append(value)

    def _by_allele(
        self, block: RecordBlock, wanted: np.ndarray, rows: np.ndarray, states: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Records as loci, one for each ALT allele: `wanted`, `rows`, `states` and the allele, from 0 on, of each."""
        n_alt = np.array([block.fixed[i].n_alt for i in wanted.tolist()])
        if (n_alt == 1).all():
            return wanted, rows, states, np.zeros(len(wanted), np.int64)
        first = np.cumsum(n_alt) - n_alt
        index = np.repeat(np.arange(len(wanted)), n_alt)
        by_allele = states[index]
        for i in np.flatnonzero(n_alt > 1).tolist():
            of_record = states_by_allele(block, int(wanted[i]), states[i], self.columns)
            by_allele[first[i] : first[i] + n_alt[i]] = of_record
        return wanted[index], rows[index], by_allele, np.arange(len(index)) - first[index]

    def _of_one_kind(
        self, block: RecordBlock, wanted: np.ndarray, rows: np.ndarray, bits: np.ndarray, alleles: np.ndarray
    ) -> np.ndarray:
        """Loci whose calls are haploid, diploid, or of one ploidy above that and of one ALT allele, bool (wanted,).

        The records of the others are counted. bits: uint8 (wanted,), what the calls show, a bit for each ploidy.
        """
        is_polyploid = bits > BOTH
        mixed = is_polyploid & (_PLOIDY_OF_BITS[bits] == 0)
        several = is_polyploid & ~mixed & np.array([block.fixed[i].n_alt > 1 for i in wanted.tolist()])
        uncalled = (bits == 0) & self.to_fit
        is_inside = (rows != OUTSIDE) & (alleles == 0)
        for reason, some in ((NO_CALL, uncalled), (MIXED, mixed), (POLYPLOID_ALT, several)):
            self.passed[reason] += int((is_inside & some).sum())
        return ~(uncalled | mixed | several)

    def _check_ploidy(self, block: RecordBlock, wanted: np.ndarray, states: np.ndarray) -> None:
        if not (states == POLYPLOID).any():
            return
        i, column = np.argwhere(states == POLYPLOID)[0]
        sample = int(self.columns[column])
        genotype = long_genotype(block.cells(int(wanted[i]))[sample], prefixed=True)
        assert genotype is not None  # it was read as polyploid
        *_, ploidy = genotype
        raise InputError(
            f"{block.where(int(wanted[i]))}: sample {self.file.header.samples[sample]!r} has a call of ploidy "
            f"{ploidy}, and imputevae handles ploidy 1 to {MOST_PLOIDY}; leave such samples out (--samples) or such "
            "records"
        )

    def _forget_early_loci(self) -> None:
        """Let go of loci so far before the first region that they are no context of it."""
        while self.blocks and self.to_read.can_spare(len(self.rows) - len(self.blocks[0])):
            n = len(self.blocks.popleft())
            if self.evidence_blocks:
                self.evidence_blocks.popleft()
            self.ploidies.forget(n)
            for column in (self.rows, *self.loci):
                del column[:n]

    def matrix(self, populations: np.ndarray | None) -> GenotypeMatrix:
        """The matrix of all that was read. Raises InputError where there is too little to model."""
        self._check_content()
        rows = np.array(self.rows, np.int64)
        keep, haploid = self._resolve_ploidies(rows)
        keep &= self.to_read.are_near(rows, self.loci[0])
        least = 2 if self.to_fit else 1
        if keep.sum() < least:
            raise InputError(
                f"{self.file.name}: {counted(int(keep.sum()), 'record')} can be modelled, at least {least} are needed "
                f"(not modelled: {in_words(self.passed)}); {fix_for(self.passed)}"
            )
        loci = Loci(*(np.array(column, dtype)[keep] for column, dtype in zip(self.loci[:4], "OqOO", strict=True)))
        if any(self.loci[4]):
            loci = replace(loci, ids=np.array(self.loci[4], object)[keep])
        source = VcfSource(
            path=self.file.path,
            name=self.file.name,
            n_records=self.to_read.n_kept,
            rows=rows[keep],
            columns=self.columns,
            passed_through={reason: count for reason, count in self.passed.items() if count},
            regions=self.to_read.regions,
            given=self.given,
            own_keys=frozenset(self.own_keys),
        )
        samples = tuple(self.file.header.samples[column] for column in self.columns)
        calls = sample_major(self.blocks, keep, len(samples), np.int8)
        self.kept = keep
        if self.ploidy == 1:
            _replace(calls, 2, 1)
        return GenotypeMatrix(
            calls, samples, loci, self.ploidy, populations, source, haploid=haploid and haploid.at_loci(keep)
        )

    def _resolve_ploidies(self, rows: np.ndarray) -> tuple[np.ndarray, HaploidCells | None]:
        """Loci whose calls are of the ploidies around them, bool (L,), and the haploid cells of a diploid matrix.

        Where most are polyploid, the ploidy of most is kept alone. The others are counted. rows: int64 (L,).
        """
        self.ploidy, shown = self.ploidies.commonest, np.array(self.ploidies.shown)
        haploid = None
        if self.ploidy > 2:
            uncalled, several = shown == 0, np.array(["," in alt for alt in self.loci[3]], bool)
            self._pass(POLYPLOID_ALT, rows[uncalled & several])
            keep = (shown == 1 << (self.ploidy - 1)) | (uncalled & ~several)
            others = ~keep & ~uncalled
        else:
            others = shown > BOTH
            clear, haploid = self._haploid_and_diploid(others)
            keep = clear & ~others
            self._pass(UNCLEAR_PLOIDY, rows[~clear & ~others])
        for bits in np.unique(shown[others]).tolist():
            self._pass(MIXED if bits == BOTH else PLOIDY_NAMES[_PLOIDY_OF_BITS[bits]], rows[shown == bits])
        return keep, haploid

    def _haploid_and_diploid(self, others: np.ndarray) -> tuple[np.ndarray, HaploidCells | None]:
        """See `_resolve_ploidies`; others: bool (L,), loci of polyploids."""
        if self.ploidies.is_uniform:
            self.ploidy = 1 if HAPLOID in self.ploidies.shown else 2
            return np.ones(len(self.ploidies.shown), bool), None
        clear, haploid = self.ploidies.resolved(self.blocks, chromosomes(self.loci[0]))
        used = haploid.samples[:, np.unique(haploid.stretch[clear & ~others])]
        self.ploidy = 1 if used.all() else 2
        return clear, haploid if used.any() and not used.all() else None

    def _pass(self, reason: str, rows: np.ndarray) -> None:
        """Count the records of loci at `rows`, int64 (m,), as not modelled."""
        self.passed[reason] += len(np.unique(rows[rows != OUTSIDE]))

    def codes(self) -> np.ndarray | None:
        """uint16 (samples, loci): the evidence beside the matrix, None where there is none."""
        if self.evidence is None or (self.evidence.field is None and not self.evidence.n_half_calls):
            return None
        assert self.kept is not None  # `matrix` comes first
        codes = sample_major(self.evidence_blocks, self.kept, len(self.columns), np.uint16)
        if self.ploidy == 1:
            _replace(codes, CALL + 2, CALL + 1)
        return codes

    def _check_content(self) -> None:
        name = self.file.name
        if self.to_read.regions is not None and not self.to_read.n_kept:
            self._check_chroms(self.to_read.regions)
        if not self.n_with_gt:
            keys = {key for form in self.formats for key in form.decode("utf-8", "replace").split(":")}
            fix = "--likelihoods GP calls each genotype by GP" if "GP" in keys else "give a file with GT, PL, GL or AD"
            raise InputError(f"{name}: no record has GT in its FORMAT ({', '.join(sorted(keys))}); {fix}")
        is_empty = not any(self.ploidies.shown)
        if is_empty and len(set(self.rows)) + self.passed[NO_CALL] == self.n_with_gt:
            raise InputError(f"{name}: every call is missing; there is nothing to impute from")
        if not self.rows:
            raise InputError(f"{name}: no record can be modelled ({in_words(self.passed)}); {fix_for(self.passed)}")

    def _check_chroms(self, regions: Regions) -> None:
        """Raise InputError for regions without a record, unless loci elsewhere are read too and the file knows a
        chromosome of theirs."""
        chroms = sorted(self.file.chroms())
        is_known = any(chrom in regions.chroms for chrom in chroms)
        if is_known and self.to_read.context is None:
            return
        named = ", ".join(chroms[:SHOWN_NAMES]) + (", ..." if len(chroms) > SHOWN_NAMES else "")
        fix = "choose a wider one" if is_known else f"the file's chromosomes are {named}"
        raise InputError(f"{self.file.name}: no record lies in {regions.title}; {fix}")


def _replace(values: np.ndarray, old: int, new: int) -> None:
    """Put `new` in place of `old`, row by row: nothing of the size of all values is made."""
    for row in values:
        row[row == old] = new
