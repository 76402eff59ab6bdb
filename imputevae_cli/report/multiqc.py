"""A section for MultiQC: the figures of an evaluation as custom content, which MultiQC finds by its file's ending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.report.labels import METRICS, MODEL, method_name, value

SECTION = "imputevae"
SHARES = ("concordance", "nrd", "f1", "skill_r2", "iqs")
"""Metrics of which 1 is the most; log loss has no end."""


def write_multiqc(path: str | Path, report: Mapping) -> None:
    """Write the section as JSON; name it `..._mqc.json`. Raises OutputError where it cannot be written.

    A row a method, so that files of several evaluations become one table.
    """
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(multiqc_section(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def multiqc_section(report: Mapping) -> dict:
    """The table: rows `file` for the model and `file: baseline` for the others, columns the METRICS."""
    name = (report.get("input") or {}).get("name") or "genotypes"
    rows = {}
    for method in report.get("methods") or report.get("metrics") or ():
        found = {metric: value(report, method, metric) for metric in METRICS}
        found = {metric: round(v, 6) for metric, v in found.items() if v is not None}
        if found:
            rows[name if method == MODEL else f"{name}: {method_name(method)}"] = found
    return {
        "id": SECTION,
        "section_name": "imputevae",
        "section_anchor": SECTION,
        "description": "Accuracy on known calls that were hidden, filled in, and compared with the truth.",
        "plot_type": "table",
        "pconfig": {
            "id": f"{SECTION}_table",
            "title": "imputevae: accuracy on hidden calls",
            "col1_header": "File and method",
        },
        "headers": {metric: _column(metric) for metric in METRICS},
        "data": rows,
    }


def _column(metric: str) -> dict:
    words = METRICS[metric]
    column = {
        "title": words.name.split(" (")[0],
        "description": words.meaning,
        "format": "{:,.4f}",
        "scale": "RdYlGn" if words.rises else "RdYlGn-rev",
    }
    return column | ({"min": 0, "max": 1} if metric in SHARES else {"min": 0})
