"""The copying decoder where calls are uncertain, on small simulated cohorts."""

from dataclasses import replace

import numpy as np
import pytest
from test_copying import QUICK, cohort, mosaics

from imputevae_cli.config import Config, CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import CALL, FIRST_FREE, FLAT, HAS_ALT, Evidence, special_table
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, posterior
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Setting
from imputevae_cli.decoders.copying import inbreeding, uncertain
from imputevae_cli.decoders.copying.calibration import fit
from imputevae_cli.decoders.copying.decoder import FittedCopying
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.rules import InbreedingRules
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.runtime.serialise import canonical
from imputevae_cli.scoring.likelihood_score import likelihood_loss

MODERATE = CopyingSettings(iterations=20, burn_in=10, chains=2, donors=32, core=128, halo=24)
MOST_READS = 7


def low_depth(seed=0, n=60, depth=1.5, ploidy=2, inbred=False):
    """(truth int8 (N, L), a cohort of reads at this mean depth, with an error rate of 1 %)."""
    rng = np.random.default_rng(seed + 100)
    pair = mosaics(seed, n * ploidy).reshape(n, ploidy, -1)
    truth = (ploidy * pair[:, 0] if inbred else pair.sum(1)).astype(np.int8)
    chance = np.clip(truth / ploidy, 0.01, 0.99)
    reads = np.minimum(rng.poisson(depth, truth.shape), MOST_READS)
    alt = rng.binomial(reads, chance)
    size = MOST_READS + 1
    r, a = np.divmod(np.arange(size * size), size)
    share = np.clip(np.arange(ploidy + 1) / ploidy, 0.01, 0.99)
    table = share ** a[:, None] * (1 - share) ** r[:, None]
    table = np.concatenate([special_table(ploidy), table / table.max(1, keepdims=True)]).astype(np.float32)
    codes = np.where(reads == 0, FLAT, FIRST_FREE + (reads - alt) * size + alt).astype(np.uint16)
    calls = np.where(reads == 0, -1, table[codes].argmax(2)).astype(np.int8)
    chrom, pos = np.repeat([0, 1], 120).astype(np.int32), np.tile(np.arange(120) * 1000 + 1, 2).astype(np.int64)
    return truth, Cohort(calls, chrom, pos, ploidy, evidence=Evidence(codes, table))


def before_own_reads(fitted, n_loci=240):
    return fitted.shown_gp(0, n_loci)


def with_own_reads(fitted, some):
    n_loci = some.n_loci
    return posterior(before_own_reads(fitted, n_loci), some.evidence.block(slice(None), 0, n_loci))


def test_certain_likelihoods_give_nearly_what_calls_give():
    truth, calls, chrom, pos = cohort(2, n=60)
    plain = Cohort(calls, chrom, pos, 2)
    one_hot = replace(plain, evidence=Evidence.certain(calls))
    settings, found = CopyingSettings(iterations=12, burn_in=6, chains=2, donors=24, core=64, halo=24, trial=False), []
    for some in (plain, one_hot):
        fitted = CopyingModel(settings, 1).fit(some, hidden=HiddenCells.none())
        found.append(fitted.shown_gp(0, 240)[calls < 0])
    one, two = ((gp.argmax(1) == truth[calls < 0]).mean() for gp in found)
    assert two == pytest.approx(one, abs=0.01)
    assert np.corrcoef(found[0][:, 2], found[1][:, 2])[0, 1] > 0.97
    assert (found[0].argmax(1) == found[1].argmax(1)).mean() > 0.97


@pytest.mark.parametrize(("ploidy", "inbred"), [(2, False), (2, True), (1, False)])
def test_it_says_more_of_hidden_reads_and_of_the_truth_than_frequencies(ploidy, inbred):
    truth, some = low_depth(ploidy=ploidy, inbred=inbred)
    known = np.flatnonzero(some.calls.ravel() >= 0)
    cells = np.sort(np.random.default_rng(1).choice(known, 800, replace=False))
    hidden = HiddenCells.at(cells, some.calls, some.evidence)
    with hidden.hidden_in(some.calls), some.evidence.hidden_in(hidden):
        fitted = CopyingModel(MODERATE).fit(some, hidden=hidden).calibrated(hidden.take(np.arange(0, 800, 2)))
        frequencies = evidence_frequencies(some.evidence)[-1]
    measured = hidden.take(np.arange(1, 800, 2))
    gp = pick(measured, 240, fitted.shown_gp)
    plain = frequencies[measured.loci]
    assert likelihood_loss(gp, measured.likelihoods) < 0.85 * likelihood_loss(plain, measured.likelihoods)
    right = (with_own_reads(fitted, some).argmax(2) == truth).mean()
    by_frequency = posterior(frequencies[None], some.evidence.block(slice(None), 0, 240))
    assert 1 - right < 0.6 * (1 - (by_frequency.argmax(2) == truth).mean())


