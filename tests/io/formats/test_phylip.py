import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcf_maker import Filled, record, vcf, write

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.formats.phylip import iupac, phylip_names, write_phylip
from imputevae_cli.io.vcf_reader import read_vcf

CODES = {"AC": "M", "AG": "R", "AT": "W", "CG": "S", "CT": "Y", "GT": "K"}


def genotypes(tmp_path, *records, samples=("a", "b", "c")):
    return read_vcf(write(tmp_path / "in.vcf", vcf(*records, samples=samples)))


def test_snps_alone_are_written_and_the_rest_is_logged(tmp_path, caplog):
    imputed = Filled(
        genotypes(
            tmp_path,
            record("0/0 ./. 1|1"),
            record("0/0 0/1 1/1", alt="GT"),
            record("0/1 1/1 ./.", ref="t", alt="c"),
            samples=("a b", "bee", "sample_nine"),
        ),
        silent=[2],
    )
    assert write_phylip(tmp_path / "out.phy", imputed) == 2
    assert (tmp_path / "out.phy").read_text() == "3 2\na_b AY\nbee RC\nsample_nine GN\n"
    assert "1 locus is left out" in caplog.text


def test_haploid_calls_are_their_alleles(tmp_path):
    imputed = Filled(genotypes(tmp_path, record("0 1 ."), record("0 1 1", alt="T")))
    write_phylip(tmp_path / "out.phy", imputed, names="strict")
    assert (tmp_path / "out.phy").read_text() == "3 2\n" + "".join(
        name.ljust(10) + rest + "\n" for name, rest in (("a", "AA"), ("b", "GT"), ("c", "GT"))
    )


def test_strict_names_are_ten_wide_and_clashes_fail(tmp_path):
    assert phylip_names(["ab", "a234567890123"], "strict") == ["ab        ", "a234567890"]
    with pytest.raises(OutputError, match="'sample_0001' and 'sample_0002' would both be named 'sample_000'"):
        phylip_names(["sample_0001", "sample_0002"], "strict")
    assert phylip_names(["sample_0001", "sample_0002"], "relaxed") == ["sample_0001 ", "sample_0002 "]
    with pytest.raises(OutputError, match="both be named 'a_b'"):
        phylip_names(["a b", "a_b"], "relaxed")


def test_strict_rows_put_the_sequence_in_column_eleven(tmp_path):
    samples = ("a234567890123", "b", "c23456789")
    write_phylip(
        tmp_path / "o.phy",
        Filled(genotypes(tmp_path, record("0/0 0/0 0/0"), record("0/0 0/0 0/1"), samples=samples)),
        names="strict",
    )
    assert (tmp_path / "o.phy").read_text() == "3 2\na234567890AA\nb         AA\nc23456789 AR\n"


def test_no_snp_at_all(tmp_path):
    records = [record("0/0 0/1 1/1", alt="GT")] * 2
    with pytest.raises(OutputError, match="none of the 2 loci is a SNP"):
        write_phylip(tmp_path / "out.phy", Filled(genotypes(tmp_path, *records)))
    assert not (tmp_path / "out.phy").exists()


@given(st.data(), st.sampled_from([1, 2]), st.integers(1, 9))
def test_iupac_agrees_with_the_alleles(data, ploidy, n_loci):
    def row(choices):
        return data.draw(st.lists(choices, min_size=n_loci, max_size=n_loci))

    ref = np.array(row(st.sampled_from("ACGTacgtN")), object)
    alt = np.array(row(st.sampled_from(["A", "C", "G", "T", "AC"])), object)
    calls = np.array([row(st.integers(-1, ploidy)) for _ in range(data.draw(st.integers(1, 4)))], np.int8)
    codes = iupac(calls, ref, alt, ploidy)
    assert codes.shape == calls.shape
    for (i, j), call in np.ndenumerate(calls):
        r, a = ref[j].upper(), alt[j].upper()
        if call < 0 or r == "N" or len(a) > 1:
            expected = "N"
        elif call == ploidy or call == 0:
            expected = a if call else r
        else:
            expected = CODES.get("".join(sorted(r + a)), r)
        assert codes[i, j] == expected


def test_a_style_of_names_that_does_not_exist():
    with pytest.raises(ConfigError, match="'long'; give relaxed or strict"):
        phylip_names(("a",), "long")


def test_polyploid_heterozygotes_are_ambiguity_codes():
    calls = np.array([[0, 1, 2, 3, 4, -1]], np.int8)
    ref, alt = np.array(["A"] * 6, object), np.array(["G"] * 6, object)
    assert "".join(iupac(calls, ref, alt, 4)[0]) == "ARRRGN"
