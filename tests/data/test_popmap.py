import numpy as np
import pytest

from imputevae_cli.data.popmap import PopMap
from imputevae_cli.errors import InputError


def read(tmp_path, text):
    path = tmp_path / "pops.popmap"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return PopMap.read(path)


def test_tabs_blanks_comments_and_empty_lines(tmp_path):
    popmap = read(tmp_path, "# a comment\na\tnorth\n\nb   south\r\nname with blanks\tnorth\nü\tsouth\n")
    assert popmap.populations == {"a": "north", "b": "south", "name with blanks": "north", "ü": "south"}


def test_aligns_in_the_order_of_the_samples(tmp_path):
    assert read(tmp_path, "a north\nb south\n").align(["b", "a"], "x.vcf").tolist() == ["south", "north"]


def test_samples_that_are_missing_are_unknown_with_a_warning(tmp_path, caplog):
    populations = read(tmp_path, "a north\n").align(["a", "b", "c"], "x.vcf")
    assert populations.tolist() == ["north", "unknown", "unknown"]
    assert populations.dtype == np.dtype(object)
    assert "2 of 3 samples are not in the popmap ('b', 'c')" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a north\nb south\na south\n", "line 3: sample 'a' is listed a second time"),
        ("a north\nb\n", "line 2 is not `sample<tab>population`"),
        ("a north b c\n", "line 1 is not"),
        ("a\t\n", "line 1 is not"),
        ("# nothing\n\n", "names no sample"),
        (b"a\t\xe9\n", "not UTF-8"),
        (b"PK\3\4\x14\0", "a spreadsheet or compressed"),
        (b"\x1f\x8b\x08\0", "a spreadsheet or compressed"),
    ],
)
def test_malformed(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, text)
    assert "pops.popmap" in str(error.value)
    assert "\n" not in str(error.value)


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match="no such popmap"):
        PopMap.read(tmp_path / "none")


def test_unknown_samples_are_named_with_the_nearest(tmp_path):
    popmap = read(tmp_path, "ind_1 n\nind_02 n\nx n\ny n\nz n\n")
    with pytest.raises(InputError, match=r"'x' and 2 more \(nearest to 'ind_1': 'ind_3'\) are not in f.vcf, nor"):
        popmap.align(["ind_2", "ind_3"], "f.vcf")


def test_samples_beyond_the_file_are_counted_in_a_warning(tmp_path, caplog):
    popmap = read(tmp_path, "a north\nb south\nx south\ny south\n")
    assert popmap.align(["b", "a"], "f.vcf").tolist() == ["south", "north"]
    assert "2 of its 4 samples are not in f.vcf ('x', 'y')" in caplog.text


def test_blanks_around_names_are_matched_as_they_are_then_without(tmp_path):
    popmap = read(tmp_path, "a \tnorth\nb\tsouth\nc\tnorth\nc \teast\n")
    assert popmap.align(["a ", "b ", "c", "c ", " a"], "f.vcf").tolist() == ["north", "south", "north", "east", "north"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tnorth\tg1\nb\tsouth\tg2\n", "columns after the second, which 2 lines have, are not used"),
        ("a north g1\nb south g2\n", "columns after the second, which 2 lines have, are not used"),
        ("a,north\nb,south\n", "separated by commas"),
        ("a, north\nb, south\n", "separated by commas"),
        ('"a","north"\n"b","south"\n', "separated by commas"),
        ("a;north\nb;south\n", "separated by semicolons"),
        ('"a"\t"north"\n"b"\t"south"\n', ""),
        ('"sample"\t"pop"\n"a"\t"north"\n"b"\t"south"\n', "first line names the columns"),
        ("a\tnorth\t1.5\t2\tnote\nb\tsouth\t1\t2\n", "columns after the second, which 2 lines have, are not used"),
        ("sample\tpop\na\tnorth\nb\tsouth\n", "first line names the columns (sample, pop)"),
        ("SampleID,Population,Group\na,north,x\nb,south,x\n", "first line names the columns (SampleID, Population)"),
        ("\ufeffind pop\na north\nb south\n", "first line names the columns (ind, pop)"),
        ("a\tnorth\t\nb\tsouth\t\n", ""),
    ],
)
def test_other_tools_popmaps(tmp_path, caplog, text, said):
    caplog.set_level("INFO", logger="imputevae")
    assert read(tmp_path, text).align(["a", "b"], "f.vcf").tolist() == ["north", "south"]
    assert said in caplog.text
    assert "not in" not in caplog.text


def test_a_sample_may_be_named_sample(tmp_path):
    assert read(tmp_path, "sample pop\na north\n").align(["a", "sample"], "f.vcf").tolist() == ["north", "pop"]


def test_quotes_that_are_part_of_a_name_are_kept(tmp_path):
    popmap = read(tmp_path, '"a"\tnorth\na\tsouth\n')
    assert popmap.align(['"a"', "a"], "f.vcf").tolist() == ["north", "south"]


def test_commas_within_names_part_nothing(tmp_path):
    assert read(tmp_path, "a,1 north\nb,2 south\n").populations == {"a,1": "north", "b,2": "south"}


def test_nul_bytes(tmp_path):
    with pytest.raises(InputError, match="NUL byte"):
        read(tmp_path, "a\0 north\n")
