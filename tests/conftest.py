"""What several test modules share: structured genotypes, a tiny trained model, and the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]

# Before torch is imported: tests run beside one another, and a thread each is enough for matrices this small
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell that runs the tests in the background has signals ignored, and what the tests start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)

from imputevae_cli.config import Config  # noqa: E402
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci  # noqa: E402

QUICK_PARTS = {"knn.steps": 30, "copying.iterations": 4, "copying.chains": 1, "copying.trial": False}
"""Settings under which donors and haplotypes take a fraction of a second on small data."""
QUICK_VAE = {
    "train.max_epochs": 3,
    "train.min_epochs": 1,
    "model.hidden_units": 16,
    "model.latent_dim": 3,
    "vae.draws": 2,
}
TINY = {**QUICK_VAE, **QUICK_PARTS, "model.decoder": "vae"}
"""Settings under which a fit takes a fraction of a second. For tests of anything but accuracy.

The decoder is named, since on data this small `auto` may keep the genotype frequencies alone, which no seed changes."""
DECODERS = ("auto", "vae", "knn", "copying")


def flags_of(settings) -> list[str]:
    """Dotted settings as the command line takes them."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


TINY_FLAGS = flags_of(TINY)


def simulate(
    n_samples=60, n_loci=120, *, ploidy=2, n_populations=3, missing=0.2, seed=0, popmap=True
) -> tuple[GenotypeMatrix, np.ndarray]:
    """Structured genotypes with missing calls, and the truth behind them, int8 (samples, loci).

    Each population has allele frequencies of its own, often near 0 or 1: they are easy to tell apart.
    """
    rng = np.random.default_rng(seed)
    frequency = rng.beta(0.4, 0.4, (n_populations, n_loci)).clip(0.02, 0.98)
    codes = np.arange(n_samples) % n_populations
    truth = (rng.random((n_samples, n_loci, ploidy)) < frequency[codes][..., None]).sum(2).astype(np.int8)
    calls = np.where(rng.random(truth.shape) < missing, np.int8(MISSING), truth)
    letters = np.array(list("ACGT"), object)
    ref = rng.integers(0, 4, n_loci)
    loci = Loci(
        np.where(np.arange(n_loci) < n_loci // 2, "1", "2").astype(object),
        np.arange(100, 100 + 10 * n_loci, 10).astype(np.int64),
        letters[ref],
        letters[(ref + rng.integers(1, 4, n_loci)) % 4],
    )
    populations = np.array([f"pop{c}" for c in codes], object) if popmap else None
    samples = tuple(f"s{i:02d}" for i in range(n_samples))
    return GenotypeMatrix(calls, samples, loci, ploidy, populations), truth


def simulate_linked(n_samples=60, n_loci=200, *, ploidy=2, missing=0.2, seed=0) -> tuple[GenotypeMatrix, np.ndarray]:
    """As `simulate`, of one population whose haplotypes are mosaics of six founders: neighbouring loci are linked."""
    genotypes, _ = simulate(n_samples, n_loci, ploidy=ploidy, seed=seed, popmap=False)
    rng = np.random.default_rng(seed)
    founders = (rng.random((6, n_loci)) < rng.uniform(0.15, 0.85, n_loci)).astype(np.int8)
    source = rng.integers(0, 6, (n_samples * ploidy, n_loci))
    jumps = rng.random(source.shape) < 0.01
    jumps[:, [0, n_loci // 2]] = True
    at = np.maximum.accumulate(np.where(jumps, np.arange(n_loci), 0), 1)
    haplotypes = founders[np.take_along_axis(source, at, 1), np.arange(n_loci)]
    truth = haplotypes.reshape(n_samples, ploidy, n_loci).sum(1).astype(np.int8)
    calls = np.where(rng.random(truth.shape) < missing, np.int8(MISSING), truth)
    return genotypes.with_calls(calls), truth


def vcf_of(genotypes: GenotypeMatrix) -> str:
    """The genotypes as VCF text."""
    from vcf_maker import record, vcf

    texts = {-1: "./.", 0: "0/0", 1: "0/1", 2: "1/1"} if genotypes.ploidy == 2 else {-1: ".", 0: "0", 1: "1"}
    loci = genotypes.loci
    lines = [
        record([texts[c] for c in column], chrom, pos, ref, alt)
        for column, chrom, pos, ref, alt in zip(
            genotypes.calls.T.tolist(), loci.chrom, loci.pos, loci.ref, loci.alt, strict=True
        )
    ]
    return vcf(*lines, samples=genotypes.samples)


def tiny_config(**dotted) -> Config:
    """TINY with some dotted keys changed, `__` standing for the dot."""
    return Config().replace({**TINY, **{key.replace("__", "."): value for key, value in dotted.items()}})


def environment() -> dict[str, str]:
    """The environment for the command line: this checkout first, one thread."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def imputevae(*arguments, cwd=None) -> subprocess.CompletedProcess:
    """Run the command line in a copy of this process, which spares the second that importing torch takes."""
    import torch  # noqa: F401

    import imputevae_cli.imputer  # noqa: F401
    from imputevae_cli.cli.main import run

    arguments = [str(argument) for argument in arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(120)
            os.chdir(cwd or os.getcwd())
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8", closefd=False) for fd in (1, 2))
            sys.argv = ["imputevae", *arguments]
            os._exit(_exit_code(run))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def _exit_code(run) -> int:
    code = 1
    try:
        run()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def fresh_imputevae(*arguments, cwd=None, stdin: bytes | None = None) -> subprocess.CompletedProcess:
    """Run the command line as users do, in a new process; output and error as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "imputevae_cli", *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        input=stdin,
        env=environment(),
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """A folder with in.vcf, in.vcf.gz and pops.popmap of 24 samples at 60 loci; not to be written to."""
    from vcf_maker import write

    folder = tmp_path_factory.mktemp("cohort")
    genotypes, _ = simulate(24, 60)
    text = vcf_of(genotypes)
    write(folder / "in.vcf", text)
    write(folder / "in.vcf.gz", text, "bgzf")
    lines = [f"{s}\t{p}\n" for s, p in zip(genotypes.samples, genotypes.populations, strict=True)]
    (folder / "pops.popmap").write_text("".join(lines))
    return folder


@pytest.fixture(scope="session")
def checkpoint(cohort, tmp_path_factory) -> Path:
    """A checkpoint that `imputevae train` made of the cohort, after three epochs."""
    path = tmp_path_factory.mktemp("model") / "tiny.ivae"
    run = fresh_imputevae("train", cohort / "in.vcf.gz", "--popmap", cohort / "pops.popmap", "-o", path, *TINY_FLAGS)
    assert run.returncode == 0, run.stderr.decode()
    return path
