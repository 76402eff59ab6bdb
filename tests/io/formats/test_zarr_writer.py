"""Zarr VCF, read back by vcztools, by xarray and by zarr."""

import sys

import numpy as np
import pytest
from conftest import simulate
from readers import calls_of_vcf, run
from vcf_maker import Filled

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.formats import zarr_vcf
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.registry import format_of

HOW = Writing("zarr", "imputevae impute x", "1.2")


@pytest.fixture
def imputed():
    return Filled(simulate(6, 2300)[0], silent=[2], doubtful=[3])


@pytest.fixture
def zarr():
    return pytest.importorskip("zarr")


def test_vcztools_gives_the_vcf(tmp_path, zarr, imputed):
    pytest.importorskip("vcztools")
    zarr_vcf.write(tmp_path / "out.vcz", imputed, HOW)
    view = (sys.executable, "-W", "ignore", "-m", "vcztools", "view", tmp_path / "out.vcz")
    text = run(*view)
    block = imputed.block(0, 2300)
    assert np.array_equal(calls_of_vcf(text), block.calls)
    records = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    keys = records[0][8].split(":")
    cells = [dict(zip(keys, record[9].split(":"), strict=True)) for record in records]
    assert [float(cell["DS"]) for cell in cells] == pytest.approx((block.gp[0] @ [0, 1, 2] / 1000).tolist())
    assert [int(cell["IMP"]) for cell in cells] == block.imputed[0].astype(int).tolist()
    assert {record[5] for record in records} == {"."}
    loci = imputed.genotypes.loci
    inside = (loci.chrom == "2") & (loci.pos >= 15000) & (loci.pos <= 16000)
    region = [line.split("\t")[1] for line in run(*view, "-r", "2:15000-16000").splitlines() if line[0] != "#"]
    assert region == [str(pos) for pos in loci.pos[inside]]


def test_xarray_opens_it_with_the_names_of_sgkit(tmp_path, zarr, imputed):
    xarray = pytest.importorskip("xarray")
    zarr_vcf.write(tmp_path / "out.vcz", imputed, HOW)
    with xarray.open_zarr(tmp_path / "out.vcz", consolidated=True) as data:
        assert data.call_genotype.dims == ("variants", "samples", "ploidy")
        calls = data.call_genotype.values
        assert np.array_equal(np.where(calls.min(2) < 0, -1, calls.sum(2)), imputed.block(0, 2300).calls.T)
        assert data.call_GP.dims == ("variants", "samples", "genotypes")
        assert data.sample_id.values.tolist() == list(imputed.genotypes.samples)
        assert data.contig_id.values[data.variant_contig.values].tolist() == imputed.genotypes.loci.chrom.tolist()


def test_no_chunk_is_left_to_a_fill_value(tmp_path, zarr, imputed):
    """Zarr 2, which sgkit uses, reads whatever is in memory in place of a chunk that is not there."""
    zarr_vcf.write(tmp_path / "out.vcz", imputed, HOW)
    for name, array in zarr.open_group(tmp_path / "out.vcz", mode="r").arrays():
        assert array.nchunks_initialized == array.nchunks, name


def test_an_older_zarr_is_told(monkeypatch, zarr, imputed):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.18.7")
    with pytest.raises(ConfigError, match=r"needs zarr 3 or newer; pip install --upgrade 'imputevae\[zarr\]'"):
        zarr_vcf.check("out.vcz", imputed.genotypes, HOW)


def test_a_store_appears_whole_and_only_ours_is_replaced(tmp_path, zarr, imputed):
    path, kind = tmp_path / "out.vcz", format_of("out.vcz")
    zarr_vcf.write(path, imputed, HOW)
    assert zarr_vcf.command_of(path) == "imputevae impute x"
    with pytest.raises(OutputError, match="exists already"):
        kind.check_place(path)
    kind.check_place(path, force=True)
    (path / "call_DP").mkdir()
    with pytest.raises(OutputError, match="holds 'call_DP', which imputevae did not write"):
        kind.check_place(path, force=True)
    foreign = tmp_path / "foreign.vcz"
    foreign.mkdir()
    (foreign / ".zattrs").write_text('{"source": "bio2zarr-0.1.6"}')
    with pytest.raises(OutputError, match=r"holds no \.zattrs of imputevae"):
        kind.check_place(foreign, force=True)

    class Stopped(Filled):
        def block(self, start, stop):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zarr_vcf.write(tmp_path / "other.vcz", Stopped(imputed.genotypes), HOW)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["foreign.vcz", "out.vcz"]


def test_without_zarr_the_error_says_what_to_install(monkeypatch, imputed):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ConfigError, match=r"needs zarr, which is not installed; pip install 'imputevae\[zarr\]'"):
        zarr_vcf.check("out.vcz", imputed.genotypes, HOW)
