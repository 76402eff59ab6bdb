"""What the user is told at the end of a run that filled from a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imputevae_cli.cli.summary import Stopwatch, cost_rows, duration, peak_megabytes, show_table
from imputevae_cli.log import counted

if TYPE_CHECKING:
    from imputevae_cli.cli.panels import Opened
    from imputevae_cli.io.vcf_merged import MergeSummary
    from imputevae_cli.panels.frequency_bins import FrequencyBins
    from imputevae_cli.panels.imputation import PanelImputation


def show_added(
    found: Opened, written: MergeSummary, expected: FrequencyBins, path: str, clock: Stopwatch, quiet: bool
) -> None:
    """The table of `impute` with a panel. expected: the DR2 of the added loci."""
    own = written.own
    rows = [
        *_size_rows(found),
        ("  missing calls filled there", f"{own.imputed:,}"),
        ("Loci added", f"{written.added:,}"),
    ]
    if own.missing:
        rows.append(("Left missing", f"{own.missing:,}"))
    if own.refined:
        rows.append(("Visible calls refined", f"{own.refined:,}"))
    if written.passed:
        rows.append(("Records of INPUT alone", f"{written.passed:,}"))
    rows.append(("Expected r2 (mean DR2)", "of the added loci, by their frequency in the panel"))
    rows += [(f"  {name}", f"{mean:.3f} ({counted(n, 'locus', 'loci')})") for name, n, mean in expected.rows() if n]
    show_table("Imputed from a panel", [*rows, ("Output", path), *cost_rows(clock)], quiet)


def show_panel_estimate(found: Opened, imputation: PanelImputation, seconds: float) -> None:
    """Print what --dry-run says of a panel: its size, and time and memory by the first window."""
    to_write = sum(int((one.stop - one.first).sum()) for one in imputation.chroms)
    rows = [
        *_size_rows(found),
        ("Loci of the panel to write", f"{to_write:,}"),
        ("Windows", f"{imputation.n_windows:,}"),
        ("Time, about", duration(seconds)),
        ("Peak memory, about", f"{peak_megabytes():,.0f} MB"),
    ]
    show_table("Dry run: nothing was written", rows, quiet=False)


def _size_rows(found: Opened) -> list[tuple[str, str]]:
    """Of the samples, the panel and what both have."""
    store, match = found.store, found.match
    phase = "the file's phase" if store.made.get("phased") else "phased by imputevae"
    return [
        ("Samples", f"{found.targets.n_samples:,}"),
        ("Panel", f"{len(store.samples):,} samples, {store.n_loci:,} loci, {phase}"),
        ("Loci in the panel too", f"{int(match.typed.sum()):,} of {found.targets.n_loci:,}"),
    ]
