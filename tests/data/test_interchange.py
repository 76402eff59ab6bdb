"""Genotypes of arrays, data frames and Datasets, and back."""

import sys

import numpy as np
import pytest
from conftest import simulate

from imputevae_cli import GenotypeMatrix, PopMap
from imputevae_cli.errors import ConfigError, InputError

CALLS = [[0, 1, 2], [2, -1, 0]]


@pytest.mark.parametrize(
    "values",
    [
        CALLS,
        np.array(CALLS),
        np.array(CALLS, np.float32),
        np.array([[0, 1, 2], [2, np.nan, 0]]),
        np.array([[0, 1, 2], [2, -9, 0]], np.int16),
        np.ma.masked_equal([[0, 1, 2], [2, 7, 0]], 7),
        np.array([[0, 1, 2], [2, None, 0]], object),
    ],
)
def test_arrays_of_any_type(values):
    genotypes = GenotypeMatrix.from_array(values)
    assert genotypes.calls.dtype == np.int8
    assert genotypes.calls.tolist() == CALLS
    assert genotypes.samples == ("sample1", "sample2")
    assert genotypes.loci.pos.tolist() == [1000, 2000, 3000]
    assert genotypes.loci.ids.tolist() == ["locus1", "locus2", "locus3"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 1, 2], r"the array has the shape \(3,\); give \(samples, loci\)"),
        ([[0, 1], [2, 3]], "the value of sample 1 at locus 1 is 3; give whole counts of ALT alleles from 0 to 2"),
        ([[0, 0.4]], "the value of sample 0 at locus 1 is 0.4"),
        ([[0, -2]], "the value of sample 0 at locus 1 is -2"),
        ([["A/C", "A/A"]], "what is no number"),
    ],
)
def test_arrays_that_are_refused(values, words):
    with pytest.raises(InputError, match=words) as error:
        GenotypeMatrix.from_array(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("loci", "chrom", "pos", "alleles"),
    [
        (["chr1:5", "chr1:9", "chr2:1"], ["chr1", "chr1", "chr2"], [5, 9, 1], ("1", "2")),
        (["1:5:A:G", "1:9:A:G", "2:1:A:G"], ["1", "1", "2"], [5, 9, 1], ("A", "G")),
        ([("1", 5), ("1", 9), ("2", 1)], ["1", "1", "2"], [5, 9, 1], ("1", "2")),
        ([(1, 5, "A", "G"), (1, 9, "A", "G"), (2, 1, "A", "G")], ["1", "1", "2"], [5, 9, 1], ("A", "G")),
        (["snp_1", "chr1:5", "snp_3"], ["1", "1", "1"], [1000, 2000, 3000], ("1", "2")),
    ],
)
def test_loci_are_texts_or_tuples(loci, chrom, pos, alleles):
    found = GenotypeMatrix.from_array(CALLS, loci=loci).loci
    assert found.chrom.tolist() == chrom
    assert found.pos.tolist() == pos
    assert (found.ref[0], found.alt[0]) == alleles
    assert (found.ids is None) == (loci[0] != "snp_1")


def test_samples_and_populations():
    one_each = GenotypeMatrix.from_array(CALLS, ["a", "b"], populations=["north", "south"])
    mapped = GenotypeMatrix.from_array(CALLS, ["a", "b"], populations={"b": "south", "a": "north"})
    aligned = GenotypeMatrix.from_array(CALLS, ["a", "b"], populations=PopMap({"b": "south", "a": "north"}))
    for genotypes in (one_each, mapped, aligned):
        assert genotypes.populations.tolist() == ["north", "south"]
    with pytest.raises(InputError, match="two samples have one name"):
        GenotypeMatrix.from_array(CALLS, ["a", "a"])
    with pytest.raises(InputError, match="samples are 1, the calls have 2"):
        GenotypeMatrix.from_array(CALLS, ["a"])
    with pytest.raises(InputError, match="loci are 2, the calls have 3"):
        GenotypeMatrix.from_array(CALLS, loci=["1:2", "1:3"])


