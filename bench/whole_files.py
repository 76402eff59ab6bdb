"""Whole files: a genome with X, Y and mitochondria, records of several ALT alleles, and a map of an outcross.

usage: python bench/whole_files.py [--only genome,multiallelic,outcross] [--seeds 1] [--threads 1] [--beagle JAR]
                                   [--samples 300] [--loci 150] [--out bench/results/whole_files.json]

All is simulated (msprime), a tenth of the calls missing and as many more hidden to score on:

- genome: 20 stretches of autosomes, X, Y and MT of `--samples` samples, half of them male; `--loci` loci a stretch.
  Males are haploid on X and Y, all are haploid on MT, females have no call on Y. Scored: X of females beside the
  autosomes, which are as dense; X of males beside a file of X of the males alone, which is haploid.
- multiallelic: one stretch whose sites are merged with their neighbours until one record in twenty has several ALT
  alleles. Scored: these beside the others.
- outcross: 200 full sibs of two parents and 12 chromosomes; at 57 % of the loci the parents' four haplotypes show more
  than two alleles.

Beagle 5.4 is run beside on X and on the multiallelic file, with `--beagle JAR` (a copy without mixed ploidy where it
refuses that). NRD: wrong calls among those that truth and call do not both take for homozygous reference.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import command_line
import msprime
import numpy as np
import scoring
from cyvcf2 import VCF

from imputevae_cli import __version__

MISSING_SHARE, HIDDEN_SHARE = 0.1, 0.1
AUTOSOMES = 20
LENGTH = 400_000
"""Base pairs of a stretch."""


@dataclass
class Records:
    """Records of one chromosome. alleles: int8 (records, samples, 2), -1 missing, -2 for the second of a haploid."""

    chrom: str
    pos: np.ndarray
    n_alt: np.ndarray
    alleles: np.ndarray


def simulated(n_haplotypes: int, n_loci: int, size: int, recombination: float, seed: int) -> tuple[np.ndarray, ...]:
    """Haplotypes, int8 (loci, haplotypes), and positions of sites of two alleles, the rarer above 1 %."""
    ancestry = msprime.sim_ancestry(
        n_haplotypes, ploidy=1, population_size=size, sequence_length=LENGTH, recombination_rate=recombination,
        random_seed=seed,
    )  # fmt: skip
    trees = msprime.sim_mutations(ancestry, rate=2.5e-8, random_seed=seed)
    haplotypes = (trees.genotype_matrix() > 0).astype(np.int8)
    frequency = haplotypes.mean(1)
    kept = np.flatnonzero(np.minimum(frequency, 1 - frequency) > 0.01)
    some = np.sort(np.random.default_rng(seed).choice(kept, min(n_loci, len(kept)), replace=False))
    return haplotypes[some], trees.tables.sites.position[some].astype(int) + 1


def diploids(haplotypes: np.ndarray) -> np.ndarray:
    """Alleles (loci, samples, 2) of pairs of haplotypes."""
    return haplotypes.reshape(len(haplotypes), -1, 2)


def genome(n_samples: int, n_loci: int, seed: int) -> list[Records]:
    """See the module; even samples are female."""
    n_males = n_samples // 2
    out = []
    for number in range(AUTOSOMES):
        found, pos = simulated(2 * n_samples, n_loci, 40_000, 1e-8, 100 * seed + number + 1)
        out.append(Records(f"chr{number + 1}", pos, np.ones(len(pos), int), diploids(found)))
    found, pos = simulated(2 * n_samples - n_males, n_loci, 30_000, 1e-8 * 2 / 3, 100 * seed + 40)
    alleles = np.full((len(pos), n_samples, 2), -2, np.int8)
    alleles[:, ::2] = diploids(found[:, : 2 * (n_samples - n_males)])
    alleles[:, 1::2, 0] = found[:, 2 * (n_samples - n_males) :]
    out.append(Records("chrX", pos, np.ones(len(pos), int), alleles))
    for chrom, males_alone in (("chrY", True), ("chrM", False)):
        found, pos = simulated(
            n_males if males_alone else n_samples, n_loci // 4, 10_000, 0.0, 100 * seed + 41 + males_alone
        )
        alleles = np.full((len(pos), n_samples, 2), -2, np.int8)
        alleles[:, :, 0] = -1
        whose = slice(1, None, 2) if males_alone else slice(None)
        alleles[:, whose, 0] = found
        out.append(Records(chrom, pos, np.ones(len(pos), int), alleles))
    return out


def multiallelic(n_samples: int, n_loci: int, seed: int) -> list[Records]:
    """One stretch with every twentieth record merged with the next: ALT alleles of one, of the other, and of both."""
    found, pos = simulated(2 * n_samples, 10 * n_loci, 40_000, 1e-8, 100 * seed + 50)
    kept, n_alt = np.ones(len(found), bool), np.ones(len(found), int)
    for i in range(0, len(found) - 1, 20):
        both = found[i] + 2 * found[i + 1]  # 0 REF, 1, 2, and 3 for both
        found[i] = np.searchsorted(np.unique(np.r_[0, both]), both)
        n_alt[i], kept[i + 1] = found[i].max(), False
    return [Records("chr1", pos[kept], n_alt[kept], diploids(found[kept]))]


def outcross(n_loci: int, seed: int) -> list[Records]:
    """Two parents and 200 sibs; each chromosome of a sib changes between its parent's two haplotypes once or so."""
    rng = np.random.default_rng(seed)
    out = []
    for number in range(12):
        several = rng.random(n_loci) < 0.57
        parents = np.where(several[:, None], rng.permuted(np.tile([0, 1, 2, 3], (n_loci, 1)), axis=1), 0)
        parents[~several] = rng.permuted(np.tile([0, 0, 0, 1], (n_loci, 1)), axis=1)[~several]
        followed = np.cumsum(rng.random((n_loci, 200, 2)) < 1.2 / n_loci, axis=0) + rng.integers(0, 2, (200, 2))
        sibs = np.take_along_axis(parents[:, None, :], followed % 2 + [0, 2], axis=2)
        alleles = np.concatenate([parents[:, :2][:, None], parents[:, 2:][:, None], sibs], axis=1).astype(np.int8)
        pos = 1 + 100_000 * np.arange(n_loci)
        out.append(Records(f"LG{number + 1}", pos, np.where(several, 3, 1), alleles))
    return out


