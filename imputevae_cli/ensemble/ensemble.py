"""A fitted model: its decoders, and the gate that weighs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence_frequencies import posterior
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import surroundings
from imputevae_cli.data.unseen import NOTHING, log_unseen
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import (
    Context,
    Drawing,
    FittedDecoder,
    Phased,
    Posterior,
    Setting,
    loci_at_once,
    log_of,
)
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.errors import CheckpointError


@dataclass
class Mixed:
    """What the decoders say of the samples of a cohort, weighed by the gate. unseen: see `log_unseen`."""

    cohort: Cohort
    parts: Mapping[str, Posterior]
    gate: Gate
    unseen: np.ndarray
    _held: tuple[int, np.ndarray] | None = field(default=None, init=False, repr=False)  # the block computed last

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `Posterior`. The loci are computed in blocks that do not hang on what is asked for: any stretch of the
        file gets the same bytes as the whole of it, which sums over batches of other sizes would not give."""
        size = loci_at_once(len(self.cohort.calls))
        pieces = []
        for first in range(start - start % size, stop, size):
            block = self._block(first, min(first + size, self.cohort.n_loci))
            pieces.append(block[:, max(start - first, 0) : stop - first])
        return np.concatenate(pieces, 1) if len(pieces) > 1 else pieces[0]

    def _block(self, start: int, stop: int) -> np.ndarray:
        """`gp` of one block; the last one is held, since the next stretch may begin in its midst."""
        if self._held is None or self._held[0] != start:
            self._held = None  # before the next takes its place in memory
            self._held = start, self._compute(start, stop)
        return self._held[1]

    def _compute(self, start: int, stop: int) -> np.ndarray:
        cohort = self.cohort
        evidence = cohort.evidence
        asked = cohort.calls[:, start:stop] == MISSING
        if evidence is not None:
            asked |= evidence.uncertain(slice(None), start, stop)
        gp = np.zeros((*asked.shape, cohort.ploidy + 1), np.float32)
        if asked.any():
            samples, loci = np.nonzero(asked)
            block = slice(start, stop)
            around = surroundings(cohort.calls, cohort.chrom_codes, cohort.ploidy, self.unseen, block, (samples, loci))
            possible = partial(cohort.possible, samples=samples, loci=start + loci)
            logs = {name: log_of(possible(self.parts[name].gp(start, stop)[asked])) for name in self.gate.parts}
            gp[asked] = possible(self.gate.mix(logs, around))
            if evidence is not None:  # what the decoders say comes from the other cells: a cell's own reads come here
                gp[asked] = posterior(gp[asked], evidence.block(slice(None), start, stop)[asked])
        return gp

    def draw(self, number: int, n_samples: int) -> np.ndarray | None:
        """Draw `number` of the first samples' genotypes, int8 (n_samples, L), joint along each chromosome; None where
        no decoder that makes such draws carries most of the weight."""
        for name, part in self.parts.items():
            if isinstance(part, Drawing) and self.gate.shares[name] > 0.5:
                return part.draw(number, 0, n_samples)
        return None

    @property
    def phased(self) -> Phased | None:
        """The posterior that knows phase, if there is one."""
        return next((part for part in self.parts.values() if isinstance(part, Phased)), None)


@dataclass
class Ensemble:
    """The fitted decoders and the gate that weighs them: what a fit leaves behind.

    fitted: decoders by name, those that the gate mixes and those that these, or the user, read. notes: why decoders
    were left out before the gate saw them.
    """

    cohort: Cohort
    fitted: dict[str, FittedDecoder]
    gate: Gate
    notes: list[str]

    def fill(self, context: Context) -> Mixed:
        """Genotype probabilities of the cohort that was fitted, from all its known calls."""
        context = replace(context, fitted=self.fitted)
        parts = {name: self.fitted[name].for_cohort(context) for name in self.gate.parts}
        return Mixed(self.cohort, parts, self.gate, log_unseen(self.cohort.calls, self.cohort.ploidy))

    def fill_others(self, others: Cohort, context: Context) -> Mixed:
        """Genotype probabilities of samples that the model was not fitted on, at its loci."""
        size, wanted = loci_at_once(len(others.calls)), context.wanted
        if wanted is not None:  # to the edges of the blocks that will be computed
            wanted = wanted[0] - wanted[0] % size, min(wanted[1] + -wanted[1] % size, others.n_loci)
        context = replace(context, fitted=self.fitted, wanted=wanted)
        parts = {name: self.fitted[name].for_samples(others, context) for name in self.gate.parts}
        return Mixed(others, parts, self.gate, NOTHING)  # the loci were not chosen by what others show

    def having(self, attribute: str) -> Any:
        """The first fitted decoder that has this attribute, or None."""
        return next((one for one in self.fitted.values() if hasattr(one, attribute)), None)

    def learned_settings(self) -> dict[str, Any]:
        """Dotted settings that were left open, and what rules and trials made of them."""
        learned = [registry.get(name).learned_settings(self.fitted[name]) for name in self.gate.parts]
        return {key: value for values in learned for key, value in values.items()}

    def without_samples(self) -> Ensemble:
        """The same without the samples that it was fitted on. Raises ValueError where a part cannot do without."""
        kept = {name: one for name, one in self.fitted.items() if hasattr(one, "without_samples")}
        if missing := [name for name in self.gate.parts if name not in kept]:
            raise ValueError(", ".join(missing))
        kept = {name: one.without_samples() for name, one in kept.items()}
        first: Any = next(iter(kept.values()))  # what can do without them holds a cohort of none
        return replace(self, cohort=first.cohort, fitted=kept)

    def state(self) -> dict[str, Any]:
        """All but the cohort, as plain types and tensors, for a checkpoint."""
        return {
            "decoders": {name: one.state() for name, one in self.fitted.items()},
            "gate": self.gate.state_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], setting: Setting) -> Ensemble:
        """What `state` wrote. Raises CheckpointError, KeyError, RuntimeError or ValueError where it does not fit."""
        unknown = set(state["decoders"]) - set(registry.names())
        if unknown:
            raise CheckpointError(f"the model has decoders that this version lacks: {', '.join(sorted(unknown))}")
        fitted = {name: registry.get(name).from_state(one, setting) for name, one in state["decoders"].items()}
        return cls(setting.cohort, fitted, Gate.from_state_dict(state["gate"]), state["notes"])
