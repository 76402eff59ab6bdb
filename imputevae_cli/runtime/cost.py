"""What a piece of work costs, estimated by doing a little of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOMENT_CELLS = 600_000
"""Cells on which the haplotypes and the donors are run for a moment."""


@dataclass(frozen=True)
class Cost:
    """seconds: wall time of fitting and filling. bytes: what they need beside what is in memory now."""

    seconds: float
    bytes: float

    def __add__(self, other: Cost) -> Cost:
        """One after the other: times add up, and the larger need counts."""
        return Cost(self.seconds + other.seconds, max(self.bytes, other.bytes))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time that `work` takes, and what it gives."""
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result
