import contextlib

import numpy as np
import pytest

from imputevae_cli.data.hidden_calls import FAR, HiddenCells, pick, surroundings
from imputevae_cli.data.unseen import NOTHING
from imputevae_cli.decoders.base import asked_together


def some_cells(n_samples=30, n_loci=100, share=0.1, seed=0):
    rng = np.random.default_rng(seed)
    calls = rng.integers(-1, 3, (n_samples, n_loci)).astype(np.int8)
    where = rng.random(calls.shape) < share
    return where, calls, HiddenCells.of(where, calls)


def test_cells_are_those_of_the_mask_by_rising_locus():
    where, calls, cells = some_cells()
    assert len(cells.truth) == where.sum()
    assert (np.diff(cells.loci) >= 0).all()
    assert where[cells.samples, cells.loci].all()
    assert len(set(zip(cells.samples.tolist(), cells.loci.tolist(), strict=True))) == where.sum()
    assert np.array_equal(cells.truth, calls[cells.samples, cells.loci])
    assert {part.dtype for part in (cells.samples, cells.loci, cells.truth)} == {np.dtype(np.int64)}


def test_no_cell():
    where, calls, _ = some_cells()
    cells = HiddenCells.of(np.zeros_like(where), calls)
    assert len(cells.samples) == len(cells.loci) == len(cells.truth) == 0
    assert list(cells.blocks(100)) == []


@pytest.mark.parametrize("size", [1, 7, 50, 99, 100, 1000])
@pytest.mark.parametrize("share", [0.001, 0.1])
def test_blocks_hold_every_cell_once(size, share):
    _, _, cells = some_cells(share=share)
    places = []
    for start, stop, some in cells.blocks(100, size):
        assert stop == min(start + size, 100)
        assert len(cells.loci[some]) > 0
        assert ((cells.loci[some] >= start) & (cells.loci[some] < stop)).all()
        places += range(some.start, some.stop)
    assert places == list(range(len(cells.loci)))


@pytest.mark.parametrize("n_loci", [100, 5000])
def test_pick_equals_fancy_indexing(n_loci):
    _, _, cells = some_cells(6, n_loci, 0.02)
    values = np.random.default_rng(1).random((6, n_loci, 3))
    assert np.array_equal(pick(cells, n_loci, lambda a, b: values[:, a:b]), values[cells.samples, cells.loci])
    assert np.array_equal(pick(cells, n_loci, lambda a, b: values[:, a:b, 0]), values[cells.samples, cells.loci, 0])


def everywhere(calls, chromosomes, ploidy, start, stop):
    """`surroundings` of all cells of a block, float32 (N, stop - start, 8)."""
    shape = len(calls), stop - start
    inside = np.nonzero(np.ones(shape, bool))
    return surroundings(calls, chromosomes, ploidy, NOTHING, slice(start, stop), inside).reshape(*shape, 8)


def distances(calls, chromosomes, start, stop):
    """Loci to the nearest known call before and after, int (N, stop - start, 2), from the logarithms."""
    around = everywhere(calls, chromosomes, 2, start, stop)
    return np.rint(np.expm1(around[..., :2])).astype(int)


def test_distances_to_known_calls_by_hand():
    calls = np.array([[0, -1, -1, 2, -1, 1]], np.int8)
    one = distances(calls, np.zeros(6, np.int32), 0, 6)[0]
    assert one[:, 0].tolist() == [FAR, 1, 2, 3, 1, 2]
    assert one[:, 1].tolist() == [3, 2, 1, 2, 1, FAR]


def test_distances_do_not_cross_a_chromosome_break():
    calls = np.array([[0, -1, 1, -1, -1, 2], [-1, -1, -1, 0, 0, 0]], np.int8)
    first, second = distances(calls, np.array([0, 0, 0, 1, 1, 1], np.int32), 0, 6)
    assert first[:, 0].tolist() == [FAR, 1, 2, FAR, FAR, FAR]
    assert first[:, 1].tolist() == [2, 1, FAR, 2, 1, FAR]
    assert second[:, 0].tolist() == [FAR, FAR, FAR, FAR, 1, 1]
    assert second[:, 1].tolist() == [FAR, FAR, FAR, 1, 1, FAR]


def test_one_locus_a_chromosome_has_no_neighbour():
    calls = np.zeros((3, 5), np.int8)
    assert (distances(calls, np.arange(5, dtype=np.int32), 0, 5) == FAR).all()


def test_distances_stop_at_far():
    calls = np.full((1, 100), -1, np.int8)
    calls[0, 0] = calls[0, 99] = 0
    one = distances(calls, np.zeros(100, np.int32), 0, 100)[0]
    assert one[:, 0].tolist() == [FAR, *(min(i, FAR) for i in range(1, 100))]
    assert one[:, 1].tolist() == one[::-1, 0].tolist()


