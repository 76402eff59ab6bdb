"""The processes that share a fit: how work is parted among them, and what they tell each other.

Processes must make the same calls in the same order. `Ranks` is a process by itself, which has everything and waits for
nobody; `group.Group` is one of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

T = TypeVar("T")


class Ranks:
    """A process by itself. rank: its number, from 0; size: how many there are."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which decides, tells and writes."""
        return self.rank == 0

    def part(self, n: int) -> slice:
        """This process's part of n rows: a run of them; the parts follow one another."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a list of tasks: every `size`-th."""
        return items[self.rank :: self.size]

    def add(self, *tensors: Tensor) -> None:
        """Sum each of the tensors, contiguous, of one dtype and on one device, over the processes; in place."""

    def add_counts(self, counts: np.ndarray) -> None:
        """Sum whole numbers, below 2^31, over the processes, in place; contiguous, of any dtype and shape."""

    def merge(self, *arrays: np.ndarray) -> None:
        """Give every process what each has written into the arrays, in place and bit by bit.

        An entry that a process has not written holds zero there, or what another wrote.
        """

    def greatest(self, *numbers: int) -> tuple[int, ...]:
        """The greatest of each number over the processes."""
        return numbers

    def told(self, state: Any) -> Any:
        """In every process the state of the first, plain types and tensors; that of the others does not count."""
        return state

    def leave(self) -> None:
        """Part from the others."""
