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


def with_ids(loci, *ids):
    return dataclasses.replace(loci, ids=np.array(ids, object))


TWICE = loci_of(("1", 5, "A", "G"), ("1", 5, "A", "G"), ("1", 5, "A", "T"))


def test_the_very_same_loci_match_one_by_one():
    genotypes = matrix([[0, 1, 2]], ("1", 5, "A", "G"), ("1", 5, "A", "G"), ("1", 5, "A", "T"))
    aligned = align_loci(genotypes, TWICE, 2, "m")
    assert aligned.model_index.tolist() == [0, 1, 2]
    assert aligned.calls.tolist() == [[0, 1, 2]]


def test_repeated_loci_without_ids_pass_through():
    genotypes = matrix([[0, 1, 2, 0]], ("1", 5, "A", "T"), ("1", 5, "A", "G"), ("1", 5, "A", "G"), ("7", 1, "A", "C"))
    model = loci_of(("1", 5, "A", "G"), ("1", 5, "A", "G"), ("1", 5, "A", "T"), ("7", 1, "A", "C"))
    aligned = align_loci(genotypes, model, 2, "m")
    assert aligned.model_index.tolist() == [2, 3]
    assert aligned.n_unknown == 2
    assert aligned.genotypes.source.passed_through == {
        "no ALT": 1, "not to be told apart from others, for want of IDs": 2,
    }  # fmt: skip


def test_a_locus_that_is_twice_in_one_file_alone_is_ambiguous():
    genotypes = matrix([[0, 1, 2]], ("1", 10, "A", "G"), ("1", 10, "A", "G"), ("1", 20, "C", "T"))
    with pytest.raises(CheckpointError, match=r"1 of the 3 loci .*2 cannot be told apart.*give every locus an ID"):
        align_loci(genotypes, MODEL, 2, "m")
    genotypes = dataclasses.replace(genotypes, loci=with_ids(genotypes.loci, "x", "b", "c"))
    aligned = align_loci(genotypes, with_ids(MODEL, "b", "c", "d", "e"), 2, "m")
    assert aligned.model_index.tolist() == [0, 1]
    assert aligned.genotypes.calls.tolist() == [[1, 2]]


def test_repeated_loci_are_matched_by_id():
    everywhere = [("0", 0, "A", "G")] * 3 + [("0", 0, "C", "T")]
    model = with_ids(loci_of(*everywhere, ("0", 0, "G", "A")), "t0", "t1", "t2", "t3", "t4")
    genotypes = matrix([[0, 1, 2, 1]], *everywhere)
    genotypes = dataclasses.replace(genotypes, loci=with_ids(genotypes.loci, "t2", "t0", "t4", "t9"))
    aligned = align_loci(genotypes, model, 2, "m")
    assert aligned.model_index.tolist() == [2, 0, 4]
    assert aligned.swapped.tolist() == [False, False, True]
    assert aligned.calls.tolist() == [[1, -1, 0, -1, 0]]
    assert aligned.n_unknown == 1, "t9 is the only C/T of both files, but not t3: position 0 is no position"


def test_ids_that_repeat_tell_nothing():
    model = with_ids(loci_of(*[("0", 0, "A", "G")] * 3), "t0", "t0", "t1")
    genotypes = dataclasses.replace(
        matrix([[0, 1]], *[("0", 0, "A", "G")] * 2), loci=with_ids(loci_of(*[("0", 0, "A", "G")] * 2), "t0", "t1")
    )
    assert align_loci(genotypes, model, 2, "m").model_index.tolist() == [2]


def test_other_names_for_a_locus_of_its_own_do_not_matter():
    genotypes = matrix([[0, 1]], ("1", 10, "A", "G"), ("1", 20, "C", "T"))
    genotypes = dataclasses.replace(genotypes, loci=with_ids(genotypes.loci, "rs1", "snp2"))
    assert align_loci(genotypes, with_ids(MODEL, "1:10:A:G", "", "", ""), 2, "m").model_index.tolist() == [0, 1]
    elsewhere = with_ids(MODEL, "x", "rs9", "rs1", "y")
    assert align_loci(genotypes, elsewhere, 2, "m").model_index.tolist() == [1], "rs1 is another locus of the model"


def test_a_locus_and_its_mirror_each_find_their_own():
    both = loci_of(("1", 5, "A", "G"), ("1", 5, "G", "A"))
    aligned = align_loci(matrix([[0, 1]], ("1", 5, "G", "A"), ("1", 5, "A", "G")), both, 2, "m")
    assert aligned.model_index.tolist() == [1, 0]
    assert not aligned.swapped.any()


def test_bases_in_lower_case_are_the_same():
    aligned = align_loci(matrix([[0, 2]], ("1", 10, "a", "g"), ("2", 30, "ga", "g")), MODEL, 2, "m")
    assert aligned.model_index.tolist() == [0, 3]
    assert aligned.swapped.tolist() == [False, True]


def test_loci_without_a_call_hide_neither_the_very_same_loci_nor_a_model_that_fits():
    twice = [("1", 5, "A", "G"), ("1", 5, "A", "G"), ("1", 5, "A", "T")]
    aligned = align_loci(matrix([[0, -1, 1, 2]], twice[0], ("1", 5, "A", "C"), *twice[1:]), TWICE, 2, "m")
    assert aligned.calls.tolist() == [[0, 1, 2]]
    assert aligned.genotypes.source.passed_through["not in the model"] == 1
    strange = [("3", i, "A", "G") for i in range(5)]
    assert align_loci(matrix([[0, *[-1] * 5]], ("1", 10, "A", "G"), *strange), MODEL, 2, "m").n_unknown == 5


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
