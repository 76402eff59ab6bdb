"""The report of a run of `impute`: one page of what was used, what was missing, how sure the filled calls are, and what
they change. It is computed from what the fit and the filled calls know already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from imputevae_cli import __version__
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.io.outputs import check_output
from imputevae_cli.report import confidence_figures, depth_figures, missing_figures, shift_figures
from imputevae_cli.report.figure import Figure
from imputevae_cli.report.labels import METRICS, is_number, number, percent, ploidy_in_words
from imputevae_cli.report.model_in_words import model_in_words
from imputevae_cli.report.page import Card, Table, flat_settings, render, write_page
from imputevae_cli.report.run import Run
from imputevae_cli.scoring.filled import VIEWS, Filled

WORST_SAMPLES = 10
MAX_POPULATIONS = 200
"""Rows of a table of populations; the rest are counted in its caption."""
ON_FREQUENCIES = (
    "Filling with the likeliest genotype writes the common one too often, so rare alleles and heterozygotes may be "
    "lost. Where the filled calls differ from what the probabilities expect, take DS or GP, or the genotypes of "
    "--draws, for frequencies, heterozygosity and differentiation. Known calls are no perfect yardstick either: "
    "what is missing may differ from what is known."
)
ON_PCA = (
    "Each figure is a PCA of its own (Patterson scaling, missing calls at the mean of their locus). That of the filled "
    "calls is turned to lie upon that of the known ones; distances are left as they are."
)
CALLED = {"map": "the likeliest genotype", "dosage": "the genotype nearest to the dosage"}


def write_report(
    path: str | Path,
    model: ImputeVAE,
    imputed: ImputedGenotypes,
    *,
    filled: Filled | None = None,
    outputs: Sequence[str] = (),
    command: str = "",
    force: bool = False,
) -> None:
    """Write the report of an imputation: one HTML page that needs no other file and fetches nothing.

    >>> write_report("imputed.report.html", model, model.transform())  # doctest: +SKIP

    model: the one that filled it. filled: the counts of its blocks, as far as a writer has asked for them; the others
    are asked for here. outputs: files that were written, to be named. command: what made them. Raises OutputError where
    `path` cannot be written, or exists without `force`.
    """
    source = imputed.genotypes.source
    check_output(path, inputs=[source.given or source.path] if source else [], force=force)
    run = Run(model, imputed, (filled or Filled(imputed.genotypes)).complete(imputed))
    write_page(path, render_report(run, outputs, command))


def render_report(run: Run, outputs: Sequence[str] = (), command: str = "") -> str:
    """The page's text; the same run gives the same bytes."""
    sections = [section for section in _sections(run) if section["figures"]]
    return render(
        "imputation.html.jinja",
        title=f"Imputation of {Path(run.genotypes.name).name}",
        software={"name": "imputevae", "version": __version__, "command": command},
        findings=list(_findings(run)),
        cards=_cards(run),
        links=[("used", "What was used"), *((s["id"], s["title"]) for s in sections)],
        facts=[fact for fact in _facts(run, outputs) if fact[1]],
        sections=sections,
        settings=flat_settings(run.model.config.to_share()),
    )


def _sections(run: Run) -> Iterator[dict[str, object]]:
    """The figures and tables, in the order of the questions that people ask."""
    yield _section(
        "accuracy", "How right are the filled calls?", "", [_expected_table(run)],
        [confidence_figures.expected_accuracy(run), confidence_figures.thresholds(run),
         confidence_figures.confidence(run), confidence_figures.information(run)],
    )  # fmt: skip
    yield _section(
        "missing", "What was missing?", "", [_population_table(run)],
        [*missing_figures.missing_by_population(run), missing_figures.missing_by_sample(run),
         missing_figures.missing_by_locus(run)],
    )  # fmt: skip
    yield _section(
        "samples", "Which samples need care?", "", [_worst_table(run)], [confidence_figures.confidence_by_sample(run)]
    )
    yield _section(
        "depth", "What do the reads say?", "", [],
        [depth_figures.depths(run), depth_figures.visible_confidence(run), depth_figures.refined(run)],
    )  # fmt: skip
    yield _section(
        "frequencies", "What does filling do to frequencies and heterozygosity?", ON_FREQUENCIES,
        [_heterozygosity_table(run)],
        [shift_figures.frequency_shift(run), shift_figures.spectrum(run), *shift_figures.heterozygosity(run)],
    )  # fmt: skip
    words = ON_PCA + _on_subset(run)
    yield _section("pca", "What does filling do to structure?", words, [], shift_figures.pca(run))


