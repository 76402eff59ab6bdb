"""Two runs at once on one output: the second is told of the first, whatever it is asked to do, and takes nothing."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest
from conftest import environment, imputevae
from test_cli import done, names, refused

from imputevae_cli.errors import OutputError
from imputevae_cli.io import lock as lock_module
from imputevae_cli.io.temporary import remove_leftovers, sole_folder_beside
from imputevae_cli.runtime import run_lock
from imputevae_cli.runtime.run_folder import RunFolder
from imputevae_cli.runtime.run_lock import check_is_free, locked

HOLDING = """
import sys, time
from pathlib import Path
from imputevae_cli.runtime.run_lock import locked
with locked(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def at_work(tmp_path):
    """The folder a.vcf.ckpt, and a process that holds its lock."""
    folder = tmp_path / "a.vcf.ckpt"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, folder], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "at work\n"
        yield folder, process
        process.kill()


def take(folder):
    with locked(folder):
        pass


@pytest.mark.parametrize("attempt", [check_is_free, take])
def test_a_folder_where_a_run_is_at_work_is_refused_until_the_run_is_dead(at_work, attempt):
    folder, process = at_work
    with pytest.raises(OutputError, match=rf"another run \(process {process.pid} on \S+\) is at work") as error:
        attempt(folder)
    assert str(error.value).startswith(f"{folder}: ")
    remove_leftovers(folder)
    assert names(sole_folder_beside(folder)) == [".lock"]
    process.kill()
    process.wait()
    attempt(folder)
    remove_leftovers(folder)
    assert names(folder.parent) == []


def test_a_second_run_takes_nothing_from_the_first(cohort, checkpoint, at_work, tmp_path):
    folder, process = at_work
    RunFolder(folder, {}).write("stage", {"result": 1})
    saved = names(folder)
    arguments = ["impute", cohort / "in.vcf", "--model", checkpoint, "-o", tmp_path / "a.vcf", "-q"]
    for more in ((), ("--force",), ("--resume",)):
        refused(imputevae(*arguments, *more), 2, "a.vcf.ckpt", f"process {process.pid}", "name another -o")
    assert names(folder) == saved
    process.kill()
    process.wait()
    done(imputevae(*arguments, "--force"))
    assert names(tmp_path) == ["a.vcf"]


def test_a_lock_leaves_no_trace_and_what_was_saved_stays(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    with locked(folder.path):
        assert not folder.is_there
    assert names(tmp_path) == []
    with locked(folder.path):
        folder.write("stage", {"result": 1})
    assert names(tmp_path) == ["a.ckpt"]


def test_a_lock_that_a_run_removed_as_it_ended_is_not_taken_for_the_next(tmp_path, monkeypatch):
    """It was opened before, and its lock became free: another run may have made a new one by then."""
    folder, opened = tmp_path / "a.ckpt", []

    def ended(lock):
        opened.append(lock)
        if len(opened) == 1:
            shutil.rmtree(sole_folder_beside(folder))
        return lock_module.take(lock)

    monkeypatch.setattr(run_lock, "take", ended)
    with locked(folder):
        assert len(opened) == 2
        with pytest.raises(OutputError):
            check_is_free(folder)


@pytest.mark.parametrize("alive", [True, False])
def test_where_the_file_system_knows_no_locks_the_process_that_is_named_counts(at_work, monkeypatch, alive):
    folder, process = at_work
    monkeypatch.setattr(fcntl, "flock", unknown)
    if alive:
        with pytest.raises(OutputError, match=f"process {process.pid}"):
            take(folder)
    else:
        process.kill()
        process.wait()
        take(folder)


def unknown(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_process_of_another_machine_cannot_be_asked(tmp_path, monkeypatch):
    """A job that was killed may go on elsewhere; it must not wait for itself."""
    monkeypatch.setattr(fcntl, "flock", unknown)
    place = sole_folder_beside(tmp_path / "a.ckpt")
    place.mkdir()
    (place / ".lock").write_text(f"another.machine {os.getpid()}")
    take(tmp_path / "a.ckpt")


def test_where_no_folder_can_be_made_there_is_nothing_to_lock(tmp_path):
    (tmp_path / "file").write_text("")
    with locked(tmp_path / "file" / "a.ckpt"):
        check_is_free(tmp_path / "file" / "a.ckpt")
    assert names(tmp_path) == ["file"]
