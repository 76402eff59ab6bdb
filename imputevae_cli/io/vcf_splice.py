"""Splicing filled genotypes into the text of their record; all other text stays as it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imputevae_cli.data.alleles import doses, genotypes, homozygotes
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.io import vcf_info
from imputevae_cli.io.kernel_cells import Texts, splice, suffixes
from imputevae_cli.io.vcf_header import ADDED_FORMAT, REFINED_FORMAT

KEPT = -1
"""In place of a genotype to be written: the cell's own stays as it is."""


class Record(NamedTuple):
    """One record of n samples, ready to splice.

    genotypes: those that it can hold; calls are their numbers. calls: the filled ones, int (n,), -1 where missing.
    new: int (n,), the genotype to be written, by its place in `genotypes.texts`; KEPT where the sample's own stays.
    endings: `:GP:DS:IMP` of cells, of this record and of others. ending: int (n,), which of them each sample has.
    ac: of each ALT allele among the calls; an: alleles of the calls. info: the info score of each ALT allele, NaN where
    no call was imputed. n_missing: calls that stay missing. refined: bool (n,), whose visible call is rewritten; None
    where calls are certain. n_uncertain: visible calls with a posterior.
    """

    genotypes: RecordGenotypes
    calls: np.ndarray
    new: np.ndarray
    endings: Texts
    ending: np.ndarray
    n_imputed: int
    n_missing: int
    ac: list[int]
    an: int
    info: list[float]
    refined: np.ndarray | None = None
    n_uncertain: int = 0


class RecordGenotypes:
    """The genotypes that a record can hold, by number: those of the matrix's ploidy in VCF's order, then, of diploids,
    the haploid ones.

    texts: as GT has them; of diploids, after these the phased ones, the first of which is at `phased`: 0|0, 0|1, ...,
    1|0, and so on. known: `:GP:DS:IMP` of each where it is certain. n_alt: ALT alleles.
    """

    def __init__(self, ploidy: int, n_alt: int):
        self.n_alt = n_alt
        texts, known = _written(ploidy, n_alt)
        if ploidy == 2:
            haploid, haploid_known = _written(1, n_alt)
            texts, known = texts + haploid, known.and_also(haploid_known)
        self.phased, self.known = len(texts), known
        alleles = range(n_alt + 1)
        self.texts = Texts.of(texts + [b"%d|%d" % (a, b) for a in alleles for b in alleles if ploidy == 2])


def _written(ploidy: int, n_alt: int) -> tuple[list[bytes], Texts]:
    """The genotypes of a ploidy, as GT has them, and `:GP:DS:IMP` of each where it is certain."""
    texts = [b"/".join([b"%d" % allele for allele in alleles]) for alleles in genotypes(n_alt, ploidy).tolist()]
    none = np.zeros(len(texts), bool)
    certain = 1000 * np.eye(len(texts), dtype=np.int64)
    return texts, suffixes(certain, none, doses(n_alt, ploidy), none, homozygotes(n_alt))


class Splice:
    """Splices filled genotypes into the text of their record."""

    def __init__(self, columns: list[int] | None, refines: bool = False):
        self._columns, self._refines = columns, refines
        self._added = REFINED_FORMAT if refines else ADDED_FORMAT

    def modelled(self, line: bytes, record: Record) -> bytes:
        """A modelled record's line with its missing calls filled and GP, DS and IMP added."""
        *head, cells = line.removesuffix(b"\r").split(b"\t", 9)
        end = b"\r" if line.endswith(b"\r") else b""
        keys = head[8].split(b":")
        kept = [i for i, key in enumerate(keys) if key not in self._added]
        if self._columns is not None or len(kept) < len(keys):
            cells = b"\t".join(self._chosen(cells, kept))
        head[7] = self._info(head[7], cells, record)
        head[8] = b":".join([*_at(keys, kept), *self._added])
        refined = record.refined if record.refined is not None else np.zeros(len(record.new), bool)
        genotypes, endings = (record.genotypes.texts, record.new), (record.endings, record.ending)
        text = splice(cells, len(kept), genotypes, endings, refined if self._refines else None)
        return b"\t".join([*head, text]) + end

    def _chosen(self, cells: bytes, kept: list[int]) -> list[bytes]:
        """The cells of the chosen samples, with the values at `kept` alone."""
        found = cells.split(b"\t")
        some = found if self._columns is None else _at(found, self._columns)
        return [b":".join(_at(cell.split(b":"), kept)) for cell in some]

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

    def _info(self, info: bytes, cells: bytes, record: Record) -> bytes:
        added = {b"NIMP": b"%d" % record.n_imputed}
        if record.n_imputed:
            added = {b"INFO": b",".join([b"%.3f" % score for score in record.info]), **added}
        counts = {}
        if vcf_info.counts_alleles(info):
            n_samples, stay = len(record.calls), []
            if record.n_missing:
                stay = _at(cells.split(b"\t"), np.flatnonzero(record.calls == MISSING).tolist())
            # What half-calls that stay still show
            halves = vcf_info.count_alleles(stay, record.genotypes.n_alt)
            ac, an = [own + half for own, half in zip(record.ac, halves.ac, strict=True)], record.an + halves.an
            called = n_samples - record.n_missing + halves.ns
            counts = vcf_info.count_values(vcf_info.AlleleCounts(ac, an, called, record.n_missing, n_samples))
        return vcf_info.update_info(info, counts, added)


def _no_call(cell: bytes) -> bytes:
    """A missing call with as many alleles as a sample's cell has."""
    genotype = cell.split(b":", 1)[0][1:]  # VCF 4.4 may begin it with its phase
    return b"/".join([b"."] * (1 + genotype.count(b"/") + genotype.count(b"|")))


def _at(items: list[bytes], index: list[int]) -> list[bytes]:
    """The items at `index`, as far as there are any."""
    return [items[i] for i in index if i < len(items)]
