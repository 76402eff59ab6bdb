import numpy as np
import pytest
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli.data import evidence_report as found
from imputevae_cli.data.evidence import CALL_ERROR
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_reader import read_vcf

FIELDS = """##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">
##FORMAT=<ID=GL,Number=G,Type=Float,Description="Log10 likelihoods">
##FORMAT=<ID=GP,Number=G,Type=Float,Description="Genotype probabilities">
##FORMAT=<ID=CATG,Number=1,Type=String,Description="Base Counts (CATG)">
"""
HEAD = HEADER + FIELDS


def read(tmp_path, *records, likelihoods="auto", mode="vcf", header=HEAD, **options):
    path = write(tmp_path / f"in.{'bcf' if mode == 'bcf' else 'vcf'}", vcf(*records, header=header), mode)
    return read_vcf(path, likelihoods=likelihoods, **options)


def block(genotypes):
    return genotypes.evidence.block(slice(None), 0, genotypes.n_loci)


def fallback(call):
    """The likelihoods of a call whose own are broken."""
    other = CALL_ERROR / 2 / (1 - CALL_ERROR)
    return [1 if g == call else pytest.approx(other) for g in range(3)]


LOW = [
    record("0/0:0,3,23 0/1:17,0,17 ./.:.", pos=100, fmt="GT:PL"),
    record("1/1:23,3,0 0/0:0,6,40 0/1:9,0,30", pos=200, fmt="GT:PL"),
]


@pytest.mark.parametrize("mode", ["vcf", "bgzf", "bcf"])
def test_pl_is_read_as_it_is(tmp_path, mode):
    genotypes = read(tmp_path, *LOW, mode=mode)
    assert genotypes.evidence_report.field == "PL"
    expected = 10.0 ** (-np.array([[[0, 3, 23], [23, 3, 0]], [[17, 0, 17], [0, 6, 40]], [[0, 0, 0], [9, 0, 30]]]) / 10)
    assert block(genotypes) == pytest.approx(expected, rel=1e-5)
    assert genotypes.evidence.codes.dtype == np.uint16


def test_the_samples_that_are_kept_keep_their_evidence(tmp_path):
    everyone = block(read(tmp_path, *LOW))
    assert np.array_equal(block(read(tmp_path, *LOW, samples=["b", "c"])), everyone[1:])


def test_gl_and_text_values_say_the_same_as_pl(tmp_path):
    pl = block(read(tmp_path, *LOW))
    texts = [line.replace("GT:PL", "GT:GL") for line in LOW]
    for phred in (17, 23, 40, 30, 3, 6, 9):
        texts = [line.replace(f":{phred},", f":-{phred / 10},") for line in texts]
        texts = [line.replace(f",{phred}", f",-{phred / 10}") for line in texts]
    assert block(read(tmp_path, *texts, likelihoods="GL")) == pytest.approx(pl, rel=1e-5)
    undeclared = HEAD.replace("ID=PL", "ID=XX")  # htslib takes it for text
    assert np.array_equal(block(read(tmp_path, *LOW, header=undeclared)), pl)


def test_probabilities_on_request_alone(tmp_path):
    lines = [record("0/0:0.8,0.2,0 0/1:0.1,0.8,0.1 ./.:.", pos=p, fmt="GT:GP") for p in (1, 2)]
    assert read(tmp_path, *lines).evidence is None
    genotypes = read(tmp_path, *lines, likelihoods="GP")
    assert block(genotypes)[:, 0] == pytest.approx(np.array([[1, 0.25, 0], [0.126, 1, 0.126], [1, 1, 1]]), abs=0.01)


def reads(lines, field="AD"):
    return [record(cells, pos=100 + i, fmt=f"GT:{field}") for i, cells in enumerate(lines)]


