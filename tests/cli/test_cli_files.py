"""The command line and the files of its user: nothing is lost, and nothing is done twice."""

import json
import os
import signal

import optuna  # noqa: F401
import pytest
import sklearn.metrics  # noqa: F401
from conftest import TINY_FLAGS, imputevae
from test_cli import done, names, refused

import imputevae_cli.evaluation.evaluate  # noqa: F401
from imputevae_cli.io import outputs

QUIET = [*TINY_FLAGS, "--threads", "1", "-q"]
LOUD = QUIET[:-1]


@pytest.fixture
def place(cohort, tmp_path):
    """A folder with in.vcf, and the popmap as p.tsv; the run starts there."""
    (tmp_path / "in.vcf").write_bytes((cohort / "in.vcf").read_bytes())
    (tmp_path / "p.tsv").write_bytes((cohort / "pops.popmap").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["impute", "-o", "o.vcf", "--log-file", "p.tsv"], "p.tsv: is the input itself (--popmap)"),
        (["impute", "-o", "o.vcf", "--log-file", "o.vcf"], "as -o and as --log-file"),
        (["impute", "-o", "o.vcf", "--latent", "o.vcf"], "as -o and as --latent"),
        (["impute", "-o", "o.vcf", "--latent", "-"], "standard output"),
        (["impute", "-o", "o.vcf", "--log-file", "o.vcf.ckpt/log"], "lies in the folder"),
        (["impute", "-o", "o.vcf.gz", "--latent", "o.vcf.gz.tbi"], "o.vcf.gz.tbi"),
        (["train", "-o", "lat.pdf", "--latent", "lat.tsv"], "lat.pdf: would be written"),
        (["train", "-o", "m.ivae", "--latent", "lat.pdf"], "lat.pdf: would be written"),
        (["train", "-o", "-"], "standard output"),
        (["evaluate", "-o", "e", "--json", "x.vcf", "--write-masked", "x.vcf"], "x.vcf: would be written"),
        (["evaluate", "-o", "e", "--json", "e/x.json"], "lies in the folder e"),
        (["evaluate", "--json", "-", "--write-masked", "-"], "-: would be written"),
        (["evaluate", "-o", "e", "--mask-file", "p.tsv", "--log-file", "p.tsv"], "p.tsv: is the input itself"),
        (["tune", "-o", "p.tsv"], "p.tsv: is the input itself"),
        (["tune", "-o", "t.yaml", "--storage", "journal:in.vcf"], "in.vcf: is the input itself"),
        (["tune", "-o", "t.yaml", "--log-file", "t.journal"], "t.journal: would be written"),
    ],
)
def test_no_path_is_read_and_written_or_written_twice(place, arguments, words):
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    command, *more = arguments
    refused(imputevae(command, "in.vcf", "--popmap", "p.tsv", *more, "--force", *QUIET, cwd=place), 2, words)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_settings_are_not_written_over_by_the_study_that_reads_them(place):
    (place / "c.yaml").write_text("train:\n  gamma: 0.5\n")
    run = imputevae("tune", "in.vcf", "-o", "c.yaml", "--config", "c.yaml", "--force", *QUIET, cwd=place)
    refused(run, 2, "c.yaml: is the input itself (--config)")


def test_a_picture_that_is_there_is_kept(place):
    (place / "lat.pdf").write_text("mine")
    run = imputevae("train", "in.vcf", "-o", "m.ivae", "--latent", "lat.tsv", *QUIET, cwd=place)
    refused(run, 2, "lat.pdf: exists already")
    assert (place / "lat.pdf").read_text() == "mine"


def test_an_evaluation_with_other_files_beside_it_is_not_replaced(place):
    folder = place / "e"
    done(imputevae("evaluate", "in.vcf", "-o", "e", *QUIET, cwd=place))
    done(imputevae("evaluate", "in.vcf", "-o", "e", "--force", *QUIET, cwd=place))
    (folder / "thesis.txt").write_text("years")
    refused(imputevae("evaluate", "in.vcf", "-o", "e", "--force", *QUIET, cwd=place), 2, "e: holds 'thesis.txt'")
    (folder / "thesis.txt").unlink()
    (folder / "report.json").write_text("{}")
    refused(imputevae("evaluate", "in.vcf", "-o", "e", "--force", *QUIET, cwd=place), 2, "no report.json of imputevae")


