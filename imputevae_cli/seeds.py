"""One seed a command; each use of randomness gets a seed of its own, by name, so that none shifts another."""

from __future__ import annotations

import zlib

import numpy as np


def seed_for(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, such as "mask" or "member 0", from the command's seed."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
