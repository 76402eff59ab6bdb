"""BGZF, read back by gzip and by htslib."""

import gzip

import numpy as np
import pysam
import pytest

from imputevae_cli.io.bgzf import BLOCK, END, RUN_BLOCKS, BgzfFile


def written(path, pieces, threads=1):
    with BgzfFile(path, 5, threads) as file:
        for piece in pieces:
            file.write(piece)
    return path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, BLOCK, RUN_BLOCKS * BLOCK, 9 * BLOCK + 17])
@pytest.mark.parametrize("top", [2, 256])
def test_what_is_written_is_read_back_and_the_same_by_any_number_of_threads(tmp_path, size, top):
    text = np.random.default_rng(0).integers(top, size=size, dtype=np.uint8).tobytes()
    pieces = [text[start : start + 100_000] for start in range(0, size, 100_000)]
    packed = written(tmp_path / "one.gz", pieces)
    assert gzip.decompress(packed) == text
    with pysam.BGZFile(str(tmp_path / "one.gz"), "r") as file:
        assert file.read(size + 1) == text
    assert packed.endswith(END)
    assert written(tmp_path / "three.gz", [text], threads=3) == packed


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_disk_raises_and_prints_nothing(capfd, size, threads):
    noise = np.random.default_rng(0).bytes(size)

    def fill_the_disk():
        with BgzfFile("/dev/full", 5, threads) as file:
            for _ in range(3):
                file.write(noise)

    with pytest.raises(OSError, match="No space left"):
        fill_the_disk()
    printed = capfd.readouterr()
    assert printed.err == printed.out == ""


def test_what_a_failure_ends_keeps_its_own_error(tmp_path):
    def fail():
        with BgzfFile(tmp_path / "a.gz", 5, 2) as file:
            file.write(b"x" * 10 * BLOCK)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert not (tmp_path / "a.gz").read_bytes().endswith(END)
