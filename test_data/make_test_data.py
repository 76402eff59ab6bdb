"""Make example.vcf.gz, its index and example.popmap, and tetraploid.vcf.gz with its index: the same bytes each time.

Three populations each have five founder haplotypes, all with one genealogy in every short block of loci.
Each sample's two haplotypes are mosaics of the founders of its own population, switching founder once or twice a
contig: so neighbouring loci are in linkage disequilibrium, and populations differ in allele frequency.

The tetraploids are offspring of crosses among four parents, read at a depth of about ten: many visible calls are wrong.

Run: python test_data/make_test_data.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysam

SEED = 20240
POPULATIONS = {"north": 32, "south": 30, "island": 28}
CONTIGS = {"chr1": (2_000_000, 330), "chr2": (1_500_000, 270)}
"""Name -> length in base pairs, number of biallelic loci."""
N_FOUNDERS = 5
SWITCHES = 1.5
"""Expected number of changes of founder along a contig."""
BLOCK = 25
"""Loci that share one genealogy of the founders."""
MIGRATION = 0.1
"""How readily lineages of two populations merge: the lower, the more the populations differ."""
MISSING_RATE = 0.25

HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##source=make_test_data.py
{contigs}
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count in genotypes">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Total number of alleles in called genotypes">
##INFO=<ID=NS,Number=1,Type=Integer,Description="Number of samples with data">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Read depth">
"""


