"""From blocks of imputed loci to records that are ready to splice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from imputevae_cli.data.alleles import doses, homozygotes
from imputevae_cli.data.alleles import genotypes as genotypes_in_order
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, ImputedBlocks, JointGenotypes
from imputevae_cli.io import vcf_info
from imputevae_cli.io.vcf_splice import KEPT, Record, RecordGenotypes, long_suffixes, suffixes

BLOCK_BYTES = 1 << 18  # what a block is computed from is some thirty times as large
_PHASED = (b"0|0", b"0|1", b"1|1", b"1|0", b"0", b"1")
"""Texts of biallelic genotypes: diploid ones, the other phase of a heterozygote, haploid ones."""


def filled_records(imputed: ImputedBlocks) -> Iterator[Record]:
    """The records of an imputation, in order; it is asked for blocks of `block_loci`, of whole records."""
    genotypes = imputed.genotypes
    for start, stop in genotypes.loci.blocks(block_loci(genotypes)):
        yield from records_of(imputed.block(start, stop), genotypes, start)


def block_loci(genotypes: GenotypeMatrix) -> int:
    """Loci of a block of BLOCK_BYTES."""
    return int(np.clip(BLOCK_BYTES // (2 * genotypes.n_classes * genotypes.n_samples), 16, 4096))


def records_of(block: ImputedBlock, genotypes: GenotypeMatrix, start: int) -> Iterator[Record]:
    """The records of a block that begins at locus `start`."""
    haploid = np.zeros(block.calls.shape, bool)
    if genotypes.haploid is not None:
        haploid = genotypes.haploid.block(start, start + block.calls.shape[1])
    info = vcf_info.impute_info(block, haploid).tolist()
    joint = {one.first: one for one in block.joint}
    single = np.ones(block.calls.shape[1], bool)
    for one in block.joint:
        single[one.first : one.first + one.n_alt] = False
    biallelic = _biallelic(block, haploid, genotypes.ploidy, info)
    for j in range(block.calls.shape[1]):
        if single[j]:
            yield next(biallelic)
        else:
            next(biallelic)
            if j in joint:
                yield _multiallelic(block, joint[j], haploid[:, j], genotypes.ploidy, info)


def _biallelic(block: ImputedBlock, haploid: np.ndarray, ploidy: int, info: list[float]) -> Iterator[Record]:
    """A record of each locus of a block; haploid: bool (samples, b)."""
    calls, haploid = np.ascontiguousarray(block.calls.T), np.ascontiguousarray(haploid.T)
    told, new_calls, flags = _to_tell(block, calls)
    locus, sample = np.nonzero(told)  # in the order of the loci
    numbers = _numbered(new_calls[locus, sample], haploid[locus, sample])
    texts = _texts(block.gp[sample, locus], flags[locus, sample], haploid[locus, sample])
    unknown = list(zip(sample.tolist(), numbers.tolist(), texts, strict=True))
    ends = np.cumsum(told.sum(axis=1)).tolist()
    n_imputed = block.imputed.sum(axis=0).tolist()
    known = calls >= 0
    ac = (np.where(known, calls, 0) >> haploid).sum(axis=1, dtype=np.int64).tolist()
    an = (ploidy * known - (known & haploid)).sum(axis=1, dtype=np.int64).tolist()
    all_numbers = _numbered(calls, haploid)
    phased = None
    if block.alt_first is not None and ploidy == 2:
        phased = np.where((calls == 1) & block.alt_first.T, 3, np.where(haploid & known, all_numbers + 1, calls))
    table = genotypes_of_record(ploidy, 1)
    done = 0
    for j, end in enumerate(ends):
        phases = None if phased is None else [None if p < 0 else _PHASED[p] for p in phased[j].tolist()]
        mine = unknown[done:end]
        ready = Record(table, all_numbers[j].tolist(), mine, n_imputed[j], [ac[j]], an[j], [info[j]], phases)
        yield _with_refined(ready, block, j)
        done = end


@cache
def genotypes_of_record(ploidy: int, n_alt: int) -> RecordGenotypes:
    """The genotypes of a record with so many ALT alleles."""
    return RecordGenotypes(ploidy, n_alt)


def _with_refined(record: Record, block: ImputedBlock, j: int) -> Record:
    """With what was refined at a locus of a block."""
    if block.uncertain is None or block.refined is None:
        return record
    refined = frozenset(np.flatnonzero(block.refined[:, j]).tolist())
    return record._replace(refined=refined, n_uncertain=int(block.uncertain[:, j].sum()))


def _numbered(calls: np.ndarray, haploid: np.ndarray) -> np.ndarray:
    """Biallelic calls by their number in `RecordGenotypes`: haploid ones, 0 and 2, come after the diploid ones."""
    return np.where(haploid & (calls >= 0), 3 + (calls >> 1), calls)


def _texts(gp: np.ndarray, flags: np.ndarray, haploid: np.ndarray) -> list[bytes]:
    """`:GP:DS:IMP` of biallelic cells, uint16 (M, C); haploid: bool (M,)."""
    if not haploid.any():
        return suffixes(gp, flags)
    texts = np.empty(len(gp), object)
    texts[haploid] = suffixes(gp[haploid][:, [0, -1]], flags[haploid])
    texts[~haploid] = suffixes(gp[~haploid], flags[~haploid])
    return texts.tolist()


def _to_tell(block: ImputedBlock, calls: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells whose GP is not that of a certain call, bool (b, samples); their calls for `Record.unknown`; IMP of each.

    calls: int8 (b, samples), those of the block.
    """
    was_missing = block.imputed.T | (calls == MISSING)
    if block.uncertain is None or block.refined is None:
        return was_missing, calls, block.imputed.T
    uncertain, refined = block.uncertain.T, block.refined.T
    flags = np.where(refined, 2, block.imputed.T.astype(np.int8))
    return was_missing | uncertain, np.where(uncertain & ~refined, KEPT, calls), flags


