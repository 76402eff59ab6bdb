"""What filling does to a file, counted by block: the same as counted at once, with plain sums."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import simulate

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.scoring.filled import STRETCHES, Filled
from imputevae_cli.scoring.popgen import bias

N_SAMPLES, N_LOCI = 15, 70


def imputation(ploidy=2, min_gp=0.0, silent=(2,), **how):
    """An imputation by random GP of simulated genotypes; `silent` samples have no call."""
    genotypes, _ = simulate(N_SAMPLES, N_LOCI, ploidy=ploidy, missing=0.3, seed=3)
    calls = genotypes.calls.copy()
    calls[list(silent)] = MISSING
    gp = np.random.default_rng(1).dirichlet(np.full(ploidy + 1, 0.4), calls.shape).astype(np.float32)
    return ImputedGenotypes(genotypes.with_calls(calls), lambda start, stop: gp[:, start:stop], min_gp, **how)


def counted(imputed):
    return Filled(imputed.genotypes).complete(imputed, 16)


@pytest.mark.parametrize("ploidy", [1, 2, 4])
def test_counts_are_those_of_the_whole_matrices(ploidy):
    imputed = imputation(ploidy, min_gp=0.5)
    filled = counted(imputed)
    before, after = imputed.genotypes.calls == MISSING, imputed.calls == MISSING
    assert 0 < after.sum() < before.sum()
    for k, missing in enumerate((before, after)):
        assert np.array_equal(filled.missing.by_sample[k], missing.sum(1))
        assert np.array_equal(filled.missing.by_locus[k], missing.sum(0))
        for p, name in enumerate(filled.names):
            here = missing[imputed.genotypes.populations == name]
            assert filled.missing.by_population[k, p] == pytest.approx(here.mean())
            stretch = here[:, np.arange(N_LOCI) * STRETCHES // N_LOCI == 7]
            assert filled.missing.by_stretch[k, p, 7] == stretch.sum()
            assert filled.missing.cells[p, 7] == stretch.size
    best = np.rint(imputed.gp.max(2) * 1000).astype(int)
    asked = before & (best > 0)
    assert np.array_equal(filled.confidence.histogram, np.bincount(best[asked], minlength=1001))
    assert filled.confidence.mean == pytest.approx(best[asked].mean() / 1000)
    assert filled.confidence.share_from(0.7) == pytest.approx((best[asked] >= 700).mean())
    assert np.isnan(filled.confidence.by_sample[2])
    assert filled.confidence.by_sample[5] == pytest.approx(best[5][asked[5]].mean() / 1000)


@pytest.mark.parametrize("ploidy", [1, 2, 4])
def test_frequencies_and_heterozygosity_are_those_of_popgen(ploidy):
    imputed = imputation(ploidy)
    filled = counted(imputed)
    genotypes = imputed.genotypes
    plain = bias(None, genotypes.calls, imputed.calls, genotypes.populations, ploidy)
    for view in ("visible", "imputed"):
        spectrum = filled.frequencies.sums[view].spectrum
        assert (spectrum / spectrum.sum()).tolist() == pytest.approx(plain["spectrum"][view], abs=1e-6)
        for p, row in enumerate(plain["heterozygosity"]):
            sums = filled.frequencies.sums[view]
            assert sums.he[p] / sums.loci[p] == pytest.approx(row[view]["he"], abs=1e-6)
    known = np.ma.masked_less(genotypes.calls, 0)
    np.testing.assert_allclose(filled.frequencies.alt["visible"], known.mean(0) / ploidy, rtol=1e-5)
    dosage = np.delete(imputed.dosage, 2, axis=0)  # one sample has no call, and nothing is expected of it
    np.testing.assert_allclose(filled.frequencies.alt["expected"], dosage.mean(0) / ploidy, atol=1e-5)


def test_heterozygotes_that_are_expected_are_summed_probabilities():
    imputed = imputation(silent=())
    sums = counted(imputed).frequencies.sums["expected"]
    for p, name in enumerate(sorted(set(imputed.genotypes.populations))):
        here = imputed.genotypes.populations == name
        usable = (imputed.genotypes.calls[here] != MISSING).sum(0) >= 2
        assert 0 < sums.loci[p] == usable.sum()
        assert sums.ho[p] / sums.loci[p] == pytest.approx(imputed.gp[here][:, usable, 1].mean(), abs=1e-5)


def test_a_locus_counts_once_and_what_no_writer_asked_for_is_asked_for():
    imputed = imputation()
    whole, pieces = counted(imputed), Filled(imputed.genotypes)
    for start, stop in ((40, 60), (0, 25), (20, 45)):
        pieces.add(start, imputed.block(start, stop))
    assert pieces.missing.by_sample.sum() < whole.missing.by_sample.sum()
    pieces.complete(imputed)
    assert np.array_equal(pieces.missing.by_stretch, whole.missing.by_stretch)
    assert np.array_equal(pieces.confidence.histogram, whole.confidence.histogram)
    assert pieces.bias.n_filled == whole.bias.n_filled
    for view, gram in whole.structure.sums.grams.items():
        np.testing.assert_allclose(pieces.structure.sums.grams[view], gram, atol=1e-6)


def test_haploid_cells_have_no_part_in_heterozygosity():
    imputed = imputation(silent=())
    alone = np.zeros((N_SAMPLES, 1), bool)
    alone[::2] = True
    genotypes = imputed.genotypes
    calls = np.where(alone & (genotypes.calls == 1), MISSING, genotypes.calls).astype(np.int8)
    haploid = HaploidCells(np.zeros(N_LOCI, np.int32), alone, ~(alone | True))
    mixed = ImputedGenotypes(replace(genotypes, calls=calls, haploid=haploid), imputed._gp)
    filled = counted(mixed)
    known = np.ma.masked_less(calls[1::2], 0)
    np.testing.assert_allclose(filled.frequencies.alt["visible"], known.mean(0) / 2, rtol=1e-5)


def test_visible_calls_that_reads_leave_open():
    imputed = imputation(silent=())
    genotypes = imputed.genotypes
    evidence = Evidence.certain(genotypes.calls, error=0.2)
    for refine in (False, True):
        open_ = ImputedGenotypes(replace(genotypes, evidence=evidence), imputed._gp, refine=refine)
        filled = counted(open_)
        visible = genotypes.calls != MISSING
        assert filled.visible.n == visible.sum()
        assert filled.visible.n_refined == (open_.calls != genotypes.calls)[visible].sum()
        assert (filled.visible.n_refined > 0) == refine
        likelier = open_.gp.argmax(2) != genotypes.calls
        assert filled.visible.n_likelier_otherwise == likelier[visible].sum() > 0
        moved = (genotypes.calls == 0) & (open_.calls == 1)
        assert filled.visible.changes[0, 1] == moved.sum()


def test_nothing_missing_and_nothing_filled():
    genotypes, truth = simulate(6, 20, missing=0.0)
    filled = counted(ImputedGenotypes(genotypes, lambda start, stop: np.zeros((6, stop - start, 3), np.float32)))
    assert not filled.missing.by_sample.any()
    assert np.isnan(filled.confidence.mean)
    assert filled.confidence.share_from(0.9) == 0
    assert np.isnan(filled.confidence.info).all()
    assert truth.shape == (6, 20)
