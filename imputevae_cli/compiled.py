"""Numba's `njit` with a cache on disk that can neither fail a run nor hand it another function's code.

Numba's own cache raises where no folder for it can be written, and where the disk is full. It also lists a file in its
index before the file is there: of two processes that compile at once, one may then load what the other meant for other
types, and after a kill, what an older version left under the name.

What is not in the cache, as on the first run, is compiled when it is first called, which takes some 20 seconds of a run
in all; the log says so when it begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.registry import cpu_target

from imputevae_cli.log import logger

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """A decorator, as `njit(cache=True, **options)`; where no cache can be had, each process compiles for itself."""

    def decorate(function: F) -> F:
        dispatcher = njit(**options)(function)
        with contextlib.suppress(RuntimeError, OSError):  # no folder can be written: a read-only install without a home
            dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate


def load_without_linear_algebra() -> None:
    """Load what numba knows of arrays, as the first call would, but for scipy's linear algebra.

    That takes .19 of .3 s, and serves products of matrices alone, of which no compiled function here makes any.
    For a process that runs this package alone: functions of others could make no such products either.
    """
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # numba does without what cannot be imported
    try:
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    finally:
        del sys.modules["scipy.linalg"]


class _Notice(event.Listener):
    """Says what takes so long when the first of this package's functions is compiled, and only then."""

    def __init__(self) -> None:
        self._is_due = True

    def on_start(self, event: event.Event) -> None:
        if self._is_due and event.data["dispatcher"].py_func.__module__.startswith("imputevae_cli."):
            self._is_due = False
            logger.info("compiling for this machine, which takes some 20 s of a first run")

    def on_end(self, event: event.Event) -> None:
        """Nothing is left to say."""


event.register("numba:compile", _Notice())


class _Files(IndexDataCacheFile):
    """Code is written before the index names it, in a file whose name follows from what it is compiled for."""

    def save(self, key: Any, data: Any) -> None:
        overloads = self._load_index()
        digest = hashlib.sha256(repr((key, self._source_stamp)).encode()).hexdigest()
        overloads[key] = name = self._data_name(int(digest[:15], 16))
        self._save_data(name, data)
        self._save_index(overloads)


class _Cache(FunctionCache):
    """Of one function. What cannot be loaded is compiled, and what cannot be saved is only not saved."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        place, stamp = self._impl.locator.get_cache_path(), self._impl.locator.get_source_stamp()
        self._cache_file = _Files(cache_path=place, filename_base=self._impl.filename_base, source_stamp=stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged files raise whatever unpickling them happens to come upon
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # a full disk, or a damaged index
            self.disable()
