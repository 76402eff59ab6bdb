"""Genotypes in memory: the matrix of calls, its loci, and the file that they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from imputevae_cli.data import interchange
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_report import EvidenceReport
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.data.region import Regions
from imputevae_cli.data.validate import check_calls, check_content, check_lengths
from imputevae_cli.errors import InputError

MISSING = -1
"""The value of a call that is missing, in every array of calls."""


def missing_per_sample(calls: np.ndarray) -> np.ndarray:
    """int64 (samples,): missing calls of each; calls int8 (samples, loci). A row at a time: no mask of the whole."""
    return np.array([np.count_nonzero(row == MISSING) for row in calls], np.int64)


@dataclass(frozen=True, repr=False)
class Loci:
    """Where the modelled loci are, in the order of the file.

    chrom, ref, alt: object (loci,) of str. Of a record of several ALT alleles each is a locus, against all others:
    its `alt` begins with it, as in `T,A` and `A,T`. pos: int64 (loci,), 1-based base pairs. cm: float64 (loci,),
    genetic position in centimorgans, or None without a map. ids: object (loci,) of str, names such as rs12, "" for
    none; None where no locus has one.
    """

    chrom: np.ndarray
    pos: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    cm: np.ndarray | None = None
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pos)

    def __repr__(self) -> str:
        return f"<Loci: {len(self):,} on {len(set(self.chrom)):,} chromosomes>"

    def in_words(self, locus: int) -> str:
        """What a message calls a locus, such as `1:200 A>G`."""
        return f"{self.chrom[locus]}:{self.pos[locus]} {self.ref[locus]}>{self.alt[locus]}"

    @cached_property
    def chrom_codes(self) -> np.ndarray:
        """int32 (loci,): a number for each run of records on one chromosome, rising along the file."""
        if not len(self):
            return np.zeros(0, np.int32)
        breaks = np.r_[False, self.chrom[1:] != self.chrom[:-1]]
        return np.cumsum(breaks, dtype=np.int32)

    @cached_property
    def records(self) -> np.ndarray:
        """int64 (loci,): a number for each record, rising along the file; loci of one record follow one another."""
        begins = np.ones(len(self), bool)
        alleles: set[str] = set()
        before: tuple[object, ...] | None = None
        for i in np.flatnonzero(["," in alt for alt in self.alt]).tolist():
            own, *others = self.alt[i].split(",")
            record = self.chrom[i], self.pos[i], self.ref[i], frozenset((own, *others))
            begins[i] = record != before or own in alleles or self.alt[i - 1].count(",") != len(others)
            alleles = {own} if begins[i] else alleles | {own}
            before = record
        return np.cumsum(begins) - 1

    @cached_property
    def begins_record(self) -> np.ndarray:
        """bool (loci,): whether a locus is the first of its record."""
        return np.diff(self.records, prepend=-1) > 0

    @property
    def several(self) -> np.ndarray | None:
        """`records`, where any has several loci, else None."""
        return None if self.begins_record.all() else self.records

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """Start and stop of runs of about so many loci, of whole records."""
        start = 0
        while start < len(self):
            stop = self.whole_records(start, min(start + size, len(self)))[1]
            yield start, stop
            start = stop

    def alleles_of(self, first: int) -> list[str]:
        """REF and every ALT allele, in the record's order, of the record that begins at locus `first`."""
        own = self.alt[first].split(",")
        return [self.ref[first], *(alt.split(",")[0] for alt in self.alt[first : first + len(own)])]

    def whole_records(self, start: int, stop: int) -> tuple[int, int]:
        """Loci start..stop (exclusive), with all loci of the records that they belong to."""
        first, last = self.records[start], self.records[stop - 1]
        return int(np.searchsorted(self.records, first)), int(np.searchsorted(self.records, last, "right"))

    def take(self, index: np.ndarray) -> Loci:
        """The loci at `index` (int or bool), in that order."""
        cm, ids = (None if column is None else column[index] for column in (self.cm, self.ids))
        return Loci(self.chrom[index], self.pos[index], self.ref[index], self.alt[index], cm, ids)

    @property
    def positions(self) -> np.ndarray:
        """Where along the chromosome: centimorgans, float64 (loci,), or without a map base pairs, int64 (loci,)."""
        return self.pos if self.cm is None else self.cm


