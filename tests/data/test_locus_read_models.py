"""Reads of polyploids, each locus with a bias and an over-dispersion of its own."""

import numpy as np
import pytest

from imputevae_cli.data import codebook, locus_read_models
from imputevae_cli.data.evidence import FIRST_FREE, special_table
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, posterior
from imputevae_cli.data.locus_read_models import LocusRules, evidence_of_counts
from imputevae_cli.data.read_model import ReadModel
from imputevae_cli.scoring.metrics import log_loss


def reads_of(log_biases, ploidy=4, n=100, depth=25, seed=1):
    """(reference counts, alternative counts, codes, truth) of loci with these biases."""
    rng = np.random.default_rng(seed)
    truth = rng.binomial(ploidy, rng.uniform(0.2, 0.8, len(log_biases)), (n, len(log_biases)))
    p = truth / ploidy * 0.99 + 0.005
    p = p / (p + np.exp(log_biases) * (1 - p))
    depths = rng.poisson(depth, truth.shape) * (rng.random(truth.shape) < 0.9)
    alt = rng.binomial(depths, p)
    book = codebook.Codebook(255 * 255)
    keys = codebook.keys_of_counts(depths - alt, alt)
    codes = np.where(depths > 0, book.encode(keys), 0).astype(np.uint16)
    ref_of, alt_of = (np.r_[np.zeros(FIRST_FREE, np.int64), counts] for counts in codebook.counts_of_keys(book.keys))
    return ref_of, alt_of, codes, truth


def loss(evidence, truth):
    gp = posterior(evidence_frequencies(evidence)[-1], evidence.block(slice(None), 0, truth.shape[1]))
    return log_loss(truth.ravel(), gp.reshape(-1, gp.shape[2]))


@pytest.mark.parametrize("ploidy", [3, 4, 6])
def test_biased_loci_are_read_better_with_a_bias_of_their_own(ploidy):
    biases = np.tile([-0.6, 0.0, 0.6], 20)
    ref, alt, codes, truth = reads_of(biases, ploidy)
    special = special_table(ploidy)
    own, _ = evidence_of_counts(ref, alt, codes, special)
    none, _ = evidence_of_counts(ref, alt, codes, special, LocusRules(log_biases=(0.0,)))
    assert loss(own, truth) < 0.9 * loss(none, truth)
    assert np.array_equal(own.codes == 0, codes == 0)


def test_loci_without_bias_lose_next_to_nothing():
    ref, alt, codes, truth = reads_of(np.zeros(60))
    special = special_table(4)
    own, model = evidence_of_counts(ref, alt, codes, special)
    none, _ = evidence_of_counts(ref, alt, codes, special, LocusRules(log_biases=(0.0,)))
    assert loss(own, truth) < 1.03 * loss(none, truth)
    assert model.error == pytest.approx(0.005, rel=0.5)


def test_a_bias_shifts_the_share_of_alt_reads():
    plain, biased = (ReadModel(0.01, log_bias=bias).likelihoods(np.array([6]), np.array([6]), 4)[0] for bias in (0, 1))
    assert plain.argmax() == 2
    assert biased.argmax() == 3, "REF reads are preferred: half of the reads from ALT mean more copies of it"


def test_where_codes_run_out_loci_share_models(monkeypatch):
    ref, alt, codes, _ = reads_of(np.tile([-0.6, 0.0, 0.6], 20))
    special = special_table(4)
    whole, _ = evidence_of_counts(ref, alt, codes, special)
    monkeypatch.setattr(locus_read_models, "MOST_CODES", len(whole.table) // 2)
    fewer, _ = evidence_of_counts(ref, alt, codes, special)
    assert len(fewer.table) <= max(len(whole.table) // 2, len(ref))
    assert fewer.block(slice(None), 0, 60).max(-1) == pytest.approx(1)