def test_a_cells_own_reads_come_later():
    truth, some = low_depth(3)
    fitted = CopyingModel(MODERATE).fit(some, hidden=HiddenCells.none())
    is_open = some.evidence.uncertain(slice(None), 0, 240)
    gp = before_own_reads(fitted)
    np.testing.assert_allclose(gp.sum(2), 1, atol=1e-4)
    assert (gp[is_open].max(1) < 1).all()
    assert (gp[~is_open].max(1) == 1).all()
    before, after = ((p.argmax(2) == truth)[is_open].mean() for p in (gp, with_own_reads(fitted, some)))
    assert after > before


def test_the_same_seed_gives_the_same_bytes_at_any_number_of_threads():
    _, some = low_depth(1, n=70)
    one, two, other = (
        CopyingModel(QUICK, seed).fit(some, hidden=HiddenCells.none(), options=RunOptions(threads))
        for seed, threads in ((5, 1), (5, 2), (6, 1))
    )
    np.testing.assert_array_equal(one.doses, two.doses)
    np.testing.assert_array_equal(one.packed, two.packed)
    assert (one.doses != other.doses).any()


def test_the_state_gives_it_back():
    _, some = low_depth(4, n=30)
    fitted = FittedCopying(some, CopyingModel(QUICK).fit(some, hidden=HiddenCells.none()))
    setting = Setting(some, HiddenCells.none(), Config(), None)
    again = registry.get("copying").from_state(canonical(fitted.state()), setting)
    np.testing.assert_array_equal(before_own_reads(again.posterior), before_own_reads(fitted.posterior))


def test_new_samples_are_filled_from_their_own_reads():
    truth, some = low_depth(5, n=90)
    everyone, loci = np.arange(90), np.arange(240)
    panel = CopyingModel(MODERATE).fit(some.subset(everyone[:60], loci)).panel()
    new = some.subset(everyone[60:], loci)
    gp = with_own_reads(CopyingModel(MODERATE).impute_new(panel, new).posterior, new)
    plain = posterior(panel.frequencies[None], new.evidence.block(slice(None), 0, 240))
    assert (gp.argmax(2) == truth[60:]).mean() > (plain.argmax(2) == truth[60:]).mean() + 0.05
    turned = CopyingModel(MODERATE).impute_new(panel, some.subset(everyone[:59:-1], loci)).posterior
    np.testing.assert_array_equal(with_own_reads(turned, some.subset(everyone[:59:-1], loci))[::-1], gp)


def test_certain_genotypes_are_calls_and_the_rest_is_open():
    calls = np.array([[0, 1, -1, 2]], np.int8)
    evidence = Evidence(np.array([[CALL, HAS_ALT, FLAT, CALL + 2]], np.uint16), special_table(2, 1e-4))
    some = Cohort(calls, np.zeros(4, np.int32), np.arange(4), 2, evidence=evidence)
    assert uncertain.certain_part(some).calls.tolist() == [[0, -1, -1, 2]]
    hidden = HiddenCells.at(np.array([0, 1, 3]), calls, evidence)
    assert uncertain.certain_cells(hidden, 2).loci.tolist() == [0, 3]


def test_inbred_samples_are_told_by_their_likelihoods():
    windows = np.array([[0, 0, 120, 120], [120, 120, 240, 240]])
    for inbred in (False, True):
        _, some = low_depth(6, inbred=inbred)
        frequency = uncertain.alt_frequencies(evidence_frequencies(some.evidence)[-1])
        found = uncertain.by_descent(some.evidence, windows, frequency, InbreedingRules())
        joined = inbreeding.n_joined(found) / len(some.calls)
        assert np.mean(joined if inbred else 1 - joined) > 0.9


def test_calibration_goes_by_the_likelihoods_of_hidden_cells():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.3, 0.3, 0.3], 20_000).astype(np.float32)
    genotype = (rng.random(len(p))[:, None] > p.cumsum(1)[:, :2]).sum(1)
    likelihoods = np.full(p.shape, 0.2, np.float32)
    likelihoods[np.arange(len(p)), genotype] = 1.0
    flatter = p**0.6 / (p**0.6).sum(1, keepdims=True)
    frequencies = np.full(p.shape, 1 / 3, np.float32)
    assert fit(flatter, frequencies, likelihoods).temperature < 0.8
