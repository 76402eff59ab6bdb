"""Choosing the haplotypes of a large panel that a sample is filled from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imputevae_cli.panels.choose_states import most_similar, stretches_of


def mosaic_of(panel: np.ndarray, sources: list[int]) -> np.ndarray:
    """A haplotype uint8 (T,), 0 or 255, that follows some rows of the panel one after the other."""
    parts = np.array_split(np.arange(panel.shape[1]), len(sources))
    return np.concatenate([panel[row, part] for row, part in zip(sources, parts, strict=True)]) * np.uint8(255)


def test_the_haplotypes_that_a_sample_is_made_of_are_chosen() -> None:
    panel = np.random.default_rng(1).integers(0, 2, (400, 500), dtype=np.uint8)
    sources = [[3, 250, 111], [399, 0, 57]], [[8, 9, 10], [200, 201, 202]]
    haplotypes = np.stack([mosaic_of(panel, own) for pair in sources for own in pair])
    with ThreadPoolExecutor(2) as pool:
        rows = most_similar(panel, haplotypes, 40, 5, pool)
    assert rows.shape == (2, 40)
    assert (np.diff(rows, axis=1) > 0).all()
    for own, pair in zip(rows, sources, strict=True):
        assert set(pair[0] + pair[1]) <= set(own.tolist())


def test_many_haplotypes_alike_are_chosen_by_the_seed() -> None:
    panel = np.zeros((300, 90), np.uint8)
    haplotypes = np.zeros((4, 90), np.uint8)
    with ThreadPoolExecutor(1) as pool:
        first, again, other = (most_similar(panel, haplotypes, 20, seed, pool) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (np.diff(first, axis=1) > 0).all()


@pytest.mark.parametrize("n_loci", [1, 63, 64, 65, 700])
def test_every_locus_is_in_a_stretch(n_loci: int) -> None:
    covered = np.zeros(n_loci, bool)
    for start, stop in stretches_of(n_loci).tolist():
        assert 0 <= start < stop <= n_loci
        covered[start:stop] = True
    assert covered.all()
