"""Simulate polyploid cases, read by read: folders with truth.vcf.gz and masked.vcf.gz (GT:AD:DP:PL).

usage: python bench/make_polyploids.py DIR [--seed 1] [--only NAME,...] [--scale 1.0]

  diallel4x   tetraploid offspring of crosses among six parents, as breeders make them; reads at depth 12
  outbred4x   unrelated tetraploids of one population, dense loci, depth 20
  diallel6x   hexaploid offspring of crosses among five parents, depth 20
  cross3x     triploid offspring of tetraploid and diploid parents, depth 8
  outbred3x   unrelated triploids of two populations, dense loci, depth 5

Haplotypes of the parents, or of the samples, are msprime's. At meiosis homologues pair at random, two by two, and each
pair gives a recombinant (no double reduction). Reads: the depth of a cell varies with sample and locus; a read shows
the wrong allele with probability .005; each locus has an allelic bias of its own (the log odds of an ALT read are
shifted by a normal draw, spread .3) and over-dispersed reads (correlation up to .02). PL is what callers write: a
binomial model that knows neither, and GT is the likeliest genotype. A fifth of the cells is hidden as a whole. What
is simulated is not what `imputevae` assumes: its grid of biases and dispersions is not these draws, and no decoder
knows the parents. `--scale` multiplies the number of samples. Needs msprime (`pip install imputevae[bench]`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msprime
import numpy as np
import pysam
from make_cases import BASES, FIXED, run, simulate

ERROR = 0.005
MOST_PHRED = 255


@dataclass
class Polyploids:
    """Haplotypes, int8 (loci, samples, ploidy), 1 for ALT, where they lie, (loci,), and the mean depth of the reads."""

    haplotypes: np.ndarray
    chrom: np.ndarray
    pos: np.ndarray
    depth: float


def gamete(rng: np.random.Generator, parent: np.ndarray, pos: np.ndarray, length: int) -> np.ndarray:
    """Half of a parent's homologues, (loci, P) -> (loci, P / 2): pairs at random, one crossover each on average."""
    pairs = rng.permutation(parent.shape[1]).reshape(-1, 2)
    strands = []
    for pair in pairs:
        crossovers = np.sort(rng.integers(length, size=rng.poisson(1.0)))
        strand = (np.searchsorted(crossovers, pos) + rng.integers(2)) % 2
        strands.append(parent[np.arange(len(pos)), pair[strand]])
    return np.stack(strands, 1)


def offspring(
    rng: np.random.Generator, ploidies: list[int], crosses: list[tuple[int, int]], depth: float
) -> Polyploids:
    """Offspring of crosses of parents, by their number, on eight chromosomes of 120 loci; ploidies: of the parents."""
    length, n_chroms, n_loci = 60_000_000, 8, 120
    edges = np.cumsum([0, *ploidies])
    parts = []
    for _ in range(n_chroms):
        population = msprime.Demography.isolated_model([3000])
        pool, pos = simulate(int(edges[-1]), population, length, 1e-8, 1e-9, int(rng.integers(1, 2**31)), ploidy=1)
        pool = pool[:, :, 0]
        common = np.flatnonzero(np.abs(pool.mean(1) - 0.5) < 0.42)
        typed = np.sort(rng.choice(common, min(n_loci, len(common)), replace=False))
        parents = [pool[typed][:, a:b] for a, b in pairwise(edges)]
        people = [
            np.concatenate([gamete(rng, parents[p], pos[typed], length) for p in pair], axis=1) for pair in crosses
        ]
        parts.append((np.stack(people, 1), pos[typed]))
    haplotypes, pos = (np.concatenate(part) for part in zip(*parts, strict=True))
    chrom = np.repeat([f"chr{c + 1:02d}" for c in range(n_chroms)], [len(part[1]) for part in parts])
    return Polyploids(haplotypes, chrom, pos, depth)


def crosses_of(rng: np.random.Generator, mothers: range, fathers: range, n: int) -> list[tuple[int, int]]:
    """Parents of n offspring, each pair different."""
    every = [(a, b) for a in mothers for b in fathers if a != b]
    return [every[i] for i in rng.integers(len(every), size=n)]


def outbred(rng: np.random.Generator, ploidy: int, sizes: list[int], depth: float) -> Polyploids:
    """Samples of populations that parted 2,000 generations ago; one stretch of genome, dense loci."""
    demography = msprime.Demography()
    names = [f"P{i}" for i in range(len(sizes))]
    for name in names:
        demography.add_population(name=name, initial_size=4000)
    if len(sizes) > 1:
        demography.add_population(name="root", initial_size=4000)
        demography.add_population_split(time=2000, derived=names, ancestral="root")
    haplotypes, pos = simulate(
        {name: size * ploidy for name, size in zip(names, sizes, strict=True)},
        demography,
        1_000_000,
        1e-8,
        1.5e-8,
        int(rng.integers(1, 2**31)),
        ploidy=1,
    )
    haplotypes = haplotypes[:, :, 0].reshape(len(pos), sum(sizes), ploidy)
    common = np.abs(haplotypes.mean((1, 2)) - 0.5) < 0.47
    kept = np.flatnonzero(common)[:1200]
    return Polyploids(haplotypes[kept], np.full(len(kept), "chr01"), pos[kept], depth)


