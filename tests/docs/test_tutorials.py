"""The tutorials run as they stand: every block under `<!-- run -->`, in order, with settings that make it quick.

`<!-- run: TOOL -->` is left out where the tool is not on the path.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import QUICK_PARTS, QUICK_VAE, REPOSITORY, environment, flags_of

HOW_TO = [REPOSITORY / "docs" / "how-to" / name for name in ("panels.md", "python.md")]
PAGES = [*sorted((REPOSITORY / "docs" / "tutorials").glob("*.md")), *HOW_TO]
BLOCK = re.compile(r"<!-- run(?:: (\w+))? -->\n+```(bash|python)\n(.*?)\n```", re.DOTALL)
MARK = re.compile(r"<!-- run")
NOTEBOOK = REPOSITORY / "docs" / "tutorials" / "notebook.ipynb"
RUN_NOTEBOOK = """
import sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient
path = Path(sys.argv[1])
notebook = nbformat.read(path, 4)
NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print(output.get("text") or output.get("data", {}).get("text/plain", ""))
"""
QUICK = {**QUICK_VAE, **QUICK_PARTS, "sim.max_hidden": 600}
IMPUTEVAE = """#!/bin/sh
exec "{python}" -m imputevae_cli "$@" {flags}
"""
READS_TO_THE_END = """head() {
    command head "$@" && cat > /dev/null
}
"""  # a writer whose reader has gone is ended by a signal, and a pipe then fails by how fast the machine is
QUICK_PRESETS = f"""
from imputevae_cli import config
for preset in config.PRESETS.values():
    preset.update({QUICK!r})
"""


def blocks_of(page):
    """(tool that is needed or "", language, code) of each block of a page that is to be run."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def example(tmp_path):
    """A folder with the example, and an environment in which imputevae is this checkout's, and quick."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "imputevae"
    script.write_text(IMPUTEVAE.format(python=sys.executable, flags=" ".join(flags_of(QUICK))))
    script.chmod(0o755)
    (tmp_path / "bin" / "sitecustomize.py").write_text(QUICK_PRESETS)
    work = tmp_path / "work"
    work.mkdir()
    (work / "test_data").symlink_to(REPOSITORY / "test_data")
    settled = environment()
    settled["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    settled["PYTHONPATH"] = f"{tmp_path / 'bin'}{os.pathsep}{settled['PYTHONPATH']}"
    return work, settled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_tutorial_says_can_be_done(page, example):
    work, settled = example
    blocks = blocks_of(page)
    assert len(blocks) == len(MARK.findall(page.read_text(encoding="utf-8"))), "a mark without a block after it"
    assert blocks
    for tool, language, code in blocks:
        if tool and shutil.which(tool) is None:
            continue
        shell = ["bash", "-euo", "pipefail", "-c", READS_TO_THE_END + code]
        command = shell if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(
            command,
            cwd=work,
            env=settled,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}\n{done.stderr}"


def test_the_notebook_runs(example):
    """Every cell, in a kernel, from where it lies; what it writes goes to temporary folders."""
    for library in ("nbclient", "ipykernel", "pandas", "xarray"):
        pytest.importorskip(library)
    work, settled = example
    done = subprocess.run(
        [sys.executable, "-c", RUN_NOTEBOOK, str(NOTEBOOK)],
        cwd=work,
        env=settled,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = done.stdout
    assert "<GenotypeMatrix: 90 samples x 601 loci, ploidy 2, 24.8% missing, 3 populations>" in printed
    assert "imputed.vcf.gz.tbi" in printed


def test_the_notebook_is_saved_with_what_its_cells_gave():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
