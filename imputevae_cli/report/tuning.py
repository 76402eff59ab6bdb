"""What a study leaves behind: the settings to go on with, a table of its trials, pictures, and a page of all that."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli import __version__
from imputevae_cli.config import PlotSettings
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.tuning.result import DEFAULTS, TrialRow, TuningResult
from imputevae_cli.tuning.space import OF_OUTPUT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = "# imputevae tune, study "
"""How the settings' file begins; the study's name follows."""
SHOWN_IMPORTANCES = 15
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


def is_of_study(path: Path, study: str) -> bool:
    """Whether a settings' file was written by the study of this name."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n") == HEADER + study
    except (OSError, UnicodeDecodeError):
        return False


def write_tuning(files: TuningFiles, result: TuningResult, plot: PlotSettings, command: str) -> None:
    """Every file of a study, the settings last: where they are, the rest is too. Raises OutputError."""
    _write_text(files.trials, _trials_table(result))
    drawings = {files.history: draw_history, files.importance: draw_importance}
    for path, draw in drawings.items():
        _save(path, draw, result, plot)
    _write_text(files.summary, json.dumps(summary(result, command), indent=1) + "\n")
    _write_text(files.page, _page(result, plot, command))
    _write_text(files.best, settings_text(result, command))


def settings_text(result: TuningResult, command: str) -> str:
    """The settings as YAML, with what they are and how good as comments before them."""
    import yaml

    test = result.test
    kept = result.config.to_dict()
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


def verdict(result: TuningResult) -> str:
    """One line: whether tuning won."""
    test = result.test
    if result.chosen is None:
        return "no trial was better than the settings given, which are written here"
    if not test.won:
        return (
            f"trial {result.chosen} is not better than the settings given beyond the noise ({test.metric} "
            f"{test.chosen[test.metric]:.4f}, theirs {test.defaults[test.metric]:.4f}); those are written here"
        )
    return (
        f"trial {result.chosen} is better than the settings given ({test.metric} "
        f"{test.chosen[test.metric]:.4f}, theirs {test.defaults[test.metric]:.4f})"
    )


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