def test_counts_become_likelihoods_by_a_fitted_error_rate(tmp_path):
    lines = reads(["0/0:3,0 0/1:2,2 ./.:0,0", "1/1:0,1 0/0:1,0 0/1:1,1"] * 10)
    genotypes = read(tmp_path, *lines)
    report = genotypes.evidence_report
    assert report.field == "AD"
    assert report.median_depth == 2
    assert 1e-3 <= report.error <= 0.1
    got = block(genotypes)
    assert got[0, 0].argmax() == 0
    assert got[1, 0].argmax() == 1
    assert got[2, 0].tolist() == [1, 1, 1]
    assert got[0, 1] == pytest.approx([report.error / (1 - report.error), 0.5 / (1 - report.error), 1], rel=0.02)


def test_ipyrads_counts_are_in_the_order_catg(tmp_path):
    as_ad = reads(["0/0:3,0 0/1:2,2 ./.:0,0", "1/1:0,1 0/0:1,0 0/1:1,1"] * 10)
    as_catg = reads(["0/0:0,3,0,0 0/1:0,2,0,2 ./.:0,0,0,0", "1/1:0,0,0,1 0/0:0,1,0,0 0/1:0,1,0,1"] * 10, "CATG")
    one, other = read(tmp_path, *as_ad), read(tmp_path, *as_catg)
    assert other.evidence_report.field == "CATG"
    assert np.array_equal(block(one), block(other))


def test_calls_that_are_certain_are_left_alone(tmp_path):
    deep = [record("0/0:0,90,900 0/1:300,0,300 ./.:.", pos=p, fmt="GT:PL") for p in range(1, 9)]
    genotypes = read(tmp_path, *deep)
    assert genotypes.evidence is None
    assert not genotypes.evidence_report.used
    assert "certain" in genotypes.evidence_report.lines()[0]
    assert read(tmp_path, *deep, likelihoods="PL").evidence is not None
    plain = read(tmp_path, *(record("0/0 0/1 ./.", pos=p) for p in (1, 2)))
    assert plain.evidence is None
    assert plain.evidence_report.field is None


def test_reads_behind_missing_calls_make_evidence_worth_its_cost(tmp_path):
    lines = [record("0/0:0,90,900 0/1:300,0,300 ./.:0,6,60", pos=p, fmt="GT:PL") for p in range(1, 9)]
    genotypes = read(tmp_path, *lines)
    assert genotypes.evidence_report.n_rescued == 8
    assert block(genotypes)[2, 0] == pytest.approx(10.0 ** (-np.array([0, 6, 60]) / 10))


def test_none_takes_calls_for_the_truth(tmp_path):
    genotypes = read(tmp_path, *LOW, likelihoods="none")
    assert genotypes.evidence is None
    assert genotypes.evidence_report is None
    assert np.array_equal(genotypes.calls, read(tmp_path, *LOW).calls)


