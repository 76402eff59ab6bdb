"""Standard input, output and error as the run finds them: closed ones, and an error stream that cannot be written."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def open_closed_streams() -> None:
    """Give descriptors 0 to 2 a device where they are closed: else the next file to be opened would get the number.

    What a library prints on standard error would then land in an output. Nothing can be written to a standard output
    that was closed: that fails when it is tried.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "r+", closefd=False)), encoding="utf-8")


def forgive_standard_error() -> None:
    """From now on a message that cannot be written, on a full device or to a reader that has left, is dropped."""
    raw = _Forgiving(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )


class _Forgiving(io.FileIO):
    """A file that takes whatever is written to it."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)
