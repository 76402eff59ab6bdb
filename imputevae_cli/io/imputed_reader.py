"""Reading what another tool imputed: calls, probabilities and dosages of some cells, record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imputevae_cli.data.alleles import doses, homozygotes, loci_of
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.data.match_loci import match_loci
from imputevae_cli.data.ploidy import MOST_PLOIDY
from imputevae_cli.data.popmap import match_names, unknown_names
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_alleles import states_by_allele
from imputevae_cli.io.vcf_genotypes import CALL_OF, PLOIDY_OF, POLYPLOID
from imputevae_cli.io.vcf_records import Fixed, RecordBlock, VcfFile, open_vcf
from imputevae_cli.io.vcf_text import is_stream, spool
from imputevae_cli.log import NullProgress, Progress, logger


@dataclass
class ImputedCells:
    """Calls and probabilities that another file gives M cells.

    call: int8 (M,), -1 left missing. gp: float32 (M, C), NaN without; dosage: float32 (M,), NaN without.
    source: GP, DS or GT, the best that the file holds. n_lost: loci with cells that the file does not hold.
    filled: int8 (N, L), the input's known calls, and the file's calls where the input has none or has uncertain ones.
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

    Samples are matched by name, loci as `match_loci` does, exchanged alleles recoded. A cell of a locus
    that the file lacks is left missing. Raises InputError where the file cannot be read, lacks samples, or shares no
    locus.
    """
    name = "standard input" if str(path) == "-" else str(path)
    given = spool(path, name) if is_stream(path) else Path(path)
    file = open_vcf(given, name)
    column_of = {sample: i for i, sample in enumerate(file.header.samples)}
    name_of = match_names(genotypes.samples, file.header.samples)
    if lacking := [sample for sample in genotypes.samples if sample not in name_of]:
        there = unknown_names(lacking, file.header.samples, "sample")
        raise InputError(f"{name}: {there} not in it; give what was imputed from {genotypes.name}")
    columns = np.array([column_of[name_of[sample]] for sample in genotypes.samples])
    with (progress or NullProgress()).task("reading", 0) as task:
        places = _places(file, genotypes)
        reading = _Reading(name, genotypes, columns, samples, loci)
        for block in open_vcf(file.path, name, again=True).blocks():
            for i, loci_of_record in enumerate(places[block.first : block.first + len(block)]):
                for place in loci_of_record:
                    reading.take(block, i, place)
            task.advance(len(block))
    return reading.cells()


class _Place(NamedTuple):
    """A locus of the input, which of the record's ALT alleles it counts, from 0 on, and whether REF and ALT are
    exchanged."""

    locus: int
    allele: int
    swapped: bool


def _places(file: VcfFile, genotypes: GenotypeMatrix) -> list[list[_Place]]:
    """For each record its loci in `genotypes`."""
    found: list[tuple[Fixed, str]] = []
    numbers: list[tuple[int, int]] = []
    n_records = 0
    for block in file.blocks():
        for i, fixed in enumerate(block.fixed):
            alts = loci_of(fixed.alt) if fixed.n_alt else []
            for allele, name in enumerate(alts):
                found.append((fixed, name))
                numbers.append((block.first + i, allele))
        n_records += len(block)
    chrom, ref, ids = (
        np.array([getattr(fixed, column) for fixed, _ in found], object) for column in ("chrom", "ref", "id")
    )
    alt = np.array([name for _, name in found], object)
    theirs = Loci(chrom, np.array([fixed.pos for fixed, _ in found], np.int64), ref, alt, ids=ids)
    index, swapped, ambiguous = match_loci(genotypes.loci, theirs)
    if ambiguous.any():
        logger.warning(
            "%s: %d of its loci cannot be told apart by chromosome, position, REF, ALT and ID, and are not scored",
            file.name, ambiguous.sum(),
        )  # fmt: skip
    if (index < 0).all():
        raise InputError(
            f"{file.name}: none of its loci is in {genotypes.name} (by chromosome, position, REF and ALT, then ID); "
            "give what was imputed from it"
        )
    places: list[list[_Place]] = [[] for _ in range(n_records)]
    for locus in np.flatnonzero(index >= 0).tolist():
        record, allele = numbers[index[locus]]
        places[record].append(_Place(locus, allele, bool(swapped[locus])))
    return places


class _Reading:
    """The cells, filled record by record."""

    def __init__(
        self, name: str, genotypes: GenotypeMatrix, columns: np.ndarray, samples: np.ndarray, loci: np.ndarray
    ):
        n_cells = len(loci)
        self._name, self._ploidy, self._filled = name, genotypes.ploidy, genotypes.calls.copy()
        self._may_change = genotypes.visible_calls_are_uncertain
        self._columns, self._samples = columns, samples
        self._edges = np.searchsorted(loci, np.arange(genotypes.n_loci + 1))
        self._haploid = genotypes.haploid
        self._found = np.zeros(genotypes.n_loci, bool)
        self._call = np.full(n_cells, MISSING, np.int8)
        self._gp = np.full((n_cells, genotypes.n_classes), np.nan, np.float32)
        self._dosage = np.full(n_cells, np.nan, np.float32)
        self._has_gp = self._has_ds = False
        self._n_changed = 0

    def take(self, block: RecordBlock, i: int, place: _Place) -> None:
        """Keep what the i-th record of a block says of the cells of a locus."""
        locus, allele, swapped = place
        self._found[locus] = True
        cells = slice(self._edges[locus], self._edges[locus + 1])
        samples, keys = self._samples[cells], block.fixed[i].format.split(b":")
        where, n_alt = block.where(i), block.fixed[i].n_alt
        fields: dict[bytes, np.ndarray] = {}
        if len(samples) and not {b"GP", b"DS"}.isdisjoint(keys):
            texts = block.cells(i)
            parted = [texts[column].split(b":") for column in self._columns[samples].tolist()]
            fields = {key: _numbers(parted, keys, key, where) for key in (b"GP", b"DS") if key in keys}
        haploid = np.zeros(len(samples), bool)
        if self._haploid is not None:
            haploid = self._haploid.of_cells(samples, np.full(len(samples), locus))
        if b"GP" in fields:
            gp = self._probabilities(fields[b"GP"], haploid, n_alt, where)
            gp = _of_allele(gp, allele, n_alt, self._ploidy)
            self._gp[cells] = gp[:, ::-1] if swapped else gp
            self._has_gp = True
        if b"DS" in fields:
            dosage = _column(fields[b"DS"], allele)
            dosage = np.where(haploid, 2 * dosage, dosage)  # as if of two copies, like the calls
            self._dosage[cells] = self._ploidy - dosage if swapped else np.where(dosage < 0, np.nan, dosage)
            self._has_ds = True
        if block.fixed[i].has_gt:
            calls = self._calls(block, i, place)
            calls = np.where(calls == MISSING, MISSING, self._ploidy - calls) if swapped else calls
            column = self._filled[:, locus]
            missing = column == MISSING
            self._n_changed += int((~missing & (calls != column)).sum())
            taken = missing | ((calls != MISSING) & self._may_change)
            column[taken] = calls[taken]
            self._call[cells] = calls[samples]
        elif b"GP" in keys:
            gp = self._gp[cells]
            self._call[cells] = np.where(np.isfinite(gp[:, 0]), np.nan_to_num(gp).argmax(1), MISSING)

    def _calls(self, block: RecordBlock, i: int, place: _Place) -> np.ndarray:
        """Calls of all samples, int8 (N,)."""
        states = block.states(np.array([i]))[0, self._columns]
        if block.fixed[i].n_alt > 1:
            states = states_by_allele(block, i, states, self._columns)[place.allele]
        calls = CALL_OF[states]
        bits = PLOIDY_OF[states].astype(int)
        wanted = np.full(len(calls), self._ploidy)
        if self._haploid is not None:
            haploid = self._haploid.block(place.locus, place.locus + 1)[:, 0]
            calls = np.where(haploid & (bits == 1) & (calls == 1), 2, calls)
            wanted = np.where(haploid & (bits == 1), 1, wanted)  # other tools write them as homozygotes
        known = (calls != MISSING) | (states == POLYPLOID) | (bits > 2)
        if (wrong := known & (bits != 1 << (wanted - 1))).any():
            bit = int(bits[wrong][0])
            shown = bit.bit_length() if bit else f"more than {MOST_PLOIDY}"
            raise InputError(f"{block.where(i)} has a call of ploidy {shown}, where the input has {wanted[wrong][0]}")
        return calls

    def _probabilities(self, gp: np.ndarray, haploid: np.ndarray, n_alt: int, where: str) -> np.ndarray:
        """Probabilities of the genotypes of the matrix's ploidy, float32 (m, G), in VCF's order, from those given."""
        expected = len(doses(n_alt, self._ploidy))
        if haploid.any():
            gp = _with_haploid(gp, haploid, n_alt)
        if gp.shape[1] != expected:
            raise InputError(f"{where} has {gp.shape[1]} values of GP a cell, where {expected} are needed")
        total = gp.sum(1, keepdims=True)
        given = total[np.isfinite(total)]
        if (gp < 0).any() or (given > 1.1).any():
            raise InputError(f"{where} has GP that are no probabilities; give them as shares, not in Phred scale")
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(np.abs(total - 1) < 1e-4, gp, gp / total)  # those of three decimals stay as they are
        return np.where(total > 0, shares, np.float32(np.nan))

    def cells(self) -> ImputedCells:
        """All that was read."""
        n_lost = int(((np.diff(self._edges) > 0) & ~self._found).sum())
        source = "GP" if self._has_gp else "DS" if self._has_ds else "GT"
        return ImputedCells(self._call, self._gp, self._dosage, source, self._filled, n_lost, self._n_changed)


def _with_haploid(gp: np.ndarray, haploid: np.ndarray, n_alt: int) -> np.ndarray:
    """GP (m, w) as diploid ones: haploid cells, bool (m,), that have a value for each allele are homozygotes."""
    out = np.full((len(gp), len(doses(n_alt))), np.nan, np.float32)
    shared = min(gp.shape[1], out.shape[1])
    out[:, :shared] = gp[:, :shared]
    alone = haploid & np.isfinite(gp[:, : n_alt + 1]).all(1) & ~np.isfinite(gp[:, n_alt + 1 :]).any(1)
    out[alone] = 0
    out[np.ix_(alone, homozygotes(n_alt))] = gp[alone, : n_alt + 1]
    return out


def _of_allele(gp: np.ndarray, allele: int, n_alt: int, ploidy: int) -> np.ndarray:
    """Probabilities of the count of one ALT allele, float32 (m, C), from those of genotypes in VCF's order, (m, G)."""
    if n_alt == 1:
        return gp
    dose = doses(n_alt, ploidy)[:, allele]
    return np.stack([gp[:, dose == count].sum(1) for count in range(ploidy + 1)], 1)


def _column(values: np.ndarray, at: int) -> np.ndarray:
    """A column of values, float32 (m, w), NaN where there are not so many."""
    return values[:, at] if at < values.shape[1] else np.full(len(values), np.nan, np.float32)


def _numbers(cells: list[list[bytes]], keys: list[bytes], key: bytes, where: str) -> np.ndarray:
    """A FORMAT field of some cells, float32 (m, values), NaN where missing."""
    at = keys.index(key)
    texts = [cell[at] if at < len(cell) else b"." for cell in cells]
    try:
        rows = [[np.nan if part == b"." else float(part) for part in text.split(b",")] for text in texts]
    except ValueError:
        raise InputError(f"{where} has values of {key.decode()} that are no numbers") from None
    width = max(map(len, rows), default=1)
    return np.array([row + [np.nan] * (width - len(row)) for row in rows], np.float32).reshape(-1, width)
