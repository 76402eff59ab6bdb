"""Evidence that is not certain: how likely the data of each cell are under each genotype, in two bytes a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

FLAT, HAS_REF, HAS_ALT, CALL = 0, 1, 2, 3
"""Codes with a meaning of their own: nothing is known; one REF, or one ALT allele is known to be there (a half-call,
`./0` or `./1`); a call whose genotype is `code - CALL`."""
FIRST_FREE = 12
"""Codes from here on are what a file's likelihoods or read counts need; those below serve ploidies up to 8."""
DECISIVE = 1e-3
"""A genotype is certain where every other has less than this share of its likelihood (phred 30)."""
CALL_ERROR = 0.01
"""The chance that a visible call is wrong whose own likelihoods are broken."""


class Cells(Protocol):
    """Single cells by rising locus, such as `HiddenCells`: int64 (M,) each."""

    @property
    def samples(self) -> np.ndarray: ...

    @property
    def loci(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Evidence:
    """Likelihood vectors L[g] = P(data | g ALT alleles), g = 0..ploidy, scaled to a maximum of 1.

    A cell holds the number of a row of a table of all vectors that occur. The vectors of PL and GL are those of whole
    phred units up to 99, in steps of four beyond (`data/codebook.py`); those of read counts are exact.

    codes: uint16 (samples, loci), rows of `table`; FLAT where nothing is known. table: float32 (K, ploidy + 1).
    """

    codes: np.ndarray
    table: np.ndarray

    @classmethod
    def certain(cls, calls: np.ndarray, ploidy: int = 2, error: float = 0.0) -> Evidence:
        """The evidence of calls alone, int8 (N, L), -1 missing; `error` is the chance that a call is wrong."""
        return cls(call_codes(calls), special_table(ploidy, error))

    @property
    def n_classes(self) -> int:
        return self.table.shape[1]

    @cached_property
    def is_haploid(self) -> np.ndarray:
        """bool (K,): vectors of haploid cells: of a diploid's three genotypes they rule out the heterozygote alone."""
        if self.n_classes != 3:
            return np.zeros(len(self.table), bool)
        ref, het, alt = self.table.T
        return (ref > 0) & (het == 0) & (alt > 0)

    @cached_property
    def _is_uncertain(self) -> np.ndarray:
        """bool (K,): vectors under which no genotype is certain."""
        return np.sort(self.table, axis=1)[:, -2] > DECISIVE

    def block(self, samples: slice | np.ndarray, start: int, stop: int) -> np.ndarray:
        """Likelihoods of some samples at loci start..stop (exclusive), float32 (n, stop - start, C)."""
        return np.take(self.table, self.codes[samples, start:stop], axis=0)

    def of_cells(self, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
        """Likelihoods of single cells, float32 (M, C); samples, loci: int (M,)."""
        return self.table[self.codes[samples, loci]]

    def known(self, samples: slice | np.ndarray, start: int, stop: int) -> np.ndarray:
        """bool (n, stop - start): cells of which anything is known."""
        return self.codes[samples, start:stop] != FLAT

    def uncertain(self, samples: slice | np.ndarray, start: int, stop: int) -> np.ndarray:
        """bool (n, stop - start): cells whose genotype the evidence leaves open, those without any included."""
        return self._is_uncertain[self.codes[samples, start:stop]]

    def n_uncertain(self, calls: np.ndarray) -> int:
        """Visible calls whose genotype the evidence leaves open; calls: int8 (N, L)."""
        return sum(
            int(np.count_nonzero(self._is_uncertain[codes] & (row >= 0)))
            for codes, row in zip(self.codes, calls, strict=True)
        )

    def hide(self, cells: Cells, start: int = 0, stop: int | None = None) -> None:
        """Forget all that is known of some cells at loci start..stop, in place."""
        first, last = np.searchsorted(cells.loci, [start, self.codes.shape[1] if stop is None else stop])
        self.codes[cells.samples[first:last], cells.loci[first:last]] = FLAT

    @contextmanager
    def hidden_in(self, cells: Cells) -> Iterator[None]:
        """Hide the whole evidence of cells, in place, and put it back whatever happens."""
        before = self.codes[cells.samples, cells.loci]
        self.hide(cells)
        try:
            yield
        finally:
            self.codes[cells.samples, cells.loci] = before

    def without(self, hidden: np.ndarray) -> Evidence:
        """A copy that knows nothing of some cells, bool (N, L)."""
        return Evidence(np.where(hidden, np.uint16(FLAT), self.codes), self.table)

    def subset(self, samples: np.ndarray, loci: np.ndarray) -> Evidence:
        """Some samples at some loci, by index, int64 or bool."""
        samples, loci = (_as_index(index) for index in (samples, loci))
        return Evidence(np.ascontiguousarray(self.codes[np.ix_(samples, loci)]), self.table)

    def at_loci(self, loci: np.ndarray) -> Evidence:
        """All samples at some loci, int64 or bool."""
        return Evidence(self.codes[:, loci], self.table)

    def placed(self, where: np.ndarray, n_loci: int, swapped: np.ndarray) -> Evidence:
        """The same evidence with locus i at `where[i]` of n_loci others, about which nothing is known.

        swapped: bool (L,), loci whose REF and ALT are exchanged.
        """
        codes = np.full((len(self.codes), n_loci), FLAT, np.uint16)
        codes[:, where] = self.codes
        if not swapped.any():
            return Evidence(codes, self.table)
        table, rows = np.unique(np.concatenate([self.table, self.table[:, ::-1]]), axis=0, return_inverse=True)
        rows = rows.reshape(-1)
        if len(table) > 1 << 16:
            raise ValueError("too many distinct likelihoods to exchange REF and ALT")
        flat = int(rows[FLAT])
        order = np.r_[flat, np.delete(np.arange(len(table)), flat)]  # row FLAT stays what it is
        new = np.empty(len(table), np.uint16)
        new[order] = np.arange(len(table), dtype=np.uint16)
        as_is, reversed_ = new[rows[: len(self.table)]], new[rows[len(self.table) :]]
        is_swapped = np.zeros(n_loci, bool)
        is_swapped[where] = swapped
        for row in codes:
            row[:] = np.where(is_swapped, reversed_[row], as_is[row])
        return Evidence(codes, table[order])

    def as_diploid(self) -> Evidence:
        """The evidence of haploid cells, for a diploid matrix: of homozygotes alone."""
        table = np.insert(self.table, 1, 0, axis=1)
        table[FLAT], table[CALL + 2] = 1.0, table[CALL + 1]
        codes = self.codes.copy()
        codes[codes == CALL + 1] = CALL + 2
        return Evidence(codes, table)

    def state(self) -> dict[str, Any]:
        """Plain types and arrays, for a checkpoint."""
        return {"codes": self.codes, "table": self.table}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Evidence:
        """What `state` gave. Raises ValueError where it does not hold together."""
        codes, table = np.asarray(state["codes"], np.uint16), np.asarray(state["table"], np.float32)
        if codes.ndim != 2 or table.ndim != 2 or (codes.size and int(codes.max()) >= len(table)):
            raise ValueError("evidence: a code has no likelihoods")
        return cls(codes, table)


def call_codes(calls: np.ndarray) -> np.ndarray:
    """uint16, of the shape of `calls`: the code of each call, FLAT where it is missing."""
    return np.where(calls < 0, FLAT, CALL + calls.astype(np.int16)).astype(np.uint16)


def special_table(ploidy: int, error: float = CALL_ERROR) -> np.ndarray:
    """float32 (FIRST_FREE, ploidy + 1): the likelihoods of the codes below FIRST_FREE.

    error: the chance that a call is wrong, shared by the other genotypes.
    """
    n_classes = ploidy + 1
    table = np.ones((FIRST_FREE, n_classes), np.float32)
    table[HAS_REF, ploidy] = 0.0
    table[HAS_ALT, 0] = 0.0
    calls = np.full((n_classes, n_classes), error / ploidy)
    np.fill_diagonal(calls, 1.0 - error)
    table[CALL : CALL + n_classes] = calls / calls.max(1, keepdims=True)
    return table


def of_haploids(table: np.ndarray) -> np.ndarray:
    """Likelihoods of the same data of haploid cells, float32 (K, 3): those of homozygotes alone, scaled to 1 again."""
    table = table * np.array([1, 0, 1], table.dtype)
    return table / table.max(1, keepdims=True)


def _as_index(index: np.ndarray) -> np.ndarray:
    index = np.asarray(index)
    return np.flatnonzero(index) if index.dtype == bool else index
