"""The FORMAT fields of a record in a block of text, as numbers."""

from __future__ import annotations

import re
import warnings
from itertools import repeat

import numpy as np

from imputevae_cli.io.kernel_fields import INT_END, INT_MISSING, whole_numbers
from imputevae_cli.io.vcf_check import N_FIXED
from imputevae_cli.io.vcf_records import RecordBlock

FLOAT_END = 0x7F800002  # the bits of INT_END's float

_LONE_POINT = re.compile(rb"(?<![^,])\.(?![^,])")
_FLOAT_FIELDS = frozenset({"GL", "GP"})


class RecordFields:
    """One record of a block."""

    def __init__(self, block: RecordBlock, i: int):
        self._block, self._i = block, i
        fixed = block.fixed[i]
        self.ref, self.alt, self.keys = fixed.ref, fixed.alt, fixed.format.decode("utf-8", "replace").split(":")
        self._cells: list[list[bytes]] | None = None
        self._parts: list[bytes] | None = None
        self._values: dict[str, np.ndarray] = {}

    def values(self, key: str) -> np.ndarray | None:
        """A field of all samples, (N, w): int64, or float32 for GL and GP; None where the record has none.

        INT_MISSING and NaN stand for dots and for what is no number, INT_END and FLOAT_END come after the last value.
        """
        if key not in self.keys:
            return None
        if key not in self._values:
            self._values[key] = self._read(self.keys.index(key), key in _FLOAT_FIELDS)
        return self._values[key]

    def _read(self, at: int, is_float: bool) -> np.ndarray:
        """The values of the field at a place of FORMAT: those that are no plain whole numbers one by one."""
        values = None if is_float else whole_numbers(self._block.sample_text(self._i), at, self._n_samples)
        return _numbers(self._texts(at), is_float) if values is None else values

    @property
    def _n_samples(self) -> int:
        return self._block.ends.shape[1] - N_FIXED

    def _texts(self, at: int) -> list[bytes]:
        """The field at a place of FORMAT, of each sample."""
        n_keys, n_samples = len(self.keys), self._n_samples
        if self._parts is None:
            self._parts = self._block.sample_text(self._i).replace(b":", b"\t").split(b"\t")
        if len(self._parts) == n_keys * n_samples:  # no cell leaves fields out, for none has more than FORMAT names
            return self._parts[at::n_keys]
        if self._cells is None:
            self._cells = [cell.split(b":") for cell in self._block.cells(self._i)]
        return [cell[at] if at < len(cell) else b"." for cell in self._cells]


def _numbers(texts: list[bytes], is_float: bool) -> np.ndarray:
    """Values that commas part, of each text."""
    joined = b",".join(texts)
    flat = _floats(joined) if is_float else np.zeros(0, np.int64)
    counts = list(map(bytes.count, texts, repeat(b",")))
    width = max(counts, default=0) + 1
    n_values = sum(counts) + len(counts)
    if len(flat) != n_values:
        flat = np.array([_number(part, is_float) for part in joined.split(b",")], flat.dtype)
    if n_values == width * len(texts):
        return flat.reshape(len(texts), width)
    end = np.array(FLOAT_END, np.int32).view(np.float32) if is_float else INT_END
    out = np.full((len(texts), width), end, flat.dtype)
    out[np.arange(width) <= np.array(counts)[:, None]] = flat
    return out


def _floats(joined: bytes) -> np.ndarray:
    """All values at once; too few where something is no plain number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.fromstring(_LONE_POINT.sub(b"nan", joined) if b"." in joined else joined, np.float32, sep=",")
    except (DeprecationWarning, ValueError):
        return np.zeros(0, np.float32)


def _number(text: bytes, is_float: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if is_float:
        return value
    return int(value) if abs(value) < 2**31 else INT_MISSING  # NaN is not less