def _write_text(path: Path, text: str) -> None:
    with atomic_output(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _trials_table(result: TuningResult) -> str:
    """Tab-separated, a line a trial."""
    keys = list(dict.fromkeys(key for row in result.rows for key in row.params))
    header = ["stage", "trial", "state", "label", *result.metrics, "seconds", "retry_of", "parts", "note", *keys]
    lines = ["\t".join(header)]
    for row in result.rows:
        again = "" if row.retry_of is None else str(row.retry_of)
        cells = [row.stage, str(row.number), row.state, row.label, *(_number(row.values[m]) for m in result.metrics)]
        cells += [_number(row.seconds), again, row.parts, " ".join(row.note.split())]
        cells += [_number(row.params[key]) if key in row.params else "" for key in keys]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def _number(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


# --- pictures


def draw_history(result: TuningResult, figure: Figure) -> None:
    """The score of each trial of the search by its number, and the best so far; a panel a metric."""
    panels = figure.subplots(1, len(result.metrics), squeeze=False)[0]
    for axes, (metric, lower) in zip(panels, result.metrics.items(), strict=True):
        done = [row for row in result.counted if row.state == "complete"]
        numbers, values = [row.number for row in done], [row.values[metric] for row in done]
        best = [(min if lower else max)(values[: i + 1]) for i in range(len(values))]
        axes.scatter(numbers, values, s=30, color="tab:blue", label="trial", zorder=2)
        axes.step(numbers, best, where="post", color="tab:orange", label="best so far", zorder=1)
        for row in done:
            if row.label == DEFAULTS:
                axes.axhline(row.values[metric], color="tab:grey", linestyle="--", label="settings given")
        pruned = [row.number for row in result.counted if row.state == "pruned"]
        for number in pruned:
            axes.axvline(number, color="tab:red", alpha=0.2, linewidth=1)
        axes.set_xlabel("trial")
        axes.set_ylabel(f"{metric} ({'lower' if lower else 'higher'} is better)")
        axes.legend(fontsize="small")


def draw_importance(result: TuningResult, figure: Figure) -> None:
    """The share of the spread of each metric that a setting accounts for, the greatest first."""
    panels = figure.subplots(1, len(result.metrics), squeeze=False)[0]
    for axes, metric in zip(panels, result.metrics, strict=True):
        found = result.importances[metric]
        largest = sorted(found.items(), key=lambda item: -item[1])[:SHOWN_IMPORTANCES]
        axes.barh([key for key, _ in largest][::-1], [share for _, share in largest][::-1], color="tab:blue")
        axes.set_xlabel("importance (PED-ANOVA)" if largest else "too few trials to tell")
        axes.set_title(metric)


def _draw(draw: Callable[[TuningResult, Figure], None], result: TuningResult, plot: PlotSettings):
    """A figure of its own, apart from pyplot."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": plot.fontsize, "svg.hashsalt": "imputevae"}):
        figure = Figure(figsize=(10 * len(result.metrics), 7), layout="constrained")
        draw(result, figure)
        for axes in figure.axes if plot.despine else ():
            axes.spines[["top", "right"]].set_visible(False)
    return figure


# No dates in the files: the same study draws the same bytes
_METADATA: Mapping[str, dict] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def _save(path: Path, draw: Callable[[TuningResult, Figure], None], result: TuningResult, plot: PlotSettings) -> None:
    figure = _draw(draw, result, plot)
    with atomic_output(path) as temporary:
        figure.savefig(temporary, format=plot.fmt, dpi=plot.dpi, metadata=_METADATA.get(plot.fmt))


def _svg(draw: Callable[[TuningResult, Figure], None], result: TuningResult, plot: PlotSettings) -> str:
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "imputevae", "svg.fonttype": "none"}):
        _draw(draw, result, plot).savefig(out, format="svg", metadata=_METADATA["svg"])
    text = out.getvalue()
    return text[text.index("<svg") :]


# --- the page

_TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>imputevae tune: {{ result.study }}</title>
<style>
body { font-family: sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 85% } td, th { padding: .2em .6em; border-bottom: 1px solid #ddd }
th { text-align: left } td.n { text-align: right; font-variant-numeric: tabular-nums }
svg { max-width: 100%; height: auto } .scroll { overflow-x: auto } tr.chosen { background: #e8f4e8 }
</style></head><body>
<h1>Study {{ result.study }}</h1>
<p><strong>{{ verdict }}.</strong></p>
<table><tr><th>on {{ "{:,}".format(result.test.n) }} known calls that the study never saw</th>
<th>chosen</th><th>settings given</th></tr>
{% for name in result.test.chosen %}<tr><td>{{ name }}</td><td class="n">{{ "%.5f" % result.test.chosen[name] }}</td>
<td class="n">{{ "%.5f" % result.test.defaults[name] }}</td></tr>
{% endfor %}<tr><td>gain in {{ result.test.metric }}, and its standard error</td>
<td class="n">{{ "%.5f" % result.test.gain }}</td><td class="n">{{ "%.5f" % result.test.noise }}</td></tr></table>
<p>{{ result.counted|length }} trials searched {{ result.searched|length }} settings
{%- if result.on_part %}, on {{ result.on_part[0] }} samples x {{ result.on_part[1] }} loci; the best of them were run
again on all data{% endif %}.</p>
{% if changed %}<h2>What the chosen trial changes</h2>
<table><tr><th>setting</th><th>chosen</th><th>given</th></tr>
{% for key, new, old in changed %}<tr><td>{{ key }}</td><td class="n">{{ new }}</td><td class="n">{{ old }}</td></tr>
{% endfor %}</table>{% endif %}
<h2>History</h2>{{ history|safe }}
<h2>Importance of the settings</h2>{{ importance|safe }}
<h2>Trials</h2>
<div class="scroll"><table><tr><th>stage</th><th>trial</th><th>state</th>
{% for metric in result.metrics %}<th>{{ metric }}</th>{% endfor %}<th>seconds</th>
{% for key in result.searched %}<th>{{ key }}</th>{% endfor %}<th>note</th></tr>
{% for row in result.rows %}<tr{% if row.stage == "search" and row.number == result.chosen %} class="chosen"{% endif %}>
<td>{{ row.stage }}</td><td class="n">{{ row.number }}</td><td>{{ row.state }}</td>
{% for metric in result.metrics %}<td class="n">{{ number(row.values[metric]) }}</td>{% endfor %}
<td class="n">{{ number(row.seconds) }}</td>
{% for key in result.searched %}<td class="n">{{ number(row.params[key]) if key in row.params }}</td>{% endfor %}
<td>{{ row.label }} {{ row.note }}</td></tr>
{% endfor %}</table></div>
<p>imputevae {{ version }}: <code>{{ command }}</code></p>
</body></html>
"""


def _page(result: TuningResult, plot: PlotSettings, command: str) -> str:
    """One HTML page that needs no other file."""
    import jinja2

    template = jinja2.Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(
        result=result,
        verdict=verdict(result),
        changed=_changed(result),
        history=_svg(draw_history, result, plot),
        importance=_svg(draw_importance, result, plot),
        number=_number,
        version=__version__,
        command=command,
    )


def _changed(result: TuningResult) -> list[tuple[str, str, str]]:
    """Setting, chosen value, value of the trial with the settings given."""
    given: TrialRow = next(r for r in result.rows if r.label == DEFAULTS and r.stage == "search" and r.params)
    pairs = [(key, value, given.params.get(key)) for key, value in result.params.items()]
    return [(key, _number(new), _number(old)) for key, new, old in pairs if new != old]
