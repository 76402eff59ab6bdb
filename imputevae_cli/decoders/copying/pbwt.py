"""Haplotypes in the order of what they share: a positional Burrows-Wheeler transform (Durbin 2014).

Sorted by their alleles, read backwards from a locus, haplotypes that share the longest stretch up to it stand side by
side. So those worth comparing are found at the same cost for each haplotype, however many there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imputevae_cli.compiled import compiled
from imputevae_cli.decoders.copying.kernel_numerics import mix

_jit = compiled(nogil=True, error_model="numpy")
_U64 = np.uint64
BESIDE = 6
"""Haplotypes that are taken before and after one in the order at a place."""


class Order(NamedTuple):
    """order: int32 (places, r), candidates by what they share up to a place. place: int32 (places, q), for each of
    the haplotypes that ask, how many candidates come before it. No places: every candidate is to be compared."""

    order: np.ndarray
    place: np.ndarray


NO_ORDER = Order(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32))


def order_of(alt: np.ndarray, own_alt: np.ndarray) -> Order:
    """The order at the end of each word; alt uint64 (words, r) of the candidates, own_alt (words, q) of who asks."""
    return Order(*_sort(np.concatenate([alt, own_alt], 1), alt.shape[1]))


@_jit
def _sort(alt: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    n_words, n = alt.shape
    current, sorted_ = np.arange(n).astype(np.int32), np.empty(n, np.int32)
    order, place = np.empty((n_words, n_rows), np.int32), np.empty((n_words, n - n_rows), np.int32)
    for w in range(n_words):
        column = alt[w]
        for shift in range(0, 64, 8):
            if _by_byte(current, column, _U64(shift), sorted_):
                current, sorted_ = sorted_, current
        before = 0
        for i in range(n):
            j = current[i]
            if j < n_rows:
                order[w, before] = j
                before += 1
            else:
                place[w, j - n_rows] = before
    return order, place


@_jit
def _by_byte(current: np.ndarray, column: np.ndarray, shift: np.uint64, sorted_: np.ndarray) -> bool:
    """sorted_ <- current, by the byte of column uint64 (rows,) at `shift`; among equals the order stays. Whether there
    is anything to sort by: where all bytes are 0, nothing is written."""
    before = np.zeros(257, np.int32)
    for j in range(column.shape[0]):  # an index that may not be negative is not checked for that
        before[((column[_U64(j)] >> shift) & _U64(255)) + _U64(1)] += 1
    if before[1] == column.shape[0]:
        return False
    for value in range(1, 256):
        before[value + 1] += before[value]
    for i in range(current.shape[0]):
        j = current[i]
        value = (column[_U64(j)] >> shift) & _U64(255)
        sorted_[_U64(before[value])] = j
        before[value] += 1
    return True


@_jit
def near(order: np.ndarray) -> int:
    """How many candidates at most stand near one haplotype, at all places."""
    return order.shape[0] * (2 * BESIDE + 1)


@_jit
def gather(
    order: np.ndarray, place: np.ndarray, askers: np.ndarray, more: np.ndarray, least: int, key: np.uint64,
    stamp: np.ndarray, mark: int, found: np.ndarray,
) -> int:  # fmt: skip
    """found int32 <- candidates that stand near any of `askers`, int64, anywhere, and those of `more`; how many.

    Filled up to `least` by draws with `key`. stamp int32 (r,): candidates that bear `mark` are left out, and those
    taken bear it afterwards; found has room for all.
    """
    n_rows = order.shape[1]
    count = 0
    for j in more:
        if stamp[j] != mark:
            stamp[j] = mark
            found[count] = j
            count += 1
    for p in range(order.shape[0]):
        for asker in askers:
            middle = place[p, asker]
            for i in range(max(0, middle - BESIDE), min(n_rows, middle + BESIDE + 1)):  # itself may be among them
                j = order[p, i]
                if stamp[j] != mark:
                    stamp[j] = mark
                    found[count] = j
                    count += 1
    draw = 0
    while count < least and draw < 64 * least:
        j = np.int64(mix(key, draw) % _U64(n_rows))
        if stamp[j] != mark:
            stamp[j] = mark
            found[count] = j
            count += 1
        draw += 1
    return count
