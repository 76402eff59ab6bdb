"""Kill runs of every command in every phase by every signal, run them again, and look at what is left.

usage: python bench/kills.py [--kills 150] [--seed 1] [--out bench/results/kills.json]

Signals: TERM, KILL, HUP, QUIT, INT, USR1. Commands: impute, train, evaluate, tune, on a tiny file. Phases: the first
second of a new process, while it reads, fits and writes, and between an output and what appears beside it, such as its
index. After each kill every output must be absent or whole. The next run, with --resume where the exit code was 75 or
outputs are there, must end well, with the bytes of an undisturbed run (dates aside), and nothing else on the disk.
"""

from __future__ import annotations

import argparse
import atexit
import gzip
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from preemption import make_structured

REPOSITORY = Path(__file__).parents[1]
SIGNALS = ("TERM", "KILL", "HUP", "QUIT", "INT", "USR1")
PHASES = ("first second", "reading", "fitting", "writing", "between outputs")
TINY = ["--threads", "1", "--set", "model.decoder=vae", "--set", "train.max_epochs=6", "--set", "train.min_epochs=6"]
TINY += ["--set", "model.hidden_units=16", "--set", "model.latent_dim=3", "--set", "vae.draws=2"]
EVERY = ["--checkpoint-every", "0.0005"]
DATES = re.compile(rb'"created": "[^"]*"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+\d\d:\d\d| UTC)?')
TIMED = (".trials.tsv", ".history.pdf", ".html", ".json", ".journal")
"""Endings of files of a study that hold how long its trials took, or numbers that TPE drew anew after a stop."""


@dataclass
class Case:
    """A command, its arguments, where it writes, and what an undisturbed run leaves: name -> digest."""

    name: str
    arguments: list[str]
    folder: Path
    files: dict[str, str]
    seconds: float


def commands(work: Path) -> dict[str, list[str]]:
    """Name -> arguments; each writes into the folder out."""
    source, out = work / "in.vcf.gz", work / "out"
    make_structured(source, 24, 60)
    given = [str(source), *TINY]
    return {
        "impute": ["impute", *given, "-o", str(out / "o.vcf.gz"), "--latent", str(out / "lat.tsv"), *EVERY],
        "train": ["train", *given, "-o", str(out / "o.ivae"), "--latent", str(out / "lat.tsv"), *EVERY],
        "evaluate": [
            *("evaluate", *given, "-o", str(out / "o"), "--json", str(out / "o.json")),
            *("--write-masked", str(out / "m.vcf.gz"), "--mask-file", str(out / "m.tsv.gz")),
        ],
        "tune": ["tune", *given, "-o", str(out / "o.yaml"), "--trials", "2", "--set", "tune.stale_after=1"],
    }


def fork(arguments: list[str], said, hook=None) -> int:
    """The command line in a copy of this process, all libraries imported: its process number."""
    child = os.fork()
    if child:
        return child
    atexit._clear()  # what the first process has to do at its end is not for its copies
    code = 1
    try:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        sys.argv = ["imputevae", *arguments, "-q"]
        from imputevae_cli.cli.main import run

        if hook is not None:
            hook()
        run()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(code)


def wait(child: int) -> int:
    """The exit code; a process that hangs is an error."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("a run hangs")


def killing(kind: str, phase: str, rng: random.Random, seconds: float):
    """What makes a forked run send itself the signal in a phase, or after a random time."""
    number, after, nth = getattr(signal, f"SIG{kind}"), rng.random(), rng.choice((1, 1, 2, 3))

    def fire() -> None:
        os.kill(os.getpid(), number)

    def count_to(original, least: int = 1):
        left = [nth if least else 1]

        def counted(*given, **named):
            result = original(*given, **named)
            left[0] -= 1
            if left[0] == 0:
                fire()
            return result

        return counted

    def hook() -> None:
        from imputevae_cli.cli import session
        from imputevae_cli.io import outputs, vcf_reader

        if phase == "reading":
            read = vcf_reader.read_vcf

            def slowly(*given, **named):
                threading.Timer(after * 0.02, fire).start()
                found = read(*given, **named)
                time.sleep(0.02)
                return found

            vcf_reader.read_vcf = slowly
        elif phase == "fitting":
            limit = session.limit_threads

            def timed(*given):
                threading.Timer(after * seconds * 0.7, fire).start()
                return limit(*given)

            session.limit_threads = timed
        elif phase == "writing":
            outputs._finish = count_to(outputs._finish)
        else:
            outputs.os = _Renaming(count_to(os.replace))

    return hook


class _Renaming:
    """The module os with another `replace`."""

    def __init__(self, replace):
        self.replace = replace

    def __getattr__(self, name):
        return getattr(os, name)


def killed_at_start(arguments: list[str], kind: str, after: float, said) -> int:
    """The exit code of a new process, as users start it, that gets the signal after some of its first second."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imputevae_cli", *arguments, "-q"],
        stdout=said,
        stderr=said,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    time.sleep(after)
    process.send_signal(getattr(signal, f"SIG{kind}"))
    return process.wait(120)


