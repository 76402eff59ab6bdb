"""Damaged VCFs, VCF.gz and BCF through the reader and the writer, in worker processes, so that a crash is seen.

    python bench/fuzz.py --n 10000            # results in bench/results/fuzz.json

Each case is a small valid file with one to three damages (tests/vcf_fuzz.py), read and, where it is accepted, written
with fixed probabilities. Counted are: accepted, refused (an ImputeVAEError), uncaught (any other exception), signals,
hangs (30 s), and wrong acceptances: what a strict reading of the same text would not accept, or has other records,
known calls or fields. A worker that dies is replaced. `--keep DIR` keeps the files of all that went wrong.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import command_line
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from vcf_fuzz import Unacceptable, damaged, differences, strict_records, valid_vcf  # noqa: E402

HANG_SECONDS = 30
CONTAINERS = {"vcf": 0.5, "gzip": 0.1, "bgzf": 0.15, "damaged gzip": 0.1, "bcf": 0.1, "damaged bcf": 0.05}
Results = tuple[Counter, list[dict]]
"""How often each thing came of a case, and what went wrong."""
OUTPUTS = {"v": 0.85, "z": 0.08, "b": 0.07}


def read_and_write(path: Path, made: Path, kind: str) -> None:
    """Read a file and write it with fixed probabilities."""
    from imputevae_cli.imputed import ImputedGenotypes
    from imputevae_cli.io.vcf_reader import read_vcf

    genotypes = read_vcf(path)
    share = np.linspace(0.3, 0.1, genotypes.n_classes, dtype=np.float32)
    share /= share.sum()
    ImputedGenotypes(genotypes, lambda a, b: np.tile(share, (genotypes.n_samples, b - a, 1))).write_vcf(made, kind)


def work(connection, job: Callable[..., None]) -> None:
    """The worker: gives `job` the arguments that it is sent, and says what came of it."""
    import logging

    from imputevae_cli.errors import ImputeVAEError

    logging.getLogger("imputevae").addHandler(logging.NullHandler())
    logging.getLogger("imputevae").propagate = False
    while True:
        arguments = connection.recv()
        try:
            job(*arguments)
            connection.send(("accepted", ""))
        except ImputeVAEError as error:
            message = str(error)
            bad = len(message) >= 500 or not message.isprintable()
            connection.send(("bad message" if bad else "refused", message))
        except BaseException as error:
            connection.send(("uncaught", f"{type(error).__name__}: {error}"[:300]))


class Worker:
    """A process at work on a job, replaced when it dies or hangs."""

    def __init__(self, job: Callable[..., None]) -> None:
        self._job = job
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=work, args=(theirs, self._job), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, *arguments: Path | str) -> tuple[str, str]:
        """What came of the job with these arguments: one word, and a detail."""
        try:
            self._ours.send(arguments)
            if self._ours.poll(HANG_SECONDS):
                return self._ours.recv()
            found = "hang", ""
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            found = ("signal" if code and code < 0 else "uncaught"), f"exit {code}"
        self._process.kill()
        self._start()
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.kill()


def make_case(i: int, seed: int, folder: Path) -> tuple[Path, str, str]:
    """Write the i-th case: its path, its container, and the output to ask for."""
    rng = np.random.default_rng([seed, i])
    container = str(rng.choice(list(CONTAINERS), p=list(CONTAINERS.values())))
    kind = str(rng.choice(list(OUTPUTS), p=list(OUTPUTS.values())))
    data = valid_vcf(rng)
    path = folder / f"case{i}"
    if container.endswith("bcf"):
        data = as_bcf(data, path) or data
        if container == "damaged bcf" and rng.random() < 0.7:  # inside, under whole compression
            data = flipped(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, rng)
            data = gzip.compress(data, 1) if rng.random() < 0.5 else data
        elif container == "damaged bcf":
            data = flipped(data, rng)
        path.write_bytes(data)
        return path, container, kind
    data = damaged(data, rng) if rng.random() < 0.95 else data
    if container != "vcf":
        data = gzip.compress(data, 1) if container != "bgzf" else _as_bgzf(data, path)
    if container == "damaged gzip":
        data = flipped(data, rng)
    path.write_bytes(data)
    return path, container, kind


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed[: int(rng.integers(1, len(changed)))] if rng.random() < 0.1 else changed)


def _as_bgzf(data: bytes, path: Path) -> bytes:
    import pysam

    with pysam.BGZFile(str(path), "w") as file:
        file.write(data)
    return path.read_bytes()


def as_bcf(data: bytes, path: Path) -> bytes | None:
    path.write_bytes(data)
    made = subprocess.run(["bcftools", "view", "--no-version", "-Ob", str(path)], capture_output=True, check=False)
    return made.stdout if made.returncode == 0 else None


def text_of(path: Path) -> bytes | None:
    """The text of a case or of an output, read by others: gzip, or bcftools. None where they cannot."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, ValueError):
            return None
    if data[:3] != b"BCF":
        return data
    view = subprocess.run(["bcftools", "view", "--no-version", str(path)], capture_output=True, check=False)
    return view.stdout if view.returncode == 0 else None


