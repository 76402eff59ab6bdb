"""What standard error shows of a run on a terminal, and in a pipe."""

import os
import pty
import re
import subprocess
import sys

import pytest
from conftest import TINY_FLAGS, environment, imputevae, simulate_linked, vcf_of
from vcf_maker import write


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "in.vcf.gz", vcf_of(simulate_linked(20, 60)[0]), "bgzf")


def on_terminal(*arguments) -> str:
    """What the command line writes to a terminal, less its control sequences."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "imputevae_cli", *map(str, arguments)]
    surroundings = {**environment(), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, env=surroundings, stdin=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                written += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_a_terminal_has_one_bar_over_all_and_a_line_for_each_task(source, tmp_path):
    text = on_terminal("impute", source, "-o", tmp_path / "bars.vcf", *TINY_FLAGS)
    lines = [line for line in re.split(r"[\r\n]+", text) if re.search("━|%", line)]
    assert {line.split()[0] for line in lines} >= {"reading", "overall", "VAE", "writing"}
    assert "100 %" in [line for line in lines if line.split()[0] == "overall"][-1]
    assert "done in" not in text
    piped = imputevae("impute", source, "-o", tmp_path / "lines.vcf", *TINY_FLAGS)
    records = [
        [line for line in (tmp_path / f"{name}.vcf").read_text().splitlines() if not line.startswith("##")]
        for name in ("bars", "lines")
    ]
    assert records[0] == records[1]
    assert b"writing: done in" in piped.stderr
    assert "overall" not in piped.stderr.decode()


def test_a_quiet_run_has_no_bars_on_a_terminal(source, tmp_path):
    assert on_terminal("impute", source, "-o", tmp_path / "out.vcf", "-q", *TINY_FLAGS) == ""
