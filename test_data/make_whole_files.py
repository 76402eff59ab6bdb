"""Make mixed_ploidy.vcf.gz and several_alt.vcf.gz with their indexes: the same bytes each time.

mixed_ploidy: 24 females and 24 males. Males are haploid on chrX, but for its first loci, which both sexes have twice,
and on chrY, where females have no call; all are haploid on chrM. One record of chrX has a male with two alleles.
several_alt: two in five records have two or three ALT alleles, `*` among them; calls are made from a few reads, and
have PL.

Run: python test_data/make_whole_files.py
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pysam
from make_test_data import founder_haplotypes, mosaic, record

SEED = 20241
N_SAMPLES = 48
MISSING_RATE = 0.2
BOTH_SEXES_TWICE = 15
"""First loci of chrX where males are diploid."""
MIXED = {"chr1": 100, "chrX": 75, "chrY": 12, "chrM": 12}
"""Contig -> records of mixed_ploidy."""
N_RECORDS = 100
"""Of several_alt."""
DEPTH, READ_ERROR = 4, 0.01
HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##source=make_whole_files.py
{contigs}
##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count in genotypes">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Total number of alleles in called genotypes">
##INFO=<ID=NS,Number=1,Type=Integer,Description="Number of samples with data">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods of the genotypes in phred">
"""


def haplotypes(rng: np.random.Generator, n_haplotypes: int, n_loci: int) -> np.ndarray:
    """Alleles, int (haplotypes, loci): mosaics of a few founders."""
    founders = founder_haplotypes(rng, n_loci)[0]
    founders = np.concatenate([founders, founder_haplotypes(rng, n_loci)[1]])
    founders[0], founders[1] = 0, 1  # every locus varies
    return np.stack([mosaic(rng, founders, 1000 * np.arange(n_loci), 1000 * n_loci) for _ in range(n_haplotypes)])


def line_of(chrom: str, pos: int, alt: str, cells: list[str]) -> str:
    """A record of GT alone."""
    return record(chrom, pos, "A", alt, cells).replace("\tGT:DP\t", "\tGT\t")


def mixed_ploidy() -> tuple[dict[str, int], list[str]]:
    """Contigs with their lengths, and records."""
    rng = np.random.default_rng(SEED)
    is_male = np.arange(N_SAMPLES) % 2 == 1
    lines = []
    for chrom, n_loci in MIXED.items():
        pairs = haplotypes(rng, 2 * N_SAMPLES, n_loci).reshape(N_SAMPLES, 2, n_loci)
        missing = rng.random((N_SAMPLES, n_loci)) < MISSING_RATE
        for j in range(n_loci):
            haploid = is_male if chrom in ("chrX", "chrY") else np.full(N_SAMPLES, chrom == "chrM")
            if chrom == "chrX":
                haploid = haploid & (j >= BOTH_SEXES_TWICE) & ~((j == 40) & (np.arange(N_SAMPLES) == 3))
            cells = []
            for sample in range(N_SAMPLES):
                a, b = sorted(pairs[sample, :, j].tolist())
                gone = missing[sample, j] or (chrom == "chrY" and not is_male[sample])
                text = f"{pairs[sample, 0, j]}" if haploid[sample] else f"{a}/{b}"
                cells.append(("." if haploid[sample] or chrom == "chrY" else "./.") if gone else text)
            if chrom == "chrX" and j == 40:
                cells[3] = "0/1"  # two alleles in a male
            lines.append(line_of(chrom, 1000 * (j + 1), "G", cells))
    return {chrom: 1000 * (n + 1) for chrom, n in MIXED.items()}, lines


def several_alt() -> tuple[dict[str, int], list[str]]:
    """Contigs with their lengths, and records."""
    rng = np.random.default_rng(SEED + 1)
    alleles = haplotypes(rng, 2 * N_SAMPLES, 2 * N_RECORDS)
    lines = []
    for j in range(N_RECORDS):
        own = alleles[:, 2 * j].copy()
        n_alt = 1
        if j % 5 < 2:
            own = own + 2 * alleles[:, 2 * j + 1]  # 3 where a haplotype has both
            own = np.searchsorted(np.unique(np.r_[0, own]), own)
            n_alt = int(own.max())
        cells = [_called(rng, pair, n_alt) for pair in own.reshape(N_SAMPLES, 2)]
        if j == 5:
            cells[3] = "./2:" + cells[3].split(":")[1]  # one allele was seen, the other was not
        alt = ",".join(["G", "T", "C"][:n_alt]) if j % 10 else ",".join(["*", "T", "C"][:n_alt])
        lines.append(record("chr1", 1000 * (j + 1), "A", alt, cells).replace("\tGT:DP\t", "\tGT:PL\t"))
    return {"chr1": 1000 * (N_RECORDS + 1)}, lines


def _called(rng: np.random.Generator, pair: np.ndarray, n_alt: int) -> str:
    """GT:PL of a genotype, called from a few reads."""
    order = sorted(combinations_with_replacement(range(n_alt + 1), 2), key=lambda g: g[::-1])
    seen = pair[rng.integers(0, 2, rng.poisson(DEPTH))]
    wrong = rng.random(len(seen)) < READ_ERROR
    seen = np.where(wrong, rng.integers(0, n_alt + 1, len(seen)), seen)
    chance = np.array([[(np.array(g) == a).mean() for a in range(n_alt + 1)] for g in order])
    chance = chance * (1 - READ_ERROR) + READ_ERROR / (n_alt + 1)
    logs = np.log10(chance)[:, seen].sum(1) if len(seen) else np.zeros(len(order))
    phred = np.rint(-10 * (logs - logs.max())).astype(int)
    if not len(seen) or rng.random() < MISSING_RATE / 2:
        return "./.:."
    first, second = order[int(phred.argmin())]
    return f"{first}/{second}:{','.join(map(str, phred))}"


def write(folder: Path, name: str, contigs: dict[str, int], lines: list[str]) -> None:
    """Write `name`.vcf.gz and its index."""
    samples = [f"{'fm'[i % 2]}{i // 2 + 1:02d}" for i in range(N_SAMPLES)]
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]) + "\n"
    header = HEADER.format(contigs="\n".join(f"##contig=<ID={c},length={n}>" for c, n in contigs.items()))
    target = folder / f"{name}.vcf.gz"
    with pysam.BGZFile(str(target), "w9") as file:
        file.write((header + columns + "".join(lines)).encode())
    pysam.tabix_index(str(target), preset="vcf", force=True)


def make(folder: Path) -> None:
    """Write both files."""
    write(folder, "mixed_ploidy", *mixed_ploidy())
    write(folder, "several_alt", *several_alt())


if __name__ == "__main__":
    make(Path(__file__).parent)
