"""Splicing the genotypes of a locus into the text of its record; all other text stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from operator import add
from typing import NamedTuple

import numpy as np

from imputevae_cli.data.genotypes import MISSING, ImputedBlock, ImputedBlocks
from imputevae_cli.data.ploidy import MOST_PLOIDY, genotype_texts
from imputevae_cli.io import vcf_info
from imputevae_cli.io.vcf_header import ADDED_FORMAT, REFINED_FORMAT

BLOCK_BYTES = 1 << 18  # what a block is computed from is some thirty times as large
KEPT = -2
"""In place of a call: the cell's genotype stays as it is, with a posterior beside it."""
PHASED = (b"0|0", b"0|1", b"1|1", b"1|0")


class Locus(NamedTuple):
    """One locus, ready to splice.

    calls: the filled calls, one for each sample. unknown: (sample, call, `:GP:DS:IMP`) for the samples whose call was
    missing, where it is still -1 if it stays so, and for visible ones with a posterior: KEPT, or the refined call.
    ac: ALT alleles among the calls. info: the info score, NaN where no call was imputed. phased: index into PHASED of
    each sample's call, -1 where it is missing; None where phases stay as they were. refined: samples whose visible
    call is rewritten. n_uncertain: visible calls with a posterior.
    """

    calls: list[int]
    unknown: list[tuple[int, int, bytes]]
    n_imputed: int
    ac: int
    info: float
    phased: list[int] | None = None
    refined: frozenset[int] = frozenset()
    n_uncertain: int = 0

    @property
    def missing(self) -> list[int]:
        """The samples whose call stays missing."""
        return [sample for sample, call, _ in self.unknown if call == MISSING]


