"""Zarr VCF as input: what bio2zarr made of a VCF, what was written here, and stores that do not hold together."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY, simulate
from vcf_maker import Filled, record, vcf, write

from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.io.formats import zarr_vcf as zarr_out
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.inputs import zarr_vcf as zarr_in
from imputevae_cli.io.inputs.vcf_text_of_arrays import texts_of_alleles
from imputevae_cli.io.vcf_reader import read_vcf

zarr = pytest.importorskip("zarr")


def converted(source, path):
    """The store that bio2zarr makes of a VCF."""
    pytest.importorskip("bio2zarr")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "bio2zarr",
        "vcf2zarr",
        "convert",
        "-p0",
        "--no-progress",
        "--force",
    ]
    done = subprocess.run([*command, str(source), str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def test_a_store_of_bio2zarr_is_read_as_its_vcf(tmp_path):
    source = REPOSITORY / "test_data" / "example.vcf.gz"
    read, expected = read_vcf(converted(source, tmp_path / "in.vcz")), read_vcf(source)
    assert np.array_equal(read.calls, expected.calls)
    assert read.samples == expected.samples
    for name in ("chrom", "pos", "ref", "alt"):
        assert getattr(read.loci, name).tolist() == getattr(expected.loci, name).tolist()
    assert read.source.passed_through == expected.source.passed_through


def test_likelihoods_of_a_store_are_read(tmp_path):
    records = [
        record("0/0:0,3,40:3,0 0/1:20,0,30:4,5 ./.:.:. 1|1:60,9,0:0,3", pos=pos, fmt="GT:PL:AD") for pos in (10, 20, 30)
    ]
    header = (
        vcf()
        .replace("#CHROM", '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods">\n#CHROM', 1)
        .partition("#CHROM")[0]
    )
    source = write(tmp_path / "in.vcf.gz", vcf(*records, samples="abcd", header=header), "bgzf")
    import pysam

    pysam.tabix_index(str(source), preset="vcf")
    store = converted(source, tmp_path / "in.vcz")
    for field in ("PL", "AD"):
        read, expected = read_vcf(store, likelihoods=field), read_vcf(source, likelihoods=field)
        cells = slice(None), 0, 3
        assert np.array_equal(read.evidence.block(*cells), expected.evidence.block(*cells))


def test_what_was_written_here_is_read(tmp_path):
    imputed = Filled(simulate(6, 1200)[0], silent=[2])
    zarr_out.write(tmp_path / "out.vcz", imputed, Writing("zarr"))
    read = read_vcf(tmp_path / "out.vcz")
    assert np.array_equal(read.calls, imputed.block(0, 1200).calls)
    assert read.source.name == str(tmp_path / "out.vcz")


def test_genotypes_of_any_ploidy_and_phase():
    alleles = np.array([[[0, 1], [-1, -1], [1, -2]], [[2, 0], [0, -1], [10, 11]]], np.int8)
    phased = np.array([[True, False, False], [False, False, True]])
    assert texts_of_alleles(alleles, phased).tolist() == [["0|1", "./.", "1"], ["2/0", "0/.", "10|11"]]


def refused(path, words, kind=InputError):
    with pytest.raises(kind, match=words) as error:
        read_vcf(path)
    assert "\n" not in str(error.value)


def test_stores_that_do_not_hold_together(tmp_path):
    imputed = Filled(simulate(6, 20)[0])
    path = tmp_path / "out.vcz"
    zarr_out.write(path, imputed, Writing("zarr"))
    store = zarr.open_group(str(path), mode="r+", use_consolidated=False)
    del store["variant_allele"]
    refused(path, r"out\.vcz: the store has no array variant_allele")
    (path / ".zgroup").write_text("{")
    refused(path, r"out\.vcz: the Zarr store cannot be read")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "is a folder, and no Zarr VCF")


def test_without_zarr_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    monkeypatch.setitem(sys.modules, "zarr", None)
    refused(tmp_path, r"reading Zarr VCF needs zarr, which is not installed; pip install", ConfigError)


def test_numbers_of_cells_as_vcf_has_them():
    whole = np.array([[[3, 0], [-1, -1], [7, -2]]])
    assert zarr_in._values(whole).tolist() == [["3,0", ".,.", "7"]]
    numbers = np.array([[[0.25, 0.75, np.nan], [np.nan] * 3, [0.5, np.nan, 1e-7]]], np.float32)
    assert zarr_in._values(numbers).tolist() == [["0.25,0.75", ".", "0.5,.,1e-07"]]
    assert zarr_in._values(np.array([[4, -1]])).tolist() == [["4", "."]]
