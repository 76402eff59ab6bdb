"""Every kind of output: how it is found, and what all of them keep to."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import simulate
from vcf_maker import Filled

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.registry import FORMATS, format_of, output_type_of

FILES = [one for one in FORMATS if not one.is_folder]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.vcf", "v"),
        ("a.vcf.gz", "z"),
        ("b/A.VCF.GZ", "z"),
        ("a.bcf", "b"),
        ("a.phy", "p"),
        ("a.bed", "bed"),
        ("a.stru", "structure"),
        ("a.gen", "genepop"),
        ("a.012", "012"),
        ("a.tsv.gz", "tsv"),
        ("a.vcz", "zarr"),
        ("-", "v"),
    ],
)
def test_type_follows_the_ending(path, kind):
    assert output_type_of(path) == kind
    assert output_type_of(path, "b") == "b"


def test_unknown_endings_and_types():
    with pytest.raises(ConfigError, match=r"a\.txt: the ending does not tell"):
        output_type_of("a.txt")
    with pytest.raises(ConfigError, match="--output-type q"):
        output_type_of("a.vcf", "q")
    with pytest.raises(ConfigError, match=r"a\.bim: is written beside the \.bed"):
        output_type_of("a.bim")


def test_what_is_several_files_is_not_for_standard_output():
    streams = {one.key for one in FORMATS if one.fits_a_stream}
    assert streams == {"v", "z", "b", "p", "structure", "genepop", "tsv"}
    for one in FORMATS:
        if one.key not in streams:
            with pytest.raises(ConfigError, match="more than one file"):
                format_of("-", one.key)


@pytest.fixture
def imputed():
    return Filled(simulate(7, 20)[0], silent=[2])


def written(kind, path, imputed):
    how = Writing(kind.key, "imputevae impute x", "1.2")
    kind.writer().check(path, imputed.genotypes, how)
    kind.writer().write(path, imputed, how)
    return path


@pytest.mark.parametrize("kind", FILES, ids=lambda one: one.key)
def test_a_failure_leaves_nothing_behind(tmp_path, kind, imputed):
    class Stopped(Filled):
        def block(self, start, stop):
            raise KeyboardInterrupt

    path = tmp_path / f"out{kind.endings[0]}"
    with pytest.raises(KeyboardInterrupt):
        written(kind, path, Stopped(imputed.genotypes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", FILES, ids=lambda one: one.key)
def test_what_made_it_is_told_where_there_is_room(tmp_path, kind, imputed):
    path = written(kind, tmp_path / f"out{kind.endings[0]}", imputed)
    if kind.key != "b":  # a BCF is read by htslib alone
        assert kind.writer().command_of(path) in (None, "imputevae impute x")
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"##fileformat=VCFv4.2\n#CHROM\n")
    with pytest.raises(ValueError, match="not"):
        kind.writer().command_of(foreign)


@pytest.mark.parametrize("kind", FILES, ids=lambda one: one.key)
def test_the_files_beside_it_are_the_ones_that_are_declared(tmp_path, kind, imputed):
    path = written(kind, tmp_path / f"out{kind.endings[0]}", imputed)
    beside = set(kind.beside(path).values())
    found = set(tmp_path.iterdir()) - {path}
    indexes = {file for file in beside if file.suffix in (".tbi", ".csi")}
    assert found <= beside
    assert beside - indexes <= found
    with pytest.raises(OutputError, match="exists already"):
        kind.check_place(path)
    kind.check_place(path, force=True)
    path.unlink()
    if beside - indexes:  # they alone are enough to refuse
        with pytest.raises(OutputError, match="exists already"):
            kind.check_place(path)


@pytest.mark.parametrize("kind", [one for one in FORMATS if one.key in ("bed", "genepop")], ids=lambda one: one.key)
def test_ploidies_that_a_kind_does_not_hold_are_refused_before_the_fit(kind):
    genotypes, _ = simulate(5, 8, ploidy=4)
    with pytest.raises(OutputError, match=r"of ploidy 4, and .* holds haploid and diploid ones"):
        kind.writer().check("out", genotypes, Writing(kind.key))


@pytest.mark.parametrize("key", ["structure", "012", "tsv"])
def test_other_kinds_hold_any_ploidy(tmp_path, key):
    genotypes, truth = simulate(5, 8, ploidy=4, missing=0.0)
    kind = format_of("x", key)
    path = written(kind, tmp_path / "out", Filled(genotypes, gp=[0, 0, 0, 0, 1000]))
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    if key == "structure":
        alts = np.array(rows[1:])[:, 2:].reshape(5, 4, 8) != np.array(rows[1:])[:, 2:].reshape(5, 4, 8)[:, :1]
        mixed = (truth > 0) & (truth < 4)
        assert np.array_equal(alts.sum(1)[mixed], truth[mixed])
    else:
        assert np.array_equal(np.array(rows[key == "tsv" :])[:, 1:].astype(int), truth)


@pytest.mark.parametrize("key", ["bed", "structure", "genepop", "012"])
def test_loci_of_one_record_are_left_out_and_counted(tmp_path, key, imputed, caplog):
    loci = imputed.genotypes.loci
    alt = loci.alt.copy()
    alt[4:6] = ["T,G", "G,T"]  # one record, each of its ALT alleles a locus
    imputed.genotypes = replace(imputed.genotypes, loci=replace(loci, alt=alt))
    path = written(format_of("x", key), tmp_path / "out.bed", imputed)
    assert "2 loci of multiallelic records left out" in caplog.text
    n_loci = {
        "bed": lambda: len((tmp_path / "out.bim").read_text().splitlines()),
        "structure": lambda: len(path.read_text().splitlines()[0].split("\t")),
        "genepop": lambda: path.read_text().splitlines().index("POP") - 1,
        "012": lambda: len((tmp_path / "out.bed.pos").read_text().splitlines()),
    }
    assert n_loci[key]() == 18
    imputed.genotypes = replace(imputed.genotypes, loci=replace(loci, alt=np.full(20, "T,G", object)))
    with pytest.raises(OutputError, match="no locus is biallelic"):
        written(format_of("x", key), tmp_path / "other", imputed)


def test_names_that_become_one_are_refused(imputed):
    samples = ("a b", "a_b", *imputed.genotypes.samples[2:])
    for key in ("bed", "structure", "genepop"):
        with pytest.raises(OutputError, match="'a b' and 'a_b' would both be named 'a_b'"):
            format_of("x", key).writer().check("out", replace(imputed.genotypes, samples=samples), Writing(key))
