"""The search for the least of a function, beside scipy's."""

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from imputevae_cli.runtime.lbfgs import least


def counted(function, gradient, calls):
    def both(point):
        calls.append(point)
        return float(function(point)), gradient(point)

    return both


def test_a_curved_valley_is_followed_to_its_end():
    calls = []
    found = least(counted(rosen, rosen_der, calls), np.full(6, -1.5), 200)
    assert found == pytest.approx(np.ones(6), abs=1e-3)
    theirs = minimize(rosen, np.full(6, -1.5), jac=rosen_der, method="L-BFGS-B")
    assert len(calls) < 1.5 * theirs.nfev


def test_directions_of_very_different_curvature():
    scale = 10.0 ** np.arange(-2, 3)
    found = least(lambda x: (float((scale * (x - 3) ** 2).sum()), 2 * scale * (x - 3)), np.zeros(5), 100)
    assert found == pytest.approx(np.full(5, 3.0), abs=1e-2)


def test_the_search_ends_after_so_many_steps_and_never_higher_than_it_began():
    start = np.full(4, -1.5)
    values = [rosen(least(counted(rosen, rosen_der, []), start, n)) for n in range(6)]
    assert values[0] == rosen(start)
    assert values == sorted(values, reverse=True)
    assert values[5] > 1e-3


def test_where_it_is_least_already_nothing_moves():
    calls = []
    assert (least(counted(rosen, rosen_der, calls), np.ones(3), 50) == 1).all()
    assert len(calls) == 1


def test_a_wall_is_stepped_back_from():
    """The first steps lead where the function has no finite value."""

    def function(x):
        return (np.inf, np.zeros(1)) if x[0] <= 0 else (float(x[0] - 0.01 * np.log(x[0])), 1 - 0.01 / x)

    assert least(function, np.array([0.5]), 60) == pytest.approx([0.01], rel=1e-2)
