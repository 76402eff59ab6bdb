"""The page of a study: what it found, how the search went, which settings matter, and every trial."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from imputevae_cli import __version__
from imputevae_cli.report.figure import Figure, Key
from imputevae_cli.report.page import Card, Table, render
from imputevae_cli.report.plot import LOW_ROW, Axis, Plot, tall
from imputevae_cli.report.tuning_words import SHOWN_IMPORTANCES, figure_text, verdict
from imputevae_cli.tuning.result import DEFAULTS, TrialRow, TuningResult


def render_tuning(result: TuningResult, command: str) -> str:
    """The page of a study, as HTML."""
    changed = _changed(result)
    links = [("test", "The test"), ("figures", "How the search went"), ("trials", "Trials")]
    if changed:
        links.insert(1, ("changed", "What the chosen trial changes"))
    return render(
        "tuning.html.jinja",
        title=f"Study {result.study}",
        software={"name": "imputevae", "version": __version__, "command": command},
        level="care" if result.chosen is None or not result.test.won else "yes",
        verdict=verdict(result),
        searched=_searched(result),
        cards=_cards(result),
        links=links,
        test=_test(result),
        changed=changed,
        figures=[make(result, metric) for make in (history, importance) for metric in result.metrics],
        trials=_trials(result),
    )


def _searched(result: TuningResult) -> str:
    words = f"{len(result.counted):,} trials searched {len(result.searched):,} settings"
    if result.on_part:
        samples, loci = result.on_part
        words += f", on {samples:,} samples x {loci:,} loci; the best of them were run again on all data"
    return f"{words}."


def _cards(result: TuningResult) -> list[Card]:
    test = result.test
    metric = test.metric
    return [
        Card(
            f"{test.chosen[metric]:.4f}",
            f"{metric} of the chosen settings, on {test.n:,} known calls that the study never saw",
            f"settings given: {test.defaults[metric]:.4f}",
        ),
        Card(f"{test.gain:.4f}", f"gained in {metric}", f"standard error {test.noise:.4f}"),
    ]


def _test(result: TuningResult) -> Table:
    test = result.test
    rows = [[name, f"{test.chosen[name]:.5f}", f"{test.defaults[name]:.5f}"] for name in test.chosen]
    rows.append([f"gain in {test.metric}, and its standard error", f"{test.gain:.5f}", f"{test.noise:.5f}"])
    caption = f"On {test.n:,} known calls that the study never saw."
    return Table("The test", caption, ("metric", "chosen", "settings given"), rows)


def _changed(result: TuningResult) -> Table | None:
    """Setting, chosen value, value of the trial with the settings given; None where nothing differs."""
    given: TrialRow = next(r for r in result.rows if r.label == DEFAULTS and r.stage == "search" and r.params)
    pairs = [(key, value, given.params.get(key)) for key, value in result.params.items()]
    rows = [(key, figure_text(new), figure_text(old)) for key, new, old in pairs if new != old]
    return (
        Table("Changed settings", "Settings in which the two differ.", ("setting", "chosen", "given"), rows)
        if rows
        else None
    )


def _trials(result: TuningResult) -> Table:
    rows = [
        [
            f"{row.stage} {row.number}",
            row.state,
            *(figure_text(row.values[metric]) for metric in result.metrics),
            figure_text(row.seconds),
            *(figure_text(row.params[key]) if key in row.params else "" for key in result.searched),
            f"{row.label} {row.note}",
        ]
        for row in result.rows
    ]
    chosen = [i for i, row in enumerate(result.rows) if row.stage == "search" and row.number == result.chosen]
    columns = ("trial", "state", *result.metrics, "seconds", *result.searched, "note")
    return Table("Trials", "Every trial, in order; the chosen one is shaded.", columns, rows, chosen)


def history(result: TuningResult, metric: str) -> Figure:
    """The score of each trial of the search by its number, and the best so far."""
    done = [row for row in result.counted if row.state == "complete"]
    numbers, values = [row.number for row in done], [row.values[metric] for row in done]
    best = list(accumulate(values, min if result.metrics[metric] else max))
    given = [row.values[metric] for row in done if row.label == DEFAULTS]
    pruned = sum(row.state == "pruned" for row in result.counted)
    left_out = f" {pruned:,} trials were ended early, and are not shown." if pruned else ""
    return Figure(
        f"history-{metric}",
        f"{metric}, trial by trial",
        f"One point per trial. The line is the best so far, the dotted one the settings given.{left_out}",
        f"{metric} of {len(done)} trials; the best is {figure_text(best[-1]) if best else 'not known'}.",
        _history_plot(result, metric, list(zip(numbers, values, best, strict=True)), given).svg(),
        ("trial", metric, "best_so_far"),
        list(zip(numbers, values, best, strict=True)),
        (Key("trial"), Key("best so far", 1, "line"), *([Key("settings given", kind="rule")] if given else [])),
    )


def _history_plot(
    result: TuningResult, metric: str, trials: list[tuple[int, float, float]], given: list[float]
) -> Plot:
    """trials: number, value and best so far of each. given: values of the settings given."""
    values = [value for _, value, _ in trials] or [0.0, 1.0]
    room = 0.06 * (max(values) - min(values)) if trials else 0.0
    last = max((row.number for row in result.counted), default=0)
    better = "lower" if result.metrics[metric] else "higher"
    plot = Plot(
        Axis.of("trial", -0.5, last + 0.5),
        Axis.of(f"{metric} ({better} is better)", min(values) - room, max(values) + room),
    )
    for value in given:
        plot.rule((-0.5, value), (last + 0.5, value))
    if trials:
        plot.steps([(number, best) for number, _, best in trials], 1)
    plot.points([(n, value, f"trial {n}: {figure_text(value)}") for n, value, _ in trials], 0, 3.5)
    return plot


def importance(result: TuningResult, metric: str) -> Figure:
    """The share of the spread of a metric that a setting accounts for, the greatest first."""
    largest: Sequence[tuple[str, float]] = sorted(result.importances[metric].items(), key=lambda item: -item[1])
    largest = largest[:SHOWN_IMPORTANCES]
    names = [key for key, _ in largest] or ["too few trials to tell"]
    top = max((share for _, share in largest), default=1.0)
    plot = Plot(
        Axis.of("share of the spread between trials", 0, 1.05 * top, percent=True),
        Axis.rows(names),
        tall(len(names), LOW_ROW),
    )
    plot.bars([(share, i, f"{key}: {share:.1%}") for i, (key, share) in enumerate(largest)], 0, 0.7, lying=True)
    shown = "; ".join(f"{key} {share:.1%}" for key, share in largest) or "too few trials to tell"
    return Figure(
        f"importance-{metric}",
        f"Which settings matter for {metric}?",
        "How much of the spread of the score between trials each setting accounts for (PED-ANOVA).",
        f"Importance of the settings for {metric}: {shown}.",
        plot.svg(),
        ("setting", "importance"),
        largest,
    )
