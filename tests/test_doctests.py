"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "imputevae_cli"
MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" and ">>> " in path.read_text(encoding="utf-8")
]


def test_some_have_examples():
    assert len(MODULES) >= 4


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings(module):
    assert doctest.testmod(import_module(module)).failed == 0
