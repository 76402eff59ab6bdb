"""The pieces of a mixture; whole fits are in test_fitting.py."""

import numpy as np
import pytest
import torch

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.hidden_calls import HiddenCells, surroundings
from imputevae_cli.data.unseen import NOTHING
from imputevae_cli.decoders.base import LEAST, log_of
from imputevae_cli.decoders.frequencies.decoder import FrequencyTable
from imputevae_cli.decoders.vae.network import Latent
from imputevae_cli.decoders.vae.similarity import latent_similarity
from imputevae_cli.decoders.vae.train_data import population_tensor
from imputevae_cli.ensemble.ensemble import Mixed
from imputevae_cli.ensemble.gate import Gate

CHROMOSOMES = np.repeat([0, 1], [6, 4]).astype(np.int32)


def cohort_of(n=8, codes=None, n_populations=0, ploidy=2):
    calls = np.random.default_rng(0).integers(-1, ploidy + 1, (n, 10)).astype(np.int8)
    return Cohort(calls, CHROMOSOMES, np.arange(10) * 100, ploidy, codes, n_populations)


def test_samples_of_no_population_are_told_apart():
    codes = np.array([0, 1, 2, 2, 1, 0, 0, 2])
    one = cohort_of(codes=codes, n_populations=2)
    assert one.known_populations.tolist() == [0, 1, -1, -1, 1, 0, 0, -1]
    assert torch.equal(population_tensor(one), torch.from_numpy(codes))
    assert cohort_of().known_populations is None
    assert population_tensor(cohort_of()) is None


def test_other_calls_leave_all_else():
    one = cohort_of()
    other = one.with_calls(one.calls[:2])
    assert np.array_equal(other.calls, one.calls[:2])
    assert other.chrom_codes is one.chrom_codes
    assert other.n_loci == 10


def test_a_subset_starts_a_chromosome_at_each_gap():
    one = cohort_of(codes=np.array([0, 1] * 4), n_populations=2)
    samples, loci = np.array([1, 4, 5]), np.array([1, 2, 4, 5, 6, 9])
    part = one.subset(samples, loci)
    assert np.array_equal(part.calls, one.calls[np.ix_(samples, loci)])
    assert part.calls.flags.c_contiguous
    assert part.chrom_codes.tolist() == [0, 0, 1, 1, 2, 3]
    assert part.chrom_codes.dtype == np.int32
    assert part.positions.tolist() == [100, 200, 400, 500, 600, 900]
    assert part.populations.tolist() == [1, 0, 1]


@pytest.mark.parametrize("populations", [False, True])
def test_frequencies_are_those_of_the_samples_population(populations):
    codes = np.array([0, 1, 2, 0, 1, 0, 1, 0]) if populations else None
    one = cohort_of(codes=codes, n_populations=2 if populations else 0)
    part = FrequencyTable.of(one)
    table = genotype_frequencies(one.calls, 3, codes, one.n_populations)
    expected = table[codes] if populations else np.repeat(table, 8, 0)
    assert np.array_equal(part.gp(0, 10), expected)
    assert np.array_equal(part.gp(3, 7), expected[:, 3:7])
    cells = HiddenCells.of(one.calls == 1, one.calls)
    assert np.array_equal(part.gp_of(cells), expected[cells.samples, cells.loci])


def test_other_samples_have_the_frequencies_of_their_population_or_of_all():
    part = FrequencyTable.of(cohort_of(codes=np.array([0, 1, 0, 1, 0, 1, 0, 1]), n_populations=2))
    known = part.for_samples(cohort_of(3, np.array([1, 0, 2]), 2))
    assert np.array_equal(known.gp(0, 10), part.table[[1, 0, 2]])
    unknown = part.for_samples(cohort_of(3))
    assert np.array_equal(unknown.gp(0, 10), part.table[[2, 2, 2]])


def test_latent_similarity():
    rng = torch.Generator().manual_seed(0)
    one = Latent(torch.randn(12, 3, generator=rng), torch.zeros(12, 3))
    other = Latent(torch.cat([one.mu[:2], torch.randn(3, 3, generator=rng)]), torch.zeros(5, 3))
    near = latent_similarity(one)
    assert (near.shape, near.dtype) == ((12, 12), np.float32)
    assert np.diag(near) == pytest.approx(1.0)
    assert near == pytest.approx(near.T)
    assert ((near > 0) & (near <= 1)).all()
    squared = torch.cdist(one.mu, one.mu).square().numpy()
    order = np.argsort(squared[0])
    assert (np.diff(near[0][order]) <= 0).all()
    assert np.median(near[squared > 0]) == pytest.approx(np.exp(-0.5), abs=0.02)
    assert latent_similarity(other, one)[:2] == pytest.approx(near[:2], abs=1e-6)
    assert latent_similarity(other, one).shape == (5, 12)


def test_samples_at_one_place_are_as_near_as_can_be():
    assert (latent_similarity(Latent(torch.ones(4, 2), torch.zeros(4, 2))) == 1).all()


def test_logarithms_are_bounded():
    assert log_of(np.array([0.0, 0.5, 1.0])) == pytest.approx(np.log([LEAST, 0.5, 1.0]))


def test_only_missing_calls_are_mixed():
    one = cohort_of()
    part = FrequencyTable.of(one)
    truth = np.zeros(10, np.int64)
    gate = Gate.fit({"frequencies": log_of(part.gp(0, 10)[0])}, truth, np.zeros((10, 8)))
    mixed = Mixed(one, {"frequencies": part}, gate, NOTHING)
    gp = mixed.gp(0, 10)
    missing = one.calls == -1
    around = surroundings(one.calls, one.chrom_codes, 2, NOTHING, slice(0, 10), np.nonzero(missing))
    assert gp[missing] == pytest.approx(gate.mix({"frequencies": log_of(part.gp(0, 10)[missing])}, around))
    assert (gp[~missing] == 0).all()
    assert np.array_equal(mixed.gp(2, 5), gp[:, 2:5])
    nothing = Mixed(one.with_calls(np.zeros_like(one.calls)), {"frequencies": part}, gate, NOTHING)
    assert (nothing.gp(0, 10) == 0).all()


class Uniform:
    """A part that notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def gp(self, start, stop):
        self.asked.append((start, stop))
        return np.full((8, stop - start, 3), 1 / 3, np.float32)


def test_loci_are_computed_in_blocks_that_do_not_hang_on_what_is_asked_for(monkeypatch):
    monkeypatch.setattr("imputevae_cli.ensemble.ensemble.loci_at_once", lambda n_samples: 4)
    gate = Gate.fit({"frequencies": np.zeros((10, 3))}, np.zeros(10, np.int64), np.zeros((10, 8)))
    blocks = [(0, 4), (4, 8), (8, 10)]
    part = Uniform()
    whole = Mixed(cohort_of(), {"frequencies": part}, gate, NOTHING).gp(0, 10)
    assert part.asked == blocks
    part = Uniform()
    mixed = Mixed(cohort_of(), {"frequencies": part}, gate, NOTHING)
    for start, stop in ((1, 2), (2, 3), (3, 7), (7, 10)):
        assert np.array_equal(mixed.gp(start, stop), whole[:, start:stop])
    assert part.asked == blocks, "none is computed twice"
