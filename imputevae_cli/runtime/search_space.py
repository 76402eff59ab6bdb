"""What a search may draw from: ranges of numbers and choices, which decoders name for their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Numbers:
    """A range of numbers, both ends included. log: drawn evenly in the logarithm. whole: integers alone."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def holding(self, value: float) -> Numbers:
        """The same range, made to hold `value`."""
        return Numbers(min(self.low, value), max(self.high, value), self.log, self.whole)


@dataclass(frozen=True)
class Choices:
    """Values that are no numbers, or not evenly spaced ones."""

    values: tuple[Any, ...]

    def holding(self, value: Any) -> Choices:
        """The same values and `value`."""
        return self if value in self.values else Choices((*self.values, value))


Dimension = Numbers | Choices


def whole(low: int, high: int, log: bool = False) -> Numbers:
    """A range of integers."""
    return Numbers(low, high, log, whole=True)


YES_NO = Choices((False, True))
