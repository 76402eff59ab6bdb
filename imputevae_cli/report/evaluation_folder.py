"""The folder that an evaluation leaves behind, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imputevae_cli.evaluation import Evaluation
from imputevae_cli.genotypes import GenotypeMatrix
from imputevae_cli.io.outputs import atomic_folder
from imputevae_cli.report.evaluation_tables import write_tables

REPORT = "report.json"
"""Tells an evaluation's folder from any other."""


def as_json(report: dict[str, Any]) -> str:
    """The report as JSON text, its keys in the order of the schema."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_folder(path: str | Path, report: dict[str, Any], evaluation: Evaluation, genotypes: GenotypeMatrix) -> None:
    """report.json and tables, in place of what is at `path`. Raises OutputError where they cannot be written."""
    with atomic_folder(path) as folder:
        (folder / REPORT).write_text(as_json(report), encoding="utf-8")
        write_tables(folder, report, evaluation, genotypes)
