"""Kill runs at random moments, take them up again, and compare what they write with runs that were left alone.

usage: python bench/preemption.py [--kills 50] [--seconds 100] [--out bench/results/preemption.json]

Of each signal, TERM and KILL, so many are sent, over the commands in turn. A command is started with --resume, killed
after a random time, started again, and so on until it comes to its end; then its files are compared with those of an
undisturbed run byte for byte, and it starts over. After each kill the output must be absent or whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import command_line
import numpy as np

import imputevae_cli.imputer  # noqa: F401
from imputevae_cli.cli.main import run as run_command

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "test_data" / "example.vcf.gz"
POPMAP = REPOSITORY / "test_data" / "example.popmap"
QUICK = ["--threads", "1", "--preset", "fast", "--set", "knn.steps=40", "--set", "train.max_epochs=15"]
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


class Command:
    """The command line in a copy of this process: libraries are imported already, so that kills fall into the work."""

    def __init__(self, arguments: list[str]):
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(self._said.fileno(), 1)
            os.dup2(self._said.fileno(), 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            sys.argv = ["imputevae", *arguments, "-q"]
            code = 1
            try:
                run_command()
            except SystemExit as ended:
                code = ended.code or 0
            finally:
                sys.stderr.flush()
                os._exit(code)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None where it is still at work after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None

    def kill(self, kind: str) -> tuple[int, float]:
        """Send a signal: the exit code, and the seconds until it ended."""
        begun = time.monotonic()
        os.kill(self.pid, getattr(signal, f"SIG{kind}"))
        code = self.wait(120)
        assert code is not None, f"still there two minutes after {kind}"
        return code, time.monotonic() - begun

    def said(self) -> str:
        """What it wrote on standard output and error."""
        self._said.seek(0)
        return self._said.read().decode()


def run(arguments: list[str]) -> float:
    """Run to the end; the wall seconds that it took."""
    begun = time.monotonic()
    command = Command(arguments)
    code = command.wait(3600)
    assert code == 0, (arguments, code, command.said())
    return time.monotonic() - begun


def written(folder: Path) -> dict[str, str]:
    """Name -> digest of every output; temporary files are left out."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("out.*")) if p.is_file()}


def clear(folder: Path) -> None:
    """Remove the outputs."""
    for path in folder.glob("out.*"):
        path.unlink()


@dataclass
class Undisturbed:
    """What a command is, how long it takes, and the digests of what it writes."""

    name: str
    arguments: list[str]
    seconds: float
    files: dict[str, str]

    @classmethod
    def of(cls, name: str, arguments: list[str], folder: Path) -> Undisturbed:
        """Run it to the end."""
        clear(folder)
        seconds = run(arguments)
        return cls(name, arguments, seconds, written(folder))


def chain(command: Undisturbed, kind: str, folder: Path, rng: random.Random, most: int) -> tuple[list[dict], dict]:
    """One run, killed up to `most` times until it ends: what happened at each kill, and whether the files agree."""
    clear(folder)
    name, kills = command.name, []
    while True:
        process = Command([*command.arguments, *EVERY, "--resume"])
        after = rng.uniform(0, command.seconds) if len(kills) < most else 3600
        code, took = process.wait(after), 0.0
        if code is None:
            code, took = process.kill(kind)
        assert code in ALLOWED[kind], (name, code, process.said())
        if code == 0:
            break
        there = written(folder)
        partial = [file for file, digest in there.items() if digest != command.files[file]]
        kept = [p for p in folder.glob("out.*.ckpt") if p.is_dir()]
        assert not partial, (name, partial)
        assert code != 75 or kept, (name, process.said())
        stages = sorted(p.stem for p in kept[0].glob("*.pt")) if kept else []
        times = {"after_s": round(after, 2), "ended_in_s": round(took, 3)}
        kills.append({"command": name, "signal": kind, "code": code, **times, "kept": stages})
    same = written(folder) == command.files
    left = [p.name for p in folder.iterdir() if p.name.startswith((".out", "out.")) and p.name not in command.files]
    return kills, {"command": name, "signal": kind, "kills": len(kills), "same": same, "left": left}


def undisturbed(folder: Path) -> list[Undisturbed]:
    """Every command with its own result; kept in the folder, so that the next call need not run them again."""
    kept = folder / "undisturbed.json"
    if not kept.exists():
        todo = [asdict(Undisturbed.of(name, arguments, folder)) for name, arguments in commands(folder).items()]
        kept.write_text(json.dumps(todo))
    return [Undisturbed(**fields) for fields in json.loads(kept.read_text())]


def main() -> None:
    """Kill, compare, write JSON, print a summary."""
    parser = command_line.parser(__doc__, "preemption")
    parser.add_argument("--kills", type=int, default=50, help="of each signal")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after these; the same --folder goes on")
    parser.add_argument("--folder", type=Path, default=Path("preemption.work"), help="working files, made here")
    args = parser.parse_args()
    begun = time.monotonic()
    args.folder.mkdir(exist_ok=True)
    folder, done = args.folder.resolve(), args.folder / "done.json"
    todo = undisturbed(folder)
    kills, runs = json.loads(done.read_text()) if done.exists() else ([], [])
    for kind in ALLOWED:
        while (missing := args.kills - sum(k["signal"] == kind for k in kills)) > 0:
            if time.monotonic() - begun > args.seconds:
                print(f"{len(kills)} kills so far; go on with the same command")
                return
            rng = random.Random(len(runs))
            some, outcome = chain(todo[len(runs) % len(todo)], kind, folder, rng, min(missing, 8))
            kills += some
            runs.append(outcome)
            done.write_text(json.dumps([kills, runs]))
            print(outcome, dict(Counter(k["code"] for k in some)), flush=True)
    result = summary(kills, runs)
    command_line.write(args.out, result)
    print({key: value for key, value in result.items() if not key.startswith("each")})
    shutil.rmtree(folder)


def summary(kills: list[dict], runs: list[dict]) -> dict:
    """What the JSON holds."""
    return {
        "kills": {kind: sum(k["signal"] == kind for k in kills) for kind in ALLOWED},
        "codes": {kind: dict(Counter(str(k["code"]) for k in kills if k["signal"] == kind)) for kind in ALLOWED},
        "runs": len(runs),
        "runs_with_the_same_bytes": sum(r["same"] for r in runs),
        "files_left_over": sum(len(r["left"]) for r in runs),
        "longest_end_after_TERM_s": max(k["ended_in_s"] for k in kills if k["signal"] == "TERM"),
        "kills_in_the_middle_of_a_stage_that_was_kept": sum(any("at-work" in n for n in k["kept"]) for k in kills),
        "each_run": runs,
        "each_kill": kills,
    }


if __name__ == "__main__":
    main()
