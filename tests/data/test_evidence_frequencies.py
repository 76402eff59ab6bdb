import numpy as np
import pytest

from imputevae_cli.data.evidence import Evidence, special_table
from imputevae_cli.data.evidence_frequencies import (
    Tally,
    allele_frequencies,
    evidence_frequencies,
    inbred_proportions,
    inbreeding_of_samples,
    posterior,
)
from imputevae_cli.data.read_model import ReadModel


def low_depth(inbred=0.0, n=300, n_loci=60, depth=1.5, seed=1):
    """Simulated genotypes (N, L), frequencies of ALT, and the evidence of reads at low depth."""
    rng = np.random.default_rng(seed)
    alt = rng.uniform(0.1, 0.6, n_loci)
    first, second = rng.random((2, n, n_loci)) < alt
    genotypes = first.astype(int) + np.where(rng.random((n, n_loci)) < inbred, first, second)
    reads = np.minimum(rng.poisson(depth, genotypes.shape), 9)
    shown = rng.binomial(reads, np.array([0.01, 0.5, 0.99])[genotypes])
    counts = np.indices((10, 10)).reshape(2, -1)
    table = np.concatenate([special_table(2), ReadModel(0.01).likelihoods(*counts, 2)])
    codes = np.where(reads > 0, 12 + 10 * (reads - shown) + shown, 0).astype(np.uint16)
    return genotypes, alt, Evidence(codes, table)


def test_certain_calls_give_counts():
    calls = np.array([[0, 2], [0, -1], [1, -1], [-1, 2]], np.int8)
    tally = Tally.of(Evidence.certain(calls), np.arange(2))
    assert tally.expected_counts(np.full((2, 3), 1 / 3)) == pytest.approx(np.array([[2, 1, 0], [0, 0, 2]]))
    assert tally.n_samples.tolist() == [3, 2]


def test_allele_frequencies_and_inbreeding_are_found_at_low_depth():
    _, alt, evidence = low_depth(inbred=0.6)
    found, f = allele_frequencies(Tally.of(evidence, np.arange(60)), 2)
    assert np.abs(found - alt).mean() < 0.04
    assert f == pytest.approx(0.6, abs=0.08)
    by_sample = inbreeding_of_samples(evidence, np.arange(60), found)
    assert by_sample.mean() == pytest.approx(0.6, abs=0.08)


def test_outbred_samples_are_not_inbred():
    _, _, evidence = low_depth()
    found, _ = allele_frequencies(Tally.of(evidence, np.arange(60)), 2, inbreeding=0.0)
    assert abs(inbreeding_of_samples(evidence, np.arange(60), found).mean()) < 0.06


@pytest.mark.parametrize("inbred", [0.0, 0.8])
def test_genotype_frequencies_are_near_those_of_the_genotypes(inbred):
    genotypes, _, evidence = low_depth(inbred)
    true = np.stack([(genotypes == g).mean(0) for g in range(3)], 1)
    called = evidence.block(slice(None), 0, 60).argmax(2)
    naive = np.stack([(called == g).mean(0) for g in range(3)], 1)
    found = evidence_frequencies(evidence)
    assert found.shape == (1, 60, 3)
    assert found.sum(2) == pytest.approx(1, abs=1e-5)
    assert np.abs(found[0] - true).mean() < min(0.03, np.abs(naive - true).mean())


def test_populations_have_their_own_and_an_empty_one_that_of_all():
    calls = np.repeat(np.array([[0], [2]], np.int8), 50, 0)
    found = evidence_frequencies(Evidence.certain(calls, error=0.01), np.repeat([0, 1], 50), 3)
    assert found.shape == (4, 1, 3)
    assert found[0, 0, 0] > 0.95
    assert found[1, 0, 2] > 0.95
    assert found[2, 0] == pytest.approx(found[3, 0], abs=1e-5)


def test_haploid_frequencies():
    calls = np.array([[0], [1], [1], [1], [-1]], np.int8)
    found = evidence_frequencies(Evidence.certain(calls, ploidy=1))
    assert found[0, 0] == pytest.approx([0.25, 0.75], abs=0.01)


def test_a_posterior_is_prior_times_likelihood():
    assert posterior(np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.5, 1.0])) == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-9)
    assert posterior(np.array([1.0, 0, 0]), np.array([0.0, 1, 0])) == pytest.approx([0, 1, 0], abs=1e-9)


def test_inbred_proportions_of_any_ploidy():
    assert inbred_proportions(np.array([0.5]), 2)[0] == pytest.approx([0.25, 0.5, 0.25])
    assert inbred_proportions(np.array([0.5]), 2, 1.0)[0] == pytest.approx([0.5, 0, 0.5])
    assert inbred_proportions(np.array([0.3]), 1)[0] == pytest.approx([0.7, 0.3])
    assert inbred_proportions(np.array([0.5]), 4)[0] == pytest.approx(np.array([1, 4, 6, 4, 1]) / 16)
