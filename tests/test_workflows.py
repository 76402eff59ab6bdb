"""The workflows: what they call exists; the job script for SLURM does as it says, with SLURM and imputevae faked."""

import os
import re
import signal
import subprocess
import time

import pytest
import typer.main
import yaml
from conftest import REPOSITORY

from imputevae_cli import __version__
from imputevae_cli.cli.main import app

WORKFLOWS = REPOSITORY / "workflows"
SCRIPTS = [
    path
    for path in sorted(WORKFLOWS.rglob("*"))
    if path.name in ("Snakefile", "main.nf", "Dockerfile") or path.suffix in (".sh", ".sbatch")
]
JOB = WORKFLOWS / "slurm" / "imputevae.sbatch"
CALL = re.compile(r"\bimputevae (train|impute|evaluate|tune)\b(.*)")


def calls_of(text: str):
    """(subcommand, its options) of each call, over the lines that a backslash or a quote carries on."""
    text = re.sub(r"\\\\?\n|\"\n\s*\"", " ", text)
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", "//")):
            for command, rest in CALL.findall(line):
                yield command, re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", rest)


def test_the_workflows_are_all_looked_at():
    assert {path.parent.name for path in SCRIPTS} >= {"workflow", "slurm", "workflows"}
    assert {command for path in SCRIPTS for command, _ in calls_of(path.read_text())} >= {"train", "impute", "evaluate"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(WORKFLOWS)))
def test_every_option_that_a_workflow_gives_exists(path):
    commands = typer.main.get_command(app).commands
    for command, options in calls_of(path.read_text()):
        assert command in commands, f"{path}: no command {command}"
        known = {name for parameter in commands[command].params for name in parameter.opts}
        assert set(options) <= known, f"{path}: imputevae {command} has no {sorted(set(options) - known)}"


def test_an_option_that_does_not_exist_would_be_seen():
    assert list(calls_of("imputevae train x -o y \\\n  --nonsense 'z'\n# imputevae impute --no")) == [
        ("train", ["-o", "--nonsense"])
    ]


def recipe() -> dict:
    """The recipe of conda, less the marks of its templates."""
    text = re.sub(r"\{%.*?%\}", "", (WORKFLOWS / "bioconda" / "meta.yaml").read_text())
    return yaml.safe_load(re.sub(r"\{\{ ?(.*?) ?\}\}", "x", text))


@pytest.mark.parametrize("path", sorted(WORKFLOWS.rglob("*.y*ml")), ids=lambda path: str(path.relative_to(WORKFLOWS)))
def test_settings_are_yaml(path):
    assert isinstance(recipe() if path.name == "meta.yaml" else yaml.safe_load(path.read_text()), dict)


def test_the_recipe_needs_what_the_package_needs():
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    conda_names = {"matplotlib": "matplotlib-base", "torch": "pytorch"}
    needed = {re.match(r"([\w-]+)(.*)", requirement).groups() for requirement in project["dependencies"]}
    needed = {f"{conda_names.get(name, name)} {version}" for name, version in needed}
    assert set(recipe()["requirements"]["run"]) == needed | {f"python {project['requires-python']}"}


def test_one_version_everywhere():
    """`imputevae_cli.__version__` is the one that counts."""
    assert f'version = "{__version__}"' in (WORKFLOWS / "bioconda" / "meta.yaml").read_text()
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize("path", [p for p in SCRIPTS if p.suffix in (".sh", ".sbatch")], ids=lambda path: path.name)
def test_shell_scripts_parse(path):
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


FAKE_IMPUTEVAE = """#!/usr/bin/env bash
echo "$@" >>"$CALLS"
trap 'kill "$pause"; exit 75' USR1 TERM
sleep "${PAUSE:-0}" &
pause=$!
touch "$STARTED"
wait
exit "${CODE:-0}"
"""


@pytest.fixture
def cluster(tmp_path):
    """A folder with two regions, and an environment in which imputevae and scontrol write down what they are told."""
    (tmp_path / "bin").mkdir()
    for name, text in (("imputevae", FAKE_IMPUTEVAE), ("scontrol", '#!/bin/sh\necho scontrol "$@" >>"$CALLS"\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "out" / "shards").mkdir(parents=True)
    (tmp_path / "out" / "regions.txt").write_text("HLA-A*01:01:1-\nchr 1:1-99\n")
    own = {"COHORT": "in.vcf.gz", "OUT": "out", "CALLS": "calls", "STARTED": "started", "POPMAP": "pops.txt"}
    array = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return tmp_path, {**os.environ, **own, **array, "PATH": path}


def job(cluster, stage, number=None, **more):
    """Run a stage, send it a signal once imputevae is at work; its exit code and what was called."""
    folder, environment = cluster
    process = subprocess.Popen(["bash", JOB, stage], cwd=folder, env={**environment, **more}, stderr=subprocess.PIPE)
    if number is not None:
        deadline = time.monotonic() + 20
        while not (folder / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
    process.communicate(timeout=30)
    calls = folder / "calls"
    return process.returncode, calls.read_text().splitlines() if calls.exists() else []


def test_a_task_of_the_array_imputes_its_region(cluster):
    code, calls = job(cluster, "impute", IMPUTE_ARGS="--min-gp 0.9")
    assert code == 0
    expected = "impute in.vcf.gz --model out/model.ivae --region chr 1:1-99 -o out/shards/00002.vcf.gz --resume"
    assert calls == [f"{expected} --popmap pops.txt --min-gp 0.9"]


def test_what_is_done_is_not_done_again(cluster):
    (cluster[0] / "out" / "model.ivae").touch()
    assert job(cluster, "train") == (0, [])


def test_a_job_whose_time_is_up_goes_back_into_the_queue(cluster):
    code, calls = job(cluster, "impute", signal.SIGUSR1, PAUSE="60")
    assert code == 75
    assert calls[1:] == ["scontrol requeue 5_2"]


def test_a_job_that_is_cancelled_or_fails_does_not(cluster):
    code, calls = job(cluster, "train", signal.SIGTERM, PAUSE="60")
    assert (code, len(calls)) == (75, 1)
    code, calls = job(cluster, "train", CODE="3")
    assert (code, len(calls)) == (3, 2)


def test_a_job_is_not_requeued_for_ever(cluster):
    code, calls = job(cluster, "impute", signal.SIGUSR1, PAUSE="60", SLURM_RESTART_COUNT="20")
    assert (code, len(calls)) == (75, 1)


def test_regions_cover_the_file_without_overlap(tmp_path):
    """The script that cuts regions, with bcftools faked: three records at one position stay together."""
    (tmp_path / "bcftools").write_text(
        "#!/bin/sh\nprintf 'a\\t5\\na\\t9\\na\\t9\\na\\t9\\na\\t12\\nb:1\\t3\\nb:1\\t8\\n'\n"
    )
    (tmp_path / "bcftools").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    arguments = ["bash", str(WORKFLOWS / "cut_regions.sh"), "x.vcf.gz", "2"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["a:1-9", "a:10-", "b:1:1-"]
    assert subprocess.run(arguments[:-1], env=environment, capture_output=True, check=False).returncode == 2
