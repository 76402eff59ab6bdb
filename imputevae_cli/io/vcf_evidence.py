"""Reading what stands behind the calls of a VCF: likelihoods (PL, GL), read counts (AD, CATG), probabilities (GP)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from imputevae_cli.data import evidence_report as found
from imputevae_cli.data.codebook import (
    LAST_LEVEL,
    LAST_PHRED,
    N_COUNTS,
    N_LEVELS,
    Codebook,
    VectorBook,
    counts_of_keys,
    keys_of_counts,
    keys_of_levels,
    levels_of,
    likelihoods_of_keys,
)
from imputevae_cli.data.evidence import (
    FIRST_FREE,
    FLAT,
    HAS_ALT,
    HAS_REF,
    Evidence,
    call_codes,
    of_haploids,
    special_table,
)
from imputevae_cli.data.evidence_frequencies import Tally, evidence_frequencies, posterior, some_loci
from imputevae_cli.data.evidence_report import DEEPEST, EvidenceReport
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.locus_read_models import evidence_of_counts
from imputevae_cli.data.read_model import ReadModel, fit_read_model
from imputevae_cli.io.kernel_fields import INT_END, INT_MISSING
from imputevae_cli.io.vcf_fields import RecordFields
from imputevae_cli.io.vcf_values import MOST_PHRED, depths_of, of_width, values_of

Likelihoods = Literal["auto", "PL", "GL", "AD", "CATG", "GP", "none"]
COUNTS = ("AD", "CATG")

RULED_OUT = 20
"""A genotype is ruled out at this phred value: the data are a hundred times less likely than under the best."""
LEAST_AGREEMENT = 0.95
"""`auto` takes a field that rules out no more of the visible calls than the rest of this share."""
LEAST_FILLED = 0.5
"""`auto` takes a field that can be read at this share of the visible calls at least."""
EXPECTED_WRONG = 0.002
"""`auto` leaves evidence aside where fewer visible calls than this share are expected to be wrong."""
RESCUED = 0.01
"""But not where it tells something of more than this share of the missing calls."""

FITTED_CELLS = 400_000
"""Cells that the error rate of reads is fitted to."""
NOMINAL = ReadModel()
"""What counts are compared with calls by, before their own error rate is known."""


class _Batch(NamedTuple):
    """Records of a batch, of one ploidy: values int64 (b, n, w), depths int64 (b, n), -1 unknown; n_expected int64
    (b, n or 1), values that a cell should have; calls and halves int8 (b, n), see `FieldReader.decode`; haploid: bool
    (b, n or 1); ploidy: 2 for haploids too."""

    values: np.ndarray
    depths: np.ndarray
    n_expected: np.ndarray
    calls: np.ndarray
    halves: np.ndarray
    haploid: np.ndarray
    ploidy: int = 2


class FieldReader:
    """One field of the records that are modelled, on its way into codes: `take` a record, `decode` a batch."""

    def __init__(self, field: str | None, n_samples: int, columns: np.ndarray):
        """columns: int64, the samples that are kept. field: None reads half-calls alone."""
        self.field = field
        self._columns = columns if n_samples != len(columns) else None
        self._n = len(columns)
        self._taken: list[tuple[np.ndarray | None, np.ndarray | None]] = []  # values and depths of each record
        self.book = Codebook(2 * N_COUNTS if field in COUNTS else N_LEVELS**3)
        self.vectors: defaultdict[int, VectorBook] = defaultdict(VectorBook)  # of PL and GL of polyploids, by ploidy
        self.broken: Counter[str] = Counter()
        self.n_records = self.n_read = self.n_visible = self.n_informative = self.n_agreeing = 0
        self.n_half_calls = self.n_rescued = 0
        self.depth_counts = np.zeros(DEEPEST + 1, np.int64)

    def take(self, record: RecordFields, allele: int = 0) -> None:
        """Hold a record's values until its batch is decoded, as one of its ALT alleles, from 0 on, sees them."""
        if self.field is None:
            return
        values = self._own(values_of(record, self.field, allele))
        self.n_records += values is not None
        depth = None if self.field in COUNTS or values is None else self._own(depths_of(record))
        self._taken.append((values, depth))

    def _own(self, values: np.ndarray | None) -> np.ndarray | None:
        return values if values is None or self._columns is None else values[self._columns]

    def decode(self, calls: np.ndarray, halves: np.ndarray, ploidies: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """uint16 (b, samples): codes of those of the records taken that are kept, bool (taken,); of half-calls alone
        where no field is read.

        calls: int8 (b, samples), haploid ones 0 or 2. halves: int8, 1 where a half-call shows REF, 2 where it shows
        ALT, else 0. ploidies: (b, samples or 1), 1 to 8, of which 3 to 8 hold for the whole record; 0 for a missing
        call whose ploidy its values tell.
        """
        taken = [pair for pair, wanted in zip(self._taken, keep.tolist(), strict=False) if wanted]
        self._taken.clear()
        n_halves = int(np.count_nonzero(halves))
        self.n_half_calls += n_halves
        if self.field is None and not n_halves:
            return np.broadcast_to(np.uint16(FLAT), calls.shape)  # takes no memory
        self.n_visible += int(np.count_nonzero(calls != MISSING))
        codes = np.full(calls.shape, FLAT, np.uint16) if self.field is None else call_codes(calls)
        codes[halves == 1], codes[halves == 2] = HAS_REF, HAS_ALT
        if self.field is None:
            return codes
        ploidies = ploidies.astype(np.int64)
        of_record = np.maximum(ploidies.max(1, initial=2), 2)
        for ploidy in np.unique(of_record).tolist():
            rows = np.flatnonzero(of_record == ploidy)
            some = codes if len(rows) == len(codes) else codes[rows]
            batch = self._batch([taken[row] for row in rows], ploidies[rows], calls[rows], halves[rows], ploidy)
            self._fill(some, batch)
            codes[rows] = some
        return codes

    def _batch(
        self,
        taken: list[tuple[np.ndarray | None, np.ndarray | None]],
        ploidies: np.ndarray,
        calls: np.ndarray,
        halves: np.ndarray,
        ploidy: int,
    ) -> _Batch:
        """Records of one ploidy, haploid and diploid ones together."""
        width = 2 if self.field in COUNTS else ploidy + 1
        values = np.full((*calls.shape, width), INT_END, np.int64)
        depths = np.full(calls.shape, -1, np.int64)
        for row, (value, depth) in enumerate(taken):
            if value is not None:
                values[row] = of_width(value, width)
            if depth is not None:
                depths[row] = depth
        haploid = ploidies == 1
        if self.field not in COUNTS and (ploidies == 0).any():
            haploid = haploid | ((ploidies == 0) & ((values != INT_END).sum(-1) == 2))
        n_expected = np.where(haploid | (self.field in COUNTS), 2, ploidy + 1)
        return _Batch(values, depths, n_expected, calls, halves, haploid, ploidy)

    def _fill(self, codes: np.ndarray, batch: _Batch) -> None:
        """Set the codes of the cells whose values can be used, in place; count the others by kind."""
        values, calls = batch.values, batch.calls
        visible = calls != MISSING
        is_dot = (values == INT_MISSING).any(-1)
        n_values = (values != INT_END).sum(-1)
        of_length = (n_values == batch.n_expected) & ~is_dot
        in_range = of_length & ((values >= 0) | (values == INT_END)).all(-1)
        self.n_read += int(np.count_nonzero(in_range & visible))
        levels, depths = self._levels(batch, in_range)
        flat = in_range & (levels.max(-1) == 0)
        no_reads = visible & (depths == 0) & (flat | ~in_range) | visible & flat & (depths < 0)
        usable = in_range & ~flat
        rules_out = usable & (levels >= RULED_OUT).any(-1) & visible
        at_call = np.take_along_axis(levels, np.maximum(calls, 0)[..., None].astype(np.int64), -1)[..., 0]
        against = rules_out & (at_call >= RULED_OUT)
        self.n_informative += int(rules_out.sum())
        self.n_agreeing += int((rules_out & ~against).sum())
        self.n_rescued += int(np.count_nonzero(usable & ~visible))
        left = visible & ~no_reads
        absent = is_dot | (n_values == 0)
        kinds = {
            found.NO_READS: no_reads,
            found.DOTS: left & absent,
            found.WRONG_LENGTH: ~of_length & ~absent,
            found.NEGATIVE: of_length & ~in_range,
            found.FLAT_WITH_READS: left & flat,
            found.CONTRADICTS: against,
        }
        self.broken.update({kind: int(np.count_nonzero(cells)) for kind, cells in kinds.items()})
        self.depth_counts += np.bincount(np.minimum(depths[depths > 0], DEEPEST), minlength=DEEPEST + 1)
        codes[no_reads] = FLAT
        self._encode(codes, batch, levels, usable & ~against)

    def _levels(self, batch: _Batch, in_range: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Phred levels relative to the best, int64 (b, n, C), 0 where there are none, and the depth of each cell; of
        polyploids phred values."""
        values = batch.values
        if self.field in COUNTS:
            counts = np.where(in_range[..., None], values, 0)
            if batch.ploidy > 2:
                logs = NOMINAL.log_likelihoods(counts[..., 0].ravel(), counts[..., 1].ravel(), batch.ploidy)
                phred = np.rint(-10 / np.log(10) * (logs - logs.max(1, keepdims=True))).astype(np.int64)
                return phred.reshape(*in_range.shape, -1), np.where(in_range, counts.sum(-1), -1)
            ref, alt = counts_of_keys(keys_of_counts(counts[..., 0], counts[..., 1]))
            return _nominal_phred()[ref, alt], np.where(in_range, counts.sum(-1), -1)
        phred = np.where(in_range[..., None] & (values != INT_END), values, MOST_PHRED)
        if batch.ploidy > 2:
            return np.minimum(phred - phred.min(-1, keepdims=True), LAST_PHRED - 1), batch.depths
        levels = levels_of(np.minimum(phred - phred.min(-1, keepdims=True), MOST_PHRED))
        levels[..., 2] = np.where(batch.haploid, levels[..., 1], levels[..., 2])
        levels[..., 1] = np.where(batch.haploid, levels.max(-1), levels[..., 1])  # no heterozygote to be told apart
        return np.where(in_range[..., None], levels, 0), batch.depths

    def _encode(self, codes: np.ndarray, batch: _Batch, levels: np.ndarray, usable: np.ndarray) -> None:
        """Set the codes of the cells of `usable`, bool (b, n), in place."""
        if self.field in COUNTS:
            chosen = usable & (batch.halves == 0)  # what a half-call shows is not said in counts
            counts = batch.values[chosen]
            keys = keys_of_counts(counts[:, 0], counts[:, 1])
            haploid = np.broadcast_to(batch.haploid, chosen.shape)[chosen]
            codes[chosen] = self.book.encode(keys + N_COUNTS * haploid)
            return
        levels[..., 1] = np.where(batch.haploid, LAST_LEVEL, levels[..., 1])
        levels = levels[usable]
        half = batch.halves[usable]
        if batch.ploidy > 2:
            levels[half == 1, -1] = LAST_PHRED
            levels[half == 2, 0] = LAST_PHRED
            codes[usable] = self.vectors[batch.ploidy].encode(levels)
            return
        levels[half == 1, 2] = LAST_LEVEL
        levels[half == 2, 0] = LAST_LEVEL
        codes[usable] = self.book.encode(keys_of_levels(levels))

    def evidence(self, ploidy: int, codes: np.ndarray) -> tuple[Evidence, ReadModel | None]:
        """What the codes, uint16 (N, L), stand for; counts by a model that is fitted to them."""
        special = special_table(ploidy)
        if self.field not in COUNTS:
            vectors = self.vectors[ploidy].likelihoods if ploidy > 2 else None
            likelihoods = likelihoods_of_keys(self.book.keys, ploidy + 1) if vectors is None else vectors
            return Evidence(codes, np.concatenate([special, likelihoods.reshape(-1, ploidy + 1)])), None
        haploid, keys = np.divmod(np.r_[np.zeros(FIRST_FREE, np.int64), self.book.keys], N_COUNTS)
        ref, alt = counts_of_keys(keys)
        if ploidy > 2:
            return evidence_of_counts(ref, alt, codes, special)
        rough = Evidence(codes, np.ones((len(ref), ploidy + 1), np.float32))
        tally = Tally.of(rough, some_loci(codes.shape[0], codes.shape[1], FITTED_CELLS))
        # In a diploid matrix to diploid cells alone, whose model the haploid ones' reads are then read by
        fitted = (np.arange(len(ref)) >= FIRST_FREE) & ((haploid == 0) | (ploidy == 1))
        model = fit_read_model(ref, alt, tally.of_codes(fitted), ploidy)
        table = model.likelihoods(ref, alt, ploidy)[FIRST_FREE:]
        if ploidy == 2:
            table = np.where(haploid[FIRST_FREE:, None], of_haploids(table), table)
        return Evidence(codes, np.concatenate([special, table])), model

    @property
    def agreement(self) -> float | None:
        """Share of the calls that the evidence says something of and agrees with; None where it says nothing."""
        return self.n_agreeing / self.n_informative if self.n_informative else None

    @property
    def median_depth(self) -> float | None:
        """Of cells with reads; None where no depth is known."""
        total = self.depth_counts.sum()
        return float(np.searchsorted(self.depth_counts.cumsum(), total / 2)) if total else None

    def refusal(self) -> str | None:
        """Why `auto` leaves this field, by what was read of it so far; None where it serves."""
        if not self.n_records or not self.n_read:
            return f"{self.field} is in no record"
        if self.n_read < LEAST_FILLED * self.n_visible:
            return f"{self.field} can be read at {self.n_read / self.n_visible:.0%} of the visible calls"
        if self.agreement is not None and self.agreement < LEAST_AGREEMENT:
            return f"{self.field} rules out {1 - self.agreement:.1%} of the calls"
        return None


def half_calls_alone(
    reader: FieldReader, codes: np.ndarray | None, genotypes: GenotypeMatrix, asked: Likelihoods, refused: list[str]
) -> tuple[Evidence | None, EvidenceReport]:
    """The evidence of a file without likelihoods: certain but for its half-calls; None where it has none of these."""
    reason = f"no likelihoods are used ({'; '.join(refused)})" if refused else "there are no likelihoods to use"
    n_halves = reader.n_half_calls
    evidence = None
    if n_halves:
        assert codes is not None  # they hold the half-calls
        evidence = _of_half_calls(codes, genotypes.calls, genotypes.ploidy)
    return evidence, EvidenceReport(None, False, reason, n_half_calls=n_halves)


def _of_half_calls(codes: np.ndarray, calls: np.ndarray, ploidy: int) -> Evidence:
    codes = np.where(np.isin(codes, (HAS_REF, HAS_ALT)), codes, call_codes(calls))
    return Evidence(codes, special_table(ploidy, 0.0))


def conclude(
    reader: FieldReader, codes: np.ndarray, genotypes: GenotypeMatrix, asked: Likelihoods, refused: list[str]
) -> tuple[Evidence | None, EvidenceReport]:
    """The evidence of a file, None where its calls are certain, and the report.

    codes: uint16 (N, L). refused: why `auto` left fields.
    """
    calls, ploidy = genotypes.calls, genotypes.ploidy
    because = f" ({'; '.join(refused)})" if refused else ""
    evidence, model = reader.evidence(ploidy, codes)
    wrong = expected_wrong(evidence, calls)
    n_missing = int(np.count_nonzero(calls == MISSING))
    used = asked != "auto" or wrong >= EXPECTED_WRONG or reader.n_rescued > RESCUED * n_missing
    share = f"{wrong:.2%} of the visible calls are expected to be wrong by {reader.field}"
    facts: dict[str, Any] = {
        "n_visible": calls.size - n_missing,
        "n_uncertain": evidence.n_uncertain(calls),
        "expected_wrong": wrong,
        "n_rescued": reader.n_rescued,
        "agreement": reader.agreement,
        "n_informative": reader.n_informative,
        "median_depth": reader.median_depth,
        "depths": tuple(reader.depth_counts[1:].tolist()),
        "broken": {kind: count for kind, count in reader.broken.items() if count},
        "error": model.error if model else None,
        "overdispersion": model.overdispersion if model else None,
        "n_half_calls": reader.n_half_calls,
        "left": tuple(refused),
    }
    if used:
        return evidence, EvidenceReport(
            reader.field, True, f"likelihoods from {reader.field}: {share}{because}", **facts
        )
    report = EvidenceReport(reader.field, False, f"calls are certain: {share}, so they are taken as they are", **facts)
    return (_of_half_calls(codes, calls, ploidy) if reader.n_half_calls else None), report


def with_evidence(
    genotypes: GenotypeMatrix, reader: FieldReader, codes: np.ndarray | None, asked: Likelihoods, refused: list[str]
) -> GenotypeMatrix:
    """The genotypes with what was read beside the calls; codes: uint16 (N, L), None where nothing was."""
    if reader.field is None:
        evidence, report = half_calls_alone(reader, codes, genotypes, asked, refused)
    else:
        assert codes is not None  # those of the field
        evidence, report = conclude(reader, codes, genotypes, asked, refused)
    return replace(genotypes, evidence=evidence, evidence_report=report)


def expected_wrong(evidence: Evidence, calls: np.ndarray) -> float:
    """The share of the visible calls, int8 (N, L), that are wrong as likelihoods and frequencies see it."""
    loci = some_loci(*calls.shape)
    some, calls = evidence.at_loci(loci), calls[:, loci]
    frequencies = evidence_frequencies(some)[-1]
    wrong, n_visible = 0.0, 0
    for row, own in enumerate(calls):
        visible = np.flatnonzero(own != MISSING)
        post = posterior(frequencies[visible], some.block(slice(row, row + 1), 0, len(loci))[0, visible])
        wrong += float((1 - post[np.arange(len(visible)), own[visible]]).sum())
        n_visible += len(visible)
    return wrong / max(n_visible, 1)


_NOMINAL_PHRED: list[np.ndarray] = []


def _nominal_phred() -> np.ndarray:
    """int64 (255, 255, 3): phred values of all counts under NOMINAL."""
    if not _NOMINAL_PHRED:
        ref, alt = (axis.ravel() for axis in np.indices((255, 255)))
        logs = NOMINAL.log_likelihoods(ref, alt, 2)
        phred = np.rint(-10 / np.log(10) * (logs - logs.max(1, keepdims=True))).astype(np.int64)
        _NOMINAL_PHRED.append(phred.reshape(255, 255, 3))
    return _NOMINAL_PHRED[0]
