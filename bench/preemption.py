"""Kill runs at random moments, take them up again, and compare what they write with runs that were left alone.

usage: python bench/preemption.py [--kills 50] [--out bench/results/preemption.json]

Of each signal, TERM and KILL, so many are sent, over the commands in turn. A command is started with --resume, killed
after a random time, started again, and so on until it comes to its end; then its files are compared with those of an
undisturbed run byte for byte, and it starts over. After each kill the output must be absent or whole.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "test_data" / "example.vcf.gz"
POPMAP = REPOSITORY / "test_data" / "example.popmap"
QUICK = ["--threads", "1", "--preset", "fast", "--set", "donors.steps=40", "--set", "train.max_epochs=15"]
EVERY = ["--checkpoint-every", "0.003"]
ALLOWED = {"TERM": {0, 75, 143, -15}, "KILL": {0, -9}}


def make_structured(path: Path, n_samples: int = 240, n_loci: int = 900) -> None:
    """A VCF of three populations without linkage, large enough that cheap runs decide which parts are fitted."""
    rng = np.random.default_rng(1)
    frequency = rng.beta(0.6, 0.6, (3, n_loci)).clip(0.05, 0.95)
    dose = rng.binomial(2, frequency[np.arange(n_samples) % 3])
    dose[rng.random(dose.shape) < 0.2] = -1
    texts = np.array(["0/0", "0/1", "1/1", "./."])
    with gzip.open(path, "wt") as file:
        file.write('##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n')
        names = "\t".join(f"s{i}" for i in range(n_samples))
        file.write(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n")
        for locus, column in enumerate(dose.T):
            calls = "\t".join(texts[column])
            file.write(f"1\t{100 * (locus + 1)}\t.\tA\tG\t.\tPASS\t.\tGT\t{calls}\n")


def commands(folder: Path) -> dict[str, list[str]]:
    """Name -> arguments; each writes folder/out.*, and together they pass through every stage."""
    structured, half, model = folder / "structured.vcf.gz", folder / "half.txt", folder / "half.ivae"
    make_structured(structured)
    names = POPMAP.read_text().split()[::2]
    half.write_text("\n".join(names[:60]) + "\n")
    example = [str(EXAMPLE), "--popmap", str(POPMAP), *QUICK]
    run(["train", *example, "--samples-file", str(half), "-o", str(model)])
    return {
        "impute": ["impute", *example, "--latent", str(folder / "out.tsv"), "-o", str(folder / "out.vcf.gz")],
        "train": ["train", *example, "-o", str(folder / "out.ivae")],
        "impute, all parts": ["impute", str(structured), *QUICK, "-o", str(folder / "out.bcf")],
        "impute --model": [
            *("impute", str(EXAMPLE), "--model", str(model), "--threads", "1"),
            *("--phased", "-o", str(folder / "out.vcf")),
        ],
    }


def start(arguments: list[str]) -> subprocess.Popen:
    """The command line in a new process, one thread."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "imputevae_cli", *arguments, "-q"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(arguments: list[str]) -> float:
    """Run to the end; the wall seconds that it took."""
    begun = time.monotonic()
    process = start(arguments)
    said = process.communicate()[0]
    assert process.returncode == 0, (arguments, process.returncode, said.decode())
    return time.monotonic() - begun


def written(folder: Path) -> dict[str, str]:
    """Name -> digest of every output; temporary files are left out."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("out.*")) if p.is_file()}


def clear(folder: Path) -> None:
    """Remove the outputs."""
    for path in folder.glob("out.*"):
        path.unlink()


def chain(name: str, kind: str, arguments: list[str], folder: Path, seconds: float, rng: random.Random, most: int):
    """One run, killed over and over until it ends: what happened at each kill, and whether the files agree."""
    expected = run_and_read(arguments, folder)
    clear(folder)
    kills = []
    while True:
        process = start([*arguments, *EVERY, "--resume"])
        after = rng.uniform(0, seconds) if len(kills) < most else 1e6
        try:
            said = process.communicate(timeout=after)[0].decode()
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, f"SIG{kind}"))
            said = process.communicate(timeout=120)[0].decode()
        code = process.returncode
        assert code in ALLOWED[kind], (name, code, said)
        if code == 0:
            break
        there = written(folder)
        partial = [file for file, digest in there.items() if digest != expected[file]]
        kept = [p for p in folder.glob("out.*.ckpt") if p.is_dir()]
        assert not partial, (name, partial)
        assert code != 75 or kept, (name, said)
        stages = sorted(p.stem for p in kept[0].glob("*.pt")) if kept else []
        kills.append({"command": name, "signal": kind, "after_s": round(after, 2), "code": code, "kept": stages})
    same = written(folder) == expected
    left = [p.name for p in folder.iterdir() if p.name.startswith((".out", "out.")) and p.name not in expected]
    clear(folder)
    return kills, same, left


_expected: dict[str, dict[str, str]] = {}


def run_and_read(arguments: list[str], folder: Path) -> dict[str, str]:
    """Digests of what an undisturbed run writes."""
    key = " ".join(arguments)
    if key not in _expected:
        run(arguments)
        _expected[key] = written(folder)
    return _expected[key]


def main() -> None:
    """Kill, compare, write JSON, print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each signal")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "preemption.json")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        todo = commands(folder)
        seconds = {}
        for what, arguments in todo.items():
            seconds[what] = run(arguments)
            clear(folder)
        kills, runs = [], []
        for kind in ("TERM", "KILL"):
            done = 0
            while done < args.kills:
                for what, arguments in todo.items():
                    most = min(args.kills - done, 8)
                    some, same, left = chain(what, kind, arguments, folder, seconds[what], rng, most)
                    kills += some
                    done += len(some)
                    runs.append({"command": what, "signal": kind, "kills": len(some), "same": same, "left": left})
                    print(runs[-1], Counter(k["code"] for k in some), flush=True)
    result = {
        "kills": {kind: sum(k["signal"] == kind for k in kills) for kind in ALLOWED},
        "codes": {kind: dict(Counter(str(k["code"]) for k in kills if k["signal"] == kind)) for kind in ALLOWED},
        "runs": len(runs),
        "runs_with_the_same_bytes": sum(r["same"] for r in runs),
        "running_stage_kept": sum("running" in k["kept"] for k in kills),
        "each_run": runs,
        "each_kill": kills,
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print({key: value for key, value in result.items() if not key.startswith("each")})


if __name__ == "__main__":
    main()