def _section(
    id_: str, title: str, words: str, tables: Sequence[Table | None], figures: Sequence[Figure | None]
) -> dict[str, object]:
    """One section; what there is no data for is left out. words: before its figures."""
    there = [figure for figure in figures if figure]
    return {"id": id_, "title": title, "words": words, "figures": there, "tables": [t for t in tables if t]}


def _on_subset(run: Run) -> str:
    """A sentence where the PCA is not of all."""
    structure, n_samples = run.filled.structure, run.genotypes.n_samples
    if len(structure.samples) == n_samples and structure.step == 1:
        return ""
    samples = f"{len(structure.samples):,} of the {n_samples:,} samples"
    return f" It is of {samples}, and {structure.n_loci:,} loci, evenly spaced."


# --- what is read first


def _cards(run: Run) -> list[Card]:
    accuracy, missing = run.accuracy, run.imputed.n_missing
    cells = run.genotypes.n_samples * run.filled.n_records
    low, high = run.interval("concordance")
    interval = f"95% interval {percent(low)} to {percent(high)}; " if is_number(low) else ""
    left = missing - run.imputed.n_imputed
    cards = [
        Card(
            f"{run.imputed.n_imputed:,}",
            "missing calls filled",
            f"{percent(missing / max(cells, 1))} of all calls were missing",
        ),
        Card(
            percent(accuracy.concordance),
            "of the filled calls are expected to be right",
            f"{interval}genotype frequencies: {percent(run.model.expected.baseline.concordance)}",
        ),
        Card(
            percent(run.filled.confidence.share_from(0.9)),
            "of them have a probability of 0.9 or more",
            f"mean probability {number(run.filled.confidence.mean, 3)}",
        ),
    ]
    if left:
        cards.append(Card(f"{left:,}", "calls left missing"))
    if run.filled.visible.n:
        refined = "rewritten" if run.imputed.refines else "that --refine would rewrite"
        n = run.filled.visible.n_refined if run.imputed.refines else run.filled.visible.n_likelier_otherwise
        cards.append(Card(f"{n:,}", f"visible calls {refined}", f"of {run.filled.visible.n:,} uncertain ones"))
    return cards


def _findings(run: Run) -> Iterator[str]:
    """Sentences on what a reader must know, the most important first."""
    yield _on_baselines(run)
    left = run.imputed.n_missing - run.imputed.n_imputed
    if left:
        yield (
            f"{left:,} calls are still missing: those of samples without any call, and those under the threshold that "
            "was asked for."
        )
    bias = run.filled.bias
    if bias.is_clear:
        words = bias.in_words()
        yield f"Filled genotypes misstate allele frequencies: {words}."
    elif bias.n_filled:
        yield "Filled genotypes keep the allele frequencies that their probabilities expect."
    worst = confidence_figures.worst_samples(run, 3)
    if worst:
        values = run.filled.confidence.by_sample
        listed = ", ".join(f"{run.genotypes.samples[i]} ({number(values[i], 2)})" for i in worst)
        yield f"The model is least sure of the calls that it filled in {listed}: mean probabilities in brackets."
    yield from _on_structure(run)


def _on_baselines(run: Run) -> str:
    ours, methods = run.accuracy, dict(list(run.methods.items())[1:])
    best = min(methods, key=lambda method: methods[method].nrd)
    verb = "more" if ours.nrd > methods[best].nrd else "fewer" if ours.nrd < methods[best].nrd else "as many"
    than = "as" if verb == "as many" else "than"
    return (
        f"By {ours.n:,} known calls that were hidden from the fit, {percent(ours.concordance)} of the filled calls are "
        f"expected to be right. Among those that involve an ALT allele, {verb} are wrong {than} with {best}, the best "
        f"simple method (NRD {number(ours.nrd, 3)}, {number(methods[best].nrd, 3)})."
    )


def _on_structure(run: Run) -> Iterator[str]:
    if run.pca:
        before, after = (run.pca["drift"][view]["correlation"] for view in ("visible", "imputed"))
        if is_number(before) and is_number(after):
            yield (
                "In the PCA, the correlation between what a sample lacked and its distance from the origin is "
                f"{number(before, 2)} before imputation and {number(after, 2)} after; far below 0, samples with many "
                "missing calls are drawn to the middle."
            )


# --- what was used