@pytest.mark.parametrize("kind", ["link", "file", "foreign file", "foreign .pt"])
def test_a_run_folder_that_is_not_ours_is_refused(place, kind):
    folder, mine = place / "o.vcf.ckpt", place / "mine"
    mine.mkdir()
    (mine / "weights.pt").write_text("years")
    if kind == "link":
        folder.symlink_to(mine)
    elif kind == "file":
        folder.write_text("years")
    else:
        folder.mkdir()
        (folder / ("weights.pt" if kind == "foreign .pt" else "notes.txt")).write_text("years")
    for more in ([], ["--force"], ["--resume"]):
        refused(imputevae("impute", "in.vcf", "-o", "o.vcf", *more, *QUIET, cwd=place), 2, "o.vcf.ckpt: ")
    assert (mine / "weights.pt").read_text() == "years"
    if folder.is_dir():
        assert [path.read_text() for path in folder.iterdir()] == ["years"]


COMMANDS = {
    "impute": ["impute", "in.vcf", "-o", "o.vcf.gz", "--latent", "l.tsv"],
    "impute to PHYLIP": ["impute", "in.vcf", "-o", "o.phy"],
    "train": ["train", "in.vcf", "-o", "m.ivae", "--latent", "l.tsv"],
    "evaluate": ["evaluate", "in.vcf", "-o", "e", "--json", "e.json", "--mask-file", "m.tsv.gz"],
    "tune": ["tune", "in.vcf", "-o", "t.yaml", "--trials", "1"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_finished_run_that_is_queued_again_says_so(place, name):
    arguments = [*COMMANDS[name], *LOUD]
    done(imputevae(*arguments, cwd=place))
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    run = done(imputevae(*arguments, "--resume", cwd=place))
    assert b"was finished before" in run.stderr
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_what_another_command_or_another_input_made_is_not_finished(place):
    arguments = ["impute", "in.vcf", "-o", "o.vcf", *QUIET]
    done(imputevae(*arguments, cwd=place))
    refused(imputevae(*arguments, "--resume", "--seed", 7, cwd=place), 2, "o.vcf: exists already")
    os.utime(place / "in.vcf")
    refused(imputevae(*arguments, "--resume", cwd=place), 2, "o.vcf: exists already")
    (place / "o.vcf").write_text("mine")
    refused(imputevae(*arguments, "--resume", cwd=place), 2, "o.vcf: exists already")


@pytest.mark.parametrize(("name", "ending"), [("o.vcf.gz", ".tbi"), ("o.bcf", ".csi")])
def test_killed_between_the_output_and_its_index(place, monkeypatch, name, ending):
    arguments = ["impute", "in.vcf", "-o", name, *QUIET]
    done(imputevae(*arguments, cwd=place))
    index = (place / (name + ending)).read_bytes()
    for path in (place / name, place / (name + ending)):
        path.unlink()

    class Dying:
        def __getattr__(self, attribute):
            return getattr(os, attribute)

        def replace(self, source, target):
            os.replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "os", Dying())
        assert imputevae(*arguments, cwd=place).returncode == -signal.SIGKILL
    there = [path for path in names(place) if not path.startswith(".")]
    assert there == ["in.vcf", name, "p.tsv"]
    done(imputevae(*arguments, "--resume", cwd=place))
    assert names(place) == ["in.vcf", name, name + ending, "p.tsv"]
    assert (place / (name + ending)).read_bytes() == index


def test_what_a_killed_evaluation_left_is_removed_by_the_next(place, monkeypatch):
    arguments = ["evaluate", "in.vcf", "-o", "e", *QUIET]
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        assert imputevae(*arguments, cwd=place).returncode == -signal.SIGKILL
    assert [path for path in names(place) if path.startswith(".e.")]
    done(imputevae(*arguments, cwd=place))
    assert names(place) == ["e", "in.vcf", "p.tsv"]


def test_a_study_killed_among_its_outputs_goes_on(place, monkeypatch):
    arguments = ["tune", "in.vcf", "-o", "t.yaml", "--trials", "1", *QUIET]

    class Dying:
        def __getattr__(self, attribute):
            return getattr(os, attribute)

        def replace(self, source, target):
            os.replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "os", Dying())
        assert imputevae(*arguments, cwd=place).returncode == -signal.SIGKILL
    assert "t.json" in names(place)
    assert "t.yaml" not in names(place)
    done(imputevae(*arguments, "--resume", cwd=place))
    assert not [name for name in names(place) if name.startswith(".")]
    assert "t.yaml" in names(place)
