"""By what samples draw at random: their places in the cohort, or their own calls."""

from __future__ import annotations

import hashlib

import numpy as np


def places(calls: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """uint64 (W, N): each sample's place in the cohort; calls: int8 (N, L), windows: int64 (W, 4)."""
    return np.tile(np.arange(len(calls), dtype=np.uint64), (len(windows), 1))


def digests(calls: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """uint64 (W, N): a digest of each sample's calls in the window; calls: int8 (N, L), windows: int64 (W, 4).

    For samples that have nothing to do with each other: what one gets must not hang on its place among them.
    """
    found = [
        hashlib.blake2b(row[first:stop].tobytes(), digest_size=8).digest()
        for first, _, _, stop in windows
        for row in calls
    ]
    return np.frombuffer(b"".join(found), "<u8").reshape(len(windows), len(calls)).astype(np.uint64)
