"""What a study leaves behind: the settings to go on with, a table of its trials, pictures, and a page of all that."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli import __version__
from imputevae_cli.config import PlotSettings
from imputevae_cli.io.outputs import atomic_output, undisturbed
from imputevae_cli.report.pictures import BLUE, GREY, ORANGE, PLAIN_TEXT, PURPLE
from imputevae_cli.report.tuning_page import render_tuning
from imputevae_cli.report.tuning_words import SHOWN_IMPORTANCES, figure_text, verdict
from imputevae_cli.tuning.result import DEFAULTS, TuningResult
from imputevae_cli.tuning.space import OF_OUTPUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = "# imputevae tune, study "
"""How the settings' file begins; the study's name follows."""
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TuningFiles:
    """Where the results go: the settings, and beside them the rest."""

    best: Path
    fmt: str = "pdf"

    def _beside(self, ending: str) -> Path:
        return self.best.with_name(self.best.name.removesuffix(self.best.suffix) + ending)

    @property
    def trials(self) -> Path:
        return self._beside(".trials.tsv")

    @property
    def page(self) -> Path:
        return self._beside(".html")

    @property
    def summary(self) -> Path:
        return self._beside(".json")

    @property
    def history(self) -> Path:
        return self._beside(f".history.{self.fmt}")

    @property
    def importance(self) -> Path:
        return self._beside(f".importance.{self.fmt}")

    @property
    def journal(self) -> Path:
        return self._beside(".journal")

    @property
    def all(self) -> tuple[Path, ...]:
        return self.best, self.trials, self.summary, self.page, self.history, self.importance


def is_of_study(files: TuningFiles, study: str) -> bool:
    """Whether what is there was written by the study of this name: its settings, or what appears before them."""
    try:
        with open(files.best, encoding="utf-8") as file:
            return file.readline().rstrip("\n") == HEADER + study
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError):
        return False
    try:
        return json.loads(files.summary.read_text(encoding="utf-8"))["study"] == study
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def write_tuning(files: TuningFiles, result: TuningResult, plot: PlotSettings, command: str) -> None:
    """Every file of a study, all or none: the summary appears first and the settings last. Raises OutputError."""
    texts = {
        files.best: settings_text(result, command),
        files.page: render_tuning(result, command),
        files.trials: _trials_table(result),
    }
    with contextlib.ExitStack() as stack:  # the last to be entered appears first
        for path, text in texts.items():
            stack.enter_context(atomic_output(path)).write_text(text, encoding="utf-8")
        for path, paint in ((files.history, paint_history), (files.importance, paint_importance)):
            _save(stack.enter_context(atomic_output(path)), paint, result, plot)
        summary_text = json.dumps(summary(result, command), indent=1) + "\n"
        stack.enter_context(atomic_output(files.summary)).write_text(summary_text, encoding="utf-8")
        with undisturbed():
            stack.pop_all().close()


def settings_text(result: TuningResult, command: str) -> str:
    """The settings as YAML, with what they are and how good as comments before them."""
    import yaml

    test = result.test
    kept = result.config.to_share()
    sections = {section: dict(kept[section]) for section in OF_OUTPUT}
    sections["train"].pop("device")
    lines = [
        HEADER.removeprefix("# ") + result.study,
        f"verdict: {verdict(result)}",
        f"{test.metric} on {test.n:,} known calls that the study never saw:",
        f"  score: {test.chosen[test.metric]:.5f}",
        f"  baseline score: {test.defaults[test.metric]:.5f} (the settings given)",
        f"  gain: {test.gain:.5f}, standard error {test.noise:.5f}",
        f"trial: {'none' if result.chosen is None else result.chosen} of {len(result.counted)}",
        f"version: {__version__}",
        f"command: {command}",
    ]
    comments = "".join(f"# {line}\n" for line in lines)
    return comments + yaml.safe_dump(sections, sort_keys=False)


def summary(result: TuningResult, command: str) -> dict[str, Any]:
    """What was found, for programs; the trials are in the table."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "study": result.study,
        "metrics": list(result.metrics),
        "trials": len(result.counted),
        "pruned": sum(row.state == "pruned" for row in result.counted),
        "on_part": None if result.on_part is None else list(result.on_part),
        "searched": list(result.searched),
        "front": list(result.front),
        "chosen": result.chosen,
        "params": dict(result.params),
        "test": asdict(result.test),
        "importances": {metric: dict(shares) for metric, shares in result.importances.items()},
    }


def _trials_table(result: TuningResult) -> str:
    """Tab-separated, a line a trial."""
    keys = list(dict.fromkeys(key for row in result.rows for key in row.params))
    header = ["stage", "trial", "state", "label", *result.metrics, "seconds", "retry_of", "parts", "note", *keys]
    lines = ["\t".join(header)]
    for row in result.rows:
        again = "" if row.retry_of is None else str(row.retry_of)
        cells = [
            row.stage,
            str(row.number),
            row.state,
            row.label,
            *(figure_text(row.values[m]) for m in result.metrics),
        ]
        cells += [figure_text(row.seconds), again, row.parts, " ".join(row.note.split())]
        cells += [figure_text(row.params[key]) if key in row.params else "" for key in keys]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


# --- pictures


def paint_history(axes: Axes, result: TuningResult, metric: str) -> None:
    """The score of each trial of the search by its number, and the best so far; a line where one was pruned."""
    lower = result.metrics[metric]
    done = [row for row in result.counted if row.state == "complete"]
    numbers, values = [row.number for row in done], [row.values[metric] for row in done]
    best = [(min if lower else max)(values[: i + 1]) for i in range(len(values))]
    axes.scatter(numbers, values, s=12, color=BLUE, label="trial", zorder=3)
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far", zorder=2)
    for row in done:
        if row.label == DEFAULTS:
            axes.axhline(row.values[metric], color=GREY, linestyle="--", label="settings given", zorder=1)
    for row in result.counted:
        if row.state == "pruned":
            axes.axvline(row.number, color=PURPLE, alpha=0.4, linewidth=1, zorder=0)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{metric} ({'lower' if lower else 'higher'} is better)")
    axes.legend()


def paint_importance(axes: Axes, result: TuningResult, metric: str) -> None:
    """The share of the spread of a metric that a setting accounts for, the greatest first."""
    largest = sorted(result.importances[metric].items(), key=lambda item: -item[1])[:SHOWN_IMPORTANCES]
    axes.barh([key for key, _ in largest][::-1], [share for _, share in largest][::-1], color=BLUE)
    axes.set_xlabel(f"importance for {metric} (PED-ANOVA)" if largest else "too few trials to tell")


Painter = Callable[["Axes", TuningResult, str], None]


def _save(path: Path, paint: Painter, result: TuningResult, plot: PlotSettings) -> None:
    """A picture of its own, a panel a metric, in the format of `plot`."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": plot.fontsize, "svg.hashsalt": "imputevae", **PLAIN_TEXT}):
        figure = Figure(figsize=(10 * len(result.metrics), 7), layout="constrained")
        panels = figure.subplots(1, len(result.metrics), squeeze=False)[0]
        for axes, metric in zip(panels, result.metrics, strict=True):
            paint(axes, result, metric)
            if plot.despine:
                axes.spines[["top", "right"]].set_visible(False)
        # No dates in the file: the same study draws the same bytes
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(plot.fmt)
        figure.savefig(path, format=plot.fmt, dpi=plot.dpi, metadata=metadata)
