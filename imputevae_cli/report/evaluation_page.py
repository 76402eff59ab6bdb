"""The page of an evaluation: one file that opens anywhere, offline, and says first whether to trust the result.

The report is a dict of plain types, `schema_version` 1, as `report.json` holds it; whatever part of it is missing or
None is left out of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imputevae_cli.report import evaluation_figures as figures
from imputevae_cli.report import labels, popgen_figures, strata_figures
from imputevae_cli.report.figure import Figure
from imputevae_cli.report.labels import METRICS, MODEL, MORE_METRICS, is_number, number, percent, value
from imputevae_cli.report.page import Card, Table, flat_settings, render, write_page
from imputevae_cli.report.verdict import RULE, verdict
from imputevae_cli.scoring.popgen_draws import STATISTICS

SCHEMA_VERSION = 1
VIEW_ORDER = ("truth", "visible", "imputed", "drawn", "imputed_same_cells", "drawn_same_cells")
MAX_PAIRS = 100
"""Pairs of populations in the table of Fst."""
WORST_SAMPLES = 10
SOURCES = {"fitted": "fitted on this file", "checkpoint": "read from a checkpoint", "file": "another tool's file"}
PROBABILITIES = {"GT": "none, the file has calls alone", "DS": "from dosages (DS)", "GP": "genotype probabilities (GP)"}


def write_html(path: str | Path, report: Mapping[str, Any]) -> None:
    """Write the page. The same report gives the same bytes. Raises OutputError where it cannot be written."""
    write_page(path, render_html(report))


def render_html(report: Mapping[str, Any]) -> str:
    """The page of an evaluation, as HTML."""
    return render("evaluation.html.jinja", **_context(report))


def _context(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the template names, each complete whatever the report lacks."""
    software = _part(report, "software")
    metrics, sections = _metrics_table(report, METRICS), _sections(report)
    links = [("metrics", "Model and baselines")] if metrics else []
    links += [(section["id"], section["title"]) for section in sections]
    return {
        "title": f"Imputation of {labels.file_name(report)}: can it be trusted?",
        "software": {"name": "imputevae", "version": "", "command": ""} | dict(software),
        "created": report.get("created") or "",
        "verdict": verdict(report),
        "rule": RULE,
        "cards": _cards(report),
        "links": [*links, ("how", "How this was measured")],
        "facts": _facts(report),
        "by_reads": _by_reads(report),
        "metrics": metrics,
        "more_metrics": _metrics_table(report, MORE_METRICS),
        "repeats": _part(report, "masking").get("repeats") or 1,
        "gate": _part(report, "model").get("parts"),
        "sections": sections,
        "bias": _bias_tables(report),
        "settings": flat_settings(report.get("settings")),
    }


