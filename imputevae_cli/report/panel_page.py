"""The report of a run of `impute` with a reference panel: what was added, how sure it is, whether the panel fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.io.vcf_merged import MergeSummary
from imputevae_cli.panels.imputed_from_panel import ImputedFromPanel
from imputevae_cli.report.figure import Figure, Key, evenly, some_of
from imputevae_cli.report.histograms import BINS, gp_histogram, histogram_of
from imputevae_cli.report.labels import number, percent
from imputevae_cli.report.page import Card, Table, flat_settings, render, write_page
from imputevae_cli.report.plot import Axis, Plot

GOOD = 0.8
"""A DR2 from which on a locus is often kept."""
LEAST_LOCI = 2
ON_PANEL = (
    "Targets of the panel's own population have its frequencies, but for chance. Where points lie far from the line, "
    "samples and panel are of different populations, and rare alleles of the samples may not be in the panel at all: "
    "what the panel lacks, no locus can be filled with."
)


@dataclass(frozen=True)
class PanelRunPage:
    """What the page is of. written: counts of the first output. outputs: files that were written, to be named.
    warnings: on how the targets' loci match the panel's. command: what made them."""

    imputed: ImputedFromPanel
    written: MergeSummary
    config: Config
    outputs: Sequence[str]
    warnings: Sequence[str]
    command: str

    @cached_property
    def loci(self) -> np.ndarray:
        """See `AddedCounts.loci`."""
        return self.imputed.counts.loci

    @property
    def share_good(self) -> float:
        """Of the added loci, those whose DR2 is at least GOOD."""
        return float((self.loci[0] >= GOOD).mean()) if self.loci.size else float("nan")


def write_panel_report(path: str | Path, page: PanelRunPage) -> None:
    """Write the page, one file that needs no other. Raises OutputError where `path` cannot be written."""
    write_page(path, render_panel_report(page))


def render_panel_report(page: PanelRunPage) -> str:
    """The page's text; the same run gives the same bytes."""
    sections = [section for section in _sections(page) if section["figures"]]
    return render(
        "imputation.html.jinja",
        title=f"Loci added to {Path(page.imputed.targets.name).name}",
        software={"name": "imputevae", "version": __version__, "command": page.command},
        findings=list(_findings(page)),
        cards=_cards(page),
        links=[("used", "What was used"), *((s["id"], s["title"]) for s in sections)],
        facts=[fact for fact in _facts(page) if fact[1]],
        sections=sections,
        settings=flat_settings({"panels": page.config.to_share()["panels"]}),
    )


def _sections(page: PanelRunPage) -> Iterator[dict[str, Any]]:
    yield _section("dr2", "How well are the added loci filled?", [_dr2(page), _confidence(page)], [_dr2_table(page)])
    yield _section("fit", "Does the panel fit the samples?", [_frequencies(page), _by_sample(page)], [], ON_PANEL)


def _section(
    id_: str, title: str, figures: Sequence[Figure | None], tables: Sequence[Table], words: str = ""
) -> dict[str, Any]:
    there = [figure for figure in figures if figure]
    return {"id": id_, "title": title, "words": words, "figures": there, "tables": list(tables)}


def _cards(page: PanelRunPage) -> list[Card]:
    store, counts = page.imputed.store, page.imputed.counts
    cards = [
        Card(f"{page.written.added:,}", "loci added from the panel", f"of {store.n_loci:,} that it has"),
        Card(percent(page.share_good), f"of them have a DR2 of {GOOD:g} or more", f"mean {_mean(page.loci[0])}"),
        Card(
            f"{page.imputed.n_typed:,}", "loci of the samples are in the panel", f"of {page.imputed.targets.n_loci:,}"
        ),
    ]
    if counts.n_loci:
        sure = float(counts.best_gp[900:].sum() / max(counts.best_gp.sum(), 1))
        cards.append(Card(percent(sure), "of the added genotypes have a probability of 0.9 or more"))
    return cards


def _findings(page: PanelRunPage) -> Iterator[str]:
    yield (
        "DR2 estimates the squared correlation of the filled and the true allele doses at a locus. It is what the "
        "model expects of itself; imputevae evaluate with the same panel measures it on loci that you know."
    )
    if page.loci.size and page.share_good < 0.5:
        yield (
            f"Fewer than half of the added loci reach a DR2 of {GOOD:g}. Leave the others out of single-locus tests "
            f"(bcftools view -i 'TYPED=1 || DR2>{GOOD:g}')."
        )
    yield from (f"{warning}." for warning in page.warnings)


