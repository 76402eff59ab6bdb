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
        ("a north b\n", "line 1 is not"),
        ("a\t\n", "line 1 is not"),
        ("# nothing\n\n", "names no sample"),
        (b"a\t\xe9\n", "not UTF-8"),
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
    with pytest.raises(InputError, match=r"'x', 'y' and 1 more \(nearest to 'ind_02': 'ind_2'\) are not in f.vcf"):
        popmap.align(["ind_1", "ind_2"], "f.vcf")
