"""PLINK bed as input: what plink2 made of a VCF, and files that do not belong together."""

import numpy as np
import pytest
from conftest import simulate, vcf_of
from readers import calls_of_vcf, program, run
from vcf_maker import Filled

from imputevae_cli.errors import InputError
from imputevae_cli.io.formats import plink as plink_out
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.vcf_reader import read_vcf


@pytest.fixture
def made(tmp_path):
    """Genotypes, and the .bed of them, in which a call is as it was in the input."""
    genotypes, _ = simulate(7, 30)

    class AsItWas(Filled):
        def block(self, start, stop):
            block = super().block(start, stop)
            return type(block)(genotypes.calls[:, start:stop], block.gp, block.imputed & False)

    plink_out.write(tmp_path / "in.bed", AsItWas(genotypes), Writing("bed"))
    return genotypes, tmp_path / "in.bed"


def test_a_bed_is_read_as_it_was_written(made):
    genotypes, path = made
    read = read_vcf(path)
    assert np.array_equal(read.calls, genotypes.calls)
    assert read.samples == genotypes.samples
    for name in ("chrom", "pos", "ref", "alt"):
        assert getattr(read.loci, name).tolist() == getattr(genotypes.loci, name).tolist()
    assert read.source.name == str(path)
    assert read.source.given == path


def test_a_bed_of_plink2_is_read(tmp_path):
    plink2 = program("plink2")
    genotypes, _ = simulate(9, 40, seed=3)
    (tmp_path / "in.vcf").write_text(vcf_of(genotypes))
    run(plink2, "--vcf", tmp_path / "in.vcf", "--make-bed", "--out", tmp_path / "made")
    read = read_vcf(tmp_path / "made.bed")
    assert np.array_equal(read.calls, genotypes.calls)
    assert read.loci.ref.tolist() == genotypes.loci.ref.tolist()


def test_samples_regions_and_records_are_chosen_as_in_a_vcf(made):
    genotypes, path = made
    read = read_vcf(path, samples=["s01", "s04"], region="2")
    assert np.array_equal(read.calls, genotypes.calls[[1, 4]][:, genotypes.loci.chrom == "2"])


def test_an_imputed_vcf_of_a_bed_holds_its_calls(made, tmp_path):
    from imputevae_cli.io.vcf_writer import write_vcf

    _genotypes, path = made
    imputed = Filled(read_vcf(path))
    write_vcf(tmp_path / "out.vcf", imputed, output_type="v", command="c", version="1")
    assert np.array_equal(calls_of_vcf((tmp_path / "out.vcf").read_text()), imputed.block(0, 30).calls)


def test_alleles_that_plink_does_not_know(made):
    _genotypes, path = made
    data = bytearray(path.read_bytes())
    data[3:5] = b"\xff\x3f"  # all are homozygous for A2 at the first locus
    path.write_bytes(data)
    bim = path.with_suffix(".bim")
    lines = [line.split("\t") for line in bim.read_text().splitlines()]
    lines[0][4] = "0"  # monomorphic: nothing is ALT
    bim.write_text("".join("\t".join(line) + "\n" for line in lines))
    assert read_vcf(path).source.passed_through["no ALT"] == 1


def refused(path, words):
    with pytest.raises(InputError, match=words) as error:
        read_vcf(path)
    assert "\n" not in str(error.value)


def test_files_that_do_not_belong_together(made):
    _, path = made
    bim, fam = path.with_suffix(".bim"), path.with_suffix(".fam")
    texts = bim.read_text(), fam.read_text()
    bim.write_text(texts[0].partition("\n")[2])
    refused(path, "holds 60 bytes of calls, and 7 samples and 29 loci of .fam and .bim need 58")
    bim.write_text(texts[0].replace("\t100\t", "\there\t"))
    refused(bim.with_suffix(".bed"), r"in\.bim: line 1: the position 'here' is not a number")
    bim.write_text("1 rs1\n")
    refused(path, r"in\.bim: line 1 has 2 columns, not 6")
    bim.write_text(texts[0])
    fam.write_text(texts[1].replace("s01", "s02").replace("pop1\ts02", "pop2\ts02"))
    refused(path, "sample 'pop2_s02' is named twice")
    fam.unlink()
    refused(path, r"there is no in\.fam beside it")


def test_a_fam_of_fewer_samples_is_refused_though_the_bytes_fit(made):
    """7 samples take the two bytes of a locus that 6 take."""
    genotypes, path = made
    fam = path.with_suffix(".fam")
    fam.write_text("".join(fam.read_text().splitlines(keepends=True)[:-1]))
    assert (genotypes.calls[6] != 2).any()
    refused(path, r"holds calls of more than the 6 samples of its \.fam")


def test_names_that_repeat_have_the_family_before_them(made):
    _genotypes, path = made
    fam = path.with_suffix(".fam")
    fam.write_text(fam.read_text().replace("s01", "s02"))
    assert read_vcf(path).samples[1:3] == ("pop1_s02", "pop2_s02")


def test_a_bed_whose_samples_follow_one_another(made):
    _, path = made
    data = bytearray(path.read_bytes())
    data[2] = 0
    path.write_bytes(data)
    refused(path, "its samples follow one another")


def test_the_name_without_the_ending_is_found(made):
    _, path = made
    refused(path.with_suffix(""), r"no such file; there is .*in\.bed")