def _part(report: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return report.get(key) or {}


def _cards(report: Mapping[str, Any]) -> list[Card]:
    """The three figures that are read first: what it is, the value, and the best baseline's."""
    cards = [
        ("concordance", "of the hidden calls filled in right", lambda v: percent(v)),
        ("nrd", "of the calls that involve an ALT allele filled in wrong", lambda v: percent(v)),
        ("skill_r2", "of the variation explained (skill r²)", lambda v: percent(v, 0)),
        ("estimated_concordance", "of the hidden calls filled in right, as their reads let one estimate", percent),
        ("estimated_nrd", "of the calls that involve an ALT allele filled in wrong, estimated likewise", percent),
    ]
    shown = []
    for metric, words, text in cards:
        ours = value(report, MODEL, metric)
        if ours is None:
            continue
        best = _best_baseline(report, metric)
        beside = f"best simple method: {text(best)}" if best is not None else ""
        shown.append(Card(text(ours), words, beside))
    return shown


def _best_baseline(report: Mapping[str, Any], metric: str) -> float | None:
    values = [value(report, method, metric) for method in report.get("methods") or () if method != MODEL]
    choose = max if METRICS[metric].rises else min
    return choose((v for v in values if v is not None), default=None)


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was scored and how, as pairs of a name and a text."""
    return [fact for fact in (*_facts_of_data(report), *_facts_of_imputation(report)) if fact[1]]


def _facts_of_data(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source, masking = _part(report, "input"), _part(report, "masking")
    if source.get("samples"):
        loci, ploidy = source.get("loci") or 0, source.get("ploidy") or 2
        ploidies = labels.ploidy_in_words(ploidy, source.get("haploid_cells"))
        yield "Data", f"{source['samples']:,} samples, {loci:,} loci, {ploidies}"
    if is_number(source.get("missing_share")):
        yield "Calls missing in the file", percent(source["missing_share"])
    yield "Populations", ", ".join(f"{name} ({n})" for name, n in (source.get("populations") or {}).items())
    if masking.get("cells"):
        strategy = masking.get("strategy")
        share = f"{percent(masking['prop'])} of the known ones, " if is_number(masking.get("prop")) else ""
        way = f"{share}hidden {labels.STRATEGIES.get(strategy, f'by {strategy}')}" if strategy else "as given"
        yield "Scored calls", f"{masking['cells']:,}, {way}"
    yield "Evidence", source.get("evidence") or ""
    if _by_reads(report):
        yield "Truth", "none: the hidden calls are uncertain, so all is scored by, or estimated from, their reads"
    if (masking.get("repeats") or 1) > 1:
        yield "Repeats", str(masking["repeats"])
    if masking.get("seed") is not None:
        yield "Seed", str(masking["seed"])


def _facts_of_imputation(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model = _part(report, "model")
    name = model.get("name") if model.get("source") != "fitted" else None
    source, probabilities = str(model.get("source") or ""), str(model.get("probabilities") or "")
    source = SOURCES.get(source, source)
    yield "Imputation", f"{source} ({name})" if name else source
    yield "Probabilities", PROBABILITIES.get(probabilities, probabilities)
    yield "What the gate chose", model.get("parts") or ""
    if model.get("left_missing"):
        yield "Left missing", f"{model['left_missing']:,} of the scored calls; they count as wrong"
    for method, settings in _part(report, "chosen").items():
        yield (
            f"Settings of {labels.method_name(report, method)}",
            ", ".join(f"{key} {n}" for key, n in settings.items()),
        )


def _metrics_table(report: Mapping[str, Any], metrics: Mapping[str, labels.Metric]) -> dict[str, Any] | None:
    """Rows of metrics by columns of methods, the best of each row marked; None where there is no number at all."""
    methods = list(report.get("methods") or report.get("metrics") or ())
    rows = []
    for metric, words in metrics.items():
        cells = [_part(_part(report, "metrics").get(method) or {}, metric) for method in methods]
        values = [cell.get("value") for cell in cells]
        known = [v for v in values if is_number(v)]
        if not known:
            continue
        best = (max if words.rises else min)(known)
        rows.append(
            {
                "name": labels.metric_name(metric),
                "meaning": words.meaning,
                "rises": words.rises,
                "cells": [
                    {
                        "value": v,
                        "low": c.get("low"),
                        "high": c.get("high"),
                        "spread": c.get("spread"),
                        "best": v == best,
                    }
                    for v, c in zip(values, cells, strict=True)
                ],
            }
        )
    if not rows:
        return None
    return {"methods": [{"name": labels.method_name(report, m), "ours": m == MODEL} for m in methods], "rows": rows}


def _sections(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pictures, in the order of the questions that people ask."""
    plan: list[tuple[str, str, list[Callable[[Mapping[str, Any]], Figure | list[Figure] | None]]]] = [
        ("accuracy", "Where is it right, and where not?",
         [figures.confusion, strata_figures.by_frequency, strata_figures.by_population, figures.by_sample,
          strata_figures.by_sample_missingness, strata_figures.by_locus_missingness]),
        ("probabilities", "Can its probabilities be believed?",
         [figures.calibration, figures.precision_recall, figures.roc]),
        ("depth", "How does it fare by depth?", [strata_figures.by_depth]),
        ("downstream", "What does it do to later analyses?",
         [popgen_figures.draws, popgen_figures.heterozygosity, popgen_figures.fst, popgen_figures.spectrum]),
        ("pca", "Do samples with many missing calls drift?", [popgen_figures.pca]),
    ]  # fmt: skip
    tables = {"accuracy": _worst_samples(report), "depth": _depth_table(report), "downstream": _draws_table(report)}
    sections = []
    for name, title, makers in plan:
        made = [figure for maker in makers for figure in _as_list(maker(report))]
        beside = tables.get(name)
        if made or (name == "depth" and beside):
            sections.append({"id": name, "title": title, "figures": made, "tables": [beside] if beside else []})
    return sections


def _as_list(made: Figure | list[Figure] | None) -> list[Figure]:
    if made is None:
        return []
    return made if isinstance(made, list) else [made]


def _bias_tables(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Sentences and tables of what happens to population genetics; a column a view."""
    bias = report.get("bias")
    if not bias:
        return None
    views = [view for view in VIEW_ORDER if view in (bias.get("views") or VIEW_ORDER)]
    drift = _part(_part(bias, "pca"), "drift").get("sentence")
    columns = [labels.VIEWS[view] for view in views]
    pairs = bias.get("fst") or ()
    tables = []
    if heterozygosity := _heterozygosity_rows(bias.get("heterozygosity") or (), views):
        head = ("population (samples)", "statistic", *columns)
        tables.append(Table("Heterozygosity", "Heterozygosity by population", head, heterozygosity, n_names=2))
    if pairs:
        rows = [_row(f"{row['population_1']} – {row['population_2']}", row, views) for row in pairs[:MAX_PAIRS]]
        caption = "Weir and Cockerham's Fst by pair of populations"
        tables.append(Table("Fst", caption, ("pair", *columns), rows))
    return {
        "sentences": [s for s in bias.get("sentences") or () if s != drift],
        "drift": drift,
        "truth_lacks": "imputed_same_cells" in views,
        "tables": tables,
        "more_pairs": max(0, len(pairs) - MAX_PAIRS),
    }


def _heterozygosity_rows(rows: Sequence[Mapping[str, Any]], views: Sequence[str]) -> list[list[str]]:
    """A row for each population and statistic that is known of it."""
    return [
        [f"{row['population']} ({row['samples']})", name, *(number(_part(row, view).get(key)) for view in views)]
        for row in rows
        for key, name in (("ho", "Ho"), ("he", "He"), ("fis", "FIS"))
        if any(is_number(_part(row, view).get(key)) for view in views)
    ]


def _row(name: str, row: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """A name, and numbers as texts."""
    return [name, *(number(row.get(key)) for key in keys)]


def _by_reads(report: Mapping[str, Any]) -> bool:
    return _part(report, "masking").get("scored_by") == "reads"


def _depth_table(report: Mapping[str, Any]) -> Table | None:
    """Rows of a depth and a method; columns for the figures that there are. None without depths."""
    rows = [row for row in report.get("strata") or () if row.get("stratum") == "depth"]
    if not rows:
        return None
    columns = {
        "read_loss": "log loss of the reads",
        "concordance": "concordance",
        "nrd": "NRD",
        "expected_accuracy": "expected accuracy",
        "log_loss": "log loss",
    }
    columns = {key: name for key, name in columns.items() if any(is_number(row.get(key)) for row in rows)}
    levels = list(dict.fromkeys(row["level"] for row in rows))
    order = sorted(rows, key=lambda row: levels.index(row["level"]))
    table = [
        [
            row["level"],
            labels.method_name(report, row["method"], short=True),
            f"{row['n']:,}",
            *(number(row.get(key)) for key in columns),
        ]
        for row in order
    ]
    caption = (
        "By depth: how many reads the file has of the cell. Expected accuracy is what a method's own probabilities "
        "promise."
    )
    ours = [i for i, row in enumerate(order) if row["method"] == MODEL]
    return Table(
        "By depth of the cell", caption, ("reads", "method", "cells", *columns.values()), table, ours, n_names=2
    )


def _draws_table(report: Mapping[str, Any]) -> Table | None:
    """A row a statistic, a column a view: true calls, those left visible, the likeliest genotypes, and draws."""
    found = _part(_part(report, "bias"), "draws")
    if not found:
        return None
    names = {view: labels.VIEWS[view] for view in VIEW_ORDER} | {"spread": "spread between draws"}
    keys = [key for key in names if any(is_number(row.get(key)) for row in found["rows"])]
    rows = [_row(STATISTICS[row["statistic"]], row, keys) for row in found["rows"]]
    caption = (
        f"Filled with the likeliest genotypes (imputed), or drawn from the posterior, the mean of {found['n']} draws: "
        "means over populations, and over their pairs for Fst. Rare: loci with a minor allele frequency above 0 and up "
        "to 0.05."
    )
    return Table("The likeliest genotypes and draws", caption, ("statistic", *(names[key] for key in keys)), rows)


def _worst_samples(report: Mapping[str, Any]) -> Table | None:
    rows = [row for row in report.get("samples") or () if is_number(row.get("concordance"))]
    if not rows:
        return None
    worst = sorted(rows, key=lambda row: row["concordance"])[:WORST_SAMPLES]
    table = [
        [
            row.get("sample"),
            row.get("population") or "–",
            percent(row.get("missing_share")),
            row["n"] if row.get("n") is not None else "–",
            *(number(row.get(key)) for key in ("concordance", "nrd", "log_loss")),
        ]
        for row in worst
    ]
    caption = f"The {len(worst)} samples of the lowest concordance; every sample is in the tables beside this page."
    columns = ("sample", "population", "calls missing", "scored", "concordance", "NRD", "log loss")
    return Table("Samples filled in worst", caption, columns, table, n_names=2)
