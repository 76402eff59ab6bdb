import numpy as np
import pytest

from imputevae_cli.data.unseen import MOST_CARRIERS, NOTHING, SURE, log_unseen, minor_carriers


def calls_with(copies, n_samples=100):
    """Calls of loci whose ALT allele, or from the middle on REF allele, has so many carriers, one copy each."""
    calls = (np.arange(n_samples)[:, None] < np.asarray(copies)).astype(np.int8)
    calls[:, len(copies) // 2 :] = 2 - calls[:, len(copies) // 2 :]
    return calls


def test_good_turing_by_hand():
    """100 loci with one copy, 300 with two: the next one is 2 * 300 / 100 times as likely as it seems, nearly."""
    table = log_unseen(calls_with(np.repeat([1, 2, 3], [100, 300, 200])), 2)
    assert table.dtype == np.float32
    whole = np.log(2 * 300.5 / 100.5)
    assert table[1] == pytest.approx(whole - SURE**2 * (1 / 100.5 + 1 / 300.5) / whole, rel=1e-5)
    assert table[1] == pytest.approx(whole, rel=0.05)
    assert (np.delete(table, 1) == 0).all()


def test_a_spectrum_without_a_gap_leaves_all_as_it_seems():
    """Of every count of copies k, 600 / k loci, as where all loci that vary are held."""
    copies = np.repeat(np.arange(1, 16), 600 // np.arange(1, 16))
    assert (log_unseen(calls_with(copies), 2) == 0).all()


def test_it_foretells_how_many_copies_went_missing():
    """Loci with fewer than three copies were left out, then calls went missing."""
    rng = np.random.default_rng(1)
    copies = rng.choice(np.arange(3, 40), 4000, p=(1 / np.arange(3, 40)) / (1 / np.arange(3, 40)).sum())
    whole = rng.permuted(calls_with(copies), axis=0)
    calls = np.where(rng.random(whole.shape) < 0.2, np.int8(-1), whole)
    known = calls >= 0
    seen = minor_carriers((calls == 0).sum(0), (calls == 2).sum(0), known.sum(0))
    table = log_unseen(calls, 2)
    for k in (1, 2, 3, 6, 10):
        at = seen == k
        is_het = (whole == 1) & ~known
        true = is_het[:, at].sum() / (~known)[:, at].sum()
        promised = np.exp(table[k]) * k / known[:, at].sum(0).mean()
        assert promised == pytest.approx(true, rel=0.25)


def test_few_samples_or_none_have_no_rare_alleles():
    assert (log_unseen(calls_with([1, 1, 2], n_samples=9), 2) == 0).all()
    assert (log_unseen(np.full((50, 3), -1, np.int8), 2) == 0).all()
    assert (log_unseen(np.zeros((0, 3), np.int8), 2) == 0).all()
    assert log_unseen(calls_with([1, 1, 2]), 2).shape == (MOST_CARRIERS + 2,)
    assert NOTHING.tolist() == [0.0]


@pytest.mark.parametrize("ploidy", [1, 4])
def test_other_ploidies(ploidy):
    calls = np.zeros((60, 400), np.int8)
    calls[0, :100], calls[:2, 100:] = 1, 1
    assert log_unseen(calls, ploidy)[1] == pytest.approx(np.log(6), rel=0.05)
