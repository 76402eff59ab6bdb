"""Temporary folders: those of dead runs go, those of live ones and of other people stay."""

import os
import signal
import subprocess
import sys
import time

from conftest import environment

from imputevae_cli.io.outputs import atomic_folder, atomic_output, check_output, undisturbed
from imputevae_cli.io.temporary import folder_beside, remove_leftovers, use_scratch_folder

WRITING = """
import sys, time
from imputevae_cli.io.outputs import atomic_output
with atomic_output(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("at work", flush=True)
    time.sleep(60)
"""


def writer(path):
    """A process that is in the middle of writing `path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, path], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "at work\n"
    return process


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_needs_stays(tmp_path):
    killed, live = writer(tmp_path / "a.vcf"), writer(tmp_path / "a.vcf")
    try:
        killed.kill()
        killed.wait()
        assert len(names(tmp_path)) == 2
        remove_leftovers(tmp_path / "a.vcf")
        assert len(names(tmp_path)) == 1
        remove_leftovers(tmp_path / "b.vcf")
        assert len(names(tmp_path)) == 1
    finally:
        for process in (killed, live):
            with process:  # closes its pipes
                process.kill()
    remove_leftovers(tmp_path / "a.vcf")
    assert names(tmp_path) == []


def test_folders_that_no_run_made_stay(tmp_path):
    mine = tmp_path / ".a.vcf.abcdefgh.tmp"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    (tmp_path / ".a.vcf.hgfedcba.tmp").symlink_to(mine)
    (tmp_path / ".a.vcf.bbbbbbbb.tmp").write_text("a file")
    remove_leftovers(tmp_path / "a.vcf")
    assert len(names(tmp_path)) == 3
    assert (mine / "thesis.txt").read_text() == "years"


def test_a_name_as_long_as_may_be(tmp_path):
    path = tmp_path / ("x" * 236 + ".vcf")
    check_output(path)
    with atomic_output(path, (".tbi",)) as temporary:
        temporary.write_text("whole")
        temporary.with_name(temporary.name + ".tbi").write_text("index")
    assert names(tmp_path) == [path.name, path.name + ".tbi"]


def test_companions_come_and_go_with_the_output(tmp_path):
    path = tmp_path / "a.vcf.gz"
    (tmp_path / "a.vcf.gz.csi").write_text("of an older file")
    with atomic_output(path, (".tbi", ".csi")) as temporary:
        temporary.write_text("whole")
        temporary.with_name(temporary.name + ".tbi").write_text("index")
        assert names(tmp_path)[1:] == ["a.vcf.gz.csi"]
    assert names(tmp_path) == ["a.vcf.gz", "a.vcf.gz.tbi"]


def test_signals_wait_until_renames_that_belong_together_are_done():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)
            assert seen == []
        assert seen == [signal.SIGUSR1]
        with undisturbed():
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert seen == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_folder_that_is_replaced_keeps_what_came_there_meanwhile(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "report.json").write_text("old")
    with atomic_folder(target, {"report.json"}) as made:
        (made / "report.json").write_text("new")
        (target / "notes.txt").write_text("mine")
    assert names(target) == ["notes.txt", "report.json"]
    assert (target / "report.json").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_the_scratch_folder_of_a_killed_process_is_removed_by_the_next(tmp_path):
    code = """
import os, tempfile
from imputevae_cli.io.temporary import use_scratch_folder
use_scratch_folder()
tempfile.NamedTemporaryFile(delete=False).close()
if os.environ.get("KILLED"):
    os.kill(os.getpid(), 9)
"""
    there = {**environment(), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env={**there, "KILLED": "1"}, check=False)
    assert len(names(tmp_path)) == 1
    subprocess.run([sys.executable, "-c", code], env=there, check=True)
    assert names(tmp_path) == []


def test_no_scratch_folder_where_none_can_be_made(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    use_scratch_folder()


def test_a_folder_beside_is_gone_after_a_failure(tmp_path):
    try:
        with folder_beside(tmp_path / "a") as folder:
            (folder / "x").write_text("half")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert names(tmp_path) == []
