"""The workflows: what they call exists; the job script for SLURM does as it says, with SLURM and imputevae faked."""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
import types
from xml.etree import ElementTree

import pytest
import typer.main
import yaml
from conftest import REPOSITORY

from imputevae_cli import __version__
from imputevae_cli.cli.main import app
from imputevae_cli.config import Config

WORKFLOWS = REPOSITORY / "workflows"
SCRIPTS = [
    path
    for path in sorted(WORKFLOWS.rglob("*"))
    if path.name in ("Snakefile", "main.nf", "Dockerfile", "wrapper.py") or path.suffix in (".sh", ".sbatch", ".xml")
]
MODULES = ("train", "impute", "evaluate")
"""Of Nextflow, one for each subcommand that they call."""
JOB = WORKFLOWS / "slurm" / "imputevae.sbatch"
CALL = re.compile(r"\bimputevae (train|impute|evaluate|tune)\b(.*)")


def calls_of(text: str):
    """(subcommand, its options) of each call, over the lines that a backslash or a quote carries on."""
    text = re.sub(r"\\+\n\s*|\"\n\s*\"", " ", text)
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


VERSIONED = {
    "bioconda/meta.yaml": r'version = "([^"]+)"',
    "galaxy/imputevae_impute.xml": r'<token name="@TOOL_VERSION@">([^<]+)',
    "snakemake/workflow/envs/imputevae.yaml": r"imputevae =(\S+)",
    "snakemake/wrappers/bio/imputevae/impute/environment.yaml": r"imputevae =(\S+)",
    **{f"nextflow/modules/nf-core/imputevae/{name}/environment.yml": r"imputevae=(\S+)" for name in MODULES},
    **{f"nextflow/modules/nf-core/imputevae/{name}/main.nf": r"imputevae:(.+?)--" for name in MODULES},
}
"""Files of the workflows that name the version of imputevae, and where in them."""


@pytest.mark.parametrize("name", VERSIONED)
def test_one_version_everywhere(name):
    """`imputevae_cli.__version__` is the one that counts."""
    assert set(re.findall(VERSIONED[name], (WORKFLOWS / name).read_text())) == {__version__}


def test_one_version_in_the_citation():
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_of_itself_what_it_does(name):
    """What nf-core asks of a module, as far as it can be seen without Nextflow."""
    folder = WORKFLOWS / "nextflow/modules/nf-core/imputevae" / name
    meta, text = yaml.safe_load((folder / "meta.yml").read_text()), (folder / "main.nf").read_text()
    assert meta["name"].upper() == re.search(r"process (\w+)", text)[1]
    (tool,) = meta["tools"]
    assert set(tool["imputevae"]) >= {"description", "homepage", "documentation", "licence"}
    inputs = re.search(r"input:\n\s+tuple (.*)", text)[1]
    assert [key for one in meta["input"][0] for key in one] == re.findall(r"(?:val|path)\((\w+)\)", inputs)
    assert list(meta["output"]) == re.findall(r"emit: (\w+)", text)
    assert "versions" in meta["topics"]
    assert yaml.safe_load((folder / "environment.yml").read_text())["channels"] == ["conda-forge", "bioconda"]
    tests = (folder / "tests" / "main.nf.test").read_text()
    assert f'tag "imputevae/{name}"' in tests
    assert "-stub" in tests


def test_the_galaxy_tool_offers_presets_that_exist():
    tool = ElementTree.parse(WORKFLOWS / "galaxy" / "imputevae_impute.xml")
    offered = [option.get("value") for option in tool.iterfind(".//param[@argument='--preset']/option")]
    assert [Config.from_preset(name) for name in offered]
    for name in ("example.vcf.gz", "example.popmap"):
        assert (WORKFLOWS / "galaxy" / "test-data" / name).read_bytes()


