"""A FORMAT field of whole numbers, compiled."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled

INT_MISSING, INT_END = -(2**31), -(2**31) + 1
"""Numbers for a dot, and for places after the last value of a cell."""
MOST = 2**31 - 1
"""Greater numbers are taken as this one."""
_COLON, _COMMA, _DOT, _TAB, _ZERO, _NINE = (ord(sign) for sign in ":,.\t09")


def whole_numbers(cells: bytes, at: int, n_samples: int) -> np.ndarray | None:
    """The values of one field, int64 (n_samples, w), `INT_MISSING` for a dot, also where a cell leaves the field out,
    and `INT_END` after the last value; None where any is no plain number.

    cells: the sample columns, parted by tabs. at: the field's place in FORMAT.
    """
    text = np.frombuffer(cells, np.uint8)
    values, width = np.full((n_samples, 2), INT_END), 2
    while True:
        needed = _read(text, at, values)
        if needed < 0:
            return None
        if needed <= width:
            return values[:, :needed]
        values, width = np.full((n_samples, needed), INT_END), needed


@compiled(nogil=True)
def _read(text: np.ndarray, at: int, values: np.ndarray) -> int:
    """Fill `values` as far as they go around; the most values that a cell has, or -1 where any is no plain number."""
    place, widest = 0, 1
    for sample in range(values.shape[0]):
        field = 0
        while field < at and place < len(text) and text[place] != _TAB:
            field += text[place] == _COLON
            place += 1
        if field < at:
            values[sample, 0] = INT_MISSING
        else:
            n_values = 0
            while True:
                start, value = place, 0
                if place < len(text) and text[place] == _DOT:
                    value, place = INT_MISSING, place + 1
                while value >= 0 and place < len(text) and _ZERO <= text[place] <= _NINE:
                    value = min(10 * value + (text[place] - _ZERO), MOST)
                    place += 1
                if place == start:
                    return -1  # nothing, or what is no digit
                if n_values < values.shape[1]:
                    values[sample, n_values] = value
                n_values += 1
                if place == len(text) or text[place] != _COMMA:
                    break
                place += 1
            if place < len(text) and text[place] != _COLON and text[place] != _TAB:
                return -1
            widest = max(widest, n_values)
        while place < len(text) and text[place] != _TAB:
            place += 1
        place += 1
    return widest
