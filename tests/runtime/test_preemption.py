"""The command line when it is stopped: what it leaves, and how it goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import QUICK_PARTS, QUICK_VAE, _exit_code, environment, flags_of, imputevae, simulate_linked, vcf_of
from test_cli import done, names, refused, without_command
from vcf_maker import write

from imputevae_cli.cli.session import _container_share
from imputevae_cli.cli.signals import kept_until_whole
from imputevae_cli.errors import Preempted
from imputevae_cli.io import vcf_writer
from imputevae_cli.runtime.run_folder import RunFolder
from imputevae_cli.runtime.stopping import Stopped

ALL_PARTS = flags_of({**QUICK_VAE, **QUICK_PARTS, "model.decoder": "auto"})


@pytest.fixture(scope="module")
def linked(tmp_path_factory) -> Path:
    """A VCF in which neighbouring loci are linked."""
    path = tmp_path_factory.mktemp("linked") / "in.vcf"
    write(path, vcf_of(simulate_linked(24, 80)[0]))
    return path


@pytest.fixture(scope="module")
def left(linked, tmp_path_factory) -> Path:
    """The folder that a run leaves that fitted its model, and was stopped while it wrote."""
    folder = tmp_path_factory.mktemp("left")

    def stop(walk, out, **options):
        out.write(b"half")
        os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vcf_writer.Walk, "copy_into", stop)
        run = imputevae(*impute(linked, folder))
    assert run.returncode == 75, run.stderr.decode()
    assert b"o.vcf.gz.ckpt holds what was done, run again with --resume" in run.stderr
    assert names(folder) == ["o.vcf.gz.ckpt"]
    return folder / "o.vcf.gz.ckpt"


def impute(source, folder):
    return ["impute", source, "-o", folder / "o.vcf.gz", "--threads", 1, "-v", *ALL_PARTS]


@pytest.fixture
def stopped(linked, left, tmp_path) -> list:
    """The arguments of such a run, which left its folder in `tmp_path`."""
    shutil.copytree(left, tmp_path / left.name)
    return impute(linked, tmp_path)


def test_a_run_stopped_while_it_wrote_is_not_fitted_again(stopped, tmp_path):
    resumed = done(imputevae(*stopped, "--resume", "--checkpoint-every", 7))
    assert b"going on" in resumed.stderr
    assert b"epoch" not in resumed.stderr
    assert names(tmp_path) == ["o.vcf.gz", "o.vcf.gz.tbi"]
    written = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    for path in tmp_path.iterdir():
        path.unlink()
    assert b"epoch" in done(imputevae(*stopped)).stderr
    assert written == [path.read_bytes() for path in sorted(tmp_path.iterdir())], "the header's command included"


def test_a_stopped_run_is_not_lost_by_accident(stopped, tmp_path):
    refused(imputevae(*stopped, "-q"), 2, "o.vcf.gz.ckpt", "--resume", "--force")
    assert names(tmp_path) == ["o.vcf.gz.ckpt"]
    assert b"epoch" in done(imputevae(*stopped, "--force")).stderr
    assert names(tmp_path) == ["o.vcf.gz", "o.vcf.gz.tbi"]


def test_another_run_is_not_taken_up(stopped, tmp_path):
    refused(imputevae(*stopped, "--resume", "--seed", 9, "-q"), 4, "o.vcf.gz.ckpt", "io.seed was 1, is 9")
    refused(imputevae(*stopped, "--resume", "--region", "1", "-q"), 4, "o.vcf.gz.ckpt", "the input")
    assert names(tmp_path) == ["o.vcf.gz.ckpt"]


def test_what_a_killed_run_left_is_cleared_and_overwritten(stopped, tmp_path):
    (tmp_path / "o.vcf.gz").write_text("written by the run that was killed before it removed its folder")
    for name in (".o.vcf.gz.abcd_123.tmp", ".o.vcf.gz.tbi.abcd_123.tmp", ".o.vcf.abcd_123.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").write_text("killed")
        (tmp_path / name / "o.vcf.gz").write_text("half")
    (tmp_path / ".o.vcf.gz.mine_123.tmp").mkdir()
    (tmp_path / ".o.vcf.gz.mine_123.tmp" / "thesis.txt").write_text("no run made this")
    done(imputevae(*stopped, "--resume"))
    assert names(tmp_path) == [".o.vcf.abcd_123.tmp", ".o.vcf.gz.mine_123.tmp", "o.vcf.gz", "o.vcf.gz.tbi"]


def test_nothing_to_resume(cohort, checkpoint, tmp_path):
    arguments = ["impute", cohort / "in.vcf", "--model", checkpoint, "-o", tmp_path / "o.vcf"]
    run = done(imputevae(*arguments, "--resume", "--checkpoint-every=0"))
    assert b"starts from the beginning" in run.stderr
    assert names(tmp_path) == ["o.vcf"]
    text = (tmp_path / "o.vcf").read_bytes()
    assert b"##imputevae_command" in text
    assert b"--resume" not in text
    assert b"--checkpoint-every" not in text
    refused(imputevae(*arguments[:-1], "-", "--resume"), 2, "--resume", "standard output")


@pytest.mark.parametrize(
    ("text", "share"), [("max 100000\n", None), ("250000 100000\n", 3), ("1000 100000\n", 1), ("", None), (None, None)]
)
def test_the_share_of_a_container(tmp_path, text, share):
    limit = tmp_path / "cpu.max"
    if text is not None:
        limit.write_text(text)
    assert _container_share(limit) == share


AT_WORK = """
import os, sys
from imputevae_cli.cli import summary
from imputevae_cli.cli.main import run

