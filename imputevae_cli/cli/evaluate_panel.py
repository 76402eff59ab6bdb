"""`evaluate --add-loci` or `--panel`: how well a panel fills loci that INPUT does not have."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli.cli import session as this
from imputevae_cli.cli.options import Common
from imputevae_cli.cli.panels import PanelRun, imputation_of, opened
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.log import counted, logger

if TYPE_CHECKING:
    from imputevae_cli.cli.panels import Opened
    from imputevae_cli.cli.session import Session
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.config import Config
    from imputevae_cli.panels.held_out import HeldOut

SCHEMA_VERSION = 1
TABLES = {"maf.tsv": "by_maf", "dr2.tsv": "by_dr2"}
"""Files of the folder, and what of the report is in them."""


def evaluate_from_panel(common: Common, run: PanelRun, output: str | None, json_: str | None, prop: float) -> None:
    """Hide this share of the loci that INPUT and the panel have, fill them from the others, and compare."""
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.io.paths import Files
    from imputevae_cli.panels.held_out import hold_out

    def folder_of(config: Config) -> str | None:
        return output if output is not None or json_ else this.output_path(None, config, "_evaluation")

    def files(config: Config) -> Files:
        run.check()
        if not 0 < prop <= 0.5:
            raise ConfigError(f"--prop {prop:g}: give a share up to 0.5: hidden loci are filled from the others")
        return Files(run.reads, {"--json": json_}, {"-o": folder_of(config)})

    clock = Stopwatch()
    session = this.start(common, files, {"io.likelihoods": run.likelihoods})
    path = folder_of(session.config)
    _check_outputs(path, json_, session)
    with opened(run, session) as found:
        if found.targets.visible_calls_are_uncertain:
            raise InputError(
                f"{run.input}: its calls are uncertain, so that hidden ones are no truth to compare with; evaluate on "
                "targets of high depth, or give --likelihoods none to take the calls as they are"
            )
        if common.dry_run:
            logger.info("dry run: one in %d loci would be hidden; nothing was written", round(1 / prop))
            return
        imputation = imputation_of(found, run, session)
        with session.progress.task("filling windows of the panel", imputation.n_windows) as task:
            imputation.on_window = task.advance
            held_out = hold_out(imputation, round(1 / prop))
        report = _report(held_out, found, session)
    _write(path, json_, report)
    _show(report, path, clock, common.quiet)


def _check_outputs(path: str | None, json_: str | None, session: Session) -> None:
    from imputevae_cli.io.outputs import check_output, check_output_folder
    from imputevae_cli.report.evaluation_folder import FILES, REPORT, is_report

    force = session.common.force
    if path is not None:
        check_output_folder(path, is_ours=lambda folder: is_report(folder / REPORT), own=FILES, force=force)
    if json_ is not None:
        check_output(json_, inputs=session.inputs, force=force)


def _report(held_out: HeldOut, found: Opened, session: Session) -> dict[str, Any]:
    import numpy as np

    from imputevae_cli import __version__

    targets, store = found.targets, found.store
    every = np.ones(len(held_out.dr2), bool)
    return {
        "schema_version": SCHEMA_VERSION,
        "software": {"name": "imputevae", "version": __version__, "command": session.command},
        "input": {"samples": targets.n_samples, "loci": targets.n_loci, "typed": int(found.match.typed.sum())},
        "panel": {"samples": len(store.samples), "loci": store.n_loci, "phased": store.made.get("phased")},
        "all": held_out.figures(every),
        "frequencies": held_out.by_frequencies_alone().figures(every),
        "by_maf": held_out.by_frequency(),
        "by_dr2": held_out.by_dr2(),
    }


def _write(path: str | None, json_: str | None, report: dict[str, Any]) -> None:
    from imputevae_cli.io.outputs import STDOUT, atomic_folder, atomic_output, standard_output
    from imputevae_cli.report.evaluation_folder import FILES, REPORT, as_json

    with contextlib.ExitStack() as stack:
        if path is not None:
            folder = stack.enter_context(atomic_folder(path, FILES))
            (folder / REPORT).write_text(as_json(report), encoding="utf-8")
            for name, part in TABLES.items():
                _write_table(folder / name, report[part])
        if json_ == STDOUT:
            with standard_output() as out:
                out.write(as_json(report).encode())
        elif json_ is not None:
            stack.enter_context(atomic_output(json_)).write_text(as_json(report), encoding="utf-8")


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = ["\t".join(rows[0]), *("\t".join(_text(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _show(report: dict[str, Any], path: str | None, clock: Stopwatch, quiet: bool) -> None:
    from imputevae_cli.cli.summary import cost_rows, show_table
    from imputevae_cli.panels.held_out import FIGURES

    def in_words(row: dict[str, Any]) -> str:
        figures = ", ".join(f"{name.replace('_', ' ')} {row[name]:.4f}" for name in FIGURES if row[name] is not None)
        return f"{figures} ({counted(row['loci'], 'locus', 'loci')})"

    rows = [("Hidden loci, filled", in_words(report["all"]))]
    rows.append(("  by the panel's frequencies alone", in_words(report["frequencies"])))
    rows += [(f"  {row['maf']}", in_words(row)) for row in report["by_maf"] if row["cells"]]
    rows.append(("DR2, and r2 found", "near each other where DR2 can be trusted"))
    rows += [
        (
            f"  DR2 {row['from']:g} to {row['to']:g}",
            f"{row['dr2']:.3f}, {row['found_r2']:.3f} ({counted(row['loci'], 'locus', 'loci')})",
        )
        for row in report["by_dr2"]
        if row["loci"]
    ]
    where = [("Report", path)] if path else []
    show_table("Evaluated a panel", [*rows, *where, *cost_rows(clock)], quiet)
