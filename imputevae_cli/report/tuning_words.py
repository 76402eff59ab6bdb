"""What a study found, in words and as texts of numbers: the same in summary, settings, table and page."""

from __future__ import annotations

import math

from imputevae_cli.tuning.result import TuningResult

SHOWN_IMPORTANCES = 15
"""Settings in a figure of importances."""


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


def figure_text(value: object) -> str:
    """A value for people; nothing where there is none."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)
