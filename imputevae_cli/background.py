"""Work that is done beside the main thread's, where that leaves a core idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Protocol, TypeVar

T = TypeVar("T")


class Begin(Protocol):
    """Begins a piece of work."""

    def __call__(self, work: Callable[[], T], /) -> Callable[[], T]:
        """What waits for the result of `work`, or raises what it raised."""
        ...


@contextmanager
def background(threads: int) -> Iterator[Begin]:
    """Yield what begins pieces of work: they are done in a thread of their own, one after the other.

    threads: with one alone, a piece is done when its result is asked for. At the end pieces not begun are dropped, and
    the one at work is waited for: what it reads may change after it. No piece may be a stage, or report progress.
    """
    if threads == 1:
        yield cache
        return
    with ThreadPoolExecutor(1) as pool:
        try:
            yield lambda work: pool.submit(work).result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
