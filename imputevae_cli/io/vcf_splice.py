"""Splicing filled genotypes into the text of their record; all other text stays as it is."""

from __future__ import annotations

from operator import add
from typing import NamedTuple

import numpy as np

from imputevae_cli.data.alleles import doses, genotypes
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.ploidy import MOST_PLOIDY
from imputevae_cli.io import vcf_info
from imputevae_cli.io.vcf_header import ADDED_FORMAT, REFINED_FORMAT

KEPT = -2
"""In place of a call: the cell's genotype stays as it is, with a posterior beside it."""


class Record(NamedTuple):
    """One record, ready to splice.

    genotypes: those that it can hold; calls are their numbers. calls: the filled ones, one for each sample. unknown:
    (sample, call, `:GP:DS:IMP`) for the samples whose call was missing, where it is still -1 if it stays so, and for
    visible ones with a posterior: KEPT, or the refined call. ac: of each ALT allele among the calls; an: alleles of the
    calls. info: the info score of each ALT allele, NaN where no call was imputed. phased: the text of each sample's
    call, None where it is missing; None where phases stay as they were. refined: samples whose visible call is
    rewritten. n_uncertain: visible calls with a posterior.
    """

    genotypes: RecordGenotypes
    calls: list[int]
    unknown: list[tuple[int, int, bytes]]
    n_imputed: int
    ac: list[int]
    an: int
    info: list[float]
    phased: list[bytes | None] | None = None
    refined: frozenset[int] = frozenset()
    n_uncertain: int = 0

    @property
    def missing(self) -> list[int]:
        """The samples whose call stays missing."""
        return [sample for sample, call, _ in self.unknown if call == MISSING]


DECIMALS = [
    f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".").encode() for thousandths in range(1000 * MOST_PLOIDY + 1)
]
"""0 to MOST_PLOIDY in thousandths, as text without trailing zeros."""
FIRST, NEXT, LAST = (
    [before + text + after for text in DECIMALS] for before, after in ((b":", b","), (b"", b","), (b"", b":"))
)
FLAG = (b"0", b"1", b"2")
NOTHING_KNOWN = b":.:.:0"


def suffixes(gp: np.ndarray, imputed: np.ndarray) -> list[bytes]:
    """`:GP:DS:IMP` of probabilities, uint16 (cells, classes), in thousandths, and of IMP, bool or int (cells,)."""
    cells = zip(gp.tolist(), imputed.tolist(), strict=True)
    if gp.shape[1] > 3:
        return long_suffixes(gp, np.arange(gp.shape[1])[:, None], imputed)
    if gp.shape[1] == 2:
        return [FIRST[a] + LAST[b] + LAST[b] + FLAG[imp] if a + b else NOTHING_KNOWN for (a, b), imp in cells]
    return [
        FIRST[a] + NEXT[b] + LAST[c] + LAST[b + 2 * c] + FLAG[imp] if a + b + c else NOTHING_KNOWN
        for (a, b, c), imp in cells
    ]


def long_suffixes(gp: np.ndarray, doses: np.ndarray, imputed: np.ndarray) -> list[bytes]:
    """As `suffixes`, of any number of genotypes; doses: int (classes, A), copies of each ALT allele in each."""
    cells = zip(gp.tolist(), (gp.astype(np.int64) @ doses).tolist(), imputed.tolist(), strict=True)
    return [
        b":%b:%b:%b" % (_decimals(chances), _decimals(dose), FLAG[imp]) if any(chances) else NOTHING_KNOWN
        for chances, dose, imp in cells
    ]


def _decimals(thousandths: list[int]) -> bytes:
    return b",".join([DECIMALS[value] for value in thousandths])


class RecordGenotypes:
    """The genotypes that a record can hold, by number: those of the matrix's ploidy in VCF's order, then, of diploids,
    the haploid ones.

    texts: as GT has them. known: `:GP:DS:IMP` of each where it is certain. n_alt: ALT alleles.
    """

    def __init__(self, ploidy: int, n_alt: int):
        self.n_alt = n_alt
        self.texts, self.known = _written(ploidy, n_alt)
        if ploidy == 2:
            texts, known = _written(1, n_alt)
            self.texts, self.known = self.texts + texts, self.known + known


def _written(ploidy: int, n_alt: int) -> tuple[list[bytes], list[bytes]]:
    """The genotypes of a ploidy, as GT has them, and `:GP:DS:IMP` of each where it is certain."""
    texts = [b"/".join([b"%d" % allele for allele in alleles]) for alleles in genotypes(n_alt, ploidy).tolist()]
    certain = 1000 * np.eye(len(texts), dtype=np.int64)
    return texts, long_suffixes(certain, doses(n_alt, ploidy), np.zeros(len(texts), int))


