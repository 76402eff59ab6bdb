"""What the gate is fitted on: what each part says of calls that were hidden from all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells, pick, surroundings
from imputevae_cli.ensemble.ensemble import FREQUENCIES, log_of
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.seeds import seed_for

View = Callable[[HiddenCells], np.ndarray]
"""Genotype probabilities, float32 (M, C), of cells that a part was not shown."""


@dataclass(frozen=True)
class Glimpse:
    """What a part says after a cheap run on some of the data.

    places: int64 (M,), of the validation cells there, among all of them. gp: float32 (M, C).
    """

    places: np.ndarray
    gp: np.ndarray

    @staticmethod
    def state(glimpse: Glimpse | None) -> dict[str, Any] | None:
        """Plain types and tensors."""
        return None if glimpse is None else as_tensors(vars(glimpse))

    @classmethod
    def from_state(cls, state: dict[str, Any] | None) -> Glimpse | None:
        """What `state` took down."""
        return None if state is None else cls(**as_arrays(state))


@dataclass(frozen=True)
class Evidence:
    """What the gate is fitted on: the validation cells, what each part says of them, and what is known around them.

    logs: part -> float (M, C), log probabilities. around: float32 (M, F), `surroundings`.
    """

    cells: HiddenCells
    logs: dict[str, np.ndarray]
    around: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort, views: Mapping[str, View], cells: HiddenCells) -> Evidence:
        """Ask each part for the cells."""
        around = pick(cells, cohort.n_loci, partial(surroundings, cohort.calls, cohort.chrom_codes, cohort.ploidy))
        return cls(cells, {}, around).with_all(views)

    def with_all(self, views: Mapping[str, View]) -> Evidence:
        """The same cells, with what those of `views` say that were not asked yet."""
        late = {name: log_of(view(self.cells)) for name, view in views.items() if name not in self.logs}
        return replace(self, logs=self.logs | late)

    def beside(self, name: str, glimpse: Glimpse) -> Evidence:
        """The cells of a glimpse, with what it says of them."""
        logs = {part: log[glimpse.places] for part, log in self.logs.items()} | {name: log_of(glimpse.gp)}
        return Evidence(self.cells.take(glimpse.places), logs, self.around[glimpse.places])

    def gate(self, seed: int) -> Gate:
        """The gate that these cells ask for."""
        seed = seed_for(seed, "gate") % 2**31
        return Gate.fit(
            self.logs, self.cells.truth, self.around, fallback=FREQUENCIES, groups=self.cells.loci, seed=seed
        )

    @staticmethod
    def state(evidence: Evidence) -> dict[str, Any]:
        """All but the cells, as plain types and tensors."""
        return as_tensors({"logs": evidence.logs, "around": evidence.around})

    @classmethod
    def from_state(cls, cells: HiddenCells, state: dict[str, Any]) -> Evidence:
        """What `state` took down."""
        return cls(cells, **as_arrays(state))


def asked_together(cells: HiddenCells, ask: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> View:
    """A view of some of `cells` that asks for all of them the first time: what a locus takes is paid once.

    ask: genotype probabilities, float32 (M, C), of samples and loci, int64 (M,) each, by rising locus.
    """
    width = int(cells.samples.max(initial=0)) + 1
    answer = cache(lambda: ask(cells.samples, cells.loci))

    def view(some: HiddenCells) -> np.ndarray:
        return answer()[np.searchsorted(cells.loci * width + cells.samples, some.loci * width + some.samples)]

    return view
