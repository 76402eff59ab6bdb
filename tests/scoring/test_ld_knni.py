from itertools import product

import numpy as np
import pytest
from conftest import simulate_linked

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.scoring.ld_knni import correlated_loci, ld_knni, votes_for


def votes_by_hand(calls, locus, row, near, k, n_classes):
    """The definition, one neighbour at a time."""
    others = []
    for donor in np.flatnonzero(calls[:, locus] != MISSING):
        distance = sum(
            1 if MISSING in (a, b) else abs(int(a) - int(b))
            for a, b in zip(calls[row, near], calls[donor, near], strict=True)
        )
        others.append((distance, donor))
    votes = np.zeros(n_classes)
    for distance, donor in sorted(others)[:k]:
        votes[calls[donor, locus]] += 1 / max(distance, 0.5)
    return votes / votes.sum()


@pytest.mark.parametrize("ploidy", [2, 6])
def test_votes_are_those_of_the_definition(ploidy):
    genotypes, _ = simulate_linked(25, 40, ploidy=ploidy, missing=0.3, seed=3)
    calls = genotypes.calls
    near = np.tile([3, 9, 10, 22, 31], (40, 1))
    near[8] = [30, 2, 7, 14, 9]
    samples, loci = np.nonzero(np.isin(np.arange(40), (0, 8)) & (calls == MISSING))
    lengths, ks = (2, 5), (1, 4, 100)
    got = votes_for(calls, samples, loci, near, lengths, ks, ploidy + 1)
    assert got.shape == (2, 3, len(samples), ploidy + 1)
    for (i, n), (j, k) in product(enumerate(lengths), enumerate(ks)):
        for cell, (sample, locus) in enumerate(zip(samples, loci, strict=True)):
            expected = votes_by_hand(calls, locus, sample, near[locus, :n], k, ploidy + 1)
            assert got[i, j, cell] == pytest.approx(expected)


def test_correlated_loci_are_those_of_the_highest_correlation():
    _genotypes, truth = simulate_linked(60, 80, missing=0.0, seed=4)
    near = correlated_loci(truth, 3, block=32)
    with np.errstate(invalid="ignore"):
        r2 = np.nan_to_num(np.corrcoef(truth.T)) ** 2
    np.fill_diagonal(r2, -1)
    best = -np.sort(-r2, axis=1)[:, :3]
    assert near.shape == (80, 3)
    assert not (near == np.arange(80)[:, None]).any()
    assert np.take_along_axis(r2, near, 1) == pytest.approx(best, abs=0.05)


def test_it_reads_linkage():
    genotypes, truth = simulate_linked(80, 150, missing=0.15, seed=5)
    samples, loci = np.nonzero(genotypes.calls == MISSING)
    codes = genotypes.loci.chrom_codes
    call, gp, chosen = ld_knni(genotypes.calls, codes, 2, samples, loci, np.random.default_rng(1))
    right = (call == truth[samples, loci]).mean()
    commonest = np.array([np.bincount(c[c >= 0], minlength=3).argmax() for c in genotypes.calls.T])
    assert right > (commonest[loci] == truth[samples, loci]).mean() + 0.15
    assert gp.sum(1) == pytest.approx(1.0, abs=1e-5)
    assert gp.min() > 0
    assert chosen.keys() == {"l", "k", "frequencies mixed in"}


@pytest.mark.parametrize(("n_samples", "n_loci"), [(3, 2), (5, 200), (40, 3)])
def test_small_files(n_samples, n_loci):
    rng = np.random.default_rng(2)
    calls = rng.integers(0, 3, (n_samples, n_loci)).astype(np.int8)
    calls[0, 0] = MISSING
    call, gp, _ = ld_knni(calls, np.zeros(n_loci, np.int32), 2, np.array([0]), np.array([0]), rng)
    assert call[0] in (0, 1, 2)
    assert gp.sum() == pytest.approx(1.0)
