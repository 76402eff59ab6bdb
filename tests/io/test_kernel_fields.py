"""Whole numbers of a FORMAT field, beside plain Python."""

import numpy as np
import pytest

from imputevae_cli.io.kernel_fields import INT_END, INT_MISSING, MOST, whole_numbers


def by_python(cells, at):
    rows = []
    for cell in cells.split(b"\t"):
        values = [*cell.split(b":"), *[b"."] * 9][at].split(b",")
        rows.append([INT_MISSING if value == b"." else min(int(value), MOST) for value in values])
    width = max(map(len, rows))
    return [row + [INT_END] * (width - len(row)) for row in rows]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_values_are_those_of_python(at):
    rng = np.random.default_rng(at)

    def field():
        return b",".join(b"." if rng.random() < 0.2 else b"%d" % rng.integers(5000) for _ in range(rng.integers(1, 5)))

    cells = b"\t".join(b":".join([b"0/1", *(field() for _ in range(rng.integers(4)))]) for _ in range(300))
    assert whole_numbers(cells, at, 300).tolist() == by_python(cells, at)


@pytest.mark.parametrize("value", [b"", b"1,", b",1", b"1,,2", b"-1", b"1.", b".5", b"x", b"1e3", b"1;2", b".."])
def test_what_is_no_plain_number_is_left_to_others(value):
    assert whole_numbers(b"0/0:3:1\t0/1:" + value + b":1", 1, 2) is None
    assert whole_numbers(b"0/0:3:1\t0/1:" + value + b":1", 2, 2).tolist() == [[1], [1]]


def test_numbers_have_a_limit_and_text_may_end_early():
    assert whole_numbers(b"0/0:99999999999999999999,1", 1, 2).tolist() == [[MOST, 1], [INT_MISSING, INT_END]]
