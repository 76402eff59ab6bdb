"""The packed panel: what goes in comes out, only what is asked for is read, and damage is told."""

import numpy as np
import pytest

from imputevae_cli.errors import CheckpointError
from imputevae_cli.panels.store import BLOCK_LOCI, TRAILER, PanelStore, panel_output

N_SAMPLES, N_LOCI = 7, 2 * BLOCK_LOCI + 100


def haplotypes(chrom: int) -> np.ndarray:
    rng = np.random.default_rng(chrom)
    return (rng.random((N_LOCI, 2 * N_SAMPLES)) < rng.random((N_LOCI, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two chromosomes, written in pieces that fit no block; not to be written to."""
    path = tmp_path_factory.mktemp("store") / "p.ivae"
    with panel_output(path, [f"s{i}" for i in range(N_SAMPLES)]) as writer:
        for chrom in (1, 2):
            for start in range(0, N_LOCI, 700):
                rows = np.arange(start, min(start + 700, N_LOCI))
                sites = [("A", "C" * (1 + row % 3), f"rs{row}" if row % 2 else "") for row in rows.tolist()]
                writer.add(str(chrom), 10 + 5 * rows, sites, haplotypes(chrom)[rows])
        writer.close({"command": "a test", "phased": True})
    return path


def test_what_was_written_is_read(path):
    store = PanelStore(path)
    assert (store.chroms, store.n_haplotypes, store.n_loci) == (("1", "2"), 2 * N_SAMPLES, 2 * N_LOCI)
    assert store.samples[:2] == ("s0", "s1")
    assert store.made == {"command": "a test", "phased": True}
    index = np.array([0, 3, BLOCK_LOCI - 1, BLOCK_LOCI, N_LOCI - 1])
    for chrom in (1, 2):
        assert np.array_equal(store.haplotypes(str(chrom), index), haplotypes(chrom)[index].T)
        assert np.array_equal(store.alt_counts(str(chrom)), haplotypes(chrom).sum(1))
    loci = store.loci("2", index)
    assert loci.pos.tolist() == (10 + 5 * index).tolist()
    assert loci.alt[:2] == ["C", "C"]
    assert loci.ids[:2] == ["", "rs3"]
    assert store.haplotypes("1", np.zeros(0, np.int64)).shape == (2 * N_SAMPLES, 0)


def test_only_the_blocks_asked_for_are_read(path, tmp_path):
    """All other blocks are broken, and nobody sees it."""
    store = PanelStore(path)
    wanted = store._chroms["2"].blocks[1]
    data = bytearray(path.read_bytes())
    for chrom in store._chroms.values():
        for start, length in chrom.blocks:
            if [start, length] != list(wanted):
                data[start : start + length] = b"x" * length
    broken = tmp_path / "broken.ivae"
    broken.write_bytes(bytes(data))
    store = PanelStore(broken)
    index = np.arange(BLOCK_LOCI, 2 * BLOCK_LOCI)
    assert np.array_equal(store.haplotypes("2", index), haplotypes(2)[index].T)
    with pytest.raises(CheckpointError, match=r"broken\.ivae: the panel is damaged"):
        store.haplotypes("2", index - 1)


def test_the_same_panel_is_the_same_file(path, tmp_path):
    with panel_output(tmp_path / "again.ivae", [f"s{i}" for i in range(N_SAMPLES)]) as writer:
        for chrom in (1, 2):
            rows = np.arange(N_LOCI)
            sites = [("A", "C" * (1 + row % 3), f"rs{row}" if row % 2 else "") for row in rows.tolist()]
            writer.add(str(chrom), 10 + 5 * rows, sites, haplotypes(chrom))
        writer.close({"command": "a test", "phased": True})
    assert (tmp_path / "again.ivae").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("cut", [20, 500, -1, -30])
def test_a_panel_that_was_cut_short_is_refused(path, tmp_path, cut):
    (tmp_path / "cut.ivae").write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        PanelStore(tmp_path / "cut.ivae")


def test_a_damaged_length_of_the_index_asks_for_no_memory(path, tmp_path):
    content = path.read_bytes()
    start, _, magic = TRAILER.unpack(content[-TRAILER.size :])
    (tmp_path / "long.ivae").write_bytes(content[: -TRAILER.size] + TRAILER.pack(start, 2**60, magic))
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        PanelStore(tmp_path / "long.ivae")


def test_a_file_of_another_kind_is_refused(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="no packed reference panel"):
        PanelStore(checkpoint)
    with pytest.raises(CheckpointError, match="there is no such panel"):
        PanelStore(tmp_path / "none.ivae")


def test_a_panel_that_fails_to_be_made_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), panel_output(tmp_path / "p.ivae", ["a"]):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
