"""PLINK bed, read back by plink2, by bed-reader, and bit by bit."""

import numpy as np
import pytest
from conftest import simulate
from readers import calls_of_vcf, program, run
from vcf_maker import Filled

from imputevae_cli.io.formats import plink
from imputevae_cli.io.formats.base import Writing


@pytest.fixture(params=[7, 8])
def imputed(request):
    """A number of samples that fills its bytes, and one that does not; some calls stay missing."""
    return Filled(simulate(request.param, 40, seed=request.param)[0], silent=[2], doubtful=[3, 20])


def bed(path, imputed):
    plink.write(path, imputed, Writing("bed"))
    return path


def test_plink2_reads_the_calls(tmp_path, imputed):
    plink2 = program("plink2")
    bed(tmp_path / "out.bed", imputed)
    run(plink2, "--bfile", tmp_path / "out", "--export", "vcf", "id-paste=iid", "--out", tmp_path / "back")
    text = (tmp_path / "back.vcf").read_text()
    assert np.array_equal(calls_of_vcf(text), imputed.block(0, 40).calls)
    records = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    loci = imputed.genotypes.loci
    assert [record[3] for record in records] == loci.ref.tolist()
    assert [record[4] for record in records] == loci.alt.tolist()
    assert [int(record[1]) for record in records] == loci.pos.tolist()


def test_bed_reader_reads_the_calls(tmp_path, imputed):
    bed_reader = pytest.importorskip("bed_reader")
    with bed_reader.open_bed(bed(tmp_path / "out.bed", imputed)) as opened:
        counts = opened.read(dtype="int8")
        assert np.array_equal(np.where(counts == -127, -1, counts), imputed.block(0, 40).calls)
        assert tuple(opened.iid) == imputed.genotypes.samples
        assert list(opened.fid) == list(imputed.genotypes.populations)
        assert list(opened.bp_position) == imputed.genotypes.loci.pos.tolist()


def test_the_bits_of_a_byte():
    calls = np.array([[0, 1, 2, -1, 2]], np.int8)
    assert plink.packed(calls, 2).tolist() == [[0b01_00_10_11, 0b00]]
    assert plink.packed(np.array([[0, 1, -1]], np.int8), 1).tolist() == [[0b01_00_11]]


def test_names_positions_and_centimorgans_of_the_bim(tmp_path):
    genotypes, _ = simulate(4, 3, popmap=False)
    loci = genotypes.loci
    imputed = Filled(genotypes.with_map(np.array([0.0, 1.5, 2.25])))
    bed(tmp_path / "out.bed", imputed)
    columns = [line.split("\t") for line in (tmp_path / "out.bim").read_text().splitlines()]
    expected = [
        [loci.chrom[i], f"{loci.chrom[i]}_{loci.pos[i]}", cm, str(loci.pos[i]), loci.alt[i], loci.ref[i]]
        for i, cm in enumerate(("0", "1.5", "2.25"))
    ]
    assert columns == expected
    assert (tmp_path / "out.fam").read_text().splitlines()[0] == "0\ts00\t0\t0\t0\t-9"