def write_case(folder: Path, records: list[Records], seed: int) -> None:
    """truth.vcf.gz and masked.vcf.gz of some chromosomes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    texts = {name: folder / f"{name}.vcf" for name in ("truth", "masked")}
    with open(texts["truth"], "w") as truth, open(texts["masked"], "w") as masked:
        n_samples = records[0].alleles.shape[1]
        names = "\t".join(f"s{i:03d}" for i in range(n_samples))
        head = "##fileformat=VCFv4.2\n" + "".join(f"##contig=<ID={one.chrom}>\n" for one in records)
        head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        head += f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n"
        truth.write(head), masked.write(head)
        for one in records:
            draws = rng.random(one.alleles.shape[:2])
            for row, pos in enumerate(one.pos.tolist()):
                fixed = f"{one.chrom}\t{pos}\t.\tA\t{','.join('CGT'[: one.n_alt[row]])}\t.\tPASS\t.\tGT"
                alleles = one.alleles[row].tolist()
                for out, missing in ((truth, MISSING_SHARE), (masked, MISSING_SHARE + HIDDEN_SHARE)):
                    cells = [_cell(pair, draw < missing) for pair, draw in zip(alleles, draws[row], strict=True)]
                    out.write(fixed + "\t" + "\t".join(cells) + "\n")
    for text in texts.values():
        subprocess.run(["bgzip", "-f", str(text)], check=True)


def _cell(pair: list[int], missing: bool) -> str:
    first, second = pair
    if second == -2:
        return "." if missing or first < 0 else str(first)
    return "./." if missing else f"{min(first, second)}/{max(first, second)}"


def genotypes(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Genotypes, int16 (records, samples, 2), sorted, -1 missing, -2 for the second of a haploid; chromosomes; and how
    many ALT alleles each record has."""
    found, chroms, n_alt = [], [], []
    for record in VCF(str(path)):
        alleles = record.genotype.array()[:, :-1]
        if alleles.shape[1] == 1:
            alleles = np.column_stack([alleles, np.full(len(alleles), -2)])
        swap = (alleles[:, 1] >= 0) & (alleles[:, 0] > alleles[:, 1])
        alleles[swap] = alleles[swap][:, ::-1]
        found.append(alleles)
        chroms.append(record.CHROM)
        n_alt.append(len(record.ALT))
    return np.stack(found), np.array(chroms), np.array(n_alt)


def nrd(truth: np.ndarray, call: np.ndarray, cells: np.ndarray) -> dict[str, float | int]:
    """NRD of some cells, bool (records, samples), and their number; a diploid homozygote is as good as a haploid."""
    y, p = truth[cells], call[cells]
    p[(y[:, 1] == -2) & (p[:, 0] == p[:, 1]), 1] = -2
    wrong = (y != p).any(1)
    both_ref = ~wrong & (y <= 0).all(1)
    return {"cells": len(y), "nrd": float(wrong.sum() / max((~both_ref).sum(), 1)), "missing": int((p[:, 0] < 0).sum())}