def test_ploidies():
    assert GenotypeMatrix.from_array([[0, 1], [np.nan, 0]], ploidy=1).n_classes == 2
    assert GenotypeMatrix.from_array([[0, 4], [3, 0]], ploidy=4).calls.max() == 4


def test_a_data_frame_of_samples_by_loci():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(CALLS, index=["a", "b"], columns=["1:5", "1:9", "2:1"]).replace(-1, np.nan)
    genotypes = GenotypeMatrix.from_dataframe(frame)
    assert genotypes.calls.tolist() == CALLS
    assert genotypes.samples == ("a", "b")
    assert genotypes.loci.pos.tolist() == [5, 9, 1]
    labelled = GenotypeMatrix.from_dataframe(frame.assign(site=["n", "s"]), populations="site")
    assert labelled.populations.tolist() == ["n", "s"]
    assert np.array_equal(labelled.calls, genotypes.calls)
    assert GenotypeMatrix.from_dataframe(frame.astype("Int8")).calls.tolist() == CALLS  # its missing value is NA
    with pytest.raises(InputError, match="no column 'pop' for populations"):
        GenotypeMatrix.from_dataframe(frame, populations="pop")
    with pytest.raises(InputError, match="what is no number"):
        GenotypeMatrix.from_dataframe(frame.assign(site=["n", "s"]))


def test_a_dataset_and_back():
    pytest.importorskip("xarray")
    genotypes, _ = simulate(7, 20)
    data = genotypes.to_xarray()
    assert data.call_genotype.dims == ("variants", "samples", "ploidy")
    assert data.sizes["alleles"] == 2
    again = GenotypeMatrix.from_sgkit(data)
    assert np.array_equal(again.calls, genotypes.calls)
    assert again.samples == genotypes.samples
    assert again.populations.tolist() == genotypes.populations.tolist()
    for name in ("chrom", "pos", "ref", "alt"):
        assert getattr(again.loci, name).tolist() == getattr(genotypes.loci, name).tolist()


def test_datasets_of_sgkit(caplog):
    """As sgkit makes them: alleles are bytes, padded; chromosomes may be attributes."""
    xarray = pytest.importorskip("xarray")
    alleles = np.array([[b"A", b"C", b""], [b"A", b"C", b"G"], [b"G", b"T", b""]])
    data = xarray.Dataset(
        {
            "variant_contig": ("variants", [0, 0, 1]),
            "variant_position": ("variants", [3, 4, 5]),
            "variant_allele": (("variants", "alleles"), alleles),
            "sample_id": ("samples", ["a", "b"]),
            "call_genotype": (
                ("variants", "samples", "ploidy"),
                np.array([[[0, 1], [-1, -1]], [[0, 2], [1, 1]], [[1, 1], [0, -1]]], np.int8),
            ),
        },
        attrs={"contigs": ["x", "y"]},
    )
    genotypes = GenotypeMatrix.from_sgkit(data, populations=["n", "s"])
    assert genotypes.calls.tolist() == [[1, 2], [-1, -1]]
    assert genotypes.loci.chrom.tolist() == ["x", "y"]
    assert genotypes.populations.tolist() == ["n", "s"]
    assert "1 of 3 variants are not biallelic" in caplog.text
    with pytest.raises(InputError, match="has no sample_id"):
        GenotypeMatrix.from_sgkit(data.drop_vars("sample_id"))
    data.call_genotype[0, 0, 1] = -2
    with pytest.raises(InputError, match="differ in ploidy"):
        GenotypeMatrix.from_sgkit(data)


def test_without_xarray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ConfigError, match=r"a Dataset needs xarray, which is not installed; pip install 'imputevae\[n"):
        simulate(3, 4)[0].to_xarray()


def test_reprs_are_short():
    genotypes, _ = simulate(60, 120)
    missing = (genotypes.calls < 0).mean()
    assert repr(genotypes) == f"<GenotypeMatrix: 60 samples x 120 loci, ploidy 2, {missing:.1%} missing, 3 populations>"
    assert repr(genotypes.loci) == "<Loci: 120 on 2 chromosomes>"
    assert repr(PopMap({"a": "n", "b": "s"}, "p.popmap")) == "<PopMap p.popmap: 2 samples, 2 populations>"
