import numpy as np
import pytest

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import CALL, FIRST_FREE, FLAT, HAS_ALT, HAS_REF, Evidence, call_codes, special_table
from imputevae_cli.data.genotypes import GenotypeMatrix, Loci
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.match_loci import align_loci

CALLS = np.array([[0, 1, -1], [2, -1, 1]], np.int8)


def two_vectors():
    """Cells: a certain 0/0, one read of REF, nothing; a half-call ./1, one read of ALT, a certain 1/1."""
    rows = np.array([[1, 0.5, 0.01], [0.01, 0.5, 1]], np.float32)
    table = np.concatenate([special_table(2, 0.0), rows])
    codes = np.array([[CALL, FIRST_FREE, FLAT], [HAS_ALT, FIRST_FREE + 1, CALL + 2]], np.uint16)
    return Evidence(codes, table)


def test_calls_alone_are_one_hot_and_missing_ones_flat():
    evidence = Evidence.certain(CALLS)
    assert evidence.block(slice(None), 0, 3).tolist() == [
        [[1, 0, 0], [0, 1, 0], [1, 1, 1]],
        [[0, 0, 1], [1, 1, 1], [0, 1, 0]],
    ]
    assert evidence.uncertain(slice(None), 0, 3).tolist() == [[False, False, True], [False, True, False]]
    assert evidence.n_uncertain(CALLS) == 0


def test_an_error_rate_is_shared_by_the_other_genotypes():
    block = Evidence.certain(CALLS, error=0.02).block(slice(0, 1), 0, 1)[0, 0]
    assert block == pytest.approx([1, 0.01 / 0.98, 0.01 / 0.98])


@pytest.mark.parametrize("ploidy", [1, 2, 4, 8])
def test_special_codes_of_each_ploidy(ploidy):
    table = special_table(ploidy, 0.0)
    assert table.shape == (FIRST_FREE, ploidy + 1)
    assert table[FLAT].tolist() == [1] * (ploidy + 1)
    assert table[HAS_REF].tolist() == [1] * ploidy + [0]
    assert table[HAS_ALT].tolist() == [0] + [1] * ploidy
    assert np.array_equal(table[CALL : CALL + ploidy + 1], np.eye(ploidy + 1))


def test_blocks_and_cells_agree():
    evidence = two_vectors()
    samples, loci = np.divmod(np.arange(6), 3)
    cells = evidence.of_cells(samples, loci)
    assert cells.dtype == np.float32
    assert np.array_equal(cells.reshape(2, 3, 3), evidence.block(np.array([0, 1]), 0, 3))
    assert cells[3].tolist() == [0, 1, 1]


def test_what_is_open_counts_as_uncertain_where_it_is_visible():
    evidence = two_vectors()
    assert evidence.uncertain(slice(None), 0, 3).tolist() == [[False, True, True], [True, True, False]]
    assert evidence.n_uncertain(np.array([[0, 0, -1], [-1, 2, 2]], np.int8)) == 2


def test_hidden_cells_lose_all_evidence_and_get_it_back():
    evidence = two_vectors()
    before = evidence.codes.copy()
    cells = HiddenCells(np.array([1, 0]), np.array([0, 1]), np.zeros(2, np.int64))
    with evidence.hidden_in(cells):
        assert evidence.block(slice(None), 0, 2)[[1, 0], [0, 1]].tolist() == [[1, 1, 1]] * 2
    assert np.array_equal(evidence.codes, before)


def test_state_goes_round_and_a_broken_one_is_refused():
    evidence = two_vectors()
    again = Evidence.from_state(evidence.state())
    assert np.array_equal(again.block(slice(None), 0, 3), evidence.block(slice(None), 0, 3))
    with pytest.raises(ValueError, match="no likelihoods"):
        Evidence.from_state({"codes": evidence.codes, "table": evidence.table[:FIRST_FREE]})


def test_placing_reverses_swapped_loci_and_leaves_the_rest_flat():
    evidence = two_vectors()
    placed = evidence.placed(np.array([3, 0, 1]), 5, np.array([True, False, True]))
    block, before = placed.block(slice(None), 0, 5), evidence.block(slice(None), 0, 3)
    assert np.array_equal(block[:, 3], before[:, 0, ::-1])
    assert np.array_equal(block[:, 0], before[:, 1])
    assert np.array_equal(block[:, 1], before[:, 2, ::-1])
    assert (placed.codes[:, [2, 4]] == FLAT).all()
    assert not placed.known(slice(None), 2, 3).any()


def matrix(evidence):
    loci = Loci(np.array(["1"] * 3, object), np.arange(3), np.array(list("AAA"), object), np.array(list("CCC"), object))
    calls = np.array([[0, 0, -1], [-1, 2, 2]], np.int8)
    return GenotypeMatrix(calls, ("a", "b"), loci, evidence=evidence)


def test_a_matrix_keeps_evidence_with_its_loci_and_hides_it_with_its_calls():
    genotypes = matrix(two_vectors())
    assert genotypes.at_loci(np.array([False, True, True])).evidence.codes.shape == (2, 2)
    calls = genotypes.calls.copy()
    calls[1, 1] = -1
    hidden = genotypes.with_calls(calls).evidence
    assert hidden.codes[1, 1] == FLAT
    assert hidden.codes[1, 0] == HAS_ALT  # it was missing before, and keeps what it had
    assert genotypes.evidence.codes[1, 1] != FLAT


def test_a_file_with_exchanged_alleles_brings_its_evidence_along():
    genotypes = matrix(two_vectors())
    other = Loci(genotypes.loci.chrom, genotypes.loci.pos, genotypes.loci.ref.copy(), genotypes.loci.alt.copy())
    other.ref[1], other.alt[1] = "C", "A"
    aligned = align_loci(genotypes, other, 2, "model")
    before = genotypes.evidence.block(slice(None), 0, 3)
    assert np.array_equal(aligned.evidence.block(slice(None), 1, 2)[:, 0], before[:, 1, ::-1])
    assert np.array_equal(aligned.evidence.block(slice(None), 2, 3)[:, 0], before[:, 2])


def test_a_cohort_takes_its_evidence_into_a_subset():
    cohort = Cohort(CALLS, np.zeros(3, np.int32), np.arange(3), 2, evidence=Evidence.certain(CALLS))
    part = cohort.subset(np.array([1]), np.array([0, 2]))
    assert np.array_equal(part.evidence.codes, call_codes(part.calls))
    assert cohort.with_calls(CALLS).evidence is None