def _multiallelic(
    block: ImputedBlock, joint: JointGenotypes, haploid: np.ndarray, ploidy: int, info: list[float]
) -> Record:
    """The record of several ALT alleles whose loci begin at `joint.first` of a block; haploid: bool (samples,)."""
    j, n_alt = joint.first, joint.n_alt
    alleles = genotypes_in_order(n_alt, ploidy)
    calls = np.where(haploid & (joint.calls >= 0), len(alleles) + alleles[joint.calls, 0], joint.calls)
    told, new, flags = (part[0] for part in _to_tell(_locus_of(block, j), calls[None]))
    texts = np.empty(len(calls), object)
    is_haploid, is_diploid = told & haploid, told & ~haploid
    single = np.eye(n_alt + 1, dtype=np.int64)[:, 1:]
    if is_haploid.any():
        texts[is_haploid] = long_suffixes(joint.gp[is_haploid][:, homozygotes(n_alt)], single, flags[is_haploid])
    texts[is_diploid] = long_suffixes(joint.gp[is_diploid], doses(n_alt, ploidy), flags[is_diploid])
    samples = np.flatnonzero(told)
    unknown = list(zip(samples.tolist(), new[samples].tolist(), texts[samples].tolist(), strict=True))
    known = calls >= 0
    copies = np.where(known[:, None], block.calls[:, j : j + n_alt], 0) >> haploid[:, None]
    record = Record(
        genotypes_of_record(ploidy, n_alt),
        calls.tolist(),
        unknown,
        int(block.imputed[:, j].sum()),
        copies.sum(0, dtype=np.int64).tolist(),
        int((ploidy * known - (known & haploid)).sum()),
        info[j : j + n_alt],
    )
    if block.alt_first is not None and ploidy == 2:
        record = record._replace(phased=_phased(joint, block.alt_first[:, j : j + n_alt], haploid))
    return _with_refined(record, block, j)


def _locus_of(block: ImputedBlock, j: int) -> ImputedBlock:
    """One locus of a block."""
    uncertain, refined = (part if part is None else part[:, j : j + 1] for part in (block.uncertain, block.refined))
    here = slice(j, j + 1)
    return ImputedBlock(block.calls[:, here], block.gp[:, here], block.imputed[:, here], None, uncertain, refined)


def _phased(joint: JointGenotypes, alt_first: np.ndarray, haploid: np.ndarray) -> list[bytes | None]:
    """The texts of phased calls; alt_first: bool (samples, A), whether an ALT allele is on the first haplotype."""
    out: list[bytes | None] = []
    for call, first, alone in zip(joint.calls.tolist(), alt_first.tolist(), haploid.tolist(), strict=True):
        if call < 0:
            out.append(None)
            continue
        low, high = genotypes_in_order(joint.n_alt)[call].tolist()
        leads = first[low - 1] if low else not first[high - 1] if high else True  # whether the lesser allele is first
        a, b = (low, high) if leads else (high, low)
        out.append(b"%d" % a if alone else b"%d|%d" % (a, b))
    return out
