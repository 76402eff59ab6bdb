import numpy as np
import pytest

from imputevae_cli.data.unseen import MOST_COPIES, NOTHING, PSEUDO_LOCI, log_unseen, minor_copies


def calls_with(copies, n_samples=100):
    """Calls of loci whose ALT allele, or from the middle on REF allele, has so many copies, in heterozygotes."""
    calls = (np.arange(n_samples)[:, None] < np.asarray(copies)).astype(np.int8)
    calls[:, len(copies) // 2 :] = 2 - calls[:, len(copies) // 2 :]
    return calls


def test_good_turing_by_hand():
    """12 loci with one copy, 30 with two, 5 with three: the next one is 2 * 30 / 12 times as likely as it seems."""
    table = log_unseen(calls_with(np.repeat([1, 2, 3], [12, 30, 5])), 2)
    assert table.dtype == np.float32
    expected = [(2 * 30 + 1.5 * PSEUDO_LOCI) / (12 + 1.5 * PSEUDO_LOCI)]
    expected.append((3 * 5 + 2.5 * PSEUDO_LOCI) / (2 * 30 + 2.5 * PSEUDO_LOCI))
    assert table[1:3] == pytest.approx(np.log(expected), rel=1e-5)
    assert table[0] == 0
    assert (table[4:] == 0).all()


def test_a_spectrum_without_a_gap_leaves_all_as_it_seems():
    """Of every count of copies k, 600 / k loci, as where all loci that vary are held."""
    copies = np.repeat(np.arange(1, 16), 600 // np.arange(1, 16))
    assert np.abs(log_unseen(calls_with(copies), 2)).max() < 0.15


def test_it_foretells_how_many_copies_went_missing():
    """Loci with fewer than three copies were left out, then calls went missing."""
    rng = np.random.default_rng(1)
    copies = rng.choice(np.arange(3, 40), 4000, p=(1 / np.arange(3, 40)) / (1 / np.arange(3, 40)).sum())
    whole = rng.permuted(calls_with(copies), axis=0)
    calls = np.where(rng.random(whole.shape) < 0.2, np.int8(-1), whole)
    known = calls >= 0
    seen = minor_copies(np.where(known, calls, 0).sum(0), known.sum(0), 2)
    table = log_unseen(calls, 2)
    for k in (1, 2, 3, 6):
        at = seen == k
        is_het = (whole == 1) & ~known
        true = is_het[:, at].sum() / (~known)[:, at].sum()
        promised = np.exp(table[k]) * k / known[:, at].sum(0).mean()
        assert promised == pytest.approx(true, rel=0.25)


def test_few_samples_or_none_have_no_rare_alleles():
    assert (log_unseen(calls_with([1, 1, 2], n_samples=9), 2) == 0).all()
    assert (log_unseen(np.full((50, 3), -1, np.int8), 2) == 0).all()
    assert (log_unseen(np.zeros((0, 3), np.int8), 2) == 0).all()
    assert log_unseen(calls_with([1, 1, 2]), 2).shape == (MOST_COPIES + 2,)
    assert NOTHING.tolist() == [0.0]


@pytest.mark.parametrize("ploidy", [1, 4])
def test_other_ploidies(ploidy):
    calls = np.zeros((60, 40), np.int8)
    calls[0, :30], calls[:2, 30:] = 1, 1
    table = log_unseen(calls, ploidy)
    assert table[1] == pytest.approx(np.log((20 + 1.5 * PSEUDO_LOCI) / (30 + 1.5 * PSEUDO_LOCI)), rel=1e-5)
