"""`imputevae tune`: its files, and how it ends."""

import csv
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY_FLAGS, imputevae
from page_outline import Outline

from imputevae_cli.config import Config

SMALL = [*TINY_FLAGS, "--set", "tune.max_hidden=150", "--set", "tune.sampler_startup=2"]
SPACE = Path(__file__).parent / "few_settings.yaml"
"""Ranges of two settings, and none of the others, so that no trial takes long."""
FILES = ["best.yaml", "best.trials.tsv", "best.json", "best.html", "best.history.pdf", "best.importance.pdf"]
JOURNAL = "best.journal"


def arguments(cohort, folder, trials):
    given = ["tune", cohort / "in.vcf.gz", "--popmap", cohort / "pops.popmap", "-o", folder / "best.yaml"]
    return [*given, "--trials", trials, "--space", SPACE, *SMALL]


def tune(cohort, folder, *more, trials=2):
    return imputevae(*arguments(cohort, folder, trials), *more)


def without(text, *words):
    """The lines of a text that hold none of the words."""
    return [line for line in text.splitlines() if not any(word in line for word in words)]


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """What every run would import anew: runs are copies of this process."""
    import jinja2  # noqa: F401
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import optuna.importance  # noqa: F401

    import imputevae_cli.tuning.tune  # noqa: F401


@pytest.fixture(scope="module")
def tuned(cohort, tmp_path_factory):
    """A folder with what `tune` left there."""
    folder = tmp_path_factory.mktemp("tuned")
    run = tune(cohort, folder, trials=3)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == b""
    assert b"best log_loss" in run.stderr
    return folder


def test_everything_is_written_and_nothing_else(tuned):
    assert sorted(os.listdir(tuned)) == sorted([*FILES, JOURNAL])


def test_the_settings_are_a_configuration_with_what_they_are_worth_before_it(tuned, cohort, tmp_path):
    text = (tuned / "best.yaml").read_text()
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert head[0] == "# imputevae tune, study best"
    found = json.loads((tuned / "best.json").read_text())
    assert f"score: {found['test']['chosen']['log_loss']:.5f}" in text
    assert f"baseline score: {found['test']['defaults']['log_loss']:.5f}" in text
    config = Config.from_yaml(tuned / "best.yaml")
    assert config.model.hidden_units == 16, "what was given with --set is among the settings"
    for key, value in found["params"].items():
        assert (config.get(key) == value) or not found["test"]["won"]
    out = tmp_path / "out.vcf.gz"
    run = imputevae("impute", cohort / "in.vcf.gz", "--config", tuned / "best.yaml", "-o", out)
    assert run.returncode == 0, run.stderr.decode()


def test_the_table_holds_every_trial(tuned):
    header, *rows = [line.split("\t") for line in (tuned / "best.trials.tsv").read_text().splitlines()]
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert rows[0]["label"] == "defaults"
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    assert float(rows[0]["log_loss"]) > 0
    assert float(rows[0]["vae.kl_beta"]) == 3.0


def test_the_page_needs_no_other_file(tuned):
    page = (tuned / "best.html").read_text()
    outline = Outline(page)
    outline.fetches_nothing()
    assert len(outline.all("figure")) == 2
    with open(tuned / "best.trials.tsv") as file:
        scores = [row["log_loss"] for row in csv.DictReader(file, delimiter="\t") if row["stage"] == "search"]
    assert [row["log_loss"] for row in outline.figure("history-log_loss")] == scores
    assert "vae.kl_beta" in page
    (tuned / "best.history.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_seed_writes_the_same(tuned, cohort, tmp_path):
    assert tune(cohort, tmp_path, trials=3).returncode == 0
    for name in ("best.yaml", "best.json"):
        ours, theirs = ((folder / name).read_text() for folder in (tmp_path, tuned))
        assert without(ours, "command") == without(theirs, "command")


def test_what_is_there_is_not_overwritten_unless_asked_for(tuned, cohort, tmp_path):
    (tmp_path / "best.html").write_text("mine")
    run = tune(cohort, tmp_path)
    assert run.returncode == 2
    assert b"best.html" in run.stderr
    assert os.listdir(tmp_path) == ["best.html"], "it is refused before anything is run"
    assert tune(cohort, tmp_path, "--force").returncode == 0


def test_a_study_goes_on_where_it_ended(cohort, tmp_path):
    assert tune(cohort, tmp_path, trials=2).returncode == 0
    before = (tmp_path / "best.trials.tsv").read_text().splitlines()
    refused = tune(cohort, tmp_path, trials=3)
    assert refused.returncode == 2
    assert b"--resume" in refused.stderr
    assert tune(cohort, tmp_path, "--resume", trials=3).returncode == 0
    after = (tmp_path / "best.trials.tsv").read_text().splitlines()
    assert after[:3] == before
    assert len(after) == 4


def test_the_journal_goes_where_it_is_not_to_be_kept(cohort, tmp_path):
    assert tune(cohort, tmp_path, "--set", "tune.save_db=false", trials=2).returncode == 0
    assert sorted(os.listdir(tmp_path)) == sorted(FILES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_gives_the_trial_back_and_ends_with_75(cohort, tmp_path, monkeypatch, number):
    from imputevae_cli.cli.main import run
    from imputevae_cli.imputer import ImputeVAE

    fork = multiprocessing.get_context("fork")
    at_work, fits, real = fork.Event(), [], ImputeVAE.fit

    def fit(model, *arguments, **settings):
        fits.append(model)
        if len(fits) == 2:
            at_work.set()
            for _ in range(300):  # a signal that comes between two naps counts too
                time.sleep(0.1)
        return real(model, *arguments, **settings)

    def work():
        sys.argv = ["imputevae", *map(str, arguments(cohort, tmp_path, 3))]
        sys.stderr = open(tmp_path / "err", "w")  # noqa: SIM115 - for the life of the process
        code = 0
        try:
            run()
        except SystemExit as ended:
            code = ended.code
        sys.stderr.flush()
        os._exit(code)

    monkeypatch.setattr(ImputeVAE, "fit", fit)
    worker = fork.Process(target=work, daemon=True)
    worker.start()
    assert at_work.wait(30)
    os.kill(worker.pid, number)
    worker.join(30)
    assert worker.exitcode == 75
    assert "--resume" in (tmp_path / "err").read_text()
    (tmp_path / "err").unlink()
    assert os.listdir(tmp_path) == [JOURNAL], "nothing is half written"
    monkeypatch.undo()
    assert tune(cohort, tmp_path, "--resume", trials=3).returncode == 0
    states = [line.split("\t")[2] for line in (tmp_path / "best.trials.tsv").read_text().splitlines()[1:]]
    assert sorted(states) == ["complete"] * 3 + ["failed"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--metric", "logloss"], b"log_loss"),
        (["--fix", "vae.beta=1"], b"vae.kl_beta"),
        (["--fix", "io.seed=1"], b"io.seed"),
        (["--storage", "somewhere.db"], b"journal:"),
        (["--storage", "nosuch://me:secret@host/db"], b"nosuch://me:***@host/db"),
        (["--select", "mcc"], b"mcc"),
        (["--space", "/no/such.yaml"], b"/no/such.yaml"),
        (["--trials", "0"], b"tune.n_trials"),
    ],
)
def test_what_does_not_serve_is_one_line_and_exit_2(cohort, tmp_path, more, said):
    run = tune(cohort, tmp_path, *more)
    assert run.returncode == 2
    last = run.stderr.decode().strip().splitlines()[-1]
    assert said.decode() in last
    assert not [name for name in os.listdir(tmp_path) if name != JOURNAL]