def impute(case: Path, out: Path, args: argparse.Namespace, seed: int) -> scoring.Cost:
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(case / "masked.vcf.gz"), "-o", str(out), "-q"]
    return scoring.measure([*command, "--seed", str(seed), "--threads", str(args.threads), "--force"])


def beagle(case: Path, out: Path, args: argparse.Namespace) -> scoring.Cost:
    prefix = str(out).removesuffix(".vcf.gz")
    java = ["java", "-Xmx3g", "-jar", str(args.beagle), f"gt={case / 'masked.vcf.gz'}", f"out={prefix}"]
    return scoring.measure([*java, f"nthreads={args.threads}", "seed=1"])


def parts_of(case: Path) -> dict[str, np.ndarray]:
    """The scored cells of a case by what they are compared as, bool (records, samples)."""
    truth, chroms, n_alt = genotypes(case / "truth.vcf.gz")
    hidden = (truth[:, :, 0] >= 0) & (genotypes(case / "masked.vcf.gz")[0][:, :, 0] < 0)
    haploid, several = truth[:, :, 1] == -2, (n_alt > 1)[:, None]
    x = (chroms == "chrX")[:, None]
    parts = {
        "autosomes": hidden & ~several & ~x & ~haploid,
        "X of females": hidden & x & ~haploid,
        "X of males": hidden & x & haploid,
        "Y": hidden & (chroms == "chrY")[:, None],
        "MT": hidden & (chroms == "chrM")[:, None],
        "several ALT": hidden & several,
    }
    return {name: cells for name, cells in parts.items() if cells.any()}


def rows_of(case: Path, method: str, out: Path, cost: scoring.Cost) -> Iterator[dict]:
    """A row for each part of a case."""
    truth, call = genotypes(case / "truth.vcf.gz")[0], genotypes(out)[0]
    masked = genotypes(case / "masked.vcf.gz")[0]
    known = masked[:, :, 0] >= 0
    kept = bool((call[known] == masked[known]).all())
    for name, cells in parts_of(case).items():
        yield {
            "case": case.name,
            "part": name,
            "method": method,
            **nrd(truth, call, cells),
            "known_kept": kept,
            **asdict(cost),
        }


def cases(args: argparse.Namespace, folder: Path, seed: int) -> Iterator[tuple[Path, bool]]:
    """The cases, and whether Beagle is run on each."""
    if "genome" in args.only:
        whole = genome(args.samples, args.loci, seed)
        write_case(folder / "genome", whole, seed)
        yield folder / "genome", False
        (x,) = (one for one in whole if one.chrom == "chrX")
        write_case(folder / "X alone", [x], seed)
        yield folder / "X alone", True
        males = Records("chrX", x.pos, x.n_alt, x.alleles[:, 1::2])
        write_case(folder / "X of males alone", [males], seed)
        yield folder / "X of males alone", True
    if "multiallelic" in args.only:
        write_case(folder / "multiallelic", multiallelic(args.samples, args.loci, seed), seed)
        yield folder / "multiallelic", True
    if "outcross" in args.only:
        write_case(folder / "outcross", outcross(args.loci // 3, seed), seed)
        yield folder / "outcross", False


def main() -> None:
    """Make the cases, run them, write JSON, print a line for each part."""
    parser = command_line.parser(__doc__, "whole_files")
    parser.add_argument("--only", type=lambda text: text.split(","), default=["genome", "multiallelic", "outcross"])
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--loci", type=int, default=150)
    parser.add_argument("--beagle", type=Path, metavar="JAR")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="Keep the cases and what was made of them here.")
    args = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in args.seeds:
            folder = (args.keep or Path(temporary)) / str(seed)
            for case, with_beagle in cases(args, folder, seed):
                runs = [("imputevae", lambda out, case=case, seed=seed: impute(case, out, args, seed))]
                if with_beagle and args.beagle:
                    runs.append(("Beagle 5.4", lambda out, case=case: beagle(case, out, args)))
                for method, run in runs:
                    out = case / f"{method.split()[0].lower()}.vcf.gz"
                    try:
                        found = list(rows_of(case, method, out, run(out)))
                    except subprocess.CalledProcessError as error:
                        found = [{"case": case.name, "method": method, "failed": (error.stderr or error.stdout)[-300:]}]
                    for row in found:
                        print({"seed": seed, **row}, flush=True)
                        rows.append({"seed": seed, **row})
                    head = {"version": __version__, "threads": args.threads, "samples": args.samples, "loci": args.loci}
                    command_line.write(args.out, {**head, "rows": rows})


if __name__ == "__main__":
    main()
