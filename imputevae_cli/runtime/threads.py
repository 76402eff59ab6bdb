"""Many small pieces of work for a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def share_out(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `work` gives for each item, in their order, done in the pool's threads; raises what `work` raises.

    `pool.map` wakes a thread and the caller for each item, which takes some 30 us. Here each thread takes the next item
    once it is done with one.
    """
    left = deque(enumerate(items))
    found: dict[int, R] = {}

    def take(_: int) -> None:
        while left:
            try:
                place, item = left.popleft()
            except IndexError:  # another thread took the last
                return
            found[place] = work(item)

    n_items = len(left)
    list(pool.map(take, range(min(n_items, pool._max_workers))))
    return [found[place] for place in range(n_items)]