def _facts(page: PanelRunPage) -> Iterator[tuple[str, str]]:
    targets, store, own = page.imputed.targets, page.imputed.store, page.written.own
    yield "Data", f"{targets.n_samples:,} samples, {targets.n_loci:,} loci"
    phase = "the file's phase" if store.made.get("phased") else "phased by imputevae"
    yield "Panel", f"{Path(store.name).name}: {len(store.samples):,} samples, {store.n_loci:,} loci, {phase}"
    yield "Missing calls filled at shared loci", f"{own.imputed:,}"
    yield "Left missing there", f"{own.missing:,}" if own.missing else ""
    yield "Visible calls refined", f"{own.refined:,}" if own.refined else ""
    yield "Seed", str(page.config.io.seed)
    yield "Written", ", ".join(page.outputs)
    yield "imputevae", __version__


def _dr2_table(page: PanelRunPage) -> Table:
    rows = [[name, f"{n:,}", number(mean, 3)] for name, n, mean in page.imputed.counts.by_frequency.rows() if n]
    caption = "Added loci that vary in the panel, by the frequency of their rarer allele there."
    return Table("DR2 by frequency", caption, ("in the panel", "loci", "mean DR2"), rows)


def _dr2(page: PanelRunPage) -> Figure | None:
    found = page.loci[0]
    if not len(found):
        return None
    counts, edges = np.histogram(found.clip(0, 1), BINS, (0, 1))
    words = (
        "dr2",
        "How well is each locus filled? (DR2)",
        "Added loci by their estimated squared correlation with the truth, as INFO/DR2 has it. 1 is as good as a call, "
        "near 0 says no more than the frequency in the panel. Loci of rare alleles are at the left.",
        f"Histogram of the DR2 of {len(found):,} loci; {percent(page.share_good)} reach {GOOD:g}.",
    )
    return histogram_of(edges, counts.tolist(), words, ("DR2", "loci"))


def _confidence(page: PanelRunPage) -> Figure | None:
    counts = page.imputed.counts.best_gp
    if not counts.any():
        return None
    return gp_histogram(
        counts,
        "confidence",
        "How sure is the model of each added genotype?",
        "added genotypes",
        "Genotypes at added loci, by the probability (GP) of the likeliest one. Most are sure because most alleles are "
        "rare: DR2 tells more.",
    )


def _frequencies(page: PanelRunPage) -> Figure | None:
    _, panel, targets = page.loci
    if len(panel) < LEAST_LOCI:
        return None
    drawn = evenly(len(panel))
    x, y = panel[drawn].tolist(), targets[drawn].tolist()
    plot = Plot(Axis.of("in the panel", -0.02, 1.02), Axis.of("among the samples, as filled", -0.02, 1.02))
    plot.rule((0, 0), (1, 1))
    plot.points([(a, b, f"{number(a, 3)} and {number(b, 3)}") for a, b in zip(x, y, strict=True)], 0, 2.6)
    gap = number(float(np.abs(panel - targets).mean()), 3)
    return Figure(
        "frequencies",
        "Do the samples have the panel's frequencies?",
        f"One point per added locus: its frequency of ALT in the panel, and as it is filled; {gap} apart on average."
        + some_of(len(panel), "loci"),
        f"ALT frequencies of {len(panel):,} added loci in the panel and as filled; {gap} apart on average.",
        plot.svg(),
        ("panel", "filled"),
        list(zip(x, y, strict=True)),
        (Key("a locus"), Key("the same", kind="rule")),
    )


def _by_sample(page: PanelRunPage) -> Figure | None:
    counts, names = page.imputed.counts, page.imputed.targets.samples
    if not counts.n_loci or len(names) < LEAST_LOCI:
        return None
    means = counts.total / 1000 / counts.n_loci
    order = np.argsort(means, kind="stable")
    drawn = [int(order[i]) for i in evenly(len(order))]
    marks = [(rank, float(means[i]), f"{names[i]}: {number(means[i], 4)}") for rank, i in enumerate(drawn)]
    low, high = float(means.min()), float(means.max())
    room = max(0.05 * (high - low), 1e-4)
    across = Axis.of("samples, the least sure first", -1, len(drawn))
    plot = Plot(across, Axis.of("mean probability", low - room, high + room))
    plot.points(marks, 0, 3.6)
    lowest = ", ".join(f"{names[i]} ({number(means[i], 3)})" for i in order[:3].tolist())
    return Figure(
        "confidence-samples",
        "Which samples does the panel fit least?",
        f"Mean probability of the likeliest genotype at added loci, sample by sample. Lowest: {lowest}. A sample far "
        f"below the others is of another population than the panel, or has few or wrong calls.{some_of(len(names))}",
        f"Mean probability of the added genotypes of {len(names):,} samples, sorted. The lowest: {lowest}.",
        plot.svg(),
        ("sample", "mean_probability"),
        [(names[i], float(means[i])) for i in drawn],
    )


def _mean(values: np.ndarray) -> str:
    return number(float(values.mean()), 3) if len(values) else "–"