def show(*_):
    import numba, torch
    print(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS, len(os.listdir("/proc/self/task")), file=sys.stderr)

summary.show_imputation = show
run()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(("flags", "slurm", "threads"), [(["--threads", "1"], "7", 1), ([], "2", 2)])
def test_threads_are_those_that_were_given(cohort, checkpoint, tmp_path, flags, slurm, threads):
    arguments = ["impute", cohort / "in.vcf.gz", "--model", checkpoint, "-o", tmp_path / "o.vcf.gz", "-q", *flags]
    run = subprocess.run(
        [sys.executable, "-c", AT_WORK, *map(str, arguments)],
        capture_output=True,
        env={**environment(), "OMP_NUM_THREADS": "9", "SLURM_CPUS_PER_TASK": slurm},
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == b""
    of_torch, of_numba, there = map(int, run.stderr.split())
    assert of_torch == of_numba == threads
    assert there <= 4 * threads, "each library may keep threads of its own, which wait"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_random_and_taken_up(linked, tmp_path, number):
    arguments = ["impute", linked, "--threads", 1, *ALL_PARTS, "--set", "knn.steps=80", "-q"]
    begun = time.monotonic()
    done(imputevae(*arguments, "-o", tmp_path / "alone.vcf"))
    seconds = time.monotonic() - begun
    rng, out, codes = random.Random(int(number)), tmp_path / "o.vcf", set()
    for attempt in range(8):
        again = ["-o", out, "--resume", "--checkpoint-every", 0.001]
        code = killed(number, rng.uniform(0, seconds) if attempt < 3 else 60, *arguments, *again)
        codes.add(code)
        if code == 0:
            break
        assert not out.exists()
        assert code != 75 or (tmp_path / "o.vcf.ckpt").is_dir()
    assert code == 0
    assert codes <= {0, 75, 143, -number}
    assert names(tmp_path) == ["alone.vcf", "o.vcf"]
    assert without_command(out.read_bytes()) == without_command((tmp_path / "alone.vcf").read_bytes())


def killed(number, after, *arguments) -> int:
    """The exit code of the command line, in a copy of this process that gets a signal after some seconds."""
    from imputevae_cli.cli.main import run

    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.argv = ["imputevae", *map(str, arguments)]
        os._exit(_exit_code(run))
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_second_signal_while_the_run_is_saved_leaves_what_was_saved_before_it(tmp_path):
    folder = RunFolder(tmp_path / "o.vcf.ckpt", {})

    def save():
        folder.write("one", {"result": 1})
        raise Stopped(signal.SIGTERM)

    options = SimpleNamespace(resume=False)
    with pytest.raises(Preempted, match="--resume"), kept_until_whole(folder, str(tmp_path / "o.vcf"), options, save):
        raise Stopped(signal.SIGTERM)
    assert folder.read("one") == {"result": 1}
