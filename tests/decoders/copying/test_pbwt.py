"""The order of haplotypes against plain sorting."""

import numpy as np

from imputevae_cli.decoders.copying import pbwt as neighbours
from imputevae_cli.decoders.copying.select_haplotypes import pack

SEGMENTS = np.array([[0, 100], [100, 130]])  # of two words and one


def bits(haplotypes: np.ndarray) -> np.ndarray:
    return pack(haplotypes, np.arange(len(haplotypes)), SEGMENTS)[0]


def test_haplotypes_are_sorted_by_their_alleles_read_backwards():
    haplotypes = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (50, 130), p=[0.8, 0.2])
    order, place = neighbours.order_of(bits(haplotypes[:40]), bits(haplotypes[40:]))
    assert order.shape == (3, 40)
    for at, stop in enumerate((64, 100, 130)):
        keys = [tuple(row[:stop][::-1]) for row in haplotypes]
        assert order[at].tolist() == sorted(range(40), key=lambda i, keys=keys: keys[i])
        assert place[at].tolist() == [sum(key <= own for key in keys[:40]) for own in keys[40:]]


def gathered(order: np.ndarray, place: np.ndarray, more: list[int], least: int) -> list[int]:
    n_rows = order.shape[1]
    found, stamp = np.empty(n_rows, np.int32), np.full(n_rows, -1, np.int32)
    count = neighbours.gather(
        order, place, np.array([0]), np.array(more, np.int64), least, np.uint64(5), stamp, 7, found
    )  # fmt: skip
    return found[:count].tolist()


def test_candidates_stand_near_or_are_given_and_come_once():
    order = np.stack([np.arange(100), np.arange(100)[::-1]]).astype(np.int32)
    place = np.array([[50], [2]], np.int32)
    found = gathered(order, place, [3, 50], 0)
    beside = neighbours.BESIDE
    assert found[:2] == [3, 50]
    assert set(found) == {3, *range(50 - beside, 51 + beside), *range(97 - beside, 100)}
    assert len(found) == len(set(found))


def test_too_few_candidates_are_filled_up_by_chance():
    order, place = np.arange(1000, dtype=np.int32)[None], np.array([[0]], np.int32)
    found = gathered(order, place, [], 60)
    assert len(found) == len(set(found)) == 60
    assert set(range(neighbours.BESIDE + 1)) <= set(found)
