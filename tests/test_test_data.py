"""The example in test_data is what its script makes, and holds what its README says."""

import gzip
import importlib
import importlib.util

import numpy as np
import pytest
from conftest import REPOSITORY

from imputevae_cli import read_vcf

FOLDER = REPOSITORY / "test_data"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_test_data", FOLDER / "make_test_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_example(script, tmp_path):
    script.make(tmp_path)
    # Of the compressed file, the text: libraries compress it differently
    made, stored = (gzip.decompress((folder / "example.vcf.gz").read_bytes()) for folder in (tmp_path, FOLDER))
    assert made == stored
    assert (tmp_path / "example.popmap").read_bytes() == (FOLDER / "example.popmap").read_bytes()
    assert (tmp_path / "example.vcf.gz.tbi").exists()


def test_the_script_makes_the_tetraploids(script, tmp_path):
    script.make_tetraploids(tmp_path)
    made, stored = (gzip.decompress((folder / "tetraploid.vcf.gz").read_bytes()) for folder in (tmp_path, FOLDER))
    assert made == stored
    genotypes = read_vcf(FOLDER / "tetraploid.vcf.gz")
    assert genotypes.calls.shape == (48, 140)
    assert genotypes.ploidy == 4
    assert genotypes.evidence_report.field == "AD"
    assert 0.15 < (genotypes.calls == -1).mean() < 0.25


def test_what_the_example_holds():
    genotypes = read_vcf(FOLDER / "example.vcf.gz", popmap=FOLDER / "example.popmap")
    assert genotypes.calls.shape == (90, 601)
    assert 0.2 < (genotypes.calls == -1).mean() < 0.3
    assert dict(zip(*np.unique(genotypes.populations, return_counts=True), strict=True)) == {
        "island": 28,
        "north": 32,
        "south": 30,
    }
    expected = {"no ALT": 1, "symbolic ALT": 3, "no call": 1}
    assert genotypes.source.passed_through == expected
    assert genotypes.calls[3, 5] == -1, "the half-call"


def test_neighbouring_loci_are_in_linkage_disequilibrium():
    calls = read_vcf(FOLDER / "example.vcf.gz").calls[:, :330].astype(float)
    calls[calls < 0] = np.nan
    table = np.ma.corrcoef(np.ma.masked_invalid(calls), rowvar=False).filled(0) ** 2
    assert np.mean(np.diag(table, 1)) > 1.3 * np.mean(np.diag(table, 200))


def test_the_script_makes_the_files_of_other_kinds(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER)
    importlib.import_module("make_whole_files").make(tmp_path)
    for name in ("mixed_ploidy", "several_alt"):
        made, stored = (gzip.decompress((folder / f"{name}.vcf.gz").read_bytes()) for folder in (tmp_path, FOLDER))
        assert made == stored
