"""What a study found, as plain values for the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imputevae_cli.config import Config

DEFAULTS = "defaults"
"""The label of the trial that runs the settings as they were given."""


@dataclass(frozen=True)
class TrialRow:
    """One trial. stage: search, whole (the best on all data) or test. state: complete, pruned, failed, running or
    waiting. values: metrics on the calls that trials are compared by. seconds: NaN where it was not finished.
    """

    stage: str
    number: int
    state: str
    label: str
    values: Mapping[str, float]
    params: Mapping[str, Any]
    seconds: float
    parts: str
    retry_of: int | None
    note: str


@dataclass(frozen=True)
class TestScore:
    """The chosen settings beside those given, on calls that the study never saw.

    metric: by which it is judged. chosen, defaults: metrics by name. gain: by how much the chosen ones are better in
    `metric`; noise: its standard error, over loci. n: scored calls. won: whether the gain is beyond the noise.
    """

    __test__ = False  # no test case, whatever pytest makes of the name

    metric: str
    n: int
    chosen: Mapping[str, float]
    defaults: Mapping[str, float]
    gain: float
    noise: float
    won: bool


@dataclass(frozen=True)
class TuningResult:
    """A finished study.

    metrics: what trials were compared by, and for each whether lower is better. searched: the settings that were
    searched. importances: metric -> setting -> share. front: numbers of the trials that no other beats in every metric.
    chosen: the number of the trial chosen, None where none is better than the settings given. on_part: samples and
    loci that the trials were run on, where that is not all. config: the settings to go on with.
    """

    study: str
    metrics: Mapping[str, bool]
    searched: Sequence[str]
    rows: Sequence[TrialRow]
    importances: Mapping[str, Mapping[str, float]]
    front: Sequence[int]
    chosen: int | None
    params: Mapping[str, Any]
    test: TestScore
    on_part: tuple[int, int] | None
    config: Config

    @property
    def counted(self) -> list[TrialRow]:
        """The trials of the search that count."""
        return [row for row in self.rows if row.stage == "search" and row.state != "failed"]
