"""How the C library hands out memory, settled before anything large is imported."""

from __future__ import annotations

import os
import sys

NO_CACHES = ("glibc.malloc.tcache_count", "glibc.malloc.mxfast")
"""What says how many small freed blocks a thread keeps, and up to what size blocks go on a list of their own."""


def without_caches() -> None:
    """Start this process anew with glibc's caches of small freed blocks off, unless the environment settles them.

    torch's tensors are aligned. glibc below 2.38 never gives an aligned block from these caches, so small tensors that
    were freed lie there amid the heap and keep the room around them from being used again: filling 500 samples
    x 10,000 loci by nearest neighbours took 650 MB with them and 534 without, in the same time. The first cannot be
    turned off later.
    """
    settled = os.environ.get("GLIBC_TUNABLES", "")
    missing = [f"{name}=0" for name in NO_CACHES if name not in settled]
    if not missing or not _is_glibc():
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, [settled, *missing]))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, ValueError, OSError):
        return False
