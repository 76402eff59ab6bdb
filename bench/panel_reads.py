"""Low-depth reads filled from a reference panel: `imputevae impute --refine --panel`, and GLIMPSE2 where it is there.

    pip install imputevae[bench]
    python bench/panel_reads.py [--seeds 11,12] [--case DIR] [--out bench/results/panel_reads.json]

Simulated as in `panels.py`: 300 panel samples; of the 100 targets there are reads (AD, PL), one a cell on average, at
all loci of the first megabase. `--case`: a folder with panel.vcf.gz (phased), masked.vcf.gz with PL, and truth.vcf.gz.
Scored: every cell that the truth knows. One thread. GLIMPSE2 (https://odelaneau.github.io/GLIMPSE) has a row where
GLIMPSE2_phase is on the PATH. Needs bgzip and tabix there.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import lowdepth
import numpy as np
import panels
import scoring
from make_cases import FIXED

DEPTH, ERROR, LENGTH = 1.0, 0.005, 1_000_000
HEADER = panels.HEADER + (
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">\n'
    '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods of the genotypes, phred-scaled">\n'
)
GENOTYPES = np.array(["0/0", "0/1", "1/1", "./."])


def simulate(folder: Path, seed: int) -> Path:
    """A case of its own folder, with panel.vcf.gz, masked.vcf.gz and truth.vcf.gz."""
    case = panels.simulate(folder, seed)
    truth, samples, keys = scoring.read_calls(case / "truth.vcf.gz")
    some = np.array([key[1] <= LENGTH for key in keys])
    header = HEADER + "\t".join([*FIXED, *samples]) + "\n"
    starts = [f"1\t{key[1]}\t.\tA\tG\t.\tPASS\t.\t" for key, is_one in zip(keys, some, strict=True) if is_one]
    cells = {"masked": ("GT:AD:PL", reads_of(truth[some], np.random.default_rng(seed)))}
    cells["truth"] = "GT", (GENOTYPES[row] for row in truth[some])
    for name, (shape, rows) in cells.items():
        lines = (f"{start}{shape}\t" + "\t".join(row) + "\n" for start, row in zip(starts, rows, strict=True))
        panels.write_text(case / f"{name}.vcf.gz", [header, *lines])
    return case


def reads_of(counts: np.ndarray, rng: np.random.Generator) -> Iterator[list[str]]:
    """The cells of each record. counts: int8 (records, samples), ALT alleles."""
    right, wrong, half = np.log10([1 - ERROR, ERROR, 0.5])
    for row in counts:
        depth = rng.poisson(DEPTH, len(row))
        alt = rng.binomial(depth, np.array([ERROR, 0.5, 1 - ERROR])[row])
        ref = depth - alt
        log = np.stack([ref * right + alt * wrong, depth * half, ref * wrong + alt * right], -1)
        pl = np.rint(10 * (log.max(-1, keepdims=True) - log)).astype(int)
        called = GENOTYPES[np.where(depth > 0, pl.argmin(-1), 3)]
        yield [
            f"{gt}:{r},{a}:{','.join(map(str, p))}" for gt, r, a, p in zip(called, ref, alt, pl.tolist(), strict=True)
        ]


def run_ours(case: Path, out: Path) -> scoring.Cost:
    given = [str(case / "masked.vcf.gz"), "--refine", "--panel", str(case / "panel.vcf.gz"), "-q", "-o", str(out)]
    command = [sys.executable, "-m", "imputevae_cli", "impute", *given]
    return scoring.measure([*command, "--seed", "1", "--threads", "1"])


def run_glimpse(case: Path, out: Path) -> scoring.Cost:
    """GLIMPSE2 on all that the targets' file has, in one piece."""
    _, _, keys = scoring.read_calls(case / "masked.vcf.gz")
    region = f"{keys[0][0]}:{keys[0][1]}-{keys[-1][1]}"
    given = {"--input-gl": case / "masked.vcf.gz", "--reference": case / "panel.vcf.gz", "--output": out}
    given |= {"--input-region": region, "--output-region": region, "--threads": "1"}
    return scoring.measure(["GLIMPSE2_phase", *(str(word) for pair in given.items() for word in pair)])


def rows_of(case: Path, folder: Path) -> list[dict]:
    """Every method on one case."""
    methods = {"imputevae": run_ours}
    if shutil.which("GLIMPSE2_phase"):
        methods["glimpse2"] = run_glimpse
    out = folder / "out.vcf.gz"
    return [
        scoring.row_of(
            {"case": case.name, "method": method},
            partial(run, case, out),
            lambda: lowdepth.score(case, lowdepth.guess_of(case, out)),
            out,
        )
        for method, run in methods.items()
    ]


if __name__ == "__main__":
    panels.run_cases(__doc__, "panel_reads", simulate, rows_of)