def test_frequency_and_share_known_by_hand():
    calls = np.array([[0, 2, -1], [0, 2, -1], [1, 2, -1], [-1, 1, -1]], np.int8)
    around = everywhere(calls, np.zeros(3, np.int32), 2, 0, 3)
    assert (around.shape, around.dtype) == ((4, 3, 8), np.float32)
    assert around[0, :, 2] == pytest.approx(np.log([1.5 / 7, 1.5 / 9, 0.5]))
    assert around[0, :, 3] == pytest.approx([0.75, 1.0, 0.0])
    assert around[0, :, 4] == pytest.approx([1 / 2, 1 / 2, 1])
    assert (around[..., 2:5] == around[:1, :, 2:5]).all()
    haploid = everywhere(np.minimum(calls, 1), np.zeros(3, np.int32), 1, 0, 3)
    assert haploid[0, :, 2] == pytest.approx(np.log([1.5 / 4, 0.5 / 5, 0.5]))


def test_excess_of_heterozygotes_by_hand():
    """One sample is heterozygous everywhere, one nowhere; a cell's own call does not count."""
    calls = np.array([[1] * 100, [0] * 50 + [2] * 50, [-1] * 100], np.int8)
    alt = (np.where(np.arange(100) < 50, 1, 3) + 0.5) / 5
    share = 1 - alt**2 - (1 - alt) ** 2
    excess = everywhere(calls, np.zeros(100, np.int32), 2, 0, 100)[..., 6:]
    at_locus = np.log([1 / (share[0] + 1), 2 / (share[0] + 1), 2 / (2 * share[0] + 1)])
    assert excess[:, 0, 0] == pytest.approx(at_locus, abs=1e-6)
    assert excess[0, 0, 1] == pytest.approx(np.log((FAR + 1) / (share[1 : FAR + 1].sum() + 1)), abs=1e-6)
    assert excess[1, 50, 1] == pytest.approx(-np.log(share[50 - FAR : 51 + FAR].sum() - share[50] + 1), abs=1e-6)
    assert (excess[2, :, 1] == 0).all(), "nothing is known of it"
    haploid = everywhere(np.array([[0, 1] * 50, [0] * 100], np.int8), np.zeros(100, np.int32), 1, 0, 100)
    assert (haploid[..., 6:] == 0).all()


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (40, 90), (33, 34), (150, 200), (199, 200)])
def test_a_block_equals_the_whole(start, stop):
    rng = np.random.default_rng(3)
    calls = np.where(rng.random((8, 200)) < 0.8, -1, rng.integers(0, 3, (8, 200))).astype(np.int8)
    chromosomes = np.repeat([0, 1, 2], [50, 3, 147]).astype(np.int32)
    whole = everywhere(calls, chromosomes, 2, 0, 200)
    assert np.array_equal(everywhere(calls, chromosomes, 2, start, stop), whole[:, start:stop])


def test_cells_within_a_subset():
    where = np.zeros((4, 6), bool)
    where[[0, 1, 3, 3, 2], [0, 2, 2, 5, 4]] = True
    calls = np.arange(24, dtype=np.int8).reshape(4, 6)
    cells = HiddenCells.of(where, calls)
    samples, loci = np.array([0, 3]), np.array([2, 4, 5])
    places, inside = cells.within(samples, loci)
    subset = HiddenCells.of(where[np.ix_(samples, loci)], calls[np.ix_(samples, loci)])
    for mine, theirs in zip(
        (inside.samples, inside.loci, inside.truth), (subset.samples, subset.loci, subset.truth), strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(cells.take(places).truth, inside.truth)


def test_hidden_cells_come_back_whatever_happens():
    calls = np.random.default_rng(0).integers(0, 3, (6, 9)).astype(np.int8)
    before = calls.copy()
    cells = HiddenCells.at(np.array([3, 10, 11, 40]), calls)
    block = calls[:, 1:5].copy()
    cells.hide(block, 1)
    with contextlib.suppress(ZeroDivisionError), cells.hidden_in(calls):
        assert (calls == -1).sum() == 4
        assert np.array_equal(calls[:, 1:5], block)
        _ = 1 / 0
    assert np.array_equal(calls, before)
    assert (np.diff(cells.loci) >= 0).all()


def test_cells_asked_together_are_asked_for_once_and_told_apart():
    all_cells = some_cells()[2]
    asked = []

    def ask(samples, loci):
        asked.append(len(samples))
        return np.stack([samples, loci], 1)

    places = np.arange(len(all_cells.truth))
    odd, even = all_cells.take(places[1::2]), all_cells.take(places[::2])
    view = asked_together(odd.and_also(even), ask)
    for part in (even, odd):
        assert np.array_equal(view(part), np.stack([part.samples, part.loci], 1))
    assert asked == [len(all_cells.truth)]
