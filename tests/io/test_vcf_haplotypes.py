"""Haplotypes of a file: alleles in their order, phase, and what is left out."""

import numpy as np
import pytest
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli.errors import InputError
from imputevae_cli.io.passed_through import NO_ALT
from imputevae_cli.io.vcf_haplotypes import POLYPLOID_CALLS, REPEATED, SEVERAL_ALT, HaplotypeFile


def opened(tmp_path, text, mode="vcf", **options):
    return HaplotypeFile.open(write(tmp_path / "panel.vcf", text, mode), **options)


@pytest.mark.parametrize("mode", ["vcf", "bgzf", "bcf"])
def test_alleles_keep_their_order_and_their_phase(tmp_path, mode):
    text = vcf(record("0|1 1|0 0/1", pos=5), record("1|1 .|. 0|.", pos=9, ref="C", alt="CTT"))
    (block,) = opened(tmp_path, text, mode).blocks()
    assert block.alleles.tolist() == [[0, 1, 1, 0, 0, 1], [1, 1, -1, -1, 0, -1]]
    assert block.phased[0].tolist() == [True, True, False]
    assert block.heterozygous.tolist() == [[True, True, True], [False, False, False]]
    assert (block.chrom, block.pos.tolist(), block.ref, block.alt) == ("1", [5, 9], ["A", "C"], ["G", "CTT"])


def test_a_call_may_begin_with_its_phase(tmp_path):
    text = vcf(record("|0|1 1|0 /0/1"), header=HEADER.replace("VCFv4.2", "VCFv4.4"))
    (block,) = opened(tmp_path, text).blocks()
    assert block.alleles.tolist() == [[0, 1, 1, 0, 0, 1]]
    assert block.phased.tolist() == [[True, True, False]]


def test_what_cannot_be_part_of_a_panel_is_counted(tmp_path):
    lines = record("0|0 0|1 1|1", pos=1), record("0|0 0|2 1|1", pos=2, alt="G,T"), record("0|0|1 0|1 0|1", pos=3)
    file = opened(tmp_path, vcf(*lines, record("0|0 0|0 0|0", pos=4, alt=".")))
    blocks = list(file.blocks())
    assert [block.pos.tolist() for block in blocks] == [[1]]
    assert {reason: n for reason, n in file.left_out.items() if n} == {SEVERAL_ALT: 1, POLYPLOID_CALLS: 1, NO_ALT: 1}
    assert len(list(file.blocks())) == 1  # a second walk


def test_a_haploid_call_has_its_allele_twice(tmp_path):
    (block,) = opened(tmp_path, vcf(record("0 1 .", pos=1), record("1 0|1 .", pos=2))).blocks()
    assert block.alleles.tolist() == [[0, 0, 1, 1, -1, -1], [1, 1, 0, 1, -1, -1]]


def test_a_repeated_locus_is_read_once(tmp_path):
    lines = [record("0|0 0|1 1|1", pos=pos, ref="A", alt=alt) for pos, alt in ((1, "G"), (1, "T"), (1, "G"), (2, "G"))]
    file = opened(tmp_path, vcf(*lines))
    assert [(pos, alt) for block in file.blocks() for pos, alt in zip(block.pos, block.alt, strict=True)] == [
        (1, "G"), (1, "T"), (2, "G")]  # fmt: skip
    assert file.left_out[REPEATED] == 1


def test_samples_and_regions_are_chosen(tmp_path):
    text = vcf(*(record("0|1 1|0 1|1", chrom, pos) for chrom in "12" for pos in (10, 20)))
    file = opened(tmp_path, text, samples=["a", "c"], region=["1:15-", "2:1-15"])
    blocks = list(file.blocks())
    assert file.samples == ("a", "c")
    assert [(block.chrom, block.pos.tolist()) for block in blocks] == [("1", [20]), ("2", [10])]
    assert np.concatenate([block.alleles for block in blocks]).tolist() == [[0, 1, 1, 1]] * 2


@pytest.mark.parametrize("places", [[("1", 9), ("1", 5)], [("1", 5), ("2", 5), ("1", 9)]])
def test_a_file_out_of_order_is_refused(tmp_path, places):
    file = opened(tmp_path, vcf(*(record("0|1 1|0 1|1", chrom, pos) for chrom, pos in places)))
    with pytest.raises(InputError, match="out of order; sort it with `bcftools sort`"):
        list(file.blocks())
