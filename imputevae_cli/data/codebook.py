"""Numbers of two bytes for the likelihoods and the read counts that occur in a file."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.evidence import FIRST_FREE

PHRED = np.r_[0:100, 100 + 4 * np.arange(47)].astype(np.int64)
"""The phred value of each of 147 levels: exact up to 99, in steps of four up to 284. Three genotypes, one of them
at 0, then take no more than 64,387 numbers."""
N_LEVELS = len(PHRED)
LAST_LEVEL = N_LEVELS - 1
MAX_COUNT = 254
"""Reads of an allele are counted up to here: both counts of a deeper cell are scaled down."""
N_COUNTS = (MAX_COUNT + 1) ** 2
"""Numbers that `keys_of_counts` gives are below this."""
_LEVEL_OF = np.searchsorted(PHRED - np.r_[0, np.diff(PHRED) / 2], np.arange(PHRED[-1] + 1), side="right") - 1
LAST_PHRED = 9999
"""Stands for a likelihood of 0 in a `VectorBook`."""
_NEW = 0


class Codebook:
    """Hands out codes from FIRST_FREE on, one for each different key, in the order in which keys are first seen."""

    def __init__(self, n_keys: int):
        """n_keys: keys are 0..n_keys - 1."""
        self._code_of = np.full(n_keys, _NEW, np.uint16)
        self._keys: list[np.ndarray] = []
        self._n = FIRST_FREE

    def encode(self, keys: np.ndarray) -> np.ndarray:
        """uint16, of the shape of `keys`, int: the code of each."""
        codes = self._code_of[keys]
        new = np.unique(keys[codes == _NEW])
        if len(new):
            if self._n + len(new) > 1 << 16:
                raise ValueError("more different likelihoods than two bytes can number")
            self._code_of[new] = np.arange(self._n, self._n + len(new), dtype=np.uint16)
            self._keys.append(new)
            self._n += len(new)
            codes = self._code_of[keys]
        return codes

    @property
    def keys(self) -> np.ndarray:
        """int64 (K,): the key of code FIRST_FREE + k."""
        return np.concatenate([np.zeros(0, np.int64), *self._keys])


STEPS = ((1, 99), (3, 99), (8, 80), (20, 80))
"""Of a `VectorBook`: phred units that are told apart, and the largest, for each quarter of its codes."""


class VectorBook:
    """Hands out codes from FIRST_FREE on for likelihood vectors of any length, in the order in which they are seen.

    Five to nine genotypes make more vectors than two bytes can number, so their phred values are rounded, the coarser
    the more codes are taken: most files, whose reads are few, need the first of STEPS alone.
    """

    def __init__(self) -> None:
        self._code_of: dict[bytes, int] = {}
        self._vectors: list[np.ndarray] = []

    def encode(self, phred: np.ndarray) -> np.ndarray:
        """uint16 (M,): codes of phred values relative to the best, int (M, C), LAST_PHRED for what cannot be."""
        rows, places = np.unique(phred.astype(np.int16), axis=0, return_inverse=True)
        codes = np.array([self._code(row) for row in rows], np.uint16)
        return codes[places.reshape(-1)]

    def _code(self, row: np.ndarray) -> int:
        quarter = ((1 << 16) - FIRST_FREE) // len(STEPS)
        for number in range(len(STEPS)):
            step, most = STEPS[number]
            rounded = np.where(row == LAST_PHRED, row, np.minimum((row + step // 2) // step * step, most))
            code = self._code_of.get(rounded.tobytes())
            if code is None and len(self._vectors) < quarter * (number + 1):
                code = self._code_of[rounded.tobytes()] = FIRST_FREE + len(self._vectors)
                self._vectors.append(rounded)
            if code is not None:
                return code
        raise ValueError("more different likelihoods than two bytes can number")

    @property
    def likelihoods(self) -> np.ndarray:
        """float32 (K, C): of code FIRST_FREE + k."""
        vectors = np.array(self._vectors, np.int64)
        return np.where(vectors == LAST_PHRED, 0.0, 10.0 ** (-vectors / 10)).astype(np.float32)


def levels_of(phred: np.ndarray) -> np.ndarray:
    """int64: the level of each phred value, int >= 0, relative to the best of its cell."""
    return _LEVEL_OF[np.minimum(phred, PHRED[-1])]


def keys_of_levels(levels: np.ndarray) -> np.ndarray:
    """int64 (...): one number for the levels of a cell, int (..., 3)."""
    return (levels[..., 0] * N_LEVELS + levels[..., 1]) * N_LEVELS + levels[..., 2]


def likelihoods_of_keys(keys: np.ndarray, n_classes: int) -> np.ndarray:
    """float32 (K, n_classes): likelihoods behind the numbers that `keys_of_levels` gave; of homozygotes alone where
    n_classes is 2.

    The last level stands for what cannot be: its likelihood is 0.
    """
    levels = np.stack([keys // N_LEVELS**2, keys // N_LEVELS % N_LEVELS, keys % N_LEVELS], 1)
    if n_classes == 2:
        levels = levels[:, [0, 2]]
    likelihoods = np.where(levels == LAST_LEVEL, 0.0, 10.0 ** (-PHRED[levels] / 10))
    return likelihoods.astype(np.float32)


def keys_of_counts(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """int64: one number for the read counts of a cell, of two int >= 0; of deep cells the ratio is kept."""
    deepest = np.maximum(np.maximum(ref, alt), 1)
    share = np.minimum(MAX_COUNT / deepest, 1.0)
    ref, alt = (np.rint(count * share).astype(np.int64) for count in (ref, alt))
    return ref * (MAX_COUNT + 1) + alt


def counts_of_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 (K,) each: reads of REF and of ALT behind the numbers that `keys_of_counts` gave."""
    return np.divmod(keys, MAX_COUNT + 1)