class Splice:
    """Splices filled genotypes into the text of their record."""

    def __init__(self, columns: list[int] | None, refines: bool = False):
        self._columns, self._refines = columns, refines
        self._added = REFINED_FORMAT if refines else ADDED_FORMAT

    def modelled(self, line: bytes, record: Record) -> bytes:
        """A modelled record's line with its missing calls filled and GP, DS and IMP added."""
        head, cells, end = self._split(line)
        keys = head[8].split(b":")
        keys, cells = self._tidied(line, head, keys, cells)
        old = [b":."] * len(cells)
        added = list(map(record.genotypes.known.__getitem__, record.calls))  # -1 picks one that is replaced below
        for sample, call, text in record.unknown:
            added[sample] = text
            if call >= 0:
                if sample in record.refined:
                    old[sample] = b":" + cells[sample].split(b":", 1)[0]
                cells[sample] = _with_genotype(cells[sample], record.genotypes.texts[call])
        if record.phased is not None:
            cells = [
                cell if phased is None else _with_genotype(cell, phased)
                for cell, phased in zip(cells, record.phased, strict=True)
            ]
        head[7] = self._info(head[7], cells, record)
        head[8] = b":".join([*keys, *self._added])
        if self._refines:
            added = list(map(add, added, old))
        return b"\t".join([*head, *map(add, cells, added)]) + end

    def _tidied(
        self, line: bytes, head: list[bytes], keys: list[bytes], cells: list[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """FORMAT keys and cells without what is to be added, and with trailing fields that were left out."""
        kept = [i for i, key in enumerate(keys) if key not in self._added]
        if len(kept) < len(keys):
            cells = [b":".join(_at(cell.split(b":"), kept)) for cell in cells]
        elif self._columns is None and _colons(line, head) == len(cells) * (len(keys) - 1):
            return keys, cells  # the common case, told without a look at each cell
        return _at(keys, kept), [cell + b":." * (len(kept) - 1 - cell.count(b":")) for cell in cells]

    def masked(self, line: bytes, hidden: list[int]) -> bytes:
        """A record's line without the calls of some samples: all that a cell says goes, likelihoods and depths too."""
        if not hidden:
            return line if self._columns is None else self.passed(line)
        head, cells, end = self._split(line)
        for sample in hidden:
            cells[sample] = _no_call(cells[sample])
        if vcf_info.counts_alleles(head[7]):
            counts = vcf_info.count_values(vcf_info.count_alleles(cells, head[4].count(b",") + 1))
            head[7] = vcf_info.update_info(head[7], counts)
        return b"\t".join([*head, *cells]) + end

    def passed(self, line: bytes) -> bytes:
        """A record that is not modelled, with the chosen samples alone and allele counts that fit them."""
        head, cells, end = self._split(line)
        if vcf_info.counts_alleles(head[7]) and head[8].split(b":")[0] == b"GT":
            n_alt = 0 if head[4] == b"." else head[4].count(b",") + 1
            counts = vcf_info.count_values(vcf_info.count_alleles(cells, n_alt))
            head[7] = vcf_info.update_info(head[7], counts)
        return b"\t".join([*head, *cells]) + end

    def _split(self, line: bytes) -> tuple[list[bytes], list[bytes], bytes]:
        end = b"\r" if line.endswith(b"\r") else b""
        fields = (line[:-1] if end else line).split(b"\t")
        cells = fields[9:]
        return fields[:9], cells if self._columns is None else _at(cells, self._columns), end

    def _info(self, info: bytes, cells: list[bytes], record: Record) -> bytes:
        added = {b"NIMP": b"%d" % record.n_imputed}
        if record.n_imputed:
            added = {b"INFO": b",".join([b"%.3f" % score for score in record.info]), **added}
        counts = {}
        if vcf_info.counts_alleles(info):
            missing = record.missing
            called = len(cells) - len(missing)
            # What half-calls that stay still show
            halves = vcf_info.count_alleles(_at(cells, missing), record.genotypes.n_alt)
            ac, an = [own + half for own, half in zip(record.ac, halves.ac, strict=True)], record.an + halves.an
            counted = vcf_info.AlleleCounts(ac, an, called + halves.ns, len(missing), len(cells))
            counts = vcf_info.count_values(counted)
        return vcf_info.update_info(info, counts, added)


def _no_call(cell: bytes) -> bytes:
    """A missing call with as many alleles as a sample's cell has."""
    genotype = cell.split(b":", 1)[0][1:]  # VCF 4.4 may begin it with its phase
    return b"/".join([b"."] * (1 + genotype.count(b"/") + genotype.count(b"|")))


def _with_genotype(cell: bytes, genotype: bytes) -> bytes:
    """A sample's cell with another GT, which is its first field."""
    colon = cell.find(b":")
    return genotype + cell[colon:] if colon >= 0 else genotype


def _at(items: list[bytes], index: list[int]) -> list[bytes]:
    """The items at `index`, as far as there are any."""
    return [items[i] for i in index if i < len(items)]


def _colons(line: bytes, head: list[bytes]) -> int:
    return line.count(b":") - sum(field.count(b":") for field in head)
