import os
import stat

import pytest

from imputevae_cli.errors import OutputError
from imputevae_cli.io.outputs import atomic_output, check_output


def refused(path, message, **options):
    with pytest.raises(OutputError, match=message) as error:
        check_output(path, **options)
    assert "\n" not in str(error.value)


def test_check_output(tmp_path):
    there = tmp_path / "there.vcf"
    there.write_text("x")
    check_output(tmp_path / "new.vcf")
    check_output("-")
    check_output(there, force=True)
    refused(there, "exists already; give --force")
    refused(tmp_path / "no" / "a.vcf", "there is no folder")
    refused(tmp_path, "is a folder", force=True)
    refused("/dev/null", "not a regular file", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there.vcf"]


def test_output_that_is_an_input_is_refused_whatever_it_is_called(tmp_path):
    source = tmp_path / "in.vcf"
    source.write_text("x")
    (tmp_path / "soft.vcf").symlink_to(source)
    os.link(source, tmp_path / "hard.vcf")
    for name in ("in.vcf", "soft.vcf", "hard.vcf", "../" + tmp_path.name + "/in.vcf"):
        refused(tmp_path / name, "is the input itself", inputs=["-", tmp_path / "none", source], force=True)


def test_folder_that_is_not_writable():
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc")
    refused("/proc/self/out.vcf", "is not writable")


def test_atomic_output_appears_whole_with_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_output(tmp_path / "a") as temporary:
            temporary.write_text("whole")
            assert not (tmp_path / "a").exists()
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_text() == "whole"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_what_was_there(tmp_path, failure):
    (tmp_path / "a").write_text("old")

    def write_half():
        with atomic_output(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_links_stay_links_and_devices_are_refused(tmp_path):
    (tmp_path / "data").write_text("old")
    (tmp_path / "link").symlink_to("data")
    with atomic_output(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "data").read_text() == "new"
    with pytest.raises(OutputError, match="not a regular file"), atomic_output("/dev/null"):
        pass


def test_os_errors_are_one_line(tmp_path):
    def fill_the_disk():
        with atomic_output(tmp_path / "a"), open("/dev/full", "wb") as file:
            file.write(b"x" * 100000)

    with pytest.raises(OutputError, match=r"a: cannot be written \(No space left on device\)"):
        fill_the_disk()
    with pytest.raises(OutputError, match="cannot be written"), atomic_output(tmp_path / "none" / "a"):
        pass
    assert list(tmp_path.iterdir()) == []
