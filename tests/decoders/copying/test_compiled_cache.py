"""What the compiled kernel gives does not depend on whether this process compiled it or another one did."""

import os
import subprocess
import sys

from conftest import REPOSITORY

PROGRAM = """
import hashlib
import numpy as np
from imputevae_cli.config import CopyingSettings
from imputevae_cli.decoders.copying.model import CopyingModel

rng = np.random.default_rng(1)
founders = rng.random((8, 120)) < 0.4
calls = (founders[rng.integers(8, size=40)] + founders[rng.integers(8, size=40)].astype(int)).astype(np.int8)
calls[rng.random(calls.shape) < 0.2] = -1
settings = CopyingSettings(iterations=3, burn_in=1, chains=1, trial=False)
posterior = CopyingModel(settings, 1).fit(calls, np.zeros(120, np.int32), np.arange(120) * 100, 2)
print(hashlib.sha256(np.ascontiguousarray(posterior.gp(0, 120))).hexdigest())
"""


def test_the_process_that_compiles_gives_the_numbers_of_those_that_load(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", PROGRAM]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert any(tmp_path.rglob("*.nbc"))
    assert first == second