def test_the_wrapper_gives_what_the_rule_has(monkeypatch):
    """Snakemake's wrapper, with Snakemake faked: paths are quoted, and what is not given is left out."""
    asked = []
    fake = types.ModuleType("snakemake.shell")
    fake.shell = lambda text: asked.append((text, sys._getframe(1).f_globals["options"]))
    monkeypatch.setitem(sys.modules, "snakemake", types.ModuleType("snakemake"))
    monkeypatch.setitem(sys.modules, "snakemake.shell", fake)
    inputs = {"vcf": "a.vcf.gz", "popmap": "my pops", "regions": "r.bed"}
    job = types.SimpleNamespace(input=inputs, params={"extra": "--phased"}, log_fmt_shell=lambda **_: "2> log")
    runpy.run_path(str(WORKFLOWS / "snakemake/wrappers/bio/imputevae/impute/wrapper.py"), {"snakemake": job})
    ((text, options),) = asked
    assert options == "--popmap 'my pops' --regions-file r.bed"
    assert "{options} {extra} {log}" in text


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
    """A folder with two shards, and an environment in which imputevae and scontrol write down what they are told."""
    (tmp_path / "bin").mkdir()
    for name, text in (("imputevae", FAKE_IMPUTEVAE), ("scontrol", '#!/bin/sh\necho scontrol "$@" >>"$CALLS"\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "out" / "shards").mkdir(parents=True)
    (tmp_path / "out" / "regions").mkdir()
    for number, region in (("00001", "HLA-A*01:01:1-"), ("00002", "chr 1:1-99")):
        (tmp_path / "out" / "regions" / f"{number}.txt").write_text(f"{region}\n")
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


def test_a_task_of_the_array_imputes_its_shard(cluster):
    code, calls = job(cluster, "impute", IMPUTE_ARGS="--min-gp 0.9")
    assert code == 0
    expected = "impute in.vcf.gz --model out/model.ivae --regions-file out/regions/00002.txt -o out/shards/00002.vcf.gz"
    assert calls == [f"{expected} --resume --popmap pops.txt --min-gp 0.9"]


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


def cut(folder, positions: str, records: str):
    """Run the script that cuts regions, with bcftools faked; positions: `chrom pos` of each record, with commas."""
    (folder / "bcftools").write_text(
        "#!/bin/sh\nprintf '" + positions.replace(" ", "\\t").replace(",", "\\n") + "\\n'\n"
    )
    (folder / "bcftools").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    arguments = ["bash", str(WORKFLOWS / "cut_regions.sh"), "x.vcf.gz", records, str(folder / "regions")]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


def shards_of(folder) -> dict[str, list[str]]:
    return {path.stem: path.read_text().split() for path in sorted((folder / "regions").iterdir())}


def test_regions_cover_the_file_without_overlap(tmp_path):
    """Three records at one position stay together; what is left of a long chromosome shares a shard with the next."""
    assert cut(tmp_path, "a 5,a 9,a 9,a 9,a 12,b:1 3,b:1 8", "2").returncode == 0
    assert shards_of(tmp_path) == {"00001": ["a:1-9"], "00002": ["a:10-", "b:1:1-3"], "00003": ["b:1:4-"]}


def test_short_chromosomes_share_a_shard(tmp_path):
    loci = ",".join(f"locus{i} {position}" for i in range(400) for position in (7, 50))
    assert cut(tmp_path, loci, "200").returncode == 0
    shards = shards_of(tmp_path)
    assert list(shards) == ["00001", "00002", "00003", "00004"]
    assert [region for regions in shards.values() for region in regions] == [f"locus{i}:1-" for i in range(400)]


@pytest.mark.parametrize("positions", ["a 5,b 1,a 9", "a 5,a 3"])
def test_a_file_that_is_not_sorted_is_not_cut(tmp_path, positions):
    done = cut(tmp_path, positions, "1")
    assert done.returncode != 0
    assert "is not sorted at a" in done.stderr
    assert not (tmp_path / "regions").exists()


def test_a_size_of_a_shard_must_be_given(tmp_path):
    for records in ("0", "many"):
        assert cut(tmp_path, "a 5", records).returncode == 2


@pytest.mark.parametrize("name", ["config/config.yaml", "test/config.yaml"])
def test_snakemake_is_given_every_setting_that_it_knows(name):
    folder = WORKFLOWS / "snakemake"
    schema = yaml.safe_load((folder / "config/schema.yaml").read_text())
    given = yaml.safe_load((folder / name).read_text())
    assert set(given) == set(schema["properties"]) == set(schema["required"])


FAKE_OF_SNAKEMAKE = """#!/usr/bin/env bash
echo "$@" >>"$CALLS"
while [[ $# -gt 0 ]]; do
  [[ $1 != -o ]] || out=$2
  shift
done
[[ $out != *evaluation ]] || mkdir -p "$out"
[[ $out == *evaluation ]] || touch "$out"
"""


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not installed")
@pytest.mark.parametrize("panel", [None, "panel.vcf.gz"])
def test_snakemake_packs_a_panel_and_fills_from_it(cluster, panel):
    """The whole workflow with imputevae and bcftools faked: two records, a shard for each."""
    folder, environment = cluster
    (folder / "bin" / "imputevae").write_text(FAKE_OF_SNAKEMAKE)
    (folder / "bin" / "bcftools").write_text(
        "#!/bin/bash\n[[ $1 != query ]] || printf 'a\\t5\\na\\t9\\n'\n"
        'while [[ $# -gt 0 ]]; do [[ $1 != -o && $1 != -Oz ]] || [[ $2 == -o ]] || touch "$2"; shift; done\n'
    )
    (folder / "bin" / "bcftools").chmod(0o755)
    for name in ("in.vcf.gz", "panel.vcf.gz", "pops.txt"):
        (folder / name).touch()
    own = {"cohort": "in.vcf.gz", "popmap": "pops.txt", "panel": panel, "results": "res", "records_per_shard": 1}
    (folder / "my.yaml").write_text(yaml.safe_dump(own))
    snakefile = WORKFLOWS / "snakemake/workflow/Snakefile"
    command = ["snakemake", "-s", snakefile, "--configfile", "my.yaml", "--directory", folder, "--cores", "1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    train, *others = sorted((folder / "calls").read_text().splitlines(), key=lambda call: not call.startswith("train"))
    packed = "train panel.vcf.gz -o res/model.ivae --threads 1 --resume --as-panel"
    fitted = "train in.vcf.gz -o res/model.ivae --threads 1 --resume --popmap pops.txt"
    assert train == (packed if panel else fitted)
    (evaluated,) = [call for call in others if call.startswith("evaluate")]
    filled = [call for call in others if call.startswith("impute")]
    assert len(filled) == 2
    assert all(call.endswith("--popmap pops.txt --add-loci" if panel else "--popmap pops.txt") for call in filled)
    model = "--model res/model.ivae --popmap pops.txt --add-loci" if panel else "--popmap pops.txt"
    assert evaluated == f"evaluate in.vcf.gz -o res/evaluation --threads 1 {model}"


def test_options_of_nextflow_that_a_panel_needs_exist():
    """They stand in ext.args, one word for each module."""
    text = (WORKFLOWS / "nextflow/conf/modules.config").read_text()
    given = re.findall(r"withName: IMPUTEVAE_(\w+) \{\s+ext\.args\s+= \{ params\.panel \? '(\S+)' : '' \}", text)
    assert dict(given) == {"TRAIN": "--as-panel", "IMPUTE": "--add-loci", "EVALUATE": "--add-loci"}
    commands = typer.main.get_command(app).commands
    for name, option in given:
        assert option in {one for parameter in commands[name.lower()].params for one in parameter.opts}