@dataclass(frozen=True)
class VcfSource:
    """The file that a matrix was read from, for the writer, which walks it again.

    path: the file to walk; a spooled copy when the input was standard input, or text of what was a BCF.
    name: what the user called it.
    n_records: records of the file, or of `regions`.
    rows: int64 (loci,), each locus's place among the records of `regions` (0-based); -1 for a locus outside them, which
        the model sees as context and nobody writes.
    columns: int64 (samples,), each sample's place among the file's samples (0-based).
    passed_through: reason -> number of records that are not modelled.
    regions: what is to be written, or None for the whole file.
    given: the file that the user named, which no output may overwrite; None stands for `path`.
    own_keys: (`INFO` or `FORMAT`, key) of fields that the file has under names that the writer adds.
    """

    path: Path
    name: str
    n_records: int
    rows: np.ndarray
    columns: np.ndarray
    passed_through: Mapping[str, int] = field(default_factory=dict)
    regions: Regions | None = None
    given: Path | None = None
    own_keys: frozenset[tuple[bytes, bytes]] = frozenset()


@dataclass(frozen=True, repr=False)
class GenotypeMatrix:
    """Calls of samples at loci: of `read_vcf`, or of `from_array`, `from_dataframe` or `from_sgkit`.

    calls: int8 (samples, loci), the count of ALT alleles: 0..ploidy, -1 missing.
    populations: object (samples,) of str, or None when no popmap was given. evidence: how likely each genotype of each
    cell is, or None where calls are taken as certain; evidence_report: how it was had. haploid: cells that are haploid
    in a diploid matrix, whose calls are 0 or 2; None where there are none.
    """

    calls: np.ndarray
    samples: tuple[str, ...]
    loci: Loci
    ploidy: int = 2
    populations: np.ndarray | None = None
    source: VcfSource | None = None
    evidence: Evidence | None = None
    evidence_report: EvidenceReport | None = None
    haploid: HaploidCells | None = None

    def __post_init__(self) -> None:
        """Raises InputError for calls of another type, shape or range, and for columns of other lengths."""
        check_calls(self.calls, self.ploidy, MISSING)
        check_lengths(self)

    def __repr__(self) -> str:
        share = float(missing_per_sample(self.calls).sum()) / max(self.calls.size, 1)
        of = "" if self.populations is None else f", {len(set(self.populations))} populations"
        return (
            f"<GenotypeMatrix: {self.n_samples:,} samples x {self.n_loci:,} loci, ploidy {self.ploidy}, "
            f"{share:.1%} missing{of}>"
        )

    @classmethod
    def from_array(
        cls,
        calls: Any,
        samples: Sequence[str] | None = None,
        loci: Loci | Sequence[Any] | None = None,
        populations: Any = None,
        *,
        ploidy: int = 2,
    ) -> GenotypeMatrix:
        """Counts of ALT alleles, a 2-D array (samples, loci) of whole numbers; NaN, -1 and -9 are missing.

        samples: names; `sample1` and so on by default. loci: `Loci`, or for each `CHROM:POS`, `CHROM:POS:REF:ALT`,
        (chrom, pos), (chrom, pos, ref, alt) or a mere name. Where positions are not given, the loci are
        taken to lie 1,000 base pairs apart on one chromosome, in their order. populations: one name per sample, or a
        mapping from sample to population. Raises InputError, naming the cell, for what is no count from 0 to `ploidy`.
        """
        matrix = interchange.calls_of(calls, ploidy, MISSING)
        names = interchange.sample_names(samples, len(matrix))
        where = loci if isinstance(loci, Loci) else Loci(**interchange.locus_columns(loci, matrix.shape[1]))
        made = cls(matrix, names, where, ploidy, interchange.population_names(populations, names))
        made.check()
        return made

    @classmethod
    def from_dataframe(
        cls,
        frame: Any,
        populations: Any = None,
        loci: Loci | Sequence[Any] | None = None,
        *,
        ploidy: int = 2,
    ) -> GenotypeMatrix:
        """A pandas DataFrame of samples x loci: its index has the names of the samples, its columns those of the loci.

        populations: also the name of a column, which is then no locus. The rest is as in `from_array`.
        """
        values, samples, columns, populations = interchange.values_of_frame(frame, populations)
        return cls.from_array(values, samples, columns if loci is None else loci, populations, ploidy=ploidy)

    @classmethod
    def from_sgkit(cls, dataset: Any, populations: Any = None) -> GenotypeMatrix:
        """An xarray Dataset with the names of sgkit: `call_genotype`, `variant_position`, `sample_id` and so on.

        populations: as in `from_array`; by default those of `sample_population`, where that is there. Variants that
        are not biallelic are left out, with their number in the log. Raises InputError where a variable is missing.
        """
        found = interchange.columns_of_dataset(dataset, MISSING)
        if populations is not None:
            found["populations"] = interchange.population_names(populations, found["samples"])
        made = cls(**{**found, "loci": Loci(**found["loci"])})
        made.check()
        return made

    @classmethod
    def of(cls, data: Any) -> GenotypeMatrix:
        """Genotypes as they are, or of a DataFrame, a Dataset or whatever `from_array` takes."""
        if isinstance(data, cls):
            return data
        if isinstance(data, str | Path):
            raise InputError(f"genotypes: {str(data)!r} is a file's name; give a GenotypeMatrix: read_vcf reads it")
        if hasattr(data, "data_vars"):
            return cls.from_sgkit(data)
        return cls.from_dataframe(data) if hasattr(data, "columns") else cls.from_array(data)

    def to_xarray(self) -> Any:
        """An xarray Dataset with the names of sgkit; missing alleles are -1. Raises ConfigError without xarray."""
        return interchange.dataset_of(self, self.calls, {})

    def check(self) -> None:
        """Raise InputError unless all holds that the class says, the calls once more: arrays can be written to."""
        check_calls(self.calls, self.ploidy, MISSING)
        check_lengths(self)
        check_content(self)

    @property
    def name(self) -> str:
        """The file that they come from, for messages; `genotypes` where they come from none."""
        return self.source.name if self.source else "genotypes"

    @property
    def n_samples(self) -> int:
        """Rows of `calls`."""
        return self.calls.shape[0]

    @property
    def n_loci(self) -> int:
        """Columns of `calls`."""
        return self.calls.shape[1]

    @property
    def is_context(self) -> np.ndarray:
        """bool (loci,): loci outside the region that was asked for, read so that the model sees them."""
        return np.zeros(self.n_loci, bool) if self.source is None else self.source.rows < 0

    def at_loci(self, keep: np.ndarray) -> GenotypeMatrix:
        """The same samples at the loci of `keep`, bool (loci,) alone."""
        if keep.all():
            return self
        source = None if self.source is None else replace(self.source, rows=self.source.rows[keep])
        evidence = None if self.evidence is None else self.evidence.at_loci(keep)
        haploid = None if self.haploid is None else self.haploid.at_loci(keep)
        loci = self.loci.take(keep)
        return replace(self, calls=self.calls[:, keep], loci=loci, source=source, evidence=evidence, haploid=haploid)

    @property
    def calls_are_uncertain(self) -> bool:
        """Whether calls are to be read with their evidence; half-calls alone do not make the others uncertain."""
        return self.evidence is not None and (self.evidence_report is None or self.evidence_report.used)

    @property
    def n_missing(self) -> int:
        """Missing calls, one for each record."""
        calls, begins = self.calls, self.loci.begins_record
        return int(missing_per_sample(calls if begins.all() else calls[:, begins]).sum())

    @property
    def visible_calls_are_uncertain(self) -> bool:
        """Whether the evidence leaves any visible call open, so that the calls are no truth to score against."""
        if self.evidence is None or not self.calls_are_uncertain:
            return False
        return self.evidence.n_uncertain(self.calls) > 0

    @property
    def n_classes(self) -> int:
        """Genotype classes: 3 when diploid, 2 when haploid."""
        return self.ploidy + 1

    def as_diploid(self) -> GenotypeMatrix:
        """Haploid genotypes as a diploid matrix whose cells are all haploid, for a model of both."""
        every = np.ones((self.n_samples, 1), bool)
        evidence = None if self.evidence is None else self.evidence.as_diploid()
        return replace(
            self,
            calls=np.where(self.calls > 0, 2 * self.calls, self.calls),
            ploidy=2,
            evidence=evidence,
            haploid=HaploidCells(np.zeros(self.n_loci, np.int32), every, ~every),
        )

    def with_map(self, cm: np.ndarray) -> GenotypeMatrix:
        """The same genotypes with genetic positions, float64 (loci,) centimorgans."""
        return replace(self, loci=replace(self.loci, cm=cm))

    def with_calls(self, calls: np.ndarray) -> GenotypeMatrix:
        """The same samples and loci with other calls, int8 (samples, loci); what is hidden loses its evidence too."""
        evidence = self.evidence
        if evidence is not None:
            evidence = evidence.without((calls == MISSING) & (self.calls != MISSING))
        haploid = None if self.haploid is None else self.haploid.seen_in(calls)
        return replace(self, calls=calls, evidence=evidence, haploid=haploid)


