"""What MultiQC shows of an evaluation: custom content, which it finds by a file name's ending, `_mqc.json`.

MultiQC takes one section a file. Files of several evaluations become one table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.report.labels import METRICS, MODEL, file_name, method_name, value

SHARES = ("concordance", "nrd", "f1", "skill_r2", "iqs", "estimated_concordance", "estimated_nrd")
"""Metrics of which 1 is the most; log loss has no end."""
GENERAL = ("concordance", "nrd", "skill_r2", "estimated_concordance", "estimated_nrd")
"""Metrics in MultiQC's table of general statistics."""


def write_multiqc(path: str | Path, report: Mapping[str, Any]) -> None:
    """The section `imputevae`: a table of METRICS, a row a method. Name the file `..._mqc.json`.

    Raises OutputError where it cannot be written.
    """
    _write(path, table_section(report))


def write_multiqc_general(path: str | Path, report: Mapping[str, Any]) -> None:
    """Columns for MultiQC's general statistics, of the model alone. Name the file `..._mqc.json`.

    Raises OutputError where it cannot be written.
    """
    _write(path, general_section(report))


def table_section(report: Mapping[str, Any]) -> dict[str, Any]:
    """The section as MultiQC reads it."""
    name = file_name(report)
    rows = {}
    for method in report.get("methods") or report.get("metrics") or ():
        # The method goes first, since MultiQC cuts a name at endings such as .vcf.gz
        row = _model_name(report) if method == MODEL else f"{method_name(report, method)}, {name}"
        rows[row] = _values(report, method, tuple(METRICS))
    return {
        "id": "imputevae",
        "section_name": "imputevae",
        "description": "Accuracy on known calls that were hidden, filled in, and compared with the truth: "
        "the model beside simple methods.",
        "plot_type": "table",
        "pconfig": {
            "id": "imputevae_table",
            "title": "imputevae: accuracy on hidden calls",
            "col1_header": "Method and file",
            "sort_rows": False,
        },
        "headers": {metric: _column(metric) for metric in METRICS if any(metric in values for values in rows.values())},
        "data": {row: values for row, values in rows.items() if values},
    }


def general_section(report: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as MultiQC reads them."""
    values = _values(report, MODEL, GENERAL)
    return {
        "id": "imputevae_general",
        "plot_type": "generalstats",
        "headers": {f"imputevae_{metric}": {**_column(metric), "namespace": "imputevae"} for metric in values},
        "data": {_model_name(report): {f"imputevae_{key}": v for key, v in values.items()}},
    }


def _model_name(report: Mapping[str, Any]) -> str:
    """The file that was imputed, or, where another tool imputed it, that tool's file."""
    theirs = (report.get("model") or {}).get("source") == "file"
    return method_name(report, MODEL) if theirs else file_name(report)


def _values(report: Mapping[str, Any], method: str, metrics: tuple[str, ...]) -> dict[str, float]:
    found = {metric: value(report, method, metric) for metric in metrics}
    return {metric: round(v, 6) for metric, v in found.items() if v is not None}


def _column(metric: str) -> dict[str, Any]:
    words = METRICS[metric]
    column = {
        "title": words.name.split(" (")[0],
        "description": words.meaning,
        "format": "{:,.4f}",
        "scale": "RdYlGn" if words.rises else "RdYlGn-rev",
        "min": 0,
    }
    return column | ({"max": 1} if metric in SHARES else {})


def _write(path: str | Path, section: dict[str, Any]) -> None:
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(section, indent=1, allow_nan=False) + "\n", encoding="utf-8")
