"""What the user is told at the end: a table on standard error."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, missing_per_sample
from imputevae_cli.log import printable

if TYPE_CHECKING:
    from imputevae_cli.data.haploid import HaploidCells
    from imputevae_cli.ensemble.expected import Expected
    from imputevae_cli.imputed import ImputedGenotypes
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.io.vcf_writer import WriteSummary
    from imputevae_cli.report.tuning import TuningFiles
    from imputevae_cli.scoring.metrics import Accuracy
    from imputevae_cli.tuning.result import TuningResult


WRITE_SECONDS, FILL_SECONDS = 0.4e-6, 2e-6
"""Seconds to write a cell, and more to fill and write one that was missing: for a forecast."""


_CALLED = {
    "map": "the likeliest: most are right; --call dosage calls more rare ones",
    "dosage": "the nearest to the dosage: more rare ones; --call map has most right",
}
MOST_HAPLOID_ROWS = 6
"""Stretches with haploid samples that are told one by one."""


class Stopwatch:
    """Wall seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._start


def peak_megabytes() -> float:
    """The most memory that this process has held, in MB."""
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def show_fit(model: ImputeVAE, genotypes: GenotypeMatrix, path: str, clock: Stopwatch, quiet: bool) -> None:
    """The table of `train`."""
    rows = [*_size_rows(genotypes), *_fit_rows(model), ("Checkpoint", path), *cost_rows(clock)]
    show_table("Trained", rows, quiet)


def show_imputation(
    model: ImputeVAE, imputed: ImputedGenotypes, path: str, clock: Stopwatch, quiet: bool, written: WriteSummary
) -> None:
    """The table of `impute`. written: what the writer counted."""
    genotypes = imputed.genotypes
    n_missing, n_imputed = imputed.n_missing, imputed.n_imputed
    share = n_missing / max(genotypes.n_samples * int(genotypes.loci.begins_record.sum()), 1)
    rows = [
        *_size_rows(genotypes, imputed.has_calls),
        ("Missing calls", f"{n_missing:,} ({share:.1%})"),
        ("Imputed", f"{n_imputed:,}"),
    ]
    if n_imputed < n_missing:
        rows.append(("Left missing", f"{n_missing - n_imputed:,}"))
    if imputed.refines and genotypes.evidence is not None:
        rows.append(("Visible calls refined", f"{written.refined:,}"))
    rows += [("Genotypes called", _CALLED[imputed.call]), *_fit_rows(model, imputed.call)]
    if written.bias.is_clear:
        rows.append(("Note", written.bias.in_words()))
    rows += [("Output", path), *cost_rows(clock)]
    show_table("Imputed", rows, quiet)


def show_evaluation(report: dict[str, Any], output: str | None, clock: Stopwatch, quiet: bool) -> None:
    """Five lines of `evaluate`: the model and the baselines by the figures that are read together."""
    if quiet:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from imputevae_cli.report.labels import method_name
    from imputevae_cli.scoring.popgen_draws import draws_in_words

    by_reads = report["masking"]["scored_by"] == "reads"
    names: tuple[str, ...] = ("concordance", "nrd", "f1", "skill_r2", "iqs", "log_loss")
    if by_reads:
        names = ("read_loss", "estimated_concordance", "estimated_nrd", "estimated_ece")
    verdict = report["verdict"]
    print(printable(f"{verdict['headline']}. {verdict['sentences'][0]}"), file=sys.stderr)
    cells = report["masking"]["cells"]
    hidden = " that were hidden" if report["masking"]["strategy"] else ""
    how = ", by their reads" if by_reads else ""
    table = Table(title=f"Scored on {cells:,} calls{hidden}{how}", title_justify="left")
    for name in ("method", *names):
        table.add_column(name.replace("_", " "), justify="left" if name == "method" else "right", no_wrap=True)
    for method in report["methods"]:
        values = [report["metrics"][method].get(name, {}).get("value") for name in names]
        title = Text(printable(method_name(report, method, short=True)))
        table.add_row(title, *("-" if v is None else f"{v:.4f}" for v in values))
    Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 100).print(table)
    if drawn := draws_in_words(report["bias"]["draws"]):
        print(drawn, file=sys.stderr)
    where = f"{printable(output)}: " if output else ""
    print(f"{where}{duration(clock.seconds())}, {peak_megabytes():,.0f} MB at most", file=sys.stderr)


def writing_seconds(genotypes: GenotypeMatrix) -> float:
    """What filling and writing will take, about."""
    return WRITE_SECONDS * genotypes.calls.size + FILL_SECONDS * float(missing_per_sample(genotypes.calls).sum())


def show_estimate(model: ImputeVAE, genotypes: GenotypeMatrix, clock: Stopwatch, runs: int = 1) -> None:
    """What --dry-run says: sizes, and time and memory as a short run of each part suggests. clock: since the start.

    runs: of the model.
    """
    to_here = clock.seconds()
    ahead = model.forecast(genotypes)
    n_missing = missing_per_sample(genotypes.calls).sum()
    rows = [
        *_size_rows(genotypes),
        ("Missing calls", f"{n_missing / genotypes.calls.size:.1%}"),
        ("Time, about", duration(to_here + runs * ahead.seconds + writing_seconds(genotypes))),
        ("Peak memory, about", f"{peak_megabytes() + ahead.bytes / 1e6:,.0f} MB"),
    ]
    show_table("Dry run: nothing was written", rows, quiet=False)


