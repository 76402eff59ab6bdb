"""Genotypes drawn along chromosomes by haplotype copying."""

import numpy as np
import pytest
from test_copying import QUICK, cohort, mosaics

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import CALL, Evidence, special_table
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Drawing, PhasedCohort
from imputevae_cli.decoders.copying.decoder import FittedCopying, Shown
from imputevae_cli.decoders.copying.draws import allele_chances
from imputevae_cli.decoders.copying.model import CopyingModel

GAP = slice(80, 150)
"""Loci of which the first samples know nothing: in its midst one can only draw."""
N_GAPS, N_DRAWS = 20, 30


@pytest.fixture(scope="module")
def shown():
    haplotypes = mosaics(4, 160, switch=0.02)
    calls = haplotypes.reshape(80, 2, -1).sum(1).astype(np.int8)
    truth = calls.copy()
    calls[:N_GAPS, GAP] = -1
    chrom, pos = np.zeros(240, np.int32), np.arange(240) * 1000 + 1
    data = Cohort(calls, chrom, pos, 2)
    return Shown(CopyingModel(QUICK).fit(data), data), truth


def linkage(residuals, signs):
    """Mean product of what is drawn beside the mean at neighbouring loci; signs: of their correlation in truth."""
    return (residuals[..., 1:] * residuals[..., :-1] * signs).mean()


def test_draws_follow_the_probabilities_and_the_linkage(shown):
    posterior, truth = shown
    assert isinstance(posterior, Drawing)
    draws = np.stack([posterior.draw(number, 0, N_GAPS) for number in range(N_DRAWS)])[..., GAP]
    gp = posterior.gp(0, 240)[:N_GAPS, GAP]
    mean, variance = gp @ np.arange(3), gp @ np.arange(3) ** 2 - (gp @ np.arange(3)) ** 2
    assert variance.mean() > 0.05  # there is something to draw
    assert abs(draws.mean(0) - mean).mean() < 0.15
    assert draws.var(0).mean() == pytest.approx(variance.mean(), rel=0.35)
    known = truth[N_GAPS:, GAP] - truth[N_GAPS:, GAP].mean(0)
    signs = np.sign((known[:, 1:] * known[:, :-1]).mean(0))
    rng = np.random.default_rng(0)
    alone = (rng.random((N_DRAWS, *gp.shape[:2], 1)) > gp.cumsum(2)).sum(3) - mean
    joint = linkage(draws - draws.mean(0), signs)
    assert joint > 10 * abs(linkage(alone, signs))
    assert joint > 0.15 * draws.var(0).mean()


def test_known_calls_are_drawn_as_they_are(shown):
    posterior, truth = shown
    assert (posterior.draw(1, 30, 40) == truth[30:40]).mean() > 0.99


def test_a_number_gives_the_same_draw_whatever_is_asked_for(shown):
    posterior, _ = shown
    several = posterior.draw(3, 0, 6)
    assert np.array_equal(posterior.draw(3, 2, 4), several[2:4])
    assert not np.array_equal(posterior.draw(4, 0, 6)[:, GAP], several[:, GAP])
    assert posterior.draw(1, 0, 0).shape == (0, 240)


@pytest.mark.parametrize(("ploidy", "inbred"), [(1, False), (2, True)])
def test_one_path_draws_no_heterozygotes(ploidy, inbred):
    truth, calls, chrom, pos = cohort(ploidy=ploidy, inbred=inbred)
    data = Cohort(calls, chrom, pos, ploidy)
    draw = Shown(CopyingModel(QUICK).fit(data), data).draw(2, 0, 40)
    assert set(np.unique(draw)) == {0, ploidy}
    assert (draw == truth)[calls < 0].mean() > 0.9


def test_reads_of_a_cell_decide_what_is_drawn_there():
    truth, calls, chrom, pos = cohort(2)
    evidence = Evidence(np.where(calls < 0, 0, CALL + calls).astype(np.uint16), special_table(2))
    data = Cohort(calls, chrom, pos, 2, evidence=evidence)
    posterior = CopyingModel(QUICK).fit(data)
    draw = Shown(posterior, data).draw(1, 0, 40)
    assert (draw == truth)[calls >= 0].mean() > 0.98
    expected = np.take_along_axis(posterior.gp(0, 240), truth[..., None].astype(int), 2)[calls < 0].mean()
    assert (draw == truth)[calls < 0].mean() > expected - 0.03


def test_the_chances_of_alleles_are_found_in_those_of_genotypes():
    p, q = np.array([0.9, 0.2, 0.5]), np.array([0.3, 0.2, 1.0])
    doses = np.stack([(1 - p) * (1 - q), p * q], 1).astype(np.float32)
    got = allele_chances(doses, np.array([True, True, False]))
    assert got == pytest.approx(np.stack([p, q]), abs=1e-3)


def test_others_get_the_haplotypes_without_what_was_held_out():
    truth, calls, chrom, pos = cohort(6, missing=0.0)
    hidden = HiddenCells.at(np.array([3, 240 + 7]), calls)
    with hidden.hidden_in(calls):
        posterior = CopyingModel(QUICK).fit(Cohort(calls, chrom, pos, 2), hidden=hidden)
    fitted = FittedCopying(Cohort(calls, chrom, pos, 2), posterior)
    assert isinstance(fitted, PhasedCohort)
    assert fitted.n_haplotypes == 80
    pairs = fitted.haplotypes(np.arange(80)).reshape(40, 2, 240)
    assert (pairs[0, :, 3] == 128).all()
    assert (pairs[1, :, 7] == 128).all()
    pairs[0, :, 3] = pairs[1, :, 7] = 0
    truth[0, 3] = truth[1, 7] = 0
    assert np.array_equal(pairs.sum(1, dtype=int), 255 * truth.astype(int))
    assert np.array_equal(fitted.haplotypes(np.array([8, 5])), pairs.reshape(80, 240)[[8, 5]])