def written(folder: Path) -> dict[str, str]:
    """Relative name -> digest of everything in a folder, dates and the command's own options aside."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() or not any(p.iterdir())):
        data = path.read_bytes() if path.is_file() else b"an empty folder"
        if path.suffix in (".html", ".json"):
            data = DATES.sub(b"", data)
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def is_whole(path: Path, digest: str | None, case: Case) -> bool:
    """Whether a file that a killed run left can be read to its end, and where that is fixed holds the right bytes."""
    if path.name.endswith(TIMED) and case.name == "tune":
        if path.suffix == ".json":
            json.loads(path.read_text())
        return path.suffix == ".journal" or path.stat().st_size > 0
    if path.suffix == ".gz":
        gzip.decompress(path.read_bytes())
    return case.name == "tune" or digest == case.files.get(str(path.relative_to(case.folder)))


def partial_outputs(case: Case) -> list[str]:
    """Outputs that are there and not whole; what a stopped run keeps, and temporary folders, are none."""
    here = written(case.folder)
    own = {name: digest for name, digest in here.items() if not name.startswith(".") and ".ckpt" not in name}
    return [name for name, digest in own.items() if not is_whole(case.folder / name, digest, case)]


def clear(*folders: Path) -> None:
    """Make folders anew."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def kill_once(case: Case, kind: str, phase: str, rng: random.Random, scratch: Path) -> dict:
    """What one kill, and the run after it, left."""
    clear(case.folder, scratch)
    with tempfile.TemporaryFile(dir=scratch.parent) as said:
        if phase == "first second":
            code = killed_at_start(case.arguments, kind, rng.uniform(0, 1), said)
        else:
            code = wait(fork(case.arguments, said, killing(kind, phase, rng, case.seconds)))
        said.seek(0)
        first = said.read().decode("utf-8", "replace")
    there = [name for name in written(case.folder) if not name.startswith(".")]
    partial = partial_outputs(case)
    left = [str(p.relative_to(scratch.parent)) for f in (case.folder, scratch) for p in f.rglob("*")]
    again = [*case.arguments, *(["--resume"] if code == 75 or there else [])]
    with tempfile.TemporaryFile(dir=scratch.parent) as said:
        next_code = wait(fork(again, said))
        said.seek(0)
        second = said.read().decode("utf-8", "replace")
    after = written(case.folder)
    stray = sorted(set(after) - set(case.files)) + [p.name for p in scratch.iterdir()]
    exact = [n for n in case.files if not (case.name == "tune" and n.endswith((*TIMED, ".yaml", ".pdf")))]
    same = [name for name in exact if after.get(name) == case.files[name]]
    return {
        **{"command": case.name, "signal": kind, "phase": phase, "code": code, "next_code": next_code},
        **{"resumed": "--resume" in again, "left_by_kill": left, "partial": partial, "stray": stray},
        "missing": sorted(set(case.files) - set(after)),
        "other_bytes": sorted(set(exact) - set(same)),
        "said": "" if next_code == 0 and code in (0, 75) else f"{first[-300:]} | {second[-300:]}".strip(),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kills.json")
    args = parser.parse_args()
    import optuna  # noqa: F401
    import sklearn.metrics  # noqa: F401

    import imputevae_cli.evaluation.evaluate
    import imputevae_cli.imputer  # noqa: F401

    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        out, scratch = work / "out", work / "scratch"
        clear(out, scratch)
        os.environ["TMPDIR"] = str(scratch)
        tempfile.tempdir = str(scratch)
        cases = []
        for name, arguments in commands(work).items():
            clear(out, scratch)
            begun = time.monotonic()
            with tempfile.TemporaryFile(dir=work) as said:
                code = wait(fork(arguments, said))
                said.seek(0)
                assert code == 0, said.read().decode()
            cases.append(Case(name, arguments, out, written(out), time.monotonic() - begun))
        every = list(itertools.product(PHASES, SIGNALS, cases))
        plan = every + rng.choices(every, k=max(0, args.kills - len(every)))
        kills = []
        for number, (phase, kind, case) in enumerate(plan[: args.kills], 1):
            kills.append(kill_once(case, kind, phase, rng, scratch))
            bad = {k: v for k, v in kills[-1].items() if k in ("partial", "stray", "missing", "other_bytes") and v}
            if bad or kills[-1]["next_code"]:
                print(number, kills[-1], flush=True)
    result = summary(kills)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print({key: value for key, value in result.items() if key != "each_kill"})


def summary(kills: list[dict]) -> dict:
    """What the JSON holds."""
    return {
        "kills": len(kills),
        "by": {key: dict(Counter(k[key] for k in kills)) for key in ("signal", "command", "phase")},
        "codes": {kind: dict(Counter(str(k["code"]) for k in kills if k["signal"] == kind)) for kind in SIGNALS},
        "kills_that_left_files": sum(bool(k["left_by_kill"]) for k in kills),
        "resumed": sum(k["resumed"] for k in kills),
        "next_runs_that_failed": sum(k["next_code"] != 0 for k in kills),
        "partial_outputs": sum(len(k["partial"]) for k in kills),
        "stray_files_after_the_next_run": sum(len(k["stray"]) for k in kills),
        "outputs_missing_after_the_next_run": sum(len(k["missing"]) for k in kills),
        "outputs_of_other_bytes": sum(len(k["other_bytes"]) for k in kills),
        "each_kill": kills,
    }


if __name__ == "__main__":
    main()