def _facts(run: Run, outputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and texts, in plain words; a text that is empty is left out."""
    genotypes, model = run.genotypes, run.model
    haploid = genotypes.haploid.n_cells if genotypes.haploid is not None else 0
    yield (
        "Data",
        f"{genotypes.n_samples:,} samples, {run.filled.n_records:,} loci, {ploidy_in_words(genotypes.ploidy, haploid)}",
    )
    if genotypes.populations is not None:
        sizes = np.bincount(run.filled.codes)
        listed = [f"{name} ({n})" for name, n in zip(run.filled.names, sizes.tolist(), strict=True)]
        yield "Populations", ", ".join(listed[:MAX_POPULATIONS])
    passed = genotypes.source.passed_through if genotypes.source else {}
    yield "Records passed through", ", ".join(f"{n:,} ({reason})" for reason, n in passed.items())
    yield "Model", model_in_words(model)
    yield "What each part adds", model.parts
    yield "Evidence", _evidence(run)
    yield "Genotypes called", CALLED[run.imputed.call]
    yield "Seed", str(model.config.io.seed)
    yield "Written", ", ".join(outputs)
    yield "imputevae", __version__


def _evidence(run: Run) -> str:
    """What stands behind the calls."""
    report = run.genotypes.evidence_report
    if report is None or report.field is None:
        return ""
    depth = "" if report.median_depth is None else f"; median depth {report.median_depth:g}"
    error = "" if report.error is None else f"; error rate of the reads {report.error:.4f}"
    return f"{report.reason}{depth}{error}"


# --- tables


def _expected_table(run: Run) -> Table:
    methods = run.methods
    rows = []
    for metric in (*confidence_figures.EXPECTED_METRICS, "log_loss"):
        low, high = run.interval(metric)
        interval = f"{number(low)} to {number(high)}" if is_number(low) else "–"
        ours, *others = (number(getattr(one, metric)) for one in methods.values())
        better = "higher" if METRICS[metric].rises else "lower"
        rows.append([f"{METRICS[metric].name}, {better} is better", ours, interval, *others])
    ours, *others = methods
    caption = f"Of the filled calls, from {run.accuracy.n:,} known ones that were hidden from the fit."
    return Table("Expected accuracy", caption, ("metric", ours, "95% interval", *others), rows)


def _population_table(run: Run) -> Table:
    """A row for each population."""
    before, after = run.filled.missing.by_population
    confidence = run.filled.confidence
    total, n = (np.bincount(run.filled.codes, values) for values in (confidence.total, confidence.n))
    sizes = np.bincount(run.filled.codes)
    rows = [
        [
            name,
            f"{sizes[p]:,}",
            percent(before[p]),
            percent(after[p]),
            number(total[p] / n[p] / 1000, 3) if n[p] else "–",
        ]
        for p, name in enumerate(run.filled.names[:MAX_POPULATIONS])
    ]
    more = len(run.filled.names) - len(rows)
    caption = "Missing calls by population, and how sure the model is of those that it filled."
    columns = ("population", "samples", "missing before", "missing after", "mean probability of filled calls")
    return Table("Populations", caption + (f" {more:,} more are left out." if more else ""), columns, rows)


def _worst_table(run: Run) -> Table | None:
    worst = confidence_figures.worst_samples(run, WORST_SAMPLES)
    if not worst:
        return None
    missing = run.filled.missing.by_sample / max(run.filled.n_records, 1)
    values, populations = run.filled.confidence.by_sample, run.populations
    rows = [
        [run.genotypes.samples[i], populations[i], percent(missing[0, i]), percent(missing[1, i]), number(values[i], 3)]
        for i in worst
    ]
    caption = f"The {len(rows)} samples of whose filled calls the model is least sure."
    columns = ("sample", "population", "missing before", "missing after", "mean probability of filled calls")
    return Table("Samples filled with the least confidence", caption, columns, rows, n_names=2)


def _heterozygosity_table(run: Run) -> Table:
    rows = [
        [row["population"], name, *(number(row[view][key]) for view in VIEWS)]
        for row in shift_figures.heterozygosity_rows(run)[:MAX_POPULATIONS]
        for key, name in (("ho", "Ho"), ("he", "He"), ("fis", "FIS"))
        if any(is_number(row[view][key]) for view in VIEWS)
    ]
    columns = ("population", "statistic", *(label for _, label in shift_figures.LOOKS.values()))
    caption = "Observed and expected heterozygosity and FIS, over loci with two known calls or more in the population."
    return Table("Heterozygosity", caption, columns, rows, n_names=2)
