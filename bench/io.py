"""Cost of reading and of writing a VCF, beside `bcftools view` of the same files, in CPU seconds at one thread.

    python bench/io.py            # 200 samples x 20,000 loci; needs bcftools; results in bench/results/io.json

The input is simulated: GT, AD and DP, 20 % of the calls missing. It is read as `impute` reads it, which asks AD whether
calls are certain, and calls alone (`--likelihoods none`). Each is filled at random, with probabilities drawn afresh,
so that hardly two cells share their text: the worst case for the writer. The steps take turns, and each figure is the
median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlock
from imputevae_cli.io.vcf_reader import read_vcf
from imputevae_cli.io.vcf_writer import write_vcf

HEADER = """##fileformat=VCFv4.2
##contig=<ID=chr1>
##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Allele number">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=MQ,Number=1,Type=Float,Description="Mapping quality">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Allelic depths">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""
FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
GENOTYPES = ("0/0", "0/1", "1/1")


def simulate(path: Path, n_samples: int, n_loci: int, missing: float, rng: np.random.Generator) -> None:
    """Write a VCF of unlinked loci with U-shaped allele frequencies."""
    with open(path, "w") as file:
        file.write(HEADER + "\t".join(FIXED + [f"sample_{i}" for i in range(n_samples)]) + "\n")
        for locus in range(n_loci):
            calls = rng.binomial(2, rng.beta(0.5, 2), n_samples)
            hidden = rng.random(n_samples) < missing
            depth = rng.poisson(10, n_samples)
            alts = rng.binomial(depth, calls / 2)
            cells = [
                "./.:0,0:0" if h else f"{GENOTYPES[c]}:{d - a},{a}:{d}"
                for c, h, d, a in zip(calls.tolist(), hidden.tolist(), depth.tolist(), alts.tolist(), strict=True)
            ]
            info = f"AC={calls[~hidden].sum()};AN={2 * (~hidden).sum()};DP={depth.sum()};MQ=60.0"
            row = ["chr1", str(100 * (locus + 1)), ".", "A", "G", "43.70", "PASS", info, "GT:AD:DP", *cells]
            file.write("\t".join(row) + "\n")


class RandomlyFilled:
    """An imputation whose probabilities are drawn at random, all at once beforehand."""

    def __init__(self, genotypes: GenotypeMatrix, rng: np.random.Generator):
        self.genotypes = genotypes
        known = genotypes.calls >= 0
        first = rng.integers(0, 1001, genotypes.calls.shape, dtype=np.uint16)
        second = (rng.random(genotypes.calls.shape, dtype=np.float32) * (1001 - first)).astype(np.uint16)
        self.gp = np.stack([first, second, 1000 - first - second], axis=2)
        self.gp[known] = 1000 * (genotypes.calls[known, None] == np.arange(3))
        self.calls = self.gp.argmax(axis=2).astype(np.int8)
        self.imputed = ~known

    def block(self, start: int, stop: int) -> ImputedBlock:
        span = slice(start, stop)
        return ImputedBlock(self.calls[:, span], self.gp[:, span], self.imputed[:, span])


def cpu_of(function) -> float:
    """CPU seconds of a call in this process."""
    start = time.process_time()
    function()
    return time.process_time() - start


def cpu_of_command(*command: str) -> float:
    """CPU seconds of a child process, its output thrown away."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path, n_samples: int, n_loci: int, rounds: int) -> dict:
    rng = np.random.default_rng(1)
    plain, given, made = folder / "given.vcf", folder / "given.vcf.gz", folder / "made.vcf.gz"
    simulate(plain, n_samples, n_loci, 0.2, rng)
    subprocess.run(["bcftools", "view", "--no-version", "-Oz", "-o", str(given), str(plain)], check=True)
    plain.unlink()
    imputed = RandomlyFilled(read_vcf(given), rng)
    write = {"output_type": "z", "command": "bench/io.py", "version": "0"}
    steps = {
        "read": lambda: cpu_of(lambda: read_vcf(given)),
        "read calls alone": lambda: cpu_of(lambda: read_vcf(given, likelihoods="none")),
        "write": lambda: cpu_of(lambda: write_vcf(made, imputed, **write)),
        "bcftools view -Oz of the finished file": lambda: cpu_of_command("bcftools", "view", "-Oz", str(made)),
        "bcftools view -Ou of the input": lambda: cpu_of_command("bcftools", "view", "-Ou", str(given)),
    }
    write_vcf(made, imputed, **write)
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(step())
    read, calls, written, view_z, view_u = times.values()
    return {
        "samples": n_samples,
        "loci": n_loci,
        "rounds": rounds,
        "cpu_seconds": {name: round(statistics.median(values), 3) for name, values in times.items()},
        "read_and_write_over_view_z": _ratio([r + w for r, w in zip(read, written, strict=True)], view_z),
        "calls_alone_and_write_over_view_z": _ratio([r + w for r, w in zip(calls, written, strict=True)], view_z),
        "write_over_view_z": _ratio(written, view_z),
        "calls_alone_over_view_u": _ratio(calls, view_u),
        "finished_bytes": made.stat().st_size,
        "given_bytes": given.stat().st_size,
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios: load that comes and goes falls on both sides of a round."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--loci", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results" / "io.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.samples, options.loci, options.rounds)
    bcftools = subprocess.run(["bcftools", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[
        0
    ]
    result["tools"] = {"python": platform.python_version(), "bcftools": bcftools.split()[-1]}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
