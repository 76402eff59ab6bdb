"""The life of the process: its streams, signals, limits and places to write, whatever they are."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import TINY_FLAGS, environment, imputevae
from test_cli import done, names, records, refused

from imputevae_cli.cli.causes import describe
from imputevae_cli.errors import InputError

FULL = Path("/dev/full")
RUN = [sys.executable, "-m", "imputevae_cli"]


def in_shell(text, cwd, **variables):
    """A command line as a shell runs it, `imputevae` standing for this checkout's."""
    text = text.replace("imputevae ", f"{sys.executable} -m imputevae_cli ")
    there = {**environment(), **variables}
    return subprocess.run(["sh", "-c", text], cwd=cwd, capture_output=True, env=there, timeout=120, check=False)


@pytest.fixture(scope="module")
def filled(cohort, tmp_path_factory):
    """What a run with ordinary streams writes."""
    path = tmp_path_factory.mktemp("filled") / "o.vcf"
    done(imputevae("impute", cohort / "in.vcf", "-o", path, *TINY_FLAGS, "--threads", 1))
    return records(path)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_and_full_streams_change_nothing_but_the_messages(cohort, tmp_path, filled, streams):
    flags = " ".join([*TINY_FLAGS, "--threads", "1", "-v"])
    run = in_shell(f"imputevae impute {cohort / 'in.vcf'} -o o.vcf {flags} {streams}", tmp_path)
    assert run.returncode == 0
    assert records(tmp_path / "o.vcf") == filled
    assert in_shell(f"imputevae impute none.vcf -o x.vcf {streams}", tmp_path).returncode == 3
    assert in_shell(f"imputevae impute {cohort / 'in.vcf'} -o o.vcf {streams}", tmp_path).returncode == 2
    assert names(tmp_path) == ["o.vcf"]


