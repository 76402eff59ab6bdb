import numpy as np
import pytest

from imputevae_cli.data import codebook
from imputevae_cli.data.evidence import FIRST_FREE, Evidence
from imputevae_cli.data.evidence_frequencies import Tally
from imputevae_cli.data.read_model import SAFE_ERROR, ReadModel, assumed_error, fit_read_model


def fitted(error, overdispersion=0.0, depth=4.0, seed=1, n=80, n_loci=400, n_populations=1):
    """The model that is fitted to simulated reads."""
    rng = np.random.default_rng(seed)
    frequencies = rng.beta(0.8, 1.2, (n_populations, n_loci))
    genotypes = rng.binomial(2, np.repeat(frequencies, n // n_populations, 0))
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


@pytest.mark.parametrize("n_populations", [2, 4])
def test_a_lack_of_heterozygotes_between_populations_is_no_overdispersion(n_populations):
    model = fitted(0.005, n_populations=n_populations)
    assert model.overdispersion < 0.005
    assert model.error == pytest.approx(0.005, rel=0.4)


def test_reads_without_an_error_are_not_trusted_without_bound():
    assert fitted(0.0).error == SAFE_ERROR
    few = fitted(0.0, n=10, n_loci=20)
    assert few.error == pytest.approx(1 / 800, rel=0.2)  # 200 cells, 4 reads each, and no error seen


def test_the_error_rate_behind_phred_values_is_found():
    ref, alt = np.array([1, 0, 3, 2, 9]), np.array([0, 2, 1, 2, 0])
    logs = ReadModel(0.02).log_likelihoods(ref, alt, 2)
    phred = np.rint(-10 / np.log(10) * (logs - logs.max(1, keepdims=True))).astype(int)
    assert assumed_error(phred, ref, alt) == pytest.approx(0.02, rel=0.05)
    assert assumed_error(np.minimum(phred, 5), ref, alt) is None  # capped: these counts do not give these values
    assert assumed_error(phred[3:4], ref[3:4], alt[3:4]) is None  # as many reads of each allele tell nothing


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
