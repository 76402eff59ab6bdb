"""bcftools in a process of its own: what crashes htslib ends that process, and is an error here."""

from __future__ import annotations

import signal
import subprocess
import sys

_PROGRAM = """
import sys
import pysam
import pysam.bcftools
try:
    getattr(pysam.bcftools, sys.argv[1])(*sys.argv[2:], catch_stdout=False)
except pysam.SamtoolsError as error:
    sys.exit(str(error))
"""


class BcftoolsError(Exception):
    """bcftools failed; the message is the one line of its own that says why."""


def run_bcftools(command: str, *arguments: str) -> None:
    """Run a command of bcftools. Raises BcftoolsError where it fails or crashes, OSError where it cannot be started."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode < 0:
        raise BcftoolsError(f"htslib crashed: {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise BcftoolsError(one_line(done.stderr.decode("utf-8", "replace")))


def one_line(error: BaseException | str) -> str:
    """The first line that an htslib tool printed, without pysam's wrapping."""
    text = str(error).replace("\\n", "\n")
    lines = [line.strip(" '\"()") for line in text.splitlines()]
    return next((line for line in lines if line.startswith(("[E::", "Error"))), lines[0] if lines else "unknown error")
