"""How the C library hands out memory, settled before anything large is imported."""

from __future__ import annotations

import os
import sys

SETTINGS = {
    "glibc.malloc.tcache_count": 0,
    "glibc.malloc.mxfast": 0,
    "glibc.malloc.mmap_threshold": 4 << 20,
    "glibc.malloc.trim_threshold": 8 << 20,
}
"""How many small freed blocks a thread keeps, and up to what size blocks go on a list of their own; from what size on
a block is mapped by itself, and how much free memory at the end of the heap is kept, in bytes."""


def settle_allocator() -> None:
    """Start this process anew with SETTINGS of glibc's memory, but for those that the environment settles.

    torch's tensors are aligned. glibc below 2.38 never gives an aligned block from its caches of small freed blocks, so
    small tensors that were freed lie there amid the heap and keep the room around them from being used again: filling
    500 samples x 10,000 loci by nearest neighbours took 650 MB with them and 534 without, in the same time. The first
    cannot be turned off later.

    An array that is mapped by itself is given back when it is freed, and the next one's pages come one by one, zeroed.
    One that is not leaves room that only the same thread can use, and that glibc by itself keeps up to 64 MB of. By the
    two sizes 1,500 samples x 6,167 loci took 527 MB with two threads and 595 by those that glibc comes to by itself,
    for a fortieth of the processor time.
    """
    settled = os.environ.get("GLIBC_TUNABLES", "")
    missing = [f"{name}={value}" for name, value in SETTINGS.items() if name not in settled]
    if not missing or not _is_glibc():
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, [settled, *missing]))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, ValueError, OSError):
        return False
