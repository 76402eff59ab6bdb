"""The file of --regions-file."""

import re

import pytest

from imputevae_cli.data.region import Region, Regions
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.io.regions_file import read_regions


def test_a_list_has_one_region_a_line(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text("\ufeff# mine\nchr1:1-9\r\n\n  HLA-A*01:01 \n", encoding="utf-8")
    assert [region.text for region in read_regions(path)] == ["chr1:1-9", "HLA-A*01:01"]


def test_a_line_that_is_no_region_is_named_with_its_file(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text("chr1:1-9\n# mine\nchr1:9-1\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path}, line 3: chr1:9-1: the end is before the start")):
        Regions.parse(read_regions(path))


@pytest.mark.parametrize("name", ["r.bed", "R.BED"])
def test_bed_counts_from_0_and_its_end_is_exclusive(tmp_path, name):
    path = tmp_path / name
    path.write_text("track name=x\nbrowser position 1\n#c\nchr1\t0\t10\tname\t0\t+\nHLA:01 4 5\n")
    assert read_regions(path) == [Region("chr1", 1, 10), Region("HLA:01", 5, 5)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.txt", "", "holds no region"),
        ("r.bed", "# nothing\n", "holds no region"),
        ("r.txt", "a\nchr1\t0\t10\n", "line 2: has columns.*FILE.bed"),
        ("r.bed", "chr1\t0\n", "line 1: is no line of BED"),
        ("r.bed", "chr1\t-3\t10\n", "line 1: is no line of BED"),
        ("r.bed", "chr1\t0\t9\nchr1\t5\t5\n", "line 2: holds no position"),
    ],
)
def test_what_cannot_be_used(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_regions(path)


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "r.bed").write_bytes(b"\xff\xfe\x00")
    for name, why in (("r.bed", "it is not UTF-8"), ("none.bed", "No such file or directory")):
        with pytest.raises(InputError, match=rf"{name}: cannot be read \({why}\); give one region a line"):
            read_regions(tmp_path / name)