def test_standard_output_that_is_closed_or_full_is_said(cohort, tmp_path):
    flags = " ".join([*TINY_FLAGS, "--threads", "1", "-q"])
    for stream in (">&-", ">/dev/full"):
        run = in_shell(f"imputevae impute {cohort / 'in.vcf'} -o - {flags} {stream}", tmp_path)
        assert run.returncode == 2
        assert b"standard output: cannot be written" in run.stderr
    assert in_shell("imputevae impute --print-config >/dev/full", tmp_path).returncode == 2


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_log_file_on_a_full_disk_costs_the_log_alone(cohort, tmp_path, filled):
    run = imputevae(
        "impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", *TINY_FLAGS, "--threads", 1, "--log-file", FULL
    )
    assert run.returncode == 0
    assert run.stderr.count(b"the log cannot be written any more") == 1
    assert b"Traceback" not in run.stderr
    assert records(tmp_path / "o.vcf") == filled


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("output", ["o.vcf.gz", "-"])
def test_hangup_and_quit_save_as_sigterm_does(cohort, tmp_path, name, output):
    number = getattr(signal, name)
    out = output if output == "-" else tmp_path / output
    flags = ["--set", "train.max_epochs=1000000", "--set", "train.min_epochs=1000000", "-v"]
    process = subprocess.Popen(
        [*RUN, "impute", cohort / "in.vcf", "-o", out, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    for line in process.stderr:
        if b"epoch 3:" in line:
            process.send_signal(number)
            break
    rest = process.communicate()[1]
    timer.cancel()
    assert f"stopped by {name}".encode() in rest
    assert process.returncode == (128 + number if output == "-" else 75)
    assert names(tmp_path) == ([] if output == "-" else ["o.vcf.gz.ckpt"])


def test_a_hangup_is_ignored_under_nohup(cohort, tmp_path):
    code = (
        f"trap '' HUP; imputevae impute {cohort / 'in.vcf'} -o o.vcf {' '.join(TINY_FLAGS)} & sleep 0.5; kill -HUP $!"
    )
    assert in_shell(f"{code}; wait $!", tmp_path).returncode == 0
    assert names(tmp_path) == ["o.vcf"]


@pytest.mark.parametrize("limit", [8, 12, 16, 24, 40])
def test_too_many_open_files_are_said_to_be_that(cohort, tmp_path, limit):
    code = f"ulimit -n {limit}; imputevae impute {cohort / 'in.vcf.gz'} -o o.vcf.gz {' '.join(TINY_FLAGS)} -q"
    run = in_shell(code, tmp_path)
    if run.returncode != 0:  # the least that a run needs differs among platforms
        assert b"open files" in run.stderr
        assert b"a bug" not in run.stderr
        assert b"Traceback" not in run.stderr


def test_the_cause_is_found_behind_another_error():
    try:
        try:
            raise OSError(24, "Too many open files", "in.vcf")
        except OSError as error:
            raise InputError("in.vcf: htslib cannot parse the header") from error
    except InputError as error:
        message, code = describe(error)
    assert message.startswith("too many open files")
    assert code == 3
    assert describe(OSError(28, "No space left on device", "/x/y"))[1] == 2
    assert describe(MemoryError())[1] == 5
    assert describe(ValueError("odd"))[1] == 1


def test_no_temporary_folder_at_all(cohort, tmp_path):
    code = f"""
import sys, tempfile
def none(*_):
    raise FileNotFoundError(2, "No usable temporary directory found")
tempfile.gettempdir = tempfile.mkdtemp = none
from imputevae_cli.cli.main import run
sys.argv = ["imputevae", "impute", {str(cohort / "in.vcf")!r}, "-o", "-", "--output-type", "b", "-q", *{TINY_FLAGS!r}]
run()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=False)
    refused(run, 2, "No usable temporary directory")


def test_an_index_that_cannot_be_made_is_said_before_the_fit(cohort, tmp_path):
    (tmp_path / "o.vcf.gz.tbi").mkdir()
    run = imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf.gz", *TINY_FLAGS, "--force")
    refused(run, 2, "o.vcf.gz.tbi: is a folder")


# --- messages


@pytest.mark.parametrize(
    "arguments",
    [
        ["--samples", "\x1b[31mred\x07"],
        ["--samples", "x" * 200_000],
        ["--region", "1:" + "9" * 5000],
        ["--no-such\x1b[2Joption"],
        ["--config", "a\nb.yaml"],
        ["--set", "train.gamma=" + "[" * 3000],
        ["--set", "x" * 90_000 + "=1"],
        ["--min-gp", "z" * 100_000],
        ["-o", "o" * 300 + ".vcf"],
        ["--log-file", "no/\r/log"],
    ],
)
def test_every_message_is_one_short_line_without_control_characters(cohort, tmp_path, arguments):
    run = imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", "-q", *arguments, cwd=tmp_path)
    text = run.stderr.decode()
    assert run.returncode in (2, 3)
    assert text.startswith("imputevae: error: ")
    assert text.endswith("\n")
    assert len(text) < 500
    assert text[:-1].isprintable()
    assert names(tmp_path) == []


def test_brackets_in_a_name_are_no_markup(cohort, tmp_path):
    run = done(imputevae("impute", cohort / "in.vcf", "-o", "a[b]\x1b[bold].vcf", *TINY_FLAGS, cwd=tmp_path))
    assert "a[b]\\x1b[bold].vcf" in run.stderr.decode()


def test_a_name_that_is_not_utf8(cohort, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.vcf"
    for arguments in (["impute", cohort / "in.vcf", "-o", name], ["impute", name, "-o", "o.vcf"]):
        run = subprocess.run([*RUN, *arguments], capture_output=True, env=environment(), cwd=tmp_path, check=False)
        refused(run, 2, "is not UTF-8")
    assert names(tmp_path) == []


def test_memory_that_does_not_suffice_is_no_bug(cohort, tmp_path):
    """Whether address space runs out in an import or in the fit, depends on the machine."""
    code = f"""
import sys
import torch, imputevae_cli.imputer
from imputevae_cli.cli.main import run
import imputevae_cli.imputer as imputer
def full(*_, **__):
    torch.zeros(1 << 60)
imputer.ImputeVAE.fit = full
sys.argv = ["imputevae", "impute", {str(cohort / "in.vcf")!r}, "-o", {str(tmp_path / "o.vcf")!r}, "-q"]
run()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=False)
    refused(run, 5, "out of memory")
