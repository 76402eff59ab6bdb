"""One check over all paths of a command."""

import os

import pytest

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.paths import Files, check_files, with_companions


@pytest.fixture
def place(tmp_path):
    """A folder with a file under three names, and another file."""
    (tmp_path / "in.vcf").write_text("in")
    (tmp_path / "soft").symlink_to("in.vcf")
    os.link(tmp_path / "in.vcf", tmp_path / "hard")
    (tmp_path / "folder").mkdir()
    (tmp_path / "linked").symlink_to("folder")
    return tmp_path


def refused(words, **files):
    with pytest.raises(OutputError, match=words) as error:
        check_files(Files(**files))
    assert "\n" not in str(error.value)


def test_what_does_not_clash(place):
    writes = {"-o": place / "a", "--latent": place / "b", "--log-file": None}
    check_files(Files({"INPUT": place / "in.vcf", "--popmap": place / "soft"}, writes, {"ckpt": place / "a.ckpt"}))
    check_files(Files({"INPUT": "-"}, {"-o": "-"}))


def test_standard_input_is_read_as_one_file():
    with pytest.raises(ConfigError, match="INPUT and --panel are both standard input"):
        check_files(Files({"INPUT": "-", "--panel": "-", "--popmap": None}))


@pytest.mark.parametrize("name", ["in.vcf", "soft", "hard", "folder/../in.vcf"])
def test_nothing_is_read_and_written(place, name):
    refused("is the input itself", reads={"INPUT": place / "in.vcf"}, writes={"--log-file": place / name})


@pytest.mark.parametrize(("one", "other"), [("new", "new"), ("folder/new", "linked/new"), ("hard", "soft")])
def test_nothing_is_written_twice(place, one, other):
    refused("would be written as -o and as --json", reads={}, writes={"-o": place / one, "--json": place / other})


def test_indexes_are_outputs_too(place):
    writes = {**with_companions("-o", place / "a.vcf.gz"), "--latent": place / "a.vcf.gz.tbi"}
    refused("as -o's .tbi and as --latent", reads={}, writes=writes)
    assert list(with_companions("-o", "a.vcf")) == list(with_companions("-o", "-")) == ["-o"]


def test_nothing_lies_in_a_folder_that_is_replaced(place):
    for option in ("reads", "writes"):
        files = {"reads": {}, "writes": {}, option: {"--x": place / "linked" / "deep" / "file"}}
        refused("--x lies in the folder", **files, folders={"-o": place / "folder"})


def test_standard_input_that_is_a_file(place):
    """As in `imputevae impute - -o in.vcf --force < in.vcf`."""
    before = os.dup(0)
    file = os.open(place / "in.vcf", os.O_RDONLY)
    try:
        os.dup2(file, 0)
        refused("is the input itself", reads={"INPUT": "-"}, writes={"-o": place / "in.vcf"})
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(file)
