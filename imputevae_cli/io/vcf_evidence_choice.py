"""Which field of a VCF is read as evidence, judged by the file's first records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from imputevae_cli.data.codebook import MAX_COUNT, Codebook, counts_of_keys, keys_of_counts
from imputevae_cli.data.evidence import FIRST_FREE
from imputevae_cli.data.evidence_frequencies import Tally
from imputevae_cli.data.read_model import ReadModel, assumed_error, likelier_than
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_evidence import COUNTS, FieldReader, Likelihoods
from imputevae_cli.io.vcf_fields import RecordFields
from imputevae_cli.io.vcf_values import values_of

IN_ORDER = ("PL", "GL", "AD", "CATG")
"""Fields that `auto` looks for, the best first. GP holds a prior already, and is taken only where asked for."""

IN_ORDER_OF_POLYPLOIDS = ("AD", "PL", "GL", "CATG")
"""Of polyploids read counts come first: callers' likelihoods know nothing of the bias of a locus."""

Probe = Callable[[FieldReader], None]
"""Gives a reader the first records of the file."""


def choose_field(
    asked: Likelihoods, name: str, n_samples: int, columns: np.ndarray, probe: Probe
) -> tuple[FieldReader | None, list[str]]:
    """What is to read the evidence, None for calls alone, and why `auto` left the fields that it left.

    Raises InputError for a field that was asked for and is not there.
    """
    if asked == "none":
        return None, []

    def probed(field: str) -> FieldReader:
        reader = FieldReader(field, n_samples, columns)
        probe(reader)
        return reader

    if asked != "auto":
        reader = probed(asked)
        if not reader.n_records:
            raise InputError(f"{name}: {reader.refusal()}; give --likelihoods auto, or the field that the file has")
        return FieldReader(asked, n_samples, columns), []
    finder = _KeyFinder(None, n_samples, columns)
    probe(finder)
    chosen, refused = None, []
    order = IN_ORDER if finder.ploidy <= 2 else IN_ORDER_OF_POLYPLOIDS
    for field in (field for field in order if field in finder.keys):
        reason = probed(field).refusal()
        if reason is None:
            chosen = field
            break
        refused.append(reason)
    if chosen is not None and chosen not in COUNTS:
        for field in (field for field in COUNTS if field in finder.keys):
            beside = _Beside(chosen, field, n_samples, columns)
            probe(beside)
            fault = beside.fault()
            if fault is not None and probed(field).refusal() is None:
                return FieldReader(field, n_samples, columns), [*refused, fault]
    return FieldReader(chosen, n_samples, columns), refused


class _KeyFinder(FieldReader):
    """Notes the FORMAT keys of the records, and their highest ploidy."""

    def __init__(self, field: str | None, n_samples: int, columns: np.ndarray):
        super().__init__(field, n_samples, columns)
        self.keys: set[str] = set()
        self.ploidy = 0

    def take(self, record: RecordFields, allele: int = 0) -> None:
        self.keys.update(record.keys)

    def decode(self, calls: np.ndarray, halves: np.ndarray, ploidies: np.ndarray, keep: np.ndarray) -> np.ndarray:
        self.ploidy = max(self.ploidy, int(ploidies.max(initial=0)))
        return super().decode(calls, halves, ploidies, keep)


class _Beside(FieldReader):
    """Holds a caller's likelihoods beside the read counts that the same cells of diploids have."""

    def __init__(self, likelihoods: str, counts: str, n_samples: int, columns: np.ndarray):
        super().__init__(None, n_samples, columns)
        self._fields = likelihoods, counts
        self._cells: list[tuple[np.ndarray, np.ndarray]] = []  # phred int64 (n, 3) and reads int64 (n, 2) by record

    def take(self, record: RecordFields, allele: int = 0) -> None:
        if "," in record.alt:  # likelihoods and reads are not those of two alleles
            return
        phred, reads = (values_of(record, field) for field in self._fields)
        if phred is None or reads is None or phred.shape[1] != 3 or reads.shape[1] != 2:
            return
        if self._columns is not None:
            phred, reads = phred[self._columns], reads[self._columns]
        both = (phred >= 0).all(1) & (reads >= 0).all(1) & (reads.sum(1) > 0)
        self._cells.append((phred[both], reads[both]))

    def fault(self) -> str | None:
        """What the likelihoods make of the counts that the counts themselves speak against; None where nothing is.

        That can be told only of likelihoods which follow from the counts and an error rate that is the same for all
        reads. Those of callers who went by the quality of each base say more than counts do.
        """
        if not self._cells:
            return None
        phred, reads = (np.concatenate(column) for column in zip(*self._cells, strict=True))
        error = assumed_error(phred - phred.min(1, keepdims=True), *reads.T)
        if error is None:
            return None
        locus = np.repeat(np.arange(len(self._cells)), [len(phred) for phred, _ in self._cells])
        book = Codebook((MAX_COUNT + 1) ** 2)
        codes = book.encode(keys_of_counts(*reads.T))
        ref, alt = (np.r_[np.zeros(FIRST_FREE, np.int64), counts] for counts in counts_of_keys(book.keys))
        tally = Tally.of_cells(locus, codes, np.ones((len(ref), 3), np.float32), len(self._cells))
        fitted = likelier_than(ReadModel(error), ref, alt, tally, ploidy=2)
        if fitted is None:
            return None
        likelihoods, counts = self._fields
        clumped = f" and an over-dispersion of {fitted.overdispersion:.3f}" if fitted.overdispersion else ""
        return (
            f"{likelihoods} follows from {counts} and an error rate of {error:.4f}, and the reads themselves show "
            f"{fitted.error:.4f}{clumped}"
        )