def block_of_founders(rng: np.random.Generator, n_loci: int) -> np.ndarray:
    """Alleles, int (populations * founders, loci), of loci that share one genealogy.

    Lineages merge at random, most within their own population until few are left; each locus is a mutation on
    one branch, so that the block holds a handful of haplotypes.
    """
    n_founders = len(POPULATIONS) * N_FOUNDERS
    lineages = [(np.arange(n_founders) == i, i // N_FOUNDERS) for i in range(n_founders)]
    branches, lengths = [], []
    while len(lineages) > 1:
        branches += [members for members, _ in lineages]
        lengths += [rng.exponential(1 / len(lineages) ** 2)] * len(lineages)
        first, second = rng.choice(len(lineages), 2, replace=False)
        if lineages[first][1] != lineages[second][1] and rng.random() > MIGRATION * N_FOUNDERS / len(lineages):
            continue
        merged = (lineages[first][0] | lineages[second][0], lineages[first][1])
        lineages = [line for i, line in enumerate(lineages) if i not in (first, second)] + [merged]
    share = np.array(lengths) / np.sum(lengths)
    return np.stack(branches, 1)[:, rng.choice(len(branches), n_loci, p=share)].astype(int)


def founder_haplotypes(rng: np.random.Generator, n_loci: int) -> np.ndarray:
    """Alleles, int (populations, founders, loci); genealogies change every BLOCK loci."""
    blocks = [block_of_founders(rng, min(BLOCK, n_loci - start)) for start in range(0, n_loci, BLOCK)]
    return np.concatenate(blocks, 1).reshape(len(POPULATIONS), N_FOUNDERS, n_loci)


def mosaic(rng: np.random.Generator, founders: np.ndarray, pos: np.ndarray, length: int) -> np.ndarray:
    """One haplotype, int (loci,): a founder's alleles, with another founder taking over at each crossover."""
    crossovers = np.sort(rng.uniform(0, length, rng.poisson(SWITCHES)))
    segment = np.searchsorted(crossovers, pos)
    donors = rng.integers(len(founders), size=len(crossovers) + 1)
    return founders[donors[segment], np.arange(len(pos))]


def simulate_contig(rng: np.random.Generator, length: int, n_loci: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions, int (loci,), and allele pairs, int (samples, loci, 2), of loci where both alleles occur."""
    pos = np.sort(rng.choice(np.arange(1_000, length - 1_000), n_loci, replace=False))
    founders = founder_haplotypes(rng, n_loci)
    rows = []
    for population, n_samples in enumerate(POPULATIONS.values()):
        for _ in range(n_samples):
            pair = [mosaic(rng, founders[population], pos, length) for _ in range(2)]
            rows.append(np.stack(pair, 1))
    alleles = np.stack(rows)
    frequency = alleles.mean((0, 2))
    # A mutation that the mosaics lost, or fixed, gives way to one of the first population's own
    lost = np.flatnonzero((frequency < 0.02) | (frequency > 0.98))
    first = next(iter(POPULATIONS.values()))
    alleles[:, lost] = 0
    alleles[:first, lost, 0] = rng.integers(0, 2, (first, len(lost)))
    return pos, alleles


def hide_calls(rng: np.random.Generator, n_samples: int, n_loci: int) -> np.ndarray:
    """bool (samples, loci): missing calls; some samples and some loci fare worse, as with low coverage."""
    by_sample = rng.beta(4, 12, n_samples)[:, None]
    by_locus = rng.beta(4, 12, n_loci)[None]
    rate = (by_sample + by_locus) / 2
    return rng.random((n_samples, n_loci)) < rate * MISSING_RATE / rate.mean()


def cell(alleles: np.ndarray, missing: bool, depth: int) -> str:
    return "./.:0" if missing else f"{alleles[0]}/{alleles[1]}:{depth}"


def record(chrom: str, pos: int, ref: str, alt: str, cells: list[str]) -> str:
    """One line, with AC, AN and NS counted from the cells."""
    shown = [c.split(":")[0].replace("|", "/").split("/") for c in cells]
    known = [a for pair in shown for a in pair if a != "."]
    n_alt = 0 if alt == "." else alt.count(",") + 1
    counts = ",".join(str(known.count(str(k + 1))) for k in range(n_alt))
    info = ([f"AC={counts}"] if n_alt else []) + [f"AN={len(known)}", f"NS={sum(p != ['.', '.'] for p in shown)}"]
    return "\t".join([chrom, str(pos), ".", ref, alt, ".", "PASS", ";".join(info), "GT:DP", *cells]) + "\n"


def odd_records(rng: np.random.Generator, n_samples: int) -> list[tuple[str, int, str]]:
    """Records that are not modelled, and an indel, which is; (contig, position, line) each."""

    def cells(n_alleles: int, called: bool = True) -> list[str]:
        pairs = np.sort(rng.integers(0, n_alleles, (n_samples, 2)), 1)
        hidden = rng.random(n_samples) < MISSING_RATE if called else np.ones(n_samples, bool)
        return [cell(p, h, d) for p, h, d in zip(pairs, hidden, rng.poisson(8, n_samples) + 1, strict=True)]

    places = [
        ("chr1", 400_500, "C", "A,<DEL>", cells(3)),
        ("chr1", 800_500, "GTA", "G", cells(2)),
        ("chr1", 1_200_500, "T", ".", cells(1)),
        ("chr2", 300_500, "A", "<*>", cells(2)),
        ("chr2", 700_500, "G", "<DEL>", cells(2)),
        ("chr2", 1_100_500, "C", "G", cells(2, called=False)),
    ]
    return [(chrom, pos, record(chrom, pos, ref, alt, line)) for chrom, pos, ref, alt, line in places]


def make(folder: Path, name: str = "example", contigs: dict[str, tuple[int, int]] = CONTIGS) -> None:
    """Write `name`.vcf.gz with its index and `name`.popmap; contigs: as CONTIGS, chr1 and chr2 among them."""
    rng = np.random.default_rng(SEED)
    samples = [f"{name}_{i + 1:02d}" for name, n in POPULATIONS.items() for i in range(n)]
    lines = odd_records(rng, len(samples))
    for chrom, (length, n_loci) in contigs.items():
        pos, alleles = simulate_contig(rng, length, n_loci)
        missing = hide_calls(rng, len(samples), n_loci)
        depths = rng.poisson(6, missing.shape) + 1
        for j in range(n_loci):
            ref, alt = rng.permutation(list("ACGT"))[:2]
            pairs = np.sort(alleles[:, j], 1)
            cells = [cell(*c) for c in zip(pairs, missing[:, j], depths[:, j], strict=True)]
            if chrom == "chr1" and j == 5:
                cells[3] = "./1:1"  # one allele was seen, the other was not
            lines.append((chrom, int(pos[j]), record(chrom, int(pos[j]), ref, alt, cells)))
    lines.sort(key=lambda line: line[:2])
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]) + "\n"
    header = HEADER.format(contigs="\n".join(f"##contig=<ID={c},length={n}>" for c, (n, _) in contigs.items()))
    target = folder / f"{name}.vcf.gz"
    with pysam.BGZFile(str(target), "w9") as file:
        file.write((header + columns + "".join(line for _, _, line in lines)).encode())
    pysam.tabix_index(str(target), preset="vcf", force=True)
    popmap = "".join(f"{sample}\t{sample.rsplit('_', 1)[0]}\n" for sample in samples)
    (folder / f"{name}.popmap").write_text(popmap, encoding="utf-8")


PARENTS, OFFSPRING, DEPTH, ERROR, HIDDEN = 4, 48, 10, 0.005, 0.2
"""Of the tetraploids: parents, samples, mean reads of a cell, errors of reads, and cells without reads."""
TETRAPLOID_HEADER = """##fileformat=VCFv4.2
##source=make_test_data.py
##contig=<ID=chr1,length=1000000>
##contig=<ID=chr2,length=1000000>
##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count in genotypes">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Total number of alleles in called genotypes">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">
"""


def tetraploid_dosages(rng: np.random.Generator, n_loci: int) -> np.ndarray:
    """ALT alleles, int (loci, samples), along one contig: each parent gives two of its four haplotypes, which it
    recombines two by two, one crossover each on average."""
    parents = (rng.random((PARENTS, 4, n_loci)) < rng.uniform(0.2, 0.8, n_loci)).astype(int)
    out = np.zeros((n_loci, OFFSPRING), int)
    for sample in range(OFFSPRING):
        for parent in rng.choice(PARENTS, 2, replace=False):
            for pair in rng.permutation(4).reshape(2, 2):
                crossovers = np.sort(rng.integers(n_loci, size=rng.poisson(1.0)))
                strand = (np.searchsorted(crossovers, np.arange(n_loci)) + rng.integers(2)) % 2
                out[:, sample] += parents[parent, pair[strand], np.arange(n_loci)]
    return out


def tetraploid_record(rng: np.random.Generator, chrom: str, pos: int, dosages: np.ndarray) -> str:
    """One line; the call is the likeliest genotype of the reads, under a binomial model."""
    share = np.arange(5) / 4 * (1 - 2 * ERROR) + ERROR
    depth = rng.poisson(DEPTH, OFFSPRING) * (rng.random(OFFSPRING) > HIDDEN)
    n_alt = rng.binomial(depth, share[dosages])
    logs = n_alt[:, None] * np.log(share) + (depth - n_alt)[:, None] * np.log(1 - share)
    calls = np.where(depth > 0, logs.argmax(1), -1)
    ref, alt = rng.permutation(list("ACGT"))[:2]
    known = calls[calls >= 0]
    cells = [
        f"{'./././.' if call < 0 else '/'.join('0' * (4 - call) + '1' * call)}:{n - a},{a}"
        for call, n, a in zip(calls.tolist(), depth.tolist(), n_alt.tolist(), strict=True)
    ]
    info = f"AC={known.sum()};AN={4 * len(known)}"
    return "\t".join([chrom, str(pos), ".", ref, alt, ".", "PASS", info, "GT:AD", *cells]) + "\n"


def make_tetraploids(folder: Path) -> None:
    """Write tetraploid.vcf.gz with its index."""
    rng, n_loci = np.random.default_rng(SEED), 70
    samples = [f"t{i + 1:02d}" for i in range(OFFSPRING)]
    lines = []
    for chrom in ("chr1", "chr2"):
        dosages = tetraploid_dosages(rng, n_loci)
        lines += [tetraploid_record(rng, chrom, 10_000 * (j + 1), dosages[j]) for j in range(n_loci)]
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]) + "\n"
    target = folder / "tetraploid.vcf.gz"
    with pysam.BGZFile(str(target), "w9") as file:
        file.write((TETRAPLOID_HEADER + columns + "".join(lines)).encode())
    pysam.tabix_index(str(target), preset="vcf", force=True)


if __name__ == "__main__":
    make(Path(__file__).parent)
    make_tetraploids(Path(__file__).parent)
