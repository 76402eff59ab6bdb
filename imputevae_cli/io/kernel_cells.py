"""The text of sample columns, compiled: GP, DS and IMP of cells, and how they are spliced into a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from imputevae_cli.compiled import compiled

_COLON, _COMMA, _DOT, _TAB, _ZERO = (ord(sign) for sign in ":,.\t0")
_DIGITS = 5  # of 0.123; what is expected of up to 9 copies has no more


@dataclass(frozen=True)
class Texts:
    """Texts in one array: bytes, uint8, and where each of them ends, int64 (n + 1,), a 0 before the first."""

    data: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Texts:
        """These texts."""
        ends = np.cumsum([0, *map(len, texts)])
        return cls(np.frombuffer(b"".join(texts), np.uint8), ends)

    def and_also(self, other: Texts) -> Texts:
        """These texts, and after them those of `other`."""
        return Texts(np.concatenate([self.data, other.data]), np.r_[self.ends, self.ends[-1] + other.ends[1:]])

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest."""
        return int(np.diff(self.ends).max())

    def tolist(self) -> list[bytes]:
        """Each by itself."""
        data, ends = self.data.tobytes(), self.ends.tolist()
        return [data[start:end] for start, end in pairwise(ends)]


def suffixes(
    gp: np.ndarray, flags: np.ndarray, doses: np.ndarray, haploid: np.ndarray, homozygotes: np.ndarray
) -> Texts:
    """`:GP:DS:IMP` of cells, `:.:.:0` where all probabilities are 0.

    gp: uint16 (M, C), thousandths. flags: IMP, bool or int (M,). doses: int (C, A), copies of each ALT allele in each
    genotype. haploid: bool (M,), cells of one allele, of which only these homozygotes, int (A + 1,), are told.
    """
    most = (gp.shape[1] + doses.shape[1]) * (_DIGITS + 1) + 4
    data, ends = np.empty(len(gp) * most, np.uint8), np.zeros(len(gp) + 1, np.int64)
    every, some = np.arange(gp.shape[1]), homozygotes.astype(np.int64)
    gp, doses = np.ascontiguousarray(gp, np.int64), doses.astype(np.int64)
    _write_suffixes(gp, flags.astype(np.uint8), doses, haploid, every, some, data, ends)
    return Texts(data[: ends[-1]], ends)


@compiled(nogil=True)
def _write_suffixes(
    gp: np.ndarray,
    flags: np.ndarray,
    doses: np.ndarray,
    haploid: np.ndarray,
    every: np.ndarray,
    homozygotes: np.ndarray,
    data: np.ndarray,
    ends: np.ndarray,
) -> None:
    """See `suffixes`; fills `data` and `ends`."""
    at, ploidy = 0, doses.max()
    for m in range(gp.shape[0]):
        told = homozygotes if haploid[m] else every
        is_known = False
        for c in told:
            is_known |= gp[m, c] > 0
        if not is_known:
            for sign in (_COLON, _DOT, _COLON, _DOT, _COLON, _ZERO):
                data[at] = sign
                at += 1
            ends[m + 1] = at
            continue
        for i, c in enumerate(told):
            data[at] = _COMMA if i else _COLON
            at = _write_thousandths(gp[m, c], data, at + 1)
        for a in range(doses.shape[1]):
            dose = 0
            for c in told:
                dose += gp[m, c] * doses[c, a]
            data[at] = _COMMA if a else _COLON
            at = _write_thousandths(dose // ploidy if haploid[m] else dose, data, at + 1)
        data[at], data[at + 1] = _COLON, _ZERO + flags[m]
        at += 2
        ends[m + 1] = at


@compiled(nogil=True)
def _write_thousandths(value: int, data: np.ndarray, at: int) -> int:
    """0 to 9999 thousandths as a decimal without trailing zeros; where it ends."""
    data[at] = _ZERO + value // 1000
    at += 1
    rest = value % 1000
    if rest:
        data[at] = _DOT
        at += 1
        unit = 100
        while rest:
            data[at] = _ZERO + rest // unit
            at += 1
            rest %= unit
            unit //= 10
    return at


def splice(
    cells: bytes,
    n_keys: int,
    genotypes: tuple[Texts, np.ndarray],
    endings: tuple[Texts, np.ndarray],
    refined: np.ndarray | None,
) -> bytes:
    """Sample columns with some genotypes replaced and each cell ended by a text.

    cells: the columns, parted by tabs. n_keys: FORMAT keys, which each cell gets a value for. genotypes: texts of GT,
    and of each sample the one that it gets, int (n,), -1 where it keeps its own. endings: texts, and the one of each
    sample, int (n,). refined: bool (n,), samples whose GT before follows at the end, where for others there is a dot;
    None for neither.
    """
    texts, ends = genotypes[0], endings[0]
    new, ending = (np.ascontiguousarray(chosen, np.int64) for chosen in (genotypes[1], endings[1]))  # compiled once
    old = np.frombuffer(cells, np.uint8)
    room = len(new) * (texts.longest + ends.longest + 2 * n_keys + 3)
    out = np.empty(2 * len(old) + room, np.uint8)
    marked = np.zeros(0, np.bool_) if refined is None else np.ascontiguousarray(refined)
    size = _splice(old, n_keys, texts.data, texts.ends, new, ends.data, ends.ends, ending, marked, out)
    return out[:size].tobytes()


@compiled(nogil=True)
def _splice(
    old: np.ndarray,
    n_keys: int,
    texts: np.ndarray,
    text_ends: np.ndarray,
    new: np.ndarray,
    endings: np.ndarray,
    ending_ends: np.ndarray,
    ending: np.ndarray,
    refined: np.ndarray,
    out: np.ndarray,
) -> int:
    """See `splice`; how many bytes of `out` are written."""
    at, size = 0, 0
    for sample in range(len(new)):
        if sample:
            out[size] = _TAB
            size += 1
        start, own_end = at, at
        while own_end < len(old) and old[own_end] != _TAB and old[own_end] != _COLON:
            own_end += 1
        at = own_end
        if new[sample] >= 0:
            size = _copy(texts, text_ends[new[sample]], text_ends[new[sample] + 1], out, size)
        else:
            size = _copy(old, start, own_end, out, size)
        values = 1
        while at < len(old) and old[at] != _TAB:
            values += old[at] == _COLON
            out[size] = old[at]
            size += 1
            at += 1
        at += 1  # beyond the tab
        for _ in range(values, n_keys):
            out[size], out[size + 1] = _COLON, _DOT
            size += 2
        size = _copy(endings, ending_ends[ending[sample]], ending_ends[ending[sample] + 1], out, size)
        if len(refined):
            out[size] = _COLON
            if refined[sample]:
                size = _copy(old, start, own_end, out, size + 1)
            else:
                out[size + 1] = _DOT
                size += 2
    return size


@compiled(nogil=True)
def _copy(source: np.ndarray, start: int, end: int, out: np.ndarray, size: int) -> int:
    for i in range(start, end):
        out[size] = source[i]
        size += 1
    return size