def wrong_acceptance(path: Path, made: Path, exact: bool) -> str | None:
    """Why an accepted case should not have been, or did not come out as it should."""
    text = text_of(path)
    if text is None:
        return None  # a BCF that bcftools 1.16 cannot read: nothing to compare with
    try:
        given = strict_records(text)
    except Unacceptable as error:
        return f"accepted: {error}"
    made_text = text_of(made)
    if made_text is None:
        return "bcftools cannot read the output"
    records = [line.split(b"\t") for line in made_text.replace(b"\r\n", b"\n").split(b"\n")[:-1] if line[:1] != b"#"]
    return "; ".join(differences(given, records, exact=exact)[:3]) or None


def run_cases(numbers: range, seed: int, folder: Path, keep: Path | None) -> Results:
    """Counts over some cases, and what went wrong."""
    worker, counts, failures = Worker(read_and_write), Counter(), []
    for i in numbers:
        path, container, kind = make_case(i, seed, folder)
        made = folder / f"made{i}.{ {'v': 'vcf', 'z': 'vcf.gz', 'b': 'bcf'}[kind] }"
        found, detail = worker.run(path, made, kind)
        exact = kind != "b" and not container.endswith("bcf")
        if found == "accepted" and (why := wrong_acceptance(path, made, exact)):
            found, detail = "wrong acceptance", why
        counts[found] += 1
        counts[f"{container}: {found}"] += 1
        if found not in ("accepted", "refused"):
            failures.append({"case": i, "container": container, "output": kind, "what": found, "detail": detail})
            if keep:
                shutil.copy(path, keep / f"case{i}.{kind}")
        for file in folder.glob(f"made{i}.*"):
            file.unlink()
        path.unlink()
    worker.stop()
    return counts, failures


def run_all(about: str, name: str, n: int, run_some: Callable[[range, int, Path, Path | None], Results]) -> None:
    """Share the cases out over workers, and write `name`.json. about: what --help says. n: how many cases by default.

    run_some: runs the cases of some numbers by a seed, in a folder, and keeps the files of what went wrong.
    """
    parser = command_line.parser(about, name)
    parser.add_argument("--n", type=int, default=n)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    start, results = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        threads = []
        for k in range(options.workers):
            mine = Path(folder) / str(k)
            mine.mkdir()
            numbers = range(k, options.n, options.workers)
            job = lambda n=numbers, f=mine: results.append(run_some(n, options.seed, f, options.keep))  # noqa: E731
            threads.append(threading.Thread(target=job))
            threads[-1].start()
        for thread in threads:
            thread.join()
    counts = sum((counts for counts, _ in results), Counter())
    outcomes = ("accepted", "refused", "uncaught", "signal", "hang", "wrong acceptance", "bad message")
    result = {
        "n": options.n,
        "seed": options.seed,
        "outcomes": {name: counts[name] for name in outcomes},
        "by_container": {name: counts[name] for name in sorted(counts) if ":" in name},
        "failures": sorted((failure for _, found in results for failure in found), key=lambda f: f["case"])[:50],
        "seconds": round(time.monotonic() - start, 1),
    }
    command_line.write(options.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    run_all(__doc__, "fuzz", 10_000, run_cases)