def read_counts(rng: np.random.Generator, case: Polyploids) -> tuple[np.ndarray, np.ndarray]:
    """Reads of REF and of ALT, int64 (loci, samples)."""
    n_loci, n_samples, ploidy = case.haplotypes.shape
    spread = 0.4
    of_sample, of_locus = (rng.gamma(1 / spread**2, spread**2, n) for n in (n_samples, n_loci))
    depth = rng.poisson(case.depth * of_locus[:, None] * of_sample[None, :])
    share = case.haplotypes.sum(2) / ploidy
    p = share * (1 - ERROR) + (1 - share) * ERROR
    odds = p / (1 - p) * np.exp(rng.normal(0, 0.3, n_loci))[:, None]
    p = odds / (1 + odds)
    correlation = rng.uniform(0.0005, 0.02, n_loci)[:, None]
    size = (1 - correlation) / correlation
    alt = rng.binomial(depth, rng.beta(p * size, (1 - p) * size))
    return depth - alt, alt


def phred(ref: np.ndarray, alt: np.ndarray, ploidy: int) -> np.ndarray:
    """PL of a binomial model, int64 (..., ploidy + 1)."""
    share = np.arange(ploidy + 1) / ploidy
    p = share * (1 - ERROR) + (1 - share) * ERROR
    logs = ref[..., None] * np.log10(1 - p) + alt[..., None] * np.log10(p)
    return np.minimum(np.rint(-10 * (logs - logs.max(-1, keepdims=True))), MOST_PHRED).astype(int)


def write_case(folder: Path, case: Polyploids, rng: np.random.Generator) -> None:
    """Write the two files; loci that do not vary in the truth are left out."""
    ploidy, dosage = case.haplotypes.shape[2], case.haplotypes.sum(2)
    ref, alt = read_counts(rng, case)
    hidden = rng.random(dosage.shape) < 0.2
    ref[hidden], alt[hidden] = 0, 0
    likelihoods = phred(ref, alt, ploidy)
    calls = np.where(ref + alt > 0, likelihoods.argmin(-1), ploidy + 1)
    varies = (dosage.min(1) < ploidy) & (dosage.max(1) > 0) & (dosage.min(1) < dosage.max(1))
    same_place = np.r_[False, (case.chrom[1:] == case.chrom[:-1]) & (case.pos[1:] == case.pos[:-1])]
    kept = np.flatnonzero(varies & ~same_place)
    spelled = ["/".join("0" * (ploidy - g) + "1" * g) for g in range(ploidy + 1)] + ["/".join("." * ploidy)]
    folder.mkdir(parents=True, exist_ok=True)
    chroms = dict.fromkeys(case.chrom)
    samples = [f"s{i:04d}" for i in range(dosage.shape[1])]
    head = ["##fileformat=VCFv4.2", *(f"##contig=<ID={chrom}>" for chrom in chroms)]
    head += [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">',
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads">',
        '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">',
        "\t".join([*FIXED, *samples]),
    ]
    with (
        pysam.BGZFile(str(folder / "truth.vcf.gz"), "w") as truth,
        pysam.BGZFile(str(folder / "masked.vcf.gz"), "w") as masked,
    ):
        for file in (truth, masked):
            file.write(("\n".join(head) + "\n").encode())
        for i in kept:
            a = rng.integers(4)
            b = (a + rng.integers(1, 4)) % 4
            fixed = [case.chrom[i], str(case.pos[i]), ".", BASES[a], BASES[b], ".", "PASS", "."]
            truth.write(("\t".join([*fixed, "GT", *(spelled[g] for g in dosage[i])]) + "\n").encode())
            cells = [
                f"{spelled[g]}:{r},{t}:{r + t}:{','.join(map(str, pl)) if r + t else '.'}"
                for g, r, t, pl in zip(calls[i], ref[i], alt[i], likelihoods[i], strict=True)
            ]
            masked.write(("\t".join([*fixed, "GT:AD:DP:PL", *cells]) + "\n").encode())
    read = calls[kept] <= ploidy
    wrong = (calls[kept] != dosage[kept])[read].mean()
    print(
        f"{folder.name}: {dosage.shape[1]} samples x {len(kept)} loci, {1 - read.mean():.3f} missing, {wrong:.3f} wrong"
    )


def diallel(ploidy: int, n_parents: int, depth: float) -> Callable[[np.random.Generator, float], Polyploids]:
    """A recipe: crosses among all of some parents."""

    def recipe(rng: np.random.Generator, scale: float) -> Polyploids:
        crosses = crosses_of(rng, range(n_parents), range(n_parents), max(int(100 * scale), 8))
        return offspring(rng, [ploidy] * n_parents, crosses, depth)

    return recipe


def cross3x(rng: np.random.Generator, scale: float) -> Polyploids:
    """Triploids of four tetraploid and four diploid parents."""
    crosses = crosses_of(rng, range(4), range(4, 8), max(int(100 * scale), 8))
    return offspring(rng, [4] * 4 + [2] * 4, crosses, 8)


CASES: dict[str, Callable[[np.random.Generator, float], Polyploids]] = {
    "diallel4x": diallel(4, 6, 12),
    "outbred4x": lambda rng, scale: outbred(rng, 4, [max(int(120 * scale), 8)], 20),
    "diallel6x": diallel(6, 5, 20),
    "cross3x": cross3x,
    "outbred3x": lambda rng, scale: outbred(rng, 3, [max(int(60 * scale), 4)] * 2, 5),
}


if __name__ == "__main__":
    run(__doc__, CASES, write_case)
