"""A panel from Python: packed, opened, and imputed from, as the command line does it."""

import gzip
import re

import numpy as np
import panel_files
import pytest
from conftest import imputevae
from vcf_maker import write

from imputevae_cli import Config, Panel, read_vcf
from imputevae_cli.errors import InputError, OutputError


@pytest.fixture(scope="module")
def files():
    return panel_files.make()


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("panel")
    write(folder / "panel.vcf.gz", files.panel(), "bgzf")
    write(folder / "chip.vcf.gz", files.chip(missing={(0, int(files.typed[3]))}), "bgzf")
    Panel.pack(folder / "panel.vcf.gz", folder / "panel.ivae", progress=False)
    return folder


def records(path):
    return [line for line in gzip.decompress(path.read_bytes()).decode().splitlines() if not line.startswith("#")]


def test_it_writes_what_the_command_line_does(folder, tmp_path):
    panel = Panel.load(folder / "panel.ivae")
    assert repr(panel) == "<Panel: 30 samples x 120 loci, chromosomes: 1>"
    dense = panel.impute(folder / "chip.vcf.gz", phased=True, threads=1)
    written = dense.write(tmp_path / "python.vcf.gz")
    how = ("--model", folder / "panel.ivae", "--add-loci", "--phased", "--threads", 1, "-o", tmp_path / "cli.vcf.gz")
    assert imputevae("impute", folder / "chip.vcf.gz", *how).returncode == 0
    assert records(tmp_path / "python.vcf.gz") == records(tmp_path / "cli.vcf.gz")
    assert written.added == dense.counts.n_loci == 90


def test_arrays_have_all_loci(folder, files):
    genotypes = read_vcf(folder / "chip.vcf.gz")
    dense = Panel.load(folder / "panel.ivae").impute(genotypes, threads=1).genotypes
    assert dense.shape == (6, 120)
    assert np.array_equal(dense.genotypes.loci.pos, files.pos)
    added = np.setdiff1d(np.arange(120), files.typed)
    assert dense.imputed[:, added].all()
    assert dense.imputed[:, files.typed].sum() == 1
    assert (dense.calls == files.targets)[:, added].mean() > 0.9
    bare = Panel.load(folder / "panel.ivae").impute(
        type(genotypes)(genotypes.calls, genotypes.samples, genotypes.loci), threads=1
    )
    assert np.array_equal(bare.genotypes.gp, dense.gp)


def test_samples_of_the_panel_are_chosen(folder, tmp_path):
    panel = Panel.pack(folder / "panel.vcf.gz", tmp_path / "p.ivae", samples=["p1", "p4"], progress=False)
    assert panel.samples == ("p1", "p4")
    with pytest.raises(OutputError, match="exists"):
        Panel.pack(folder / "panel.vcf.gz", tmp_path / "p.ivae")


def test_what_cannot_be_filled_is_refused(folder, tmp_path):
    text = re.sub(r"[01]/[01]", "0/0/0/1", gzip.decompress((folder / "chip.vcf.gz").read_bytes()).decode())
    with pytest.raises(InputError, match="ploidy 4"):
        Panel.load(folder / "panel.ivae").impute(write(tmp_path / "t.vcf", text), config=Config())
