"""Compiled code and its cache: no place for one, a damaged one, and processes that compile at once."""

import os
import subprocess
import sys

import pytest
from conftest import environment

PROGRAM = """
import sys
import numpy as np
from numba.core import caching
if len(sys.argv) > 2:
    for name in ("_InTreeCacheLocator", "InTreeCacheLocator"):
        if hasattr(caching, name):
            getattr(caching, name).from_function = classmethod(lambda *_: None)
sys.path.insert(0, sys.argv[1])
import code_to_compile
assert code_to_compile.double(3) == 6
assert code_to_compile.double(1.5) == 3.0
"""
MODULE = """
from imputevae_cli.compiled import compiled

@compiled(nogil=True)
def double(x):
    return x + x
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a module to compile."""
    (tmp_path / "code_to_compile.py").write_text(MODULE)
    return tmp_path


def start(place, *more, **variables):
    there = {**environment(), "NUMBA_CACHE_DIR": str(place / "cache"), **variables}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, place, *more], env=there, stderr=subprocess.PIPE)


def done(process):
    error = process.communicate(timeout=100)[1]
    assert process.returncode == 0, error.decode()


def test_no_home_and_no_place_for_a_cache(place):
    """As in a container with a read-only install: each process compiles in memory."""
    (place / "file").write_text("")
    nowhere = {"HOME": str(place / "file" / "home"), "NUMBA_CACHE_DIR": str(place / "file" / "cache")}
    done(start(place, "no cache", **nowhere, XDG_CACHE_HOME=str(place / "file")))
    assert not list(place.rglob("*.nbc"))


def test_processes_that_compile_at_once_and_a_cache_that_is_damaged(place):
    for process in [start(place) for _ in range(3)]:
        done(process)
    cached = list((place / "cache").rglob("*.nb[ci]"))
    assert len(cached) == 3, "one index, and the code for two types"
    for file in cached:
        file.write_bytes(file.read_bytes()[:20])
    done(start(place))
    assert os.access(place / "cache", os.W_OK)


FIRST_CALLS = """
import logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
import numpy as np
from imputevae_cli.scoring.ld_knni import _add_distance
for dtype in (np.int8, np.int16):
    _add_distance(np.zeros(3, dtype), 1, np.zeros(3, np.int16))
"""


def test_a_first_run_says_once_that_it_compiles_and_a_later_one_does_not(tmp_path):
    there = {**environment(), "NUMBA_CACHE_DIR": str(tmp_path)}
    program = [sys.executable, "-c", FIRST_CALLS]
    first, later = (subprocess.run(program, env=there, capture_output=True, text=True, check=True) for _ in range(2))
    assert first.stdout.count("compiling") == 1
    assert not later.stdout