def show_tuning(result: TuningResult, files: TuningFiles, clock: Stopwatch, quiet: bool) -> None:
    """The table of `tune`."""
    from imputevae_cli.report.tuning_words import verdict

    test, counted = result.test, result.counted
    pruned = sum(row.state == "pruned" for row in counted)
    rows = [
        ("Study", result.study),
        ("Trials", f"{len(counted)}" + (f", {pruned} of them pruned" if pruned else "")),
        ("Verdict", verdict(result)),
        ("Test", f"on {test.n:,} known calls that the study never saw"),
    ]
    rows += [
        (f"  {name}", f"{test.chosen[name]:.5f} (settings given: {test.defaults[name]:.5f})") for name in test.chosen
    ]
    rows += [
        (f"  gain in {test.metric}", f"{test.gain:.5f}, standard error {test.noise:.5f}"),
        ("Settings", str(files.best)),
        ("Page", str(files.page)),
        *cost_rows(clock),
    ]
    show_table("Tuned", rows, quiet)


def _size_rows(genotypes: GenotypeMatrix, has_calls: np.ndarray | None = None) -> list[tuple[str, str]]:
    rows = [("Samples", f"{genotypes.n_samples:,}"), ("Loci", f"{genotypes.n_loci:,}")]
    if not genotypes.loci.begins_record.all():
        n_several = int((np.bincount(genotypes.loci.records) > 1).sum())
        rows.append(("  records with several ALT alleles", f"{n_several:,}, a locus for each"))
    if genotypes.haploid is not None:
        rows += _haploid_rows(genotypes.haploid, genotypes.loci.chrom)
    rows += _evidence_rows(genotypes)
    context = int(genotypes.is_context.sum())
    if context:
        rows.append(("  read beside the region", f"{context:,}"))
    passed = sum(genotypes.source.passed_through.values()) if genotypes.source else 0
    if passed:
        rows.append(("Records passed through", f"{passed:,}"))
    empty = (missing_per_sample(genotypes.calls) == genotypes.n_loci) if has_calls is None else ~has_calls
    empty = int(empty.sum())
    if empty:
        rows.append(("Samples without a call, left so", f"{empty:,}"))
    return rows


def _haploid_rows(haploid: HaploidCells, chroms: np.ndarray) -> list[tuple[str, str]]:
    """Where samples are haploid: a row for each of a few stretches, or one for all."""
    lines = haploid.in_words(chroms)
    if len(lines) <= MOST_HAPLOID_ROWS:
        return [("Haploid", line) for line in lines]
    return [("Haploid", f"{haploid.n_cells:,} cells on {len(lines):,} stretches")]


def _evidence_rows(genotypes: GenotypeMatrix) -> list[tuple[str, str]]:
    """What stands behind the calls; nothing where the file says nothing of that."""
    report = genotypes.evidence_report
    if report is None or report.field is None:
        return []
    depth = "" if report.median_depth is None else f", median depth {report.median_depth:g}"
    if not report.used:
        return [("Likelihoods", f"{report.field} finds the calls certain{depth}")]
    rows = [("Likelihoods", f"{report.field}{depth}"), *(("  not used", reason) for reason in report.left)]
    if report.error is not None:
        rows.append(("  error rate of the reads", f"{report.error:.4f}, over-dispersion {report.overdispersion:.4f}"))
    share = report.n_uncertain / max(report.n_visible, 1)
    wrong = f"{report.expected_wrong:.1%} of the visible are expected to be wrong"
    return [*rows, ("  uncertain visible calls", f"{report.n_uncertain:,} ({share:.1%}); {wrong}")]


def _fit_rows(model: ImputeVAE, call: str = "map") -> list[tuple[str, str]]:
    from imputevae_cli.report.model_in_words import model_in_words

    expected: Expected = model.expected
    ours = expected.by_dosage if call == "dosage" else expected.model
    rows = [
        ("Model", model_in_words(model)),
        ("Expected accuracy", f"from {ours.n:,} known calls hidden from the fit, 95 % interval"),
    ]
    return rows + [(f"  {words}", _figure(expected, ours, name)) for name, words in _FIGURES.items()]


_FIGURES = {
    "concordance": "concordance",
    "nrd": "non-reference discordance",
    "f1": "F1",
    "skill_r2": "skill r2",
    "log_loss": "log loss",
}


def _figure(expected: Expected, ours: Accuracy, name: str) -> str:
    """One figure with its interval, and those of what needs no model."""
    text, low, high = f"{getattr(ours, name):.4f}", getattr(expected.low, name), getattr(expected.high, name)
    if low == low and getattr(ours, name) == getattr(expected.model, name):  # NaN where there is none
        text += f", {low:.4f} to {high:.4f}"
    beside = f"frequencies {getattr(expected.baseline, name):.4f}"
    if expected.ld_knni is not None:
        beside += f", LD-kNNi {getattr(expected.ld_knni, name):.4f}"
    return f"{text} ({beside})"


def cost_rows(clock: Stopwatch) -> list[tuple[str, str]]:
    """Time and memory, for the end of a table."""
    return [("Time", duration(clock.seconds())), ("Peak memory", f"{peak_megabytes():,.0f} MB")]


def duration(seconds: float) -> str:
    """Seconds in words."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def show_table(title: str, rows: list[tuple[str, str]], quiet: bool) -> None:
    """Rows of a name and a value on standard error, unless `quiet`."""
    if quiet:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(printable(value)))  # brackets in a file's name are no markup
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 100)
    console.print(table)
