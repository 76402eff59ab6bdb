"""What the gate is fitted on: what each decoder says of calls that were held out from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells, by_blocks, surroundings
from imputevae_cli.data.unseen import log_unseen
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Screen, View, log_of
from imputevae_cli.ensemble.gate import Gate, is_idle
from imputevae_cli.ensemble.mixture import Prior
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.seeds import seed_for


def surroundings_of(cohort: Cohort, cells: HiddenCells) -> np.ndarray:
    """What is known around cells of a cohort, float32 (M, F), see `surroundings`."""
    unseen = log_unseen(cohort.calls, cohort.ploidy)
    around = partial(surroundings, cohort.calls, cohort.chrom_codes, cohort.ploidy, unseen)
    return by_blocks(cells, cohort.n_loci, around)


@dataclass(frozen=True)
class HeldOut:
    """Held-out cells, what each decoder says of them, and what is known around them.

    logs: decoder -> float (M, C), log probabilities. around: float32 (M, F), `surroundings`.
    """

    cells: HiddenCells
    logs: dict[str, np.ndarray]
    around: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort, views: Mapping[str, View], cells: HiddenCells) -> HeldOut:
        """Ask each decoder for the cells."""
        return cls(cells, {}, surroundings_of(cohort, cells)).with_all(views)

    def with_all(self, views: Mapping[str, View]) -> HeldOut:
        """The same cells, with what those of `views` say that were not asked yet."""
        late = {name: log_of(view(self.cells)) for name, view in views.items() if name not in self.logs}
        return replace(self, logs=self.logs | late)

    def beside(self, name: str, screen: Screen) -> HeldOut:
        """The cells of a screen, with what it says of them."""
        logs = {part: log[screen.places] for part, log in self.logs.items()} | {name: log_of(screen.gp)}
        return HeldOut(self.cells.take(screen.places), logs, self.around[screen.places])

    def and_also(self, other: HeldOut) -> HeldOut:
        """These cells and those of `other`, which the same decoders were asked for."""
        order = self._order_with(other)
        logs = {name: np.concatenate([log, other.logs[name]])[order] for name, log in self.logs.items()}
        around = np.concatenate([self.around, other.around])[order]
        return HeldOut(self.cells.and_also(other.cells), logs, around)

    def gate(self, seed: int) -> Gate:
        """The gate that these cells ask for."""
        return Gate.fit(self.logs, self.cells.target, self.around, **self._how(seed))

    def weighed_by_others(self, other: HeldOut, gate: Gate) -> np.ndarray:
        """Genotype probabilities of the cells of `and_also`, float32 (M, C): these by `gate` with the weights that
        `other` asks for, those of `other` with the weights that these ask for.

        What the gate is made of stays as all of the cells have it: to choose that again would take as long as the
        gate itself, and so few choices owe next to nothing to a single cell.
        """
        halves = ((self, other), (other, self))
        gp = [half._weights_for(gate).mix(scored.logs, scored.around) for scored, half in halves]
        return np.concatenate(gp)[self._order_with(other)]

    def _weights_for(self, gate: Gate) -> Gate:
        return gate.fitted_to(self.logs, self.cells.target, self.around, prior=self._prior())

    def _order_with(self, other: HeldOut) -> np.ndarray:
        """The order of `HiddenCells.and_also`, int64, of these cells followed by those of `other`."""
        return np.lexsort((np.r_[self.cells.samples, other.cells.samples], np.r_[self.cells.loci, other.cells.loci]))

    def is_idle(self, name: str, seed: int) -> bool:
        """Whether one decoder adds too little to a mixture of the others."""
        return is_idle(name, self.logs, self.cells.target, self.around, **self._how(seed))

    def _how(self, seed: int) -> dict[str, Any]:
        """How a gate is fitted to these cells, and its choices judged."""
        return {"prior": self._prior(), "groups": self.cells.loci, "seed": seed_for(seed, "gate") % 2**31}

    def _prior(self) -> Prior:
        return Prior({name: registry.get(name).role.score for name in self.logs})

    @staticmethod
    def state(held_out: HeldOut) -> dict[str, Any]:
        """All but the cells, as plain types and tensors."""
        return as_tensors({"logs": held_out.logs, "around": held_out.around})

    @classmethod
    def from_state(cls, cells: HiddenCells, state: dict[str, Any]) -> HeldOut:
        """What `state` wrote."""
        return cls(cells, **as_arrays(state))