def filled_loci(imputed: ImputedBlocks) -> Iterator[Locus]:
    """The loci of an imputation, in order; it is asked for blocks of BLOCK_BYTES."""
    genotypes = imputed.genotypes
    size = int(np.clip(BLOCK_BYTES // (2 * genotypes.n_classes * genotypes.n_samples), 16, 4096))
    for start in range(0, genotypes.n_loci, size):
        block = imputed.block(start, min(start + size, genotypes.n_loci))
        calls = np.ascontiguousarray(block.calls.T)  # (b, samples)
        told, new_calls, flags = _to_tell(block, calls)
        locus, sample = np.nonzero(told)  # in the order of the loci
        texts = suffixes(block.gp[sample, locus], flags[locus, sample])
        unknown = list(zip(sample.tolist(), new_calls[locus, sample].tolist(), texts, strict=True))
        ends = np.cumsum(told.sum(axis=1)).tolist()
        n_imputed = block.imputed.sum(axis=0).tolist()
        ac = np.where(calls > 0, calls, 0).sum(axis=1, dtype=np.int64).tolist()
        info = vcf_info.impute_info(block).tolist()
        phased = None
        if block.alt_first is not None and genotypes.ploidy == 2:
            phased = np.where((calls == 1) & block.alt_first.T, 3, calls)
        done = 0
        for j, end in enumerate(ends):
            phases = None if phased is None else phased[j].tolist()
            ready = Locus(calls[j].tolist(), unknown[done:end], n_imputed[j], ac[j], info[j], phases)
            if block.uncertain is not None and block.refined is not None:
                refined = frozenset(np.flatnonzero(block.refined[:, j]).tolist())
                ready = ready._replace(refined=refined, n_uncertain=int(block.uncertain[:, j].sum()))
            yield ready
            done = end


def _to_tell(block: ImputedBlock, calls: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells whose GP is not that of a certain call, bool (b, samples); their calls for `Locus.unknown`; IMP of each.

    calls: int8 (b, samples), those of the block.
    """
    was_missing = block.imputed.T | (calls == MISSING)
    if block.uncertain is None or block.refined is None:
        return was_missing, calls, block.imputed.T
    uncertain, refined = block.uncertain.T, block.refined.T
    flags = np.where(refined, 2, block.imputed.T.astype(np.int8))
    return was_missing | uncertain, np.where(uncertain & ~refined, KEPT, calls), flags


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
        return _long_suffixes(gp, imputed)
    if gp.shape[1] == 2:
        return [FIRST[a] + LAST[b] + LAST[b] + FLAG[imp] if a + b else NOTHING_KNOWN for (a, b), imp in cells]
    return [
        FIRST[a] + NEXT[b] + LAST[c] + LAST[b + 2 * c] + FLAG[imp] if a + b + c else NOTHING_KNOWN
        for (a, b, c), imp in cells
    ]


def _long_suffixes(gp: np.ndarray, imputed: np.ndarray) -> list[bytes]:
    """As `suffixes`, of polyploids."""
    doses = (gp.astype(np.int64) @ np.arange(gp.shape[1])).tolist()
    return [
        b":%b:%b:%b" % (b",".join([DECIMALS[chance] for chance in cell]), DECIMALS[dose], FLAG[imp])
        if any(cell)
        else NOTHING_KNOWN
        for cell, dose, imp in zip(gp.tolist(), doses, imputed.tolist(), strict=True)
    ]


class Splice:
    """Splices a locus's genotypes into the text of its record."""

    def __init__(self, ploidy: int, columns: list[int] | None, refines: bool = False):
        self._ploidy, self._columns, self._refines = ploidy, columns, refines
        self._added = REFINED_FORMAT if refines else ADDED_FORMAT
        self._known = suffixes(1000 * np.eye(ploidy + 1, dtype=np.uint16), np.zeros(ploidy + 1, bool))
        self._genotypes = [spelled.encode() for spelled in genotype_texts(ploidy)]
        self._no_call = b"/".join([b"."] * ploidy)

    def modelled(self, line: bytes, locus: Locus) -> bytes:
        """A modelled record's line with its missing calls filled and GP, DS and IMP added."""
        head, cells, end = self._split(line)
        keys = head[8].split(b":")
        keys, cells = self._tidied(line, head, keys, cells)
        old = [b":."] * len(cells)
        added = list(map(self._known.__getitem__, locus.calls))  # -1 picks one that is replaced below
        for sample, call, text in locus.unknown:
            added[sample] = text
            if call >= 0:
                if sample in locus.refined:
                    old[sample] = b":" + cells[sample].split(b":", 1)[0]
                cells[sample] = _with_genotype(cells[sample], self._genotypes[call])
        if locus.phased is not None:
            cells = [
                cell if phase == MISSING else _with_genotype(cell, PHASED[phase])
                for cell, phase in zip(cells, locus.phased, strict=True)
            ]
        head[7] = self._info(head[7], cells, locus)
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
            cells[sample] = self._no_call
        if vcf_info.counts_alleles(head[7]):
            counts = vcf_info.count_values(vcf_info.count_alleles(cells, 1))
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

    def _info(self, info: bytes, cells: list[bytes], locus: Locus) -> bytes:
        added = {b"NIMP": b"%d" % locus.n_imputed}
        if locus.n_imputed:
            added = {b"INFO": b"%.3f" % locus.info, **added}
        counts = {}
        if vcf_info.counts_alleles(info):
            missing = locus.missing
            called = len(cells) - len(missing)
            halves = vcf_info.count_alleles(_at(cells, missing), 1)  # what a half-call that stays still shows
            ac, an = locus.ac + halves.ac[0], called * self._ploidy + halves.an
            counted = vcf_info.AlleleCounts([ac], an, called + halves.ns, len(missing), len(cells))
            counts = vcf_info.count_values(counted)
        return vcf_info.update_info(info, counts, added)


def _with_genotype(cell: bytes, genotype: bytes) -> bytes:
    """A sample's cell with another GT, which is its first field."""
    colon = cell.find(b":")
    return genotype + cell[colon:] if colon >= 0 else genotype


def _at(items: list[bytes], index: list[int]) -> list[bytes]:
    """The items at `index`, as far as there are any."""
    return [items[i] for i in index if i < len(items)]


def _colons(line: bytes, head: list[bytes]) -> int:
    return line.count(b":") - sum(field.count(b":") for field in head)
