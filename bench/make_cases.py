"""Simulate benchmark cases: folders with truth.vcf.gz, masked.vcf.gz and pops.popmap.

usage: python bench/make_cases.py DIR [--seed 1] [--only NAME,...] [--scale 1.0]

  wgs     three populations that exchange migrants, one stretch of a chromosome, every variant above 1 %: strong linkage
  rare    a large sample of a population that has grown: most variants are rarer than 1 %
  cross   a multi-parent cross: long blocks of a few founders' haplotypes, many missing calls
  rad     unlinked tags along a chain of populations; whole tags missing, in a whole clade where its cut site is lost
  clonal  haploid samples without recombination, as bacteria are
  families  20 sires with 25 half-sibs each, dams of their own; 7,250 common SNPs of a chip on 29 chromosomes, as cattle
  lines   families of inbred lines: one parent crossed with seven others, selfed for five generations; 20 chromosomes
  filtered  as rad, without the loci whose minor allele has fewer than three copies among the calls that are known

`--scale` multiplies the number of samples. Needs msprime (`pip install imputevae[bench]`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msprime
import numpy as np
import pysam

BASES = np.array(list("ACGT"))
FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]


@dataclass
class Simulated:
    """A case before it is written. The truth lacks the `missing` calls, the masked file the `hidden` ones too.

    haplotypes: int8 (loci, samples, ploidy), 1 for ALT. chrom, pos: (loci,). missing, hidden: bool (loci, samples).
    """

    haplotypes: np.ndarray
    chrom: np.ndarray
    pos: np.ndarray
    populations: list[str]
    missing: np.ndarray
    hidden: np.ndarray


def variants(ts, ploidy: int) -> tuple[np.ndarray, np.ndarray]:
    """Haplotypes (loci, samples, ploidy) and 1-based positions of a tree sequence's biallelic sites."""
    matrix = ts.genotype_matrix()
    frequency = (matrix == 1).mean(1)
    biallelic = (matrix.max(1, initial=0) == 1) & (frequency < 1)
    shape = (-1, ts.num_samples // ploidy, ploidy)
    return matrix[biallelic].astype(np.int8).reshape(shape), ts.sites_position[biallelic].astype(int) + 1


def simulate(samples, demography, length, recombination, mutation, seed, ploidy=2):
    """Haplotypes and positions of one stretch of genome."""
    ts = msprime.sim_ancestry(
        samples,
        demography=demography,
        sequence_length=length,
        recombination_rate=recombination,
        ploidy=ploidy,
        random_seed=seed,
    )
    model = msprime.BinaryMutationModel()
    return variants(msprime.sim_mutations(ts, rate=mutation, model=model, random_seed=seed), ploidy)


def uneven(rng: np.random.Generator, n_loci: int, n_samples: int, rate: float) -> np.ndarray:
    """Missing calls, bool (loci, samples): some samples and some loci fail oftener, as with sequencing depth."""
    odds = rng.gamma(2.0, size=n_loci)[:, None] * rng.gamma(2.0, size=n_samples)[None, :]
    return rng.random(odds.shape) < np.minimum(rate * odds / odds.mean(), 0.95)


def wgs(rng: np.random.Generator, scale: float) -> Simulated:
    each = max(int(30 * scale), 4)
    demography = msprime.Demography.from_species_tree("((A:1000,B:1000):1500,C:2500)", initial_size=10_000)
    demography.set_symmetric_migration_rate(["A", "B"], 1e-4)
    samples = dict.fromkeys("ABC", each)
    haplotypes, pos = simulate(samples, demography, 1_500_000, 1e-8, 1.2e-8, int(rng.integers(1, 2**31)))
    common = np.abs(haplotypes.mean((1, 2)) - 0.5) < 0.49
    haplotypes, pos = haplotypes[common], pos[common]
    shape = haplotypes.shape[:2]
    populations = [name for name in "ABC" for _ in range(each)]
    chrom = np.full(len(pos), "chr1")
    return Simulated(haplotypes, chrom, pos, populations, uneven(rng, *shape, 0.1), rng.random(shape) < 0.15)


def rare(rng: np.random.Generator, scale: float) -> Simulated:
    n = max(int(800 * scale), 20)
    demography = msprime.Demography()
    demography.add_population(initial_size=100_000, growth_rate=0.01, name="A")
    demography.add_population_parameters_change(time=230, initial_size=10_000, growth_rate=0, population="A")
    haplotypes, pos = simulate({"A": n}, demography, 800_000, 1e-8, 1.2e-8, int(rng.integers(1, 2**31)))
    shared = np.minimum(haplotypes.sum((1, 2)), (1 - haplotypes).sum((1, 2))) > 2
    haplotypes, pos = haplotypes[shared], pos[shared]
    shape = haplotypes.shape[:2]
    chrom = np.full(len(pos), "chr1")
    return Simulated(haplotypes, chrom, pos, ["A"] * n, uneven(rng, *shape, 0.05), rng.random(shape) < 0.15)


def gamete(rng: np.random.Generator, parent: np.ndarray, pos: np.ndarray, length: int) -> np.ndarray:
    """One haplotype, (loci,), of a parent's two, (loci, 2): crossovers are a Poisson process, 1 a chromosome."""
    crossovers = np.sort(rng.integers(length, size=rng.poisson(1.0)))
    strand = (np.searchsorted(crossovers, pos) + rng.integers(2)) % 2
    return parent[np.arange(len(pos)), strand]


def cross(rng: np.random.Generator, scale: float) -> Simulated:
    n, length, n_founders, generations = max(int(120 * scale), 10), 100_000_000, 4, 4
    parts = []
    for _ in range(3):  # chromosomes
        population = msprime.Demography.isolated_model([1000])
        founders, pos = simulate(n_founders, population, length, 1e-8, 3e-9, int(rng.integers(1, 2**31)), ploidy=1)
        genotyped = np.sort(rng.choice(len(pos), 400, replace=False))
        founders, pos = founders[genotyped, :, 0], pos[genotyped]  # (loci, founders), (loci,)
        people = [founders[:, rng.choice(n_founders, 2, replace=False)] for _ in range(60)]
        for _ in range(generations):
            pairs = rng.integers(len(people), size=(n, 2))
            people = [np.stack([gamete(rng, people[p], pos, length) for p in pair], 1) for pair in pairs]
        parts.append((np.stack(people, 1), pos))
    haplotypes, pos = (np.concatenate(part) for part in zip(*parts, strict=True))
    chrom = np.repeat(["chr1", "chr2", "chr3"], 400)
    shape = haplotypes.shape[:2]
    return Simulated(haplotypes, chrom, pos, ["cross"] * n, uneven(rng, *shape, 0.35), rng.random(shape) < 0.15)


def rad(rng: np.random.Generator, scale: float) -> Simulated:
    n_populations, each, n_tags = 5, max(int(20 * scale), 4), 500
    demography = msprime.Demography.stepping_stone_model([3000] * n_populations, 5e-4, boundaries=True)
    samples = dict.fromkeys(range(n_populations), each)
    seeds = rng.integers(1, 2**31, n_tags)
    tags = [simulate(samples, demography, 140, 1e-8, 4e-8, int(seed)) for seed in seeds]
    haplotypes = np.concatenate([tag[0] for tag in tags])
    pos = np.concatenate([tag[1] for tag in tags])
    tag_of = np.repeat(np.arange(n_tags), [len(tag[1]) for tag in tags])
    population = np.repeat(np.arange(n_populations), each)
    # A cut site lost in a clade: an end of the chain of populations, from a random place on.
    first = rng.integers(1, n_populations, n_tags)[:, None]
    lost = (rng.random((n_tags, 1)) < 0.15) & (population[None, :] >= first)
    missing = uneven(rng, n_tags, each * n_populations, 0.2) | (lost & (rng.random(lost.shape) < 0.85))
    hidden = rng.random(missing.shape) < 0.15
    chrom = np.array([f"tag{tag:04d}" for tag in tag_of])
    return Simulated(haplotypes, chrom, pos, [f"P{p}" for p in population], missing[tag_of], hidden[tag_of])


def clonal(rng: np.random.Generator, scale: float) -> Simulated:
    n, population = max(int(100 * scale), 10), msprime.Demography.isolated_model([1000])
    haplotypes, pos = simulate(n, population, 1_000_000, 0, 1e-7, int(rng.integers(1, 2**31)), ploidy=1)
    shape = haplotypes.shape[:2]
    chrom = np.full(len(pos), "chromosome")
    return Simulated(haplotypes, chrom, pos, ["clonal"] * n, uneven(rng, *shape, 0.1), rng.random(shape) < 0.15)


def families(rng: np.random.Generator, scale: float) -> Simulated:
    n_sires, each, n_loci = max(int(20 * scale), 2), 25, 250
    demography = msprime.Demography()
    demography.add_population(initial_size=150, name="A")  # a breed: few parents of late, more before
    demography.add_population_parameters_change(time=40, initial_size=1500, population="A")
    parts = []
    for length in np.linspace(150e6, 45e6, 29).astype(int).tolist():
        people = {"A": n_sires * (1 + each)}
        haplotypes, pos = simulate(people, demography, length, 1e-8, 1e-8, int(rng.integers(1, 2**31)))
        common = np.flatnonzero(np.abs(haplotypes.mean((1, 2)) - 0.5) < 0.45)
        genotyped = np.sort(rng.choice(common, min(n_loci, len(common)), replace=False))
        parents, pos = haplotypes[genotyped], pos[genotyped]
        sires, dams = np.repeat(np.arange(n_sires), each), n_sires + np.arange(n_sires * each)
        calves = [[gamete(rng, parents[:, p], pos, length) for p in pair] for pair in zip(sires, dams, strict=True)]
        parts.append((np.array(calves).transpose(2, 0, 1), pos))
    haplotypes, pos = (np.concatenate(part) for part in zip(*parts, strict=True))
    chrom = np.repeat([f"chr{number}" for number in range(1, 30)], [len(part[1]) for part in parts])
    shape = haplotypes.shape[:2]
    hidden = rng.random(shape) < 0.1
    return Simulated(haplotypes, chrom, pos, ["A"] * shape[1], uneven(rng, *shape, 0.02), hidden)


def lines(rng: np.random.Generator, scale: float) -> Simulated:
    n_families, each, n_loci, length = 7, max(int(40 * scale), 4), 250, 100_000_000
    population = msprime.Demography.isolated_model([1000])
    parts = []
    for _ in range(20):  # chromosomes
        founders, pos = simulate(n_families + 1, population, length, 1e-8, 2e-9, int(rng.integers(1, 2**31)), ploidy=1)
        genotyped = np.sort(rng.choice(len(pos), min(n_loci, len(pos)), replace=False))
        founders, pos = founders[genotyped, :, 0], pos[genotyped]
        people = [founders[:, [0, other]] for other in np.repeat(np.arange(n_families) + 1, each)]
        for _ in range(5):  # generations of selfing
            people = [np.stack([gamete(rng, line, pos, length) for _ in range(2)], 1) for line in people]
        parts.append((np.stack(people, 1), pos))
    haplotypes, pos = (np.concatenate(part) for part in zip(*parts, strict=True))
    chrom = np.repeat([f"chr{number}" for number in range(1, 21)], [len(part[1]) for part in parts])
    wrong = rng.random(haplotypes.shape[:2]) < 0.003  # calls of the other homozygote
    haplotypes = np.where(wrong[..., None], 1 - haplotypes, haplotypes)
    shape, families = haplotypes.shape[:2], [f"F{number}" for number in range(n_families) for _ in range(each)]
    return Simulated(haplotypes, chrom, pos, families, uneven(rng, *shape, 0.2), rng.random(shape) < 0.1)


def filtered(rng: np.random.Generator, scale: float) -> Simulated:
    case = rad(rng, scale)
    known = np.where(case.missing[..., None], -1, case.haplotypes)
    enough = np.minimum((known == 1).sum((1, 2)), (known == 0).sum((1, 2))) > 2
    by_locus = ("haplotypes", "chrom", "pos", "missing", "hidden")
    return replace(case, **{name: getattr(case, name)[enough] for name in by_locus})


def write_vcf(path: Path, haplotypes: np.ndarray, absent: np.ndarray, records: list[list[str]], samples: list[str]):
    """Unphased genotypes, alleles in the order of their number, `./.` where absent."""
    chroms = dict.fromkeys(record[0] for record in records)
    header = ["##fileformat=VCFv4.2", *(f"##contig=<ID={chrom}>" for chrom in chroms)]
    header.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    header.append("\t".join([*FIXED, *samples]))
    ploidy = haplotypes.shape[2]
    texts = np.array(["0", "1", "."] if ploidy == 1 else ["0/0", "0/1", "1/1", "./."])
    cells = texts[np.where(absent, ploidy + 1, haplotypes.sum(2))]
    with pysam.BGZFile(str(path), "w") as file:
        file.write(("\n".join(header) + "\n").encode())
        for record, row in zip(records, cells, strict=True):
            file.write(("\t".join([*record, *row]) + "\n").encode())


def write_case(folder: Path, case: Simulated, rng: np.random.Generator) -> None:
    """Write the three files; loci that do not vary in the masked calls, or are nearly all missing, are left out."""
    absent = case.missing | case.hidden
    dosage = case.haplotypes.sum(2)
    ploidy = case.haplotypes.shape[2]
    alts, alleles = np.where(absent, 0, dosage).sum(1), ploidy * (~absent).sum(1)
    same_place = np.r_[False, (case.chrom[1:] == case.chrom[:-1]) & (case.pos[1:] == case.pos[:-1])]
    keep = (alts > 0) & (alts < alleles) & (absent.mean(1) < 0.9) & ~same_place
    ref = rng.integers(4, size=len(keep))
    alt = (ref + rng.integers(1, 4, len(keep))) % 4
    records = [
        [case.chrom[i], str(case.pos[i]), ".", BASES[ref[i]], BASES[alt[i]], ".", "PASS", ".", "GT"]
        for i in np.flatnonzero(keep)
    ]
    samples = [f"s{i:04d}" for i in range(len(case.populations))]
    folder.mkdir(parents=True, exist_ok=True)
    write_vcf(folder / "truth.vcf.gz", case.haplotypes[keep], case.missing[keep], records, samples)
    write_vcf(folder / "masked.vcf.gz", case.haplotypes[keep], absent[keep], records, samples)
    lines = [f"{sample}\t{population}\n" for sample, population in zip(samples, case.populations, strict=True)]
    (folder / "pops.popmap").write_text("".join(lines))
    scored = (case.hidden & ~case.missing)[keep].sum()
    print(
        f"{folder.name}: {len(samples)} samples x {keep.sum()} loci, {absent[keep].mean():.3f} missing, {scored} scored"
    )


CASES = {kind.__name__: kind for kind in (wgs, cross, rad, clonal, rare, families, lines, filtered)}


def run(description: str | None, cases: Mapping[str, Callable[..., Any]], write: Callable[..., None]) -> None:
    """The command line of a script that simulates `cases`: name -> (rng, scale) -> what `write(folder, case, rng)`
    takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--scale", type=float, default=1.0)
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(cases)
    if unknown := set(names) - set(cases):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(cases)}")
    for name in names:
        rng = np.random.default_rng([args.seed, list(cases).index(name)])  # one case's numbers do not shift another's
        write(args.folder / name, cases[name](rng, args.scale), rng)


if __name__ == "__main__":
    run(__doc__, CASES, write_case)
