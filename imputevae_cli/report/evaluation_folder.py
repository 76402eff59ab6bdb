"""The folder that an evaluation leaves behind, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.evaluation.evaluate import Evaluation
from imputevae_cli.io.outputs import atomic_folder
from imputevae_cli.report.evaluation_page import write_html
from imputevae_cli.report.evaluation_tables import write_tables
from imputevae_cli.report.multiqc import write_multiqc, write_multiqc_general

REPORT = "report.json"
"""Tells an evaluation's folder from any other."""
FILES = frozenset(
    {
        REPORT,
        "report.html",
        "imputevae_mqc.json",
        "imputevae_general_mqc.json",
        "metrics.tsv",
        "strata.tsv",
        "samples.tsv",
        "loci.tsv",
        "calibration.tsv",
        "masked_cells.tsv.gz",
        "maf.tsv",
        "dr2.tsv",
    }
)
"""All that is ever written into the folder, and replaced or removed in it."""


def is_report(file: Path) -> bool:
    """Whether a file is the report of an evaluation, going by what it says made it."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        return report["software"]["name"] == "imputevae" and isinstance(report["schema_version"], int)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def as_json(report: dict[str, Any]) -> str:
    """The report as JSON text, its keys in the order of the schema."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_folder(path: str | Path, report: dict[str, Any], evaluation: Evaluation, genotypes: GenotypeMatrix) -> None:
    """The report as JSON, as a page and for MultiQC, and tables, in place of what is at `path`.

    Raises OutputError where they cannot be written.
    """
    with atomic_folder(path, FILES) as folder:
        (folder / REPORT).write_text(as_json(report), encoding="utf-8")
        write_tables(folder, report, evaluation, genotypes)
        write_html(folder / "report.html", report)
        write_multiqc(folder / "imputevae_mqc.json", report)
        write_multiqc_general(folder / "imputevae_general_mqc.json", report)
