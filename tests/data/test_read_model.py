import numpy as np
import pytest

from imputevae_cli.data import codebook
from imputevae_cli.data.evidence import FIRST_FREE, Evidence
from imputevae_cli.data.evidence_frequencies import Tally
from imputevae_cli.data.read_model import ReadModel, fit_read_model


def fitted(error, overdispersion=0.0, depth=4.0, seed=1, n=80, n_loci=400):
    """The model that is fitted to simulated reads."""
    rng = np.random.default_rng(seed)
    genotypes = rng.binomial(2, rng.beta(0.8, 1.2, n_loci), (n, n_loci))
    p = np.array([error, 0.5, 1 - error])[genotypes]
    if overdispersion:
        size = (1 - overdispersion) / overdispersion
        p = rng.beta(size * p, size * (1 - p))
    reads = rng.poisson(depth, p.shape)
    alt = rng.binomial(reads, p)
    book = codebook.Codebook(255 * 255)
    codes = np.where(reads > 0, book.encode(codebook.keys_of_counts(reads - alt, alt)), 0).astype(np.uint16)
    ref, alt = (np.r_[np.zeros(FIRST_FREE, np.int64), counts] for counts in codebook.counts_of_keys(book.keys))
    tally = Tally.of(Evidence(codes, np.ones((len(ref), 3), np.float32)), np.arange(n_loci))
    return fit_read_model(ref, alt, tally, 2)


@pytest.mark.parametrize("error", [0.004, 0.03])
def test_an_error_rate_is_found(error):
    model = fitted(error)
    assert model.error == pytest.approx(error, rel=0.4)
    assert model.overdispersion < 0.02


def test_overdispersion_is_found():
    model = fitted(0.01, 0.15, depth=8.0)
    assert model.overdispersion == pytest.approx(0.15, rel=0.3)
    assert model.error == pytest.approx(0.01, rel=0.5)


def test_reads_without_an_error_are_not_trusted_without_bound():
    assert fitted(0.0).error == 1e-3


def test_likelihoods_by_hand():
    ref, alt = np.array([1, 0, 1]), np.array([0, 0, 1])
    got = ReadModel(0.01).likelihoods(ref, alt, 2)
    assert got[0] == pytest.approx([1, 0.5 / 0.99, 0.01 / 0.99])
    assert got[1].tolist() == [1, 1, 1]
    assert got[2] == pytest.approx([0.0396, 1, 0.0396])


def test_tetraploids_have_five_likelihoods_and_their_best_follows_the_reads():
    got = ReadModel(0.01).likelihoods(np.array([30, 20, 10]), np.array([10, 20, 30]), 4)
    assert got.shape == (3, 5)
    assert got.argmax(1).tolist() == [1, 2, 3]


def test_little_overdispersion_is_near_the_binomial():
    ref, alt = np.array([5, 2, 0]), np.array([0, 3, 7])
    near = ReadModel(0.01, 1e-6).likelihoods(ref, alt, 2)
    assert near == pytest.approx(ReadModel(0.01).likelihoods(ref, alt, 2), rel=1e-3, abs=1e-6)
