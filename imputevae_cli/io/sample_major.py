"""From blocks of loci, as a VCF has them, to one matrix of a row per sample."""

from __future__ import annotations

import mmap
from collections import deque

import numpy as np


def mapped(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros of `dtype` in memory of their own, given by the system a small page at a time and taken back at once.

    The C library keeps freed blocks, and numpy asks for huge pages, of which the first column of a matrix touches all:
    with either, the calls would be in memory twice when the blocks are put together.
    """
    size = int(np.prod(shape))
    pages = mmap.mmap(-1, max(size, 1) * np.dtype(dtype).itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype, size).reshape(shape)


def sample_major(
    blocks: deque[np.ndarray], keep: np.ndarray, n_samples: int, dtype: type, tile: int = 256
) -> np.ndarray:
    """(samples, loci) out of blocks of (b, samples), which are freed on the way. Tiles suit the cache."""
    calls = mapped((n_samples, int(keep.sum())), dtype)
    done = written = 0
    while blocks:
        block = blocks.popleft()
        kept = keep[done : done + len(block)]
        done += len(block)
        block = block if kept.all() else block[kept]
        for i in range(0, n_samples, tile):
            for j in range(0, len(block), tile):
                part = block[j : j + tile, i : i + tile]
                calls[i : i + tile, written + j : written + j + len(part)] = part.T
        written += len(block)
    return calls
