"""The course of a learning rate."""

from itertools import pairwise

import pytest

from imputevae_cli.runtime.learning_rate import warm_up_then_cosine


def test_it_rises_and_falls():
    rates = [warm_up_then_cosine(step, 60, 4) for step in range(60)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0], rel=0.01)
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert rates[30] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001
    assert warm_up_then_cosine(0, 10, 1) == 1.0
    assert warm_up_then_cosine(10, 10, 1) == pytest.approx(0.0)


def test_it_ends_at_the_floor_and_rises_from_below_it():
    assert warm_up_then_cosine(99, 100, 20, 0.2) == 0.2
    assert warm_up_then_cosine(0, 100, 20, 0.2) == pytest.approx(0.05)
