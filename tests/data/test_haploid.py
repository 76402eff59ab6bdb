import numpy as np
import pytest

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, inbreeding_of_samples
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.haploid import HaploidCells, without_heterozygotes
from imputevae_cli.decoders.copying.inbreeding import by_descent, coefficients, paths, with_haploid
from imputevae_cli.scoring.popgen import bias

CELLS = HaploidCells(
    np.array([0, 0, 1, 1, 2], np.int32),
    np.array([[False, False, True], [False, True, True]]),
    np.array([[False, False, True], [False, False, False]]),
)


def test_blocks_and_cells():
    assert CELLS.block(1, 5).tolist() == [[False, False, False, True], [False, True, True, True]]
    assert CELLS.absent_in(3, None).tolist() == [[False, True], [False, False]]
    assert CELLS.of_cells(np.array([0, 1]), np.array([2, 2])).tolist() == [False, True]
    assert CELLS.diploid_loci.tolist() == [True, True, False, False, False]
    assert CELLS.n_cells == 3


def test_a_state_comes_back_and_odd_ones_are_refused():
    again = HaploidCells.from_state(CELLS.state())
    assert np.array_equal(again.block(0, 5), CELLS.block(0, 5))
    with pytest.raises(ValueError, match="a stretch is not known"):
        HaploidCells.from_state(CELLS.state() | {"stretch": np.array([3])})


def test_who_loses_every_call_on_a_stretch_is_absent():
    calls = np.array([[0, 1, 0, 1, 0], [0, 1, 0, -1, -1]], np.int8)
    assert CELLS.seen_in(calls).absent.tolist() == [[False] * 3, [False, False, True]]


def test_loci_of_a_model_that_a_file_lacks_are_as_their_neighbours():
    placed = CELLS.placed(np.array([1, 2, 6, 7, 9]), 11)
    assert placed.stretch.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_a_haploid_cell_has_the_expected_share_of_each_allele():
    assert without_heterozygotes(np.array([[0.49, 0.42, 0.09]]))[0] == pytest.approx([0.7, 0, 0.3])


def males(n_samples=400, n_loci=30, seed=1):
    """Calls of females and males at loci in Hardy-Weinberg proportions, the males haploid at the second half."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.2, 0.5, n_loci)
    alleles = rng.random((n_samples, n_loci, 2)) < frequency[:, None]
    calls = alleles.sum(2).astype(np.int8)
    is_male = np.arange(n_samples) % 2 == 1
    second = np.arange(n_loci) >= n_loci // 2
    haploid = HaploidCells(
        second.astype(np.int32), np.stack([np.zeros_like(is_male), is_male], 1), np.zeros((n_samples, 2), bool)
    )
    calls = np.where(haploid.block(0, None), 2 * alleles[:, :, 0], calls).astype(np.int8)
    return calls, frequency, haploid, is_male


def test_genotype_frequencies_are_those_of_diploids():
    calls, p, haploid, _ = males()
    expected = np.stack([(1 - p) ** 2, 2 * p * (1 - p), p * p], 1)
    found = genotype_frequencies(calls, 3, haploid=haploid)[-1]
    assert np.abs(found - expected).max() < 0.15
    assert np.abs(found[:, 1] - expected[:, 1])[15:].mean() < 0.03
    assert (expected[:, 1] - genotype_frequencies(calls, 3)[-1][:, 1])[15:].mean() > 0.15, "as if they were homozygotes"
    table = np.array(
        [[1, 1, 1], [1, 0.05, 0.01], [0.05, 1, 0.05], [0.01, 0.05, 1], [1, 0, 0.01], [0.01, 0, 1]], np.float32
    )
    codes = np.where(haploid.block(0, None), 4 + calls // 2, 1 + calls).astype(np.uint16)
    evidence = Evidence(codes, table)
    assert np.abs(evidence_frequencies(evidence)[-1][:, 1] - expected[:, 1])[15:].mean() < 0.05
    assert abs(inbreeding_of_samples(evidence, np.arange(30), p)[1::2].mean()) < 0.15


def test_males_are_not_taken_for_inbred():
    calls, _, haploid, is_male = males()
    cohort = Cohort(calls, np.zeros(30, np.int32), np.arange(30), 2, haploid=haploid)
    assert coefficients(cohort.diploid_calls, 2)[is_male].mean() < 0.25
    assert coefficients(calls, 2)[is_male].mean() > 0.4
    chances = with_haploid(by_descent(cohort.diploid_calls, np.ones(30), 2), haploid)
    assert np.array_equal(chances == 255, haploid.block(0, None))
    windows = np.array([[0, 0, 15, 15], [15, 15, 30, 30]])
    first, second = paths(chances, windows, len(calls), 2)
    assert (first == 2).mean() > 0.9
    assert (second[is_male] == 1).all()
    assert (second[~is_male] == 2).mean() > 0.9


def test_haploid_cells_have_no_part_in_heterozygosity():
    calls, _, haploid, is_male = males()
    found = bias(calls, calls, calls, None, 2, haploid=haploid)["heterozygosity"][0]["truth"]
    assert abs(found["fis"]) < 0.02
    assert bias(calls, calls, calls, None, 2)["heterozygosity"][0]["truth"]["fis"] > 0.15
    diploids = np.where(haploid.block(0, None), MISSING, calls).astype(np.int8)
    assert found == bias(diploids, diploids, diploids, None, 2)["heterozygosity"][0]["truth"]
    assert is_male.any()