class ImputedBlocks(Protocol):
    """What a writer needs of an imputation: the input's genotypes, and blocks of filled ones."""

    genotypes: GenotypeMatrix

    def block(self, start: int, stop: int) -> ImputedBlock:
        """Loci start..stop (exclusive) of the matrix."""
        ...


@dataclass(frozen=True)
class JointGenotypes:
    """Filled genotypes of a record of several ALT alleles, which is as many loci of a block, one after the other.

    first: the first of its loci in the block. n_alt: ALT alleles. gp: uint16 (samples, G), thousandths of diploid
    genotypes in VCF's order. calls: int64 (samples,), places in that order, -1 missing.
    """

    first: int
    n_alt: int
    gp: np.ndarray
    calls: np.ndarray


@dataclass(frozen=True)
class ImputedBlock:
    """Filled genotypes of a run of loci.

    calls: int8 (samples, b), the argmax of `gp`; -1 where the best GP is below the threshold asked for,
        and where a sample has no call at all to go by. Visible calls are as they were, but for those of `refined`.
    gp: uint16 (samples, b, classes), genotype probabilities in thousandths; each cell sums to 1000, and
        to 0 where nothing is known of the cell. A certain call has 1000 at its genotype.
    imputed: bool (samples, b), cells that were missing in the input and are filled in `calls`.
    alt_first: bool (samples, b), whether a heterozygote is 1|0 rather than 0|1; None leaves phases as they were.
    uncertain: bool (samples, b), visible calls whose `gp` is a posterior, as their evidence leaves them open; or None.
    refined: bool (samples, b), those of them that `calls` has otherwise than the input; or None.
    joint: the records of several ALT alleles that lie in the block as a whole.
    """

    calls: np.ndarray
    gp: np.ndarray
    imputed: np.ndarray
    alt_first: np.ndarray | None = None
    uncertain: np.ndarray | None = None
    refined: np.ndarray | None = None
    joint: tuple[JointGenotypes, ...] = ()


def genotype_counts(calls: np.ndarray, n_classes: int = 3, samples: np.ndarray | slice = slice(None)) -> np.ndarray:
    """int64 (n_classes, loci): samples with each genotype; calls int8 (samples, loci), -1 missing.

    samples: bool (samples,), those to count; all by default. A row at a time: nothing of the size of the calls is made.
    """
    counts = np.zeros((n_classes, calls.shape[1]), np.int64)
    for sample in np.arange(len(calls))[samples]:
        row = calls[sample]
        for genotype in range(n_classes):
            counts[genotype] += row == genotype
    return counts
