"""Time and memory of `imputevae impute` along samples and along loci, and what --dry-run foretells of them.

usage: python bench/scale.py [--only LINE:SIZE,...] [--folder DIR] [--out bench/results/scale.json]

Two lines, not the grid: samples at a fixed number of loci, and loci at a fixed number of samples, both of linked data
from simulate.py; and a few files for the forecasts. Runs on 2,000 samples x 200,000 loci are made only where `--only`
names them (large:vae, large:knn, large:copying), as is large:cohort, 10,000 samples x 20,000 loci; these take two
threads, the others one. Every run is a process of its own, and what is finished is kept after each. The haplotype
decoder runs one chain, so that the rule by which small cohorts get more does not show as scaling.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import command_line
import numpy as np
from simulate import simulate

SAMPLES, AT_LOCI = (100, 300, 1000, 2500, 5000), 2000
LOCI, AT_SAMPLES = (1000, 5000, 20_000, 50_000, 200_000), 100
FORECASTS = {"ld": ((100, 2000), (300, 5000), (1000, 3000)), "rad": ((100, 2000), (200, 5000), (400, 5000))}
LARGE = {"vae": [], "knn": [], "copying": ["--region", "chr1:1-5000000"]}
LARGE_SAMPLES, LARGE_LOCI, REGION_LOCI = 2000, 200_000, 20_000
ONE_CHAIN = ["--set", "copying.chains=1"]


def main() -> None:
    """Run what is missing, write JSON, print a table."""
    parser = command_line.parser(__doc__, "scale")
    parser.add_argument("--only", default="", help="such as samples:1000,loci:5000,ld:100x2000")
    parser.add_argument("--folder", type=Path, default=Path("scale"))
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    measure(args.folder, 100, 1000, [])  # a first run compiles, which takes some 160 MB that no later one needs
    for name, job in jobs().items():
        wanted = name in args.only.split(",") if args.only else not name.startswith("large")
        if name in results.get("runs", {}) or not wanted:
            continue
        results.setdefault("runs", {})[name] = measure(args.folder, **job)
        results["exponents"] = exponents(results["runs"])
        command_line.write(args.out, results)
        print(name, results["runs"][name], flush=True)
    print(json.dumps(results.get("exponents", {}), indent=1))


def jobs() -> dict[str, dict]:
    """Name -> what to simulate and how to run it."""
    along = {f"samples:{n}": {"samples": n, "loci": AT_LOCI, "options": ONE_CHAIN} for n in SAMPLES}
    along |= {f"loci:{n}": {"samples": AT_SAMPLES, "loci": n, "options": ONE_CHAIN} for n in LOCI}
    for linkage, sizes in FORECASTS.items():
        for samples, loci in sizes:
            job = {"samples": samples, "loci": loci, "linkage": linkage, "forecast": True, "options": []}
            along[f"{linkage}:{samples}x{loci}"] = job
    for decoder, options in LARGE.items():
        options = [*options, "--set", f"model.decoder={decoder}", "--threads", "2"]
        along[f"large:{decoder}"] = {"samples": LARGE_SAMPLES, "loci": LARGE_LOCI, "options": options}
    along["large:cohort"] = {"samples": 10_000, "loci": 20_000, "options": ["--threads", "2"]}
    return along


def measure(folder: Path, samples: int, loci: int, options: list, linkage: str = "ld", forecast: bool = False) -> dict:
    """CPU seconds and peak memory of one run, with what --dry-run said before it."""
    file = folder / f"{linkage}_{samples}x{loci}.vcf.gz"
    if not file.exists():
        simulate(file, samples, loci, 0.1 if linkage == "ld" else 0.25, linkage, seed=samples + loci)
    popmap = Path(str(file).removesuffix(".vcf.gz") + ".popmap")
    given = ["impute", file, "--popmap", popmap, "-o", folder / "out.vcf.gz", "--force", *options]
    row = {"samples": samples, "loci": loci, "linkage": linkage}
    if forecast:
        row |= {"forecast": forecast_of(*run(*given, "--dry-run"))}
    cpu, wall, peak, text = run(*given)
    row |= {"cpu_s": round(cpu, 1), "wall_s": round(wall, 1), "peak_mb": round(peak), "parts": parts(text)}
    cells = samples * (REGION_LOCI if "--region" in options else loci)
    return row | {"bound_mb": round(500 + (1 if row["parts"] == "the VAE" else 4) * cells / 1e6)}


def run(*arguments) -> tuple[float, float, float, str]:
    """CPU seconds, wall seconds, peak MB and standard error of the command line; with one thread where it asks for
    none."""
    threads = [] if "--threads" in arguments else ["--threads", "1"]
    command = [sys.executable, "-m", "imputevae_cli", *map(str, arguments), *threads]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"} | ({"OMP_NUM_THREADS": "1"} if threads else {})
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    text = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss * 1024 / 1e6, text


def forecast_of(cpu: float, wall: float, peak: float, text: str) -> dict:
    """What a dry run says, and what it took itself."""
    minutes, seconds = re.search(r"Time, about\s+│ (?:(\d+) min )?([\d.]+) s", text).groups()
    memory = re.search(r"Peak memory, about\s+│ ([\d,]+) MB", text).group(1).replace(",", "")
    foretold = 60 * int(minutes or 0) + float(seconds)
    # On a machine that is shared the forecast is of wall time; by the dry run's own share of it, of CPU time
    return {
        "wall_s": foretold,
        "cpu_s": round(foretold * min(1.0, cpu / wall), 1),
        "peak_mb": int(memory),
        "dry_run_cpu_s": round(cpu, 1),
    }


def parts(text: str) -> str:
    """The decoders that the summary says the model is made of."""
    row = re.search(r"│ Model +│(.*?)\n│ \S", text, re.DOTALL).group(1)  # which may take several lines
    words = " ".join(row.replace("│", " ").split())
    return re.sub(r" \d+%", "", re.split(r" \(|, as model\.decoder", words)[0])


def exponents(runs: dict) -> dict:
    """Slopes of log CPU seconds on log size, over all sizes and over the largest three; MB for each 1,000 more."""
    found = {}
    for line, sizes in (("samples", SAMPLES), ("loci", LOCI)):
        rows = [runs[f"{line}:{n}"] for n in sizes if f"{line}:{n}" in runs]
        if len(rows) < 3:
            continue
        size, cpu, peak = (np.array([row[key] for row in rows], float) for key in (line, "cpu_s", "peak_mb"))
        found[line] = {
            "cpu_largest_three": round(float(np.polyfit(np.log(size[-3:]), np.log(cpu[-3:]), 1)[0]), 2),
            "cpu_all": round(float(np.polyfit(np.log(size), np.log(cpu), 1)[0]), 2),
            "mb_per_1000": round(float(np.polyfit(size, peak, 1)[0]) * 1000, 2),
        }
    return found


if __name__ == "__main__":
    main()