BROKEN = {
    found.DOTS: ("0/0:4:.", fallback(0)),
    found.WRONG_LENGTH: ("0/0:4:0,9", fallback(0)),
    found.NEGATIVE: ("0/1:4:-5,0,20", fallback(1)),
    found.FLAT_WITH_READS: ("1/1:4:0,0,0", fallback(2)),
    found.CONTRADICTS: ("0/0:4:60,0,60", fallback(0)),
    found.NO_READS: ("0/0:0:0,0,0", [1, 1, 1]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_values_are_counted_and_not_used(tmp_path, kind):
    cell, expected = BROKEN[kind]
    good = [record("0/0:1:0,3,23 0/1:2:17,0,17 0/0:1:0,3,23", pos=p, fmt="GT:DP:PL") for p in range(1, 20)]
    genotypes = read(tmp_path, *good, record(f"{cell} 0/1:2:17,0,17 0/0:1:0,3,23", pos=30, fmt="GT:DP:PL"))
    report = genotypes.evidence_report
    assert report.broken == {kind: 1}
    assert block(genotypes)[0, 19].tolist() == expected
    assert any(kind in line for line in report.lines())


def test_a_visible_call_without_reads_is_unknown_with_or_without_values(tmp_path):
    line = record("0/0:0:. 0/0:.:0,0,0 0/0:1:0,3,23", pos=30, fmt="GT:DP:PL")
    good = [record("0/0:1:0,3,23 0/1:2:17,0,17 0/0:1:0,3,23", pos=p, fmt="GT:DP:PL") for p in range(1, 20)]
    genotypes = read(tmp_path, *good, line)
    assert genotypes.evidence_report.broken == {found.NO_READS: 2}
    assert (block(genotypes)[:2, 19] == 1).all()
    assert genotypes.calls[0, 19] == 0


def test_a_field_against_the_calls_is_left_for_the_next(tmp_path):
    """PL in the order of other alleles: its best genotype is never the call."""
    cells = "0/0:3,0:60,9,0 1/1:0,2:0,6,60 0/1:1,1:20,0,20"
    lines = [record(cells, pos=p, fmt="GT:AD:PL") for p in range(1, 30)]
    genotypes = read(tmp_path, *lines)
    assert genotypes.evidence_report.field == "AD"
    assert "PL rules out" in genotypes.evidence_report.reason
    asked = read(tmp_path, *lines, likelihoods="PL")
    assert asked.evidence_report.field == "PL"
    assert asked.evidence_report.agreement < 0.5
    assert asked.evidence_report.broken[found.CONTRADICTS] == 58


def test_a_field_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="GL is in no record; give --likelihoods auto"):
        read(tmp_path, *LOW, likelihoods="GL")


def test_half_calls_exclude_a_genotype(tmp_path):
    genotypes = read(tmp_path, record("./1 0/. 0/1", pos=1), record("0/0 0/1 1|.", pos=2))
    assert genotypes.calls[:, 0].tolist() == [-1, -1, 1]
    assert block(genotypes)[:, 0].tolist() == [[0, 1, 1], [1, 1, 0], [0, 1, 0]]
    assert block(genotypes)[:, 1].tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert genotypes.evidence_report.n_half_calls == 3
    assert read(tmp_path, record("./1 0/. 0/1"), record("0/0 0/1 1|.", pos=2), likelihoods="none").evidence is None


def test_half_calls_join_likelihoods(tmp_path):
    genotypes = read(tmp_path, record("./1:0,3,30 0/0:0,3,23 0/1:17,0,17", fmt="GT:PL"), *LOW)
    assert block(genotypes)[0, 0] == pytest.approx([0, 10**-0.3, 10**-3])


def test_haploid_calls_have_two_likelihoods(tmp_path):
    lines = [record("0:0,8 1:9,0 .:.", pos=p, fmt="GT:PL") for p in range(1, 5)]
    genotypes = read(tmp_path, *lines)
    assert genotypes.ploidy == 1
    assert block(genotypes)[:, 0] == pytest.approx(10.0 ** (-np.array([[0, 8], [9, 0], [0, 0]]) / 10))


def test_records_that_are_not_modelled_leave_the_rest_in_step(tmp_path):
    odd = [record("./.:. ./.:. ./.:.", pos=120, fmt="GT:PL"), record("0/0 0/1 1/1", pos=130, alt="<DEL>")]
    bare = record("0/0 0/1 1/1", pos=140)
    genotypes = read(tmp_path, LOW[0], *odd, bare, LOW[1])
    assert genotypes.n_loci == 3
    assert np.array_equal(block(genotypes)[:, [0, 2]], block(read(tmp_path, *LOW)))
    assert block(genotypes)[0, 1].tolist() == fallback(0)


def test_a_region_with_context(tmp_path):
    lines = [record("0/0:0,3,23 0/1:17,0,17 ./.:.", pos=p, fmt="GT:PL") for p in range(1, 60)]
    lines[30] = record("1/1:23,3,0 0/1:17,0,17 ./.:.", pos=31, fmt="GT:PL")
    genotypes = read(tmp_path, *lines, region="1:30-33", context=2)
    assert genotypes.n_loci == 8
    assert genotypes.evidence.codes.shape == (3, 8)
    assert block(genotypes)[0, :, 2].argmax() == 3
