import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import simulate

from imputevae_cli.data.genotypes import GenotypeMatrix, Loci, VcfSource
from imputevae_cli.data.match_loci import align_loci
from imputevae_cli.errors import CheckpointError


def loci_of(*places):
    """Loci from (chrom, pos, ref, alt) tuples."""
    chrom, pos, ref, alt = zip(*places, strict=True)
    return Loci(np.array(chrom, object), np.array(pos, np.int64), np.array(ref, object), np.array(alt, object))


MODEL = loci_of(("1", 10, "A", "G"), ("1", 20, "C", "T"), ("2", 10, "A", "G"), ("2", 30, "G", "GA"))


def matrix(calls, *places, ploidy=2):
    calls = np.array(calls, np.int8)
    rows = np.arange(len(places)) * 2
    source = VcfSource(Path("f.vcf"), "f.vcf", 9, rows, np.arange(len(calls)), {"no ALT": 1})
    samples = tuple(f"s{i}" for i in range(len(calls)))
    return GenotypeMatrix(calls, samples, loci_of(*places), ploidy, None, source)


def test_the_same_loci_are_the_identity():
    genotypes, _ = simulate(10, 20)
    aligned = align_loci(genotypes, genotypes.loci, 2, "m")
    assert aligned.genotypes is genotypes
    assert aligned.model_index.tolist() == list(range(20))
    assert not aligned.swapped.any()
    assert np.array_equal(aligned.calls, genotypes.calls)
    assert aligned.calls.dtype == np.int8
    assert aligned.n_unknown == 0


def test_other_order_and_loci_that_the_file_lacks():
    genotypes = matrix([[0, 1], [2, -1]], ("2", 10, "A", "G"), ("1", 10, "A", "G"))
    aligned = align_loci(genotypes, MODEL, 2, "m")
    assert aligned.model_index.tolist() == [2, 0]
    assert aligned.calls.tolist() == [[1, -1, 0, -1], [-1, -1, 2, -1]]


def test_exchanged_alleles_are_recoded_and_missing_calls_stay_missing():
    genotypes = matrix([[0, 0], [1, 1], [2, 2], [-1, -1]], ("1", 10, "G", "A"), ("1", 20, "C", "T"))
    aligned = align_loci(genotypes, MODEL, 2, "m")
    assert aligned.swapped.tolist() == [True, False]
    assert aligned.calls[:, 0].tolist() == [2, 1, 0, -1]
    assert aligned.calls[:, 1].tolist() == [0, 1, 2, -1]
    assert aligned.genotypes.calls[:, 0].tolist() == [0, 1, 2, -1], "the file's own coding must stay"


def test_exchanged_alleles_of_haploids():
    genotypes = matrix([[0], [1], [-1]], ("1", 10, "G", "A"), ploidy=1)
    assert align_loci(genotypes, MODEL, 1, "m").calls[:, 0].tolist() == [1, 0, -1]


def test_repeated_positions_match_one_by_one():
    twice = loci_of(("1", 5, "A", "G"), ("1", 5, "A", "G"), ("1", 5, "A", "T"))
    genotypes = matrix([[0, 1, 2]], ("1", 5, "A", "T"), ("1", 5, "A", "G"), ("1", 5, "A", "G"))
    aligned = align_loci(genotypes, twice, 2, "m")
    assert aligned.model_index.tolist() == [2, 0, 1]
    assert aligned.calls.tolist() == [[1, 2, 0]]


def test_a_third_equal_locus_has_no_match():
    genotypes = matrix([[0, 1]], ("1", 10, "A", "G"), ("1", 10, "A", "G"))
    aligned = align_loci(genotypes, MODEL, 2, "m")
    assert aligned.n_unknown == 1
    assert aligned.calls[0, 0] == 0


def test_a_locus_and_its_mirror_each_find_their_own():
    both = loci_of(("1", 5, "A", "G"), ("1", 5, "G", "A"))
    aligned = align_loci(matrix([[0, 1]], ("1", 5, "G", "A"), ("1", 5, "A", "G")), both, 2, "m")
    assert aligned.model_index.tolist() == [1, 0]
    assert not aligned.swapped.any()


def test_unknown_loci_pass_through_counted():
    genotypes = matrix([[0, 1, 2]], ("1", 10, "A", "G"), ("1", 20, "C", "A"), ("2", 10, "A", "G"))
    aligned = align_loci(genotypes, MODEL, 2, "m")
    assert aligned.n_unknown == 1
    assert aligned.genotypes.calls.tolist() == [[0, 2]]
    assert aligned.genotypes.loci.pos.tolist() == [10, 10]
    assert aligned.genotypes.source.rows.tolist() == [0, 4]
    assert aligned.genotypes.source.passed_through == {"no ALT": 1, "not in the model": 1}
    assert genotypes.source.passed_through == {"no ALT": 1}


def test_half_of_the_loci_are_enough_and_fewer_are_not():
    known, strange = ("1", 10, "A", "G"), [("3", i, "A", "G") for i in range(2)]
    assert align_loci(matrix([[0, 0]], known, strange[0]), MODEL, 2, "m").n_unknown == 1
    with pytest.raises(CheckpointError, match=r"m\.ivae: knows 1 of the 3 loci of f\.vcf .*at least 50%") as error:
        align_loci(matrix([[0, 0, 0]], known, *strange), MODEL, 2, "m.ivae")
    assert "\n" not in str(error.value)


def test_no_locus_in_common():
    with pytest.raises(CheckpointError, match="knows 0 of the 1 loci"):
        align_loci(matrix([[0]], ("9", 1, "A", "G")), MODEL, 2, "m")


def test_other_ploidy():
    with pytest.raises(CheckpointError, match=r"trained on ploidy 1, f\.vcf has ploidy 2"):
        align_loci(matrix([[0]], ("1", 10, "A", "G")), MODEL, 1, "m")


def test_genotypes_without_a_source():
    genotypes = dataclasses.replace(matrix([[0, 1]], ("1", 10, "A", "G"), ("9", 1, "A", "G")), source=None)
    assert align_loci(genotypes, MODEL, 2, "m").genotypes.source is None
