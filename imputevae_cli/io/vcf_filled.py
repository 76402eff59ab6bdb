"""From blocks of imputed loci to records that are ready to splice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from imputevae_cli.background import background
from imputevae_cli.data.alleles import doses, homozygotes
from imputevae_cli.data.alleles import genotypes as genotypes_in_order
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, ImputedBlocks, JointGenotypes
from imputevae_cli.io import vcf_info
from imputevae_cli.io.kernel_cells import Texts, suffixes
from imputevae_cli.io.vcf_splice import KEPT, Record, RecordGenotypes

BLOCK_BYTES = 1 << 18  # what a block is computed from is some thirty times as large


def filled_records(imputed: ImputedBlocks, threads: int = 1) -> Iterator[Record]:
    """The records of an imputation, in order; it is asked for blocks of `block_loci`, of whole records.

    threads: with more than one, each block is filled while the records of the one before are written.
    """
    genotypes = imputed.genotypes
    blocks = genotypes.loci.blocks(block_loci(genotypes))
    with background(threads) as begin:
        filled = ((start, begin(partial(imputed.block, start, stop))) for start, stop in blocks)
        coming = next(filled, None)
        while coming is not None:
            start, block = coming
            done = block()
            coming = next(filled, None)
            yield from records_of(done, genotypes, start)


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
    told, shown, flags = _to_tell(block, calls)
    locus, sample = np.nonzero(told)  # in the order of the loci
    cells = block.gp[sample, locus], flags[locus, sample]
    texts = suffixes(*cells, doses(1, ploidy), haploid[locus, sample], np.array([0, ploidy]))
    known = calls >= 0
    n_imputed, n_missing = block.imputed.sum(axis=0).tolist(), (~known).sum(axis=1).tolist()
    ac = (np.where(known, calls, 0) >> haploid).sum(axis=1, dtype=np.int64).tolist()
    an = (ploidy * known - (known & haploid)).sum(axis=1, dtype=np.int64).tolist()
    numbers, table = _numbered(calls, haploid), genotypes_of_record(ploidy, 1)
    new = np.where(told & shown, numbers, KEPT)
    if block.alt_first is not None and ploidy == 2:
        phased = table.phased + np.array([0, 1, 3, 2])[np.where((calls == 1) & block.alt_first.T, 3, calls)]
        new = np.where(known, np.where(haploid, numbers, phased), KEPT)
    endings, ending = _endings(table, numbers, told, texts)
    for j in range(len(calls)):
        counts = n_imputed[j], n_missing[j], [ac[j]], an[j], [info[j]]
        yield _with_refined(Record(table, numbers[j], new[j], endings, ending[j], *counts), block, j)


def _endings(table: RecordGenotypes, numbers: np.ndarray, told: np.ndarray, texts: Texts) -> tuple[Texts, np.ndarray]:
    """`:GP:DS:IMP` of certain calls and of those that are told, and which of them each cell has, int64 (b, samples).

    numbers: int (b, samples), the calls. told: bool (b, samples), cells with a text of their own, in this order.
    """
    n_known = len(table.known.ends) - 1
    return table.known.and_also(texts), np.where(told, n_known - 1 + told.cumsum().reshape(told.shape), numbers)


@cache
def genotypes_of_record(ploidy: int, n_alt: int) -> RecordGenotypes:
    """The genotypes of a record with so many ALT alleles."""
    return RecordGenotypes(ploidy, n_alt)


def _with_refined(record: Record, block: ImputedBlock, j: int) -> Record:
    """With what was refined at a locus of a block."""
    if block.uncertain is None or block.refined is None:
        return record
    return record._replace(refined=block.refined[:, j], n_uncertain=int(block.uncertain[:, j].sum()))


def _numbered(calls: np.ndarray, haploid: np.ndarray) -> np.ndarray:
    """Biallelic calls by their number in `RecordGenotypes`: haploid ones, 0 and 2, come after the diploid ones."""
    return np.where(haploid & (calls >= 0), 3 + (calls >> 1), calls)


def _to_tell(block: ImputedBlock, calls: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells whose GP is not that of a certain call, bool (b, samples); those whose call is shown, if they are such;
    IMP of each.

    calls: int8 (b, samples), those of the block.
    """
    was_missing, is_known = block.imputed.T | (calls == MISSING), calls != MISSING
    if block.uncertain is None or block.refined is None:
        return was_missing, is_known, block.imputed.T
    uncertain, refined = block.uncertain.T, block.refined.T
    flags = np.where(refined, 2, block.imputed.T.astype(np.int8))
    return was_missing | uncertain, is_known & (refined | ~uncertain), flags


def _multiallelic(
    block: ImputedBlock, joint: JointGenotypes, haploid: np.ndarray, ploidy: int, info: list[float]
) -> Record:
    """The record of several ALT alleles whose loci begin at `joint.first` of a block; haploid: bool (samples,)."""
    j, n_alt = joint.first, joint.n_alt
    alleles, table = genotypes_in_order(n_alt, ploidy), genotypes_of_record(ploidy, n_alt)
    known = joint.calls >= 0
    numbers = np.where(haploid & known, len(alleles) + alleles[joint.calls, 0], joint.calls)
    told, shown, flags = (part[0] for part in _to_tell(_locus_of(block, j), numbers[None]))
    texts = suffixes(joint.gp[told], flags[told], doses(n_alt, ploidy), haploid[told], homozygotes(n_alt))
    new = np.where(told & shown, numbers, KEPT)
    if block.alt_first is not None and ploidy == 2:
        phased = _phased(joint, block.alt_first[:, j : j + n_alt], table)
        new = np.where(known, np.where(haploid, numbers, phased), KEPT)
    copies = np.where(known[:, None], block.calls[:, j : j + n_alt], 0) >> haploid[:, None]
    record = Record(
        table,
        numbers,
        new,
        *_endings(table, numbers, told, texts),
        int(block.imputed[:, j].sum()),
        int((~known).sum()),
        copies.sum(0, dtype=np.int64).tolist(),
        int((ploidy * known - (known & haploid)).sum()),
        info[j : j + n_alt],
    )
    return _with_refined(record, block, j)


def _locus_of(block: ImputedBlock, j: int) -> ImputedBlock:
    """One locus of a block."""
    uncertain, refined = (part if part is None else part[:, j : j + 1] for part in (block.uncertain, block.refined))
    here = slice(j, j + 1)
    return ImputedBlock(block.calls[:, here], block.gp[:, here], block.imputed[:, here], None, uncertain, refined)


def _phased(joint: JointGenotypes, alt_first: np.ndarray, table: RecordGenotypes) -> np.ndarray:
    """The places in `table.texts` of phased calls, int64 (n,), of no use where a call is missing.

    alt_first: bool (samples, A), whether an ALT allele is on the first haplotype.
    """
    low, high = genotypes_in_order(joint.n_alt)[joint.calls].T
    sample = np.arange(len(low))
    # Whether the lesser allele is first
    leads = np.where(low > 0, alt_first[sample, low - 1], (high == 0) | ~alt_first[sample, high - 1])
    first, second = np.where(leads, low, high), np.where(leads, high, low)
    return np.asarray(table.phased + first * (joint.n_alt + 1) + second)
