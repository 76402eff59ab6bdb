"""What tuning gains on the cases of a folder: the settings found beside the defaults, on calls that no trial saw.

usage: python bench/tune.py --cases DIR --only NAME,... [--trials 30] [--workers 2] [--out bench/results/tune.json]

Each case's masked.vcf.gz is tuned by so many workers of one thread that share a study; the truth is not looked at.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import command_line
import scoring

from imputevae_cli import __version__

SHOWN = ("study", "trials", "pruned", "on_part", "chosen", "params", "test")


def tune(case: Path, trials: int, workers: int, seed: int, folder: Path) -> dict:
    """Tune one case; its cost, of all workers together, and what was found. Raises CalledProcessError."""
    out = folder / f"{case.name}.yaml"
    command = [sys.executable, "-m", "imputevae_cli", "tune", str(case / "masked.vcf.gz"), "-o", str(out)]
    command += [*scoring.popmap_of(case), "--trials", str(trials), "--study", case.name, "--seed", str(seed)]
    command += ["--storage", f"journal:{folder / case.name}.journal", "--threads", "1"]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [subprocess.Popen(command, env=dict(os.environ)) for _ in range(workers)]
    codes = [worker.wait() for worker in running]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if any(codes):
        raise subprocess.CalledProcessError(max(codes), command)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    cost = {"wall_s": round(time.monotonic() - start, 1), "cpu_s": round(cpu, 1)}
    found = json.loads(out.with_suffix(".json").read_text())
    return {"case": case.name, **cost, **{key: found[key] for key in SHOWN}}


def main() -> None:
    """Tune the cases one after the other, write JSON after each."""
    parser = command_line.parser(__doc__, "tune", cases=True)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the studies and their files; else they are thrown away")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else None
    cases = scoring.cases_in(args.cases, args.only)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in sorted(cases, key=lambda c: names.index(c.name)) if names else cases:
            rows.append(tune(case, args.trials, args.workers, args.seed, args.keep or Path(folder)))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            head = {"version": __version__, "trials": args.trials, "workers": args.workers, "seed": args.seed}
            command_line.write(args.out, {**head, "rows": rows})


if __name__ == "__main__":
    main()
