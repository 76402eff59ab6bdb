"""Files of other kinds as input: the error names what makes a VCF of them."""

import pytest

from imputevae_cli.errors import InputError
from imputevae_cli.io.inputs.conversions import HINTS, conversion
from imputevae_cli.io.vcf_reader import read_vcf


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("cohort.ped", "plink --file cohort --recode vcf-iid bgz --out cohort"),
        ("cohort.gen.gz", "plink2 --gen cohort.gen ref-first"),
        ("cohort.bgen", "plink2 --bgen cohort.bgen ref-first --export vcf bgz id-paste=iid --out cohort"),
        ("cohort.hmp.txt", "run_pipeline.pl -h cohort.hmp.txt -export cohort.vcf -exportType VCF"),
        ("cohort.STR", "-inputformat STRUCTURE -outputfile cohort.vcf -outputformat VCF"),
        ("cohort.phy", "give the VCF of the program that made it"),
        ("cohort.raw", "go back to the .bed"),
        ("cohort.fam", "give the .bed beside it"),
        ("cohort.csv", "GenotypeMatrix.from_dataframe(pandas.read_csv('cohort.csv', index_col=0))"),
    ],
)
def test_the_error_names_the_command(tmp_path, monkeypatch, name, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("s1 1 1 0 2\n")
    with pytest.raises(InputError) as error:
        read_vcf(name)
    assert str(error.value).startswith(f"{name}: not a VCF: ")
    assert command in str(error.value)


def test_every_hint_fits_a_message():
    for ending in HINTS:
        name = f"project/data/cohort{ending}"
        message = f"{name}: not a VCF: line 1 does not start with `##fileformat=VCF`; {conversion(name)}"
        assert str(InputError(message)) == message, len(message)


def test_names_that_tell_nothing():
    assert conversion("cohort.vcf") is None
    assert conversion("-") is None
