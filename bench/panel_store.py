"""A large packed panel: its size, the time and memory to open a region of it, and to fill targets by region.

    pip install msprime
    python bench/panel_store.py          # 10,000 haplotypes x 1,000,000 loci; results in bench/results/panel_store.json

Haplotypes are simulated (msprime, one population of 20,000 haplotypes' worth of ancestry, recombination and mutation of
humans), some megabases at a time. 100 further samples are the targets, at one locus in 20. The region that is filled is
a megabase in the middle. Each step is a process of its own, for its memory. `--whole` fills all loci too, which takes
the time of all windows.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from imputevae_cli.panels.store import PanelStore, panel_output

BATCH, PIECE, EVERY = 512, 10_000_000, 20
"""Loci that are written at a time; base pairs that are simulated at a time; one locus in EVERY is typed in the
targets."""
HEADER = '##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
FIXED = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def simulate(panel: Path, chip: Path, n_haplotypes: int, n_loci: int, n_targets: int, seed: int) -> None:
    """Write a packed panel, and targets that it does not hold; a piece of the genome is simulated, a batch is held."""
    names, written = [f"p{i}" for i in range(n_haplotypes // 2)], 0
    with panel_output(panel, names) as writer, open(chip, "w") as file:
        file.write(HEADER + "\t".join([FIXED, *(f"t{i}" for i in range(n_targets))]) + "\n")
        for pos, alleles in loci_of(n_haplotypes + 2 * n_targets, n_loci, seed):
            writer.add("1", pos, [("A", "G", "")] * len(pos), alleles[:, :n_haplotypes])
            for row in np.flatnonzero(np.arange(written, written + len(pos)) % EVERY == EVERY // 2):
                pairs = alleles[row, n_haplotypes:].reshape(-1, 2).tolist()
                cells = "\t".join(f"{min(pair)}/{max(pair)}" for pair in pairs)
                file.write(f"1\t{pos[row]}\t.\tA\tG\t.\t.\t.\tGT\t{cells}\n")
            written += len(pos)
        writer.close({"command": "simulated", "phased": True})


def loci_of(n_haplotypes: int, n_loci: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of so many loci in all: positions int64 (b,), rising, and alleles uint8 (b, H). Pieces of PIECE base
    pairs are simulated apart, one after the other."""
    import msprime

    start = 0
    while n_loci:
        seed += 1
        how = {"population_size": 1e4, "sequence_length": PIECE, "recombination_rate": 1e-8, "random_seed": seed}
        trees = msprime.sim_ancestry(n_haplotypes // 2, **how)
        trees = msprime.sim_mutations(trees, rate=1.25e-8, random_seed=seed, model=msprime.BinaryMutationModel())
        variants = iter(trees.variants())
        while n_loci and (batch := [(v.site.position, v.genotypes > 0) for v in islice(variants, min(BATCH, n_loci))]):
            n_loci -= len(batch)
            pos, alleles = zip(*batch, strict=True)
            yield start + 1 + np.array(pos).astype(np.int64), np.array(alleles, np.uint8)
        start += PIECE


def open_region(panel: Path, n_loci: int) -> dict[str, float]:
    """Seconds to open the panel, to know the positions of its loci, and to read some loci in its middle."""
    start = time.perf_counter()
    store = PanelStore(panel)
    opened = time.perf_counter()
    first = len(store.positions("1")) // 2
    known = time.perf_counter()
    store.haplotypes("1", np.arange(first, first + n_loci))
    done = time.perf_counter()
    return {"open_s": opened - start, "positions_s": known - opened, f"read_{n_loci}_loci_s": done - known}


def of_child(arguments: list[str]) -> dict[str, float]:
    """CPU seconds and peak megabytes of a process; what it prints as JSON is among them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    *printed, peak = done.stdout.splitlines()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": round(cpu, 2), "peak_mb": round(int(peak) * 1024 / 1e6), **json.loads("".join(printed) or "{}")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--haplotypes", type=int, default=10_000)
    parser.add_argument("--loci", type=int, default=1_000_000)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="fill all loci, too")
    parser.add_argument("--folder", type=Path, default=Path("panel_store"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "panel_store.json")
    parser.add_argument(
        "--open", type=int, metavar="LOCI", help="open the panel, read so many loci, and print how long"
    )
    arguments = parser.parse_args()
    panel, chip = arguments.folder / "panel.ivae", arguments.folder / "chip.vcf"
    if arguments.open is not None:
        print(json.dumps({name: round(value, 4) for name, value in open_region(panel, arguments.open).items()}))
        return
    arguments.folder.mkdir(exist_ok=True)
    if not panel.exists():
        simulate(panel, chip, arguments.haplotypes, arguments.loci, arguments.targets, arguments.seed)
    me = [sys.executable, __file__, "--folder", str(arguments.folder)]
    impute = [sys.executable, "-m", "imputevae_cli", "impute", str(chip), "--model", str(panel), "--add-loci", "-q"]
    impute += ["--threads", "1", "--force", "-o", str(arguments.folder / "dense.vcf.gz")]
    positions = PanelStore(panel).positions("1")
    middle = int(positions[len(positions) // 2])
    end = middle + 1_000_000
    report = {
        "haplotypes": arguments.haplotypes,
        "loci": arguments.loci,
        "targets": arguments.targets,
        "bits_mb": round(arguments.haplotypes * arguments.loci / 8e6, 1),
        "file_mb": round(panel.stat().st_size / 1e6, 1),
        "read_1000_loci": of_child([*me, "--open", "1000"]),
        "read_10000_loci": of_child([*me, "--open", "10000"]),
        "region_loci": int(((positions >= middle) & (positions <= end)).sum()),
        "impute_region": of_child([*impute, "--region", f"1:{middle}-{end}"]),
        "machine": platform.processor() or platform.machine(),
    }
    if arguments.whole:
        report["impute_all"] = of_child(impute)
    arguments.results.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
