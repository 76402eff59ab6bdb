"""Torch's threads."""

import subprocess
import sys

from conftest import environment

FORKED = """
import os, signal, sys, torch
import imputevae_cli.runtime.device
torch.set_num_threads(2)
numbers = torch.ones(1 << 20)
numbers.exp()  # by two threads
child = os.fork()
if not child:
    signal.alarm(30)
    numbers.exp()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_forked_from_one_that_used_threads_does_not_wait_for_them():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], env=environment(), check=False)
    assert done.returncode == 0
