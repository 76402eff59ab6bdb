"""Windows: each locus in one, enough typed loci in each, none too large, and positions never parted."""

import numpy as np
import pytest

from imputevae_cli.panels.cut_windows import CORE_TYPED, HALO_TYPED, most_loci, windows_of


@pytest.mark.parametrize(("n_loci", "every", "most"), [(50_000, 10, 10**6), (50_000, 10, 3000), (300, 10, 10**6)])
def test_windows_cover_the_chromosome(n_loci, every, most):
    typed = np.arange(5, n_loci, every)
    windows = list(windows_of(np.arange(n_loci), typed, most))
    assert [window.start for window in windows] == [0, *(window.stop for window in windows[:-1])]
    assert windows[-1].stop == n_loci
    for window in windows:
        core = (typed >= window.start) & (typed < window.stop)
        assert window.stop - window.start <= most
        assert core.sum() >= CORE_TYPED or most < 10**6 or len(windows) == 1
        before, after = (int(some.sum()) for some in (typed < window.start, typed >= window.stop))
        assert window.first == max(before - HALO_TYPED, 0)
        assert window.last == len(typed) - max(after - HALO_TYPED, 0)


def test_loci_of_one_position_are_in_one_window():
    positions = np.repeat(np.arange(2000), 3)
    typed = np.arange(0, 6000, 1)
    for window in windows_of(positions, typed, 10**6):
        assert window.start == 0 or positions[window.start] > positions[window.start - 1]


def test_a_stretch_without_typed_loci_is_parted_too():
    windows = list(windows_of(np.arange(10_000), np.array([3, 4]), 1000))
    assert len(windows) == 10
    assert all((window.first, window.last) == (0, 2) for window in windows)


def test_many_targets_make_windows_smaller():
    assert most_loci(10_000, 100) > most_loci(10_000, 10_000) > 0
