"""A large cohort, written straight to VCF.gz in blocks: haplotypes are mosaics of a few founders in three populations.

usage: python bench/simulate.py OUT.vcf.gz --samples 2000 --loci 200000 [--missing 0.1] [--linkage ld|rad] [--seed 1]

`ld`: one chromosome, a switch of founder every 200 loci on average. `rad`: tags of 4 loci, unlinked to each other; a
sample's calls of one tag are missing together. A popmap is written beside it (OUT.popmap). Memory is that of a block.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np

BLOCK = 512  # loci at a time; a multiple of TAG
TAG = 4  # loci of a RAD tag
FOUNDERS = 40
POPULATIONS = 3
CALL_TEXT = np.frombuffer(b"\t0/0\t0/1\t1/1\t./.", "S4")  # a missing call is the last


class Mosaic:
    """Calls of successive loci; every haplotype follows one founder until it switches."""

    def __init__(self, n_samples: int, linkage: str, missing: float, rng: np.random.Generator):
        self.rng, self.missing, self.is_rad = rng, missing, linkage == "rad"
        self.populations = np.arange(n_samples) * POPULATIONS // n_samples
        weights = rng.dirichlet(np.full(FOUNDERS, 0.3), POPULATIONS)  # who descends from whom
        self.reach = weights.cumsum(1)[np.repeat(self.populations, 2)]  # (2N, founders)
        self.founder = self._drawn(np.arange(2 * n_samples))
        self.rate = rng.beta(2, 2 * (1 - missing) / missing, n_samples)  # missing rate of each sample

    def _drawn(self, haplotypes: np.ndarray) -> np.ndarray:
        """A founder for each of some haplotypes, by the shares of their population."""
        draws = self.rng.random(len(haplotypes))[:, None]
        return (draws > self.reach[haplotypes]).sum(1).clip(0, FOUNDERS - 1)

    def calls(self, n_loci: int) -> np.ndarray:
        """int8 (n_loci, samples), -1 missing."""
        rng, n_haplotypes = self.rng, len(self.founder)
        frequency = rng.beta(0.6, 2.0, n_loci)[:, None]
        alleles = (rng.random((n_loci, FOUNDERS)) < frequency).astype(np.int8)
        alleles[:, 0], alleles[:, 1] = 0, 1  # every locus varies
        out = np.empty((n_loci, n_haplotypes), np.int8)
        for locus in range(n_loci):
            if self.is_rad:
                moved = np.arange(n_haplotypes if locus % TAG == 0 else 0)
            else:
                moved = np.flatnonzero(rng.random(n_haplotypes) < 0.005)
            if len(moved):
                self.founder[moved] = self._drawn(moved)
            out[locus] = alleles[locus, self.founder]
        calls = out[:, ::2] + out[:, 1::2]
        at_once = TAG if self.is_rad else 1
        gone = rng.random((-(-n_loci // at_once), calls.shape[1])) < self.rate
        calls[np.repeat(gone, at_once, axis=0)[:n_loci]] = -1
        return calls


def main() -> None:
    """Write the VCF.gz, its index, and the popmap."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--loci", type=int, default=200_000)
    parser.add_argument("--missing", type=float, default=0.1)
    parser.add_argument("--linkage", choices=["ld", "rad"], default="ld")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    simulate(args.out, args.samples, args.loci, args.missing, args.linkage, args.seed)


def simulate(out: Path, n_samples: int, n_loci: int, missing: float, linkage: str, seed: int) -> None:
    """See the module."""
    mosaic = Mosaic(n_samples, linkage, missing, np.random.default_rng(seed))
    names = [f"s{i:05d}" for i in range(n_samples)]
    popmap = "".join(f"{name}\tP{code}\n" for name, code in zip(names, mosaic.populations, strict=True))
    Path(str(out).removesuffix(".vcf.gz") + ".popmap").write_text(popmap)
    with open(out, "wb") as file:
        bgzip = subprocess.Popen(["bgzip", "-c", "-l", "3"], stdin=subprocess.PIPE, stdout=file)
        text = bgzip.stdin
        text.write(b"##fileformat=VCFv4.2\n##contig=<ID=chr1>\n")
        text.write(b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]
        text.write(("\t".join(columns) + "\n").encode())
        for start in range(0, n_loci, BLOCK):
            for i, calls in enumerate(mosaic.calls(min(BLOCK, n_loci - start)), start):
                # Tags are 10 kb apart, and their loci 20 bp; the loci of a chromosome are 250 bp apart
                position = 1 + (i // TAG * 10_000 + i % TAG * 20 if mosaic.is_rad else i * 250)
                text.write(b"chr1\t%d\t.\tA\tG\t.\tPASS\t.\tGT" % position + CALL_TEXT[calls].tobytes() + b"\n")
        text.close()
        if bgzip.wait():
            raise SystemExit("bgzip failed")
    subprocess.run(["tabix", "-f", "-p", "vcf", str(out)], check=True)


if __name__ == "__main__":
    main()
