"""What is installed: every file that the package needs, and what it is called."""

import subprocess

import pytest
from conftest import REPOSITORY

from imputevae_cli import __version__

tomllib = pytest.importorskip("tomllib")  # of Python 3.11
SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def test_every_file_of_the_package_is_installed():
    """What is not Python is installed only where `package-data` names it."""
    named = {
        path
        for package, patterns in SETTINGS["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in REPOSITORY.joinpath(*package.split(".")).glob(pattern)
    }
    package = REPOSITORY / "imputevae_cli"
    there = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert there - named == {path for path in there if path.suffix == ".py"}
    for folder in {path.parent for path in there if path.suffix == ".py"}:
        assert (folder / "__init__.py").exists(), f"{folder} would not be found as a package"


def test_the_version_has_one_place():
    assert "version" in SETTINGS["project"]["dynamic"]
    assert SETTINGS["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "imputevae_cli.__version__"}
    assert __version__


def test_the_digest_of_a_release_goes_into_the_recipe(tmp_path):
    recipe = REPOSITORY / "workflows" / "bioconda"
    for name in ("meta.yaml", "set_digest.sh"):
        (tmp_path / name).write_bytes((recipe / name).read_bytes())
    archive = tmp_path / "imputevae-7.8.9.tar.gz"
    archive.write_bytes(b"abc")
    subprocess.run(["bash", tmp_path / "set_digest.sh", archive], check=True)
    before, after = ((folder / "meta.yaml").read_text().splitlines() for folder in (recipe, tmp_path))
    changed = [line for line, old in zip(after, before, strict=True) if line != old]
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of the three letters, by FIPS 180-2
    assert changed == ['{% set version = "7.8.9" %}', f"  sha256: {digest}"]
