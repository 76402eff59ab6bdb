"""Reading what another tool imputed: calls, probabilities and dosages of some cells, record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.data.match_loci import LocusFinder
from imputevae_cli.data.popmap import unknown_names
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_reader import check_vcf, open_records
from imputevae_cli.io.vcf_text import is_stream, spool
from imputevae_cli.log import NullProgress, Progress


@dataclass
class ImputedCells:
    """What a file says of M cells.

    call: int8 (M,), -1 left missing. gp: float32 (M, C), NaN without; dosage: float32 (M,), NaN without.
    source: GP, DS or GT, the best that the file holds. n_lost: loci with cells that the file does not hold.
    filled: int8 (N, L), the input's known calls, and the file's calls where the input has none.
    n_changed: calls that were known in the input and are others in the file.
    """

    call: np.ndarray
    gp: np.ndarray
    dosage: np.ndarray
    source: str
    filled: np.ndarray
    n_lost: int
    n_changed: int


def read_imputed(
    path: str | Path,
    genotypes: GenotypeMatrix,
    samples: np.ndarray,
    loci: np.ndarray,
    progress: Progress | None = None,
) -> ImputedCells:
    """GT, GP and DS of the cells (samples, loci), int (M,), loci rising, in the order of `genotypes`.

    Samples are matched by name, loci by chromosome, position, REF and ALT, exchanged alleles recoded. A cell of a locus
    that the file lacks is left missing. Raises InputError where the file cannot be read, lacks samples, or shares no
    locus.
    """
    name = "standard input" if str(path) == "-" else str(path)
    file = spool(path, name) if is_stream(path) else Path(path)
    check = check_vcf(file, name)
    column_of = {sample: i for i, sample in enumerate(check.samples)}
    if lacking := [sample for sample in genotypes.samples if sample not in column_of]:
        there = unknown_names(lacking, check.samples, "sample")
        raise InputError(f"{name}: {there} not in it; give what was imputed from {_name(genotypes)}")
    columns = np.array([column_of[sample] for sample in genotypes.samples])
    reading = _Reading(name, genotypes, columns, samples, loci)
    finder = LocusFinder(genotypes.loci)
    with (
        (progress or NullProgress()).task("reading", check.n_records or 0) as task,
        open_records(file, name) as records,
    ):
        for record in records:
            alts = record.ALT
            if len(alts) == 1:
                place, swapped = finder.find(record.CHROM, record.POS, record.REF, alts[0])
                if place >= 0:
                    reading.take(record, place, swapped)
            task.advance()
    if not reading.found.any():
        raise InputError(
            f"{name}: none of its loci is in {_name(genotypes)} (by chromosome, position, REF and ALT); "
            "give what was imputed from it"
        )
    return reading.cells()


class _Reading:
    """The cells, filled record by record."""

    def __init__(
        self, name: str, genotypes: GenotypeMatrix, columns: np.ndarray, samples: np.ndarray, loci: np.ndarray
    ):
        n_cells = len(loci)
        self._name, self._ploidy, self._filled = name, genotypes.ploidy, genotypes.calls.copy()
        self._columns, self._samples = columns, samples
        self._edges = np.searchsorted(loci, np.arange(genotypes.n_loci + 1))
        self.found = np.zeros(genotypes.n_loci, bool)
        self._call = np.full(n_cells, MISSING, np.int8)
        self._gp = np.full((n_cells, genotypes.n_classes), np.nan, np.float32)
        self._dosage = np.full(n_cells, np.nan, np.float32)
        self._has_gp = self._has_ds = False
        self._n_changed = 0

    def take(self, record, place: int, swapped: bool) -> None:
        """Keep what a record says of the cells of the locus `place`."""
        self.found[place] = True
        cells = slice(self._edges[place], self._edges[place + 1])
        samples, keys = self._samples[cells], record.FORMAT or []
        columns = self._columns[samples]
        if "GP" in keys and len(samples):
            gp = self._probabilities(record, columns)
            self._gp[cells] = gp[:, ::-1] if swapped else gp
            self._has_gp = True
        if "DS" in keys and len(samples):
            dosage = self._numbers(record, "DS", columns)[:, 0]
            self._dosage[cells] = self._ploidy - dosage if swapped else np.where(dosage < 0, np.nan, dosage)
            self._has_ds = True
        if "GT" in keys:
            calls = self._calls(record)
            calls = np.where(calls == MISSING, MISSING, self._ploidy - calls) if swapped else calls
            column = self._filled[:, place]
            missing = column == MISSING
            self._n_changed += int((~missing & (calls != column)).sum())
            column[missing] = calls[missing]
            self._call[cells] = calls[samples]
        elif "GP" in keys:
            gp = self._gp[cells]
            self._call[cells] = np.where(np.isfinite(gp[:, 0]), np.nan_to_num(gp).argmax(1), MISSING)

    def _calls(self, record) -> np.ndarray:
        """Calls of all samples, int8 (N,)."""
        alleles = record.genotype.array()[self._columns, :-1]  # -1 missing, -2 padding of a haploid call
        calls = np.where((alleles == -1).any(1), MISSING, (alleles > 0).sum(1)).astype(np.int8)
        ploidy = (alleles != -2).sum(1)
        if (wrong := (calls != MISSING) & (ploidy != self._ploidy)).any():
            raise self._error(record, f"a call of ploidy {ploidy[wrong][0]}, where the input has {self._ploidy}")
        return calls

    def _probabilities(self, record, columns: np.ndarray) -> np.ndarray:
        gp = self._numbers(record, "GP", columns)
        if gp.shape[1] != self._ploidy + 1:
            raise self._error(record, f"{gp.shape[1]} values of GP a cell, where {self._ploidy + 1} are needed")
        total = gp.sum(1, keepdims=True)
        given = total[np.isfinite(total)]
        if (gp < 0).any() or (given > 1.1).any():
            raise self._error(record, "GP that are no probabilities; give them as shares, not in Phred scale")
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(np.abs(total - 1) < 1e-4, gp, gp / total)  # those of three decimals stay as they are
        return np.where(total > 0, shares, np.float32(np.nan))

    def _numbers(self, record, key: str, columns: np.ndarray) -> np.ndarray:
        """A FORMAT field of some samples, float32 (m, values), NaN where missing; as text where it is undeclared."""
        values = record.format(key)[columns]
        if values.dtype.kind != "U":
            return values.astype(np.float32)
        try:
            cells = [[np.nan if part == "." else float(part) for part in text.split(",")] for text in values.tolist()]
        except ValueError:
            raise self._error(record, f"values of {key} that are no numbers") from None
        width = max(map(len, cells), default=1)
        return np.array([cell + [np.nan] * (width - len(cell)) for cell in cells], np.float32).reshape(-1, width)

    def _error(self, record, what: str) -> InputError:
        return InputError(f"{self._name}: record at {record.CHROM}:{record.POS} has {what}")

    def cells(self) -> ImputedCells:
        """All that was read."""
        n_lost = int(((np.diff(self._edges) > 0) & ~self.found).sum())
        source = "GP" if self._has_gp else "DS" if self._has_ds else "GT"
        return ImputedCells(self._call, self._gp, self._dosage, source, self._filled, n_lost, self._n_changed)


def _name(genotypes: GenotypeMatrix) -> str:
    return genotypes.source.name if genotypes.source else "the input"
