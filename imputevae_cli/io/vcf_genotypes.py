"""Genotypes in the text of VCF cells: all short spellings are told at once from four characters of each cell."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.ploidy import MOST_PLOIDY

NO_DIPLOID, NO_HAPLOID, HALF_REF, HALF_ALT, OTHER, POLYPLOID, LONG = 3, 4, 7, 8, 9, 10, 11
HAPLOID_REF, HAPLOID_ALT = 5, 6
"""States of a cell: 0, 1 and 2 are diploid calls, with that many ALT alleles, HAPLOID_REF and HAPLOID_ALT haploid ones.

NO_DIPLOID, NO_HAPLOID: missing, as `./.` and as `.`. HALF_REF, HALF_ALT: one allele is missing, the other is seen.
OTHER: alleles beyond 1. POLYPLOID: more alleles than MOST_PLOIDY. LONG: not told from four characters. From
FIRST_POLYPLOID on are the states of ploidies 3 to MOST_PLOIDY, see `_polyploid_states`.
"""
FIRST_POLYPLOID = LONG + 1
_HALF_REF, _HALF_ALT, _HALF_BOTH, _NONE, _OTHER = range(5)  # beyond the calls of a polyploid


def _polyploid_states() -> tuple[dict[tuple[int, int], int], list[tuple[int, int, int]]]:
    """The states of polyploid cells, by ploidy and what they show, and (call, ploidy's bit, half) of each state.

    Shown are a call's ALT alleles, or ploidy + 1 + one of: some alleles are missing and the others are all REF, all
    ALT, or both; all are missing; there is an allele beyond 1.
    """
    places: dict[tuple[int, int], int] = {}
    rows: list[tuple[int, int, int]] = []
    for ploidy in range(3, MOST_PLOIDY + 1):
        bit = 1 << (ploidy - 1)
        shown = [(call, bit, 0) for call in range(ploidy + 1)]
        shown += [(MISSING, bit, 1), (MISSING, bit, 2), (MISSING, bit, 0), (MISSING, 0, 0), (MISSING, bit, 0)]
        for place, row in enumerate(shown):
            places[ploidy, place] = FIRST_POLYPLOID + len(rows)
            rows.append(row)
    return places, rows


_STATE_OF_POLYPLOID, _OF_POLYPLOIDS = _polyploid_states()
CALL_OF, PLOIDY_OF, HALF_OF = (
    np.array([*short, *(row[i] for row in _OF_POLYPLOIDS)], dtype)
    for i, (short, dtype) in enumerate(
        [
            ([0, 1, 2, MISSING, MISSING, 0, 1, MISSING, MISSING, MISSING, MISSING, MISSING], np.int8),
            ([2, 2, 2, 0, 0, 1, 1, 2, 2, 2, 0, 0], np.uint8),
            ([0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0], np.int8),
        ]
    )
)
"""By state: the call, a count of ALT alleles; a bit for the ploidy that a cell shows, 1 haploid, 2 diploid, 4 triploid
and so on, 0 none; and of half-calls, 1 where the known alleles are all REF, 2 where they are all ALT, else 0."""
NOT_THERE = -2
TOO_LARGE = 255
"""The largest allele of a cell that is LONG."""

GENOTYPE = re.compile(rb"([/|])?((?:\.|\d+)(?:[/|](?:\.|\d+))*)")
_POINT, _PARTED, _END, _ELSE = 10, 11, 13, 15
PHASED = 12
"""The symbol of `|` between the alleles of a call: bits 4 to 7 of its code."""


def _symbols() -> bytes:
    table = bytearray([_ELSE] * 256)
    for digit in range(10):
        table[ord("0") + digit] = digit
    table[ord(".")], table[ord("/")], table[ord("|")] = _POINT, _PARTED, PHASED
    for end in b":\t\n":
        table[end] = _END
    return bytes(table)


SYMBOLS = _symbols()
"""256 bytes: the four-bit symbol of each character."""


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """For four symbols, the first in the lowest bits: the state, and the largest allele (0 where there is none)."""
    states, largest = np.full(1 << 16, LONG, np.uint8), np.full(1 << 16, TOO_LARGE, np.uint8)
    for first in range(11):
        alone = first | _END << 4
        for rest in range(256):
            states[alone | rest << 8] = NO_HAPLOID if first == _POINT else 5 + first if first < 2 else OTHER
            largest[alone | rest << 8] = first % _POINT
        for second in range(11):
            for between in (_PARTED, PHASED):
                code = first | between << 4 | second << 8 | _END << 12
                states[code] = _diploid_state(first, second)
                largest[code] = max(first % _POINT, second % _POINT)
    return states, largest


def _diploid_state(first: int, second: int) -> int:
    seen = [allele for allele in (first, second) if allele != _POINT]
    if max(seen, default=0) > 1:
        return OTHER
    if len(seen) == 1:
        return HALF_ALT if seen[0] else HALF_REF
    return sum(seen) if seen else NO_DIPLOID


STATE_OF, LARGEST_OF = _tables()


def genotype_codes(text: bytes, starts: np.ndarray, prefixed: bool) -> np.ndarray:
    """The codes, for STATE_OF and LARGEST_OF, of cells that begin at `starts`, int64 of any shape.

    prefixed: whether a call may begin with its phase, as VCF 4.4 has it.
    """
    symbols = text.translate(SYMBOLS) + bytes([_ELSE] * 4)
    if prefixed:
        first = np.frombuffer(symbols, np.uint8)[starts]
        starts = starts + ((first == _PARTED) | (first == PHASED))
    words = np.ndarray((len(symbols) - 3,), "<u4", symbols, strides=(1,))[starts]
    words |= words >> np.uint32(4)
    words &= np.uint32(0x00FF00FF)
    words |= words >> np.uint32(8)
    return words.astype(np.uint16)


def alleles_of_codes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both alleles of short genotypes, int16 each, -1 missing; NOT_THERE, the second of a haploid one. codes: see
    `genotype_codes`."""
    first, second = (codes & 15).astype(np.int16), (codes >> 8 & 15).astype(np.int16)
    first[first == _POINT], second[second == _POINT] = -1, -1
    second[(codes >> 4 & 15) == _END] = NOT_THERE
    return first, second


def long_genotype(cell: bytes, prefixed: bool) -> tuple[int, int, int] | None:
    """(state, largest allele, ploidy) of a cell spelled out at length, or None where it is no genotype."""
    return _spelled_out(cell.split(b":", 1)[0], prefixed)


@lru_cache(1 << 12)
def _spelled_out(genotype: bytes, prefixed: bool) -> tuple[int, int, int] | None:
    """See `long_genotype`; a polyploid file has the same few genotypes over and over."""
    found = GENOTYPE.fullmatch(genotype)
    if not found or (found[1] and not prefixed):
        return None
    alleles = re.split(rb"[/|]", found[2])
    numbers = [_POINT if a == b"." else min(int(a[:20]), 1 << 31) if len(a) < 20 else 1 << 31 for a in alleles]
    known = [number for number, a in zip(numbers, alleles, strict=True) if a != b"."]
    largest = max(known, default=0)
    if len(alleles) > MOST_PLOIDY:
        return POLYPLOID, largest, len(alleles)
    if len(alleles) > 2:
        return _STATE_OF_POLYPLOID[len(alleles), _shown(known, len(alleles))], largest, len(alleles)
    if largest > 1:
        return OTHER, largest, len(alleles)
    if len(alleles) == 1:
        return (5 + known[0] if known else NO_HAPLOID), largest, 1
    return _diploid_state(*numbers), largest, 2


def _shown(known: list[int], ploidy: int) -> int:
    """What a polyploid cell shows, as `_polyploid_states` counts it; known: its alleles that are not missing."""
    if max(known, default=0) > 1:
        return ploidy + 1 + _OTHER
    n_alt = sum(known)
    if len(known) == ploidy:
        return n_alt
    if not known:
        return ploidy + 1 + _NONE
    return ploidy + 1 + (_HALF_REF if n_alt == 0 else _HALF_ALT if n_alt == len(known) else _HALF_BOTH)
