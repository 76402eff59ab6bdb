"""The gate: how much each part of the model is believed, fitted on calls that were hidden from all of them.

What the calls cannot tell, simulated files have told beforehand (`mixture.Prior`). A part is left out where it surely
adds next to nothing, since to fill with it takes time; a freedom is kept where cross-fitting shows that it pays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.ensemble import mixture
from imputevae_cli.ensemble.mixture import Cells, Kind, Parameters, Prior
from imputevae_cli.errors import CheckpointError

WORTH = 5e-4
"""Log loss (nats) of a part that is worth its time: it is left out if, by two standard errors, it adds less."""
WORTH_OF_LOSS = 0.02
"""Share of the log loss that a part must seem to take off in a screen, to be fitted in full. Set after seeing a chip's
file and one of half-sibs, where nearest neighbours took half of all the time for 1 to 2 %, and .0002 of NRD."""
FREEDOM = 1e-4
"""Log loss that the network must gain in cross-fitting, or two standard errors if more."""
INBREEDING = 0.001
"""Share of the log loss that a bias of heterozygotes by inbreeding must gain in cross-fitting, beyond a standard error.
Inbred lines gain .1 to 2 % and more; what outbred samples gain does not hold outside the hidden calls."""
ENOUGH = 300
"""With fewer held-out calls there is neither a network nor a bias of heterozygotes."""

_FOLDS = 4
_MAX_CELLS = 60_000  # cells to fit on: more change the third decimal of a weight
_LEAST = 1e-4  # probabilities below this are raised to it, so that no part can veto a call

_PLAIN = Kind()
_ALL = -1  # in place of a fold: that none is left out


@dataclass
class Gate:
    """Weights of the parts of a model.

    parts: names of the parts that are mixed, in the order of the weights. parameters: see `mixture.Parameters`.
    centre, spread: float64 (F - 3 + P,), of the features that steer and the parts' confidence. losses: cross-fitted log
    loss of each part as it is, and of "mixture". dropped: why each part that is not mixed is left out. shares: mean
    weight of each part kept. n_cells: hidden calls that decided.
    """

    parts: tuple[str, ...]
    parameters: Parameters
    centre: Tensor
    spread: Tensor
    losses: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    n_cells: int = 0

    @classmethod
    def fit(
        cls,
        log_gp: Mapping[str, np.ndarray],
        target: np.ndarray,
        features: np.ndarray,
        *,
        prior: Prior | None = None,
        groups: np.ndarray | None = None,
        seed: int = 0,
    ) -> Gate:
        """Choose and weigh the parts on hidden calls.

        log_gp: part -> float (M, C), log probabilities of the M hidden calls. target: the calls, int (M,), or where
        these are uncertain their likelihoods, float (M, C). features: float (M, F), of which the last four bear on
        heterozygotes: rarity, how much commoner carriers are than they seem, and how many more heterozygotes
        there are than expected, at the locus and in the sample around. All but the last three steer, that is may decide
        whom to believe, as do the parts' confidences, which are added here.
        prior: what is expected of the weights beforehand.
        groups: int (M,), cells of one group (a locus, say) are never on both sides of a cross-fit.
        """
        return _HiddenCalls.of(log_gp, target, features, prior, groups, seed).gate()

    def fitted_to(
        self, log_gp: Mapping[str, np.ndarray], target: np.ndarray, features: np.ndarray, *, prior: Prior | None = None
    ) -> Gate:
        """A gate of the same parts and freedoms, whose weights other hidden calls decide; see `fit`."""
        het = self.parameters.get("het")
        kind = Kind(0 if het is None else len(het), "hidden" in self.parameters)
        return _HiddenCalls.of(log_gp, target, features, prior, None, 0).weighed(self.parts, kind)

    def mix(self, log_gp: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        """Genotype probabilities, float32 (M, C), of cells with these log probabilities and features; see `fit`."""
        stack = _stack([log_gp[name] for name in self.parts])
        inputs = (_with_confidence(stack, features) - self.centre) / self.spread
        return torch.softmax(mixture.logits(self.parameters, stack, inputs, _of_hets(features)), -1).float().numpy()

    def summary(self) -> str:
        """One line: the weight of each part in per cent, and why the others were left out."""
        weights = ", ".join(f"{name} {100 * self.shares[name]:.0f} %" for name in self.parts)
        reasons = "; ".join(f"{name} skipped: {reason}" for name, reason in self.dropped.items())
        return f"{weights}; {reasons}" if reasons else weights

    def state_dict(self) -> dict[str, Any]:
        """Plain types and tensors from which `from_state_dict` rebuilds the gate."""
        return {**vars(self), "parts": list(self.parts)}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Gate:
        """The gate that `state_dict` describes. Raises CheckpointError when the keys do not fit."""
        try:
            return cls(**{**state, "parts": tuple(state["parts"])})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the checkpoint's gate cannot be read ({error}); train the model again") from error


def is_idle(
    name: str,
    log_gp: Mapping[str, np.ndarray],
    target: np.ndarray,
    features: np.ndarray,
    *,
    prior: Prior | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> bool:
    """Whether one part takes too little off the log loss of a mixture of the others, in cross-fitting, to be worth its
    time; see `Gate.fit`."""
    return _HiddenCalls.of(log_gp, target, features, prior, groups, seed).is_idle(name)


@dataclass
class _HiddenCalls:
    """What a gate is chosen by: log probabilities of each part (M, C), target, features (M, F), the fold of each cell
    (M,) and what is expected of the weights; known: every mixture that was fitted so far, by its parts, the fold that
    it did not see, and its kind."""

    log_gp: dict[str, np.ndarray]
    target: Tensor
    features: np.ndarray
    fold: np.ndarray
    prior: Prior
    known: dict[tuple[tuple[str, ...], int, Kind], Parameters] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        log_gp: Mapping[str, np.ndarray],
        target: np.ndarray,
        features: np.ndarray,
        prior: Prior | None,
        groups: np.ndarray | None,
        seed: int,
    ) -> _HiddenCalls:
        """See `Gate.fit`."""
        rng = np.random.default_rng(seed)
        chosen = _choose_cells(len(target), rng)
        groups = np.arange(len(chosen)) if groups is None else np.asarray(groups)[chosen]
        logs = {name: gp[chosen] for name, gp in log_gp.items()}
        features = np.asarray(features, float)[chosen]
        return cls(logs, _target_of(target[chosen]), features, _folds(groups, rng), prior or Prior())

    def cells(self, parts: tuple[str, ...]) -> Cells:
        """The calls as a mixture of these parts sees them."""
        return cells_of({name: self.log_gp[name] for name in parts}, self.target, self.features)

    def gate(self) -> Gate:
        """The gate that these calls ask for."""
        parts, dropped = self._without_idle(tuple(self.log_gp))
        kind, losses = self._richest(parts)
        alone = {name: mixture.losses(_stack([gp])[:, 0], self.target) for name, gp in self.log_gp.items()}
        means = {name: float(loss.mean()) for name, loss in alone.items()} | {"mixture": float(losses.mean())}
        return replace(self.weighed(parts, kind), losses=means, dropped=dropped)

    def weighed(self, parts: tuple[str, ...], kind: Kind) -> Gate:
        """The gate over these parts that is a mixture of this kind."""
        cells = self.cells(parts)
        parameters = self._fitted(kind, cells, _ALL)
        shares = torch.softmax(mixture.steer(parameters, cells.inputs)[0], -1).mean(0)
        return Gate(
            parts=parts,
            parameters=parameters,
            centre=cells.centre,
            spread=cells.spread,
            shares=dict(zip(parts, shares.tolist(), strict=True)),
            n_cells=len(self.target),
        )

    def is_idle(self, name: str) -> bool:
        """Whether a part adds too little to a mixture of the others, in cross-fitting."""
        others = tuple(part for part in self.log_gp if part != name)
        without = self._cross_fit(others, _PLAIN).mean()
        gain = without - self._cross_fit((*others, name), _PLAIN).mean()
        return bool(gain < max(WORTH, WORTH_OF_LOSS * without))

    def _without_idle(self, parts: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Leave out each part that surely adds next to nothing, the least missed first, and say why."""
        dropped = {}
        losses = self._cross_fit(parts, _PLAIN)
        while len(parts) > 1:
            fewer = {kept: self._cross_fit(kept, _PLAIN) for kept in combinations(parts, len(parts) - 1)}
            kept = min(fewer, key=lambda k: fewer[k].mean())
            gain = fewer[kept] - losses
            most = gain.mean() + 2 * _error(gain)
            if most >= WORTH:
                break
            (name,) = set(parts) - set(kept)
            dropped[name] = f"adds {max(gain.mean(), 0):.4f} nats a call, {max(most, 0):.4f} at most"
            parts, losses = kept, fewer[kept]
        return parts, dropped

    def _richest(self, parts: tuple[str, ...]) -> tuple[Kind, np.ndarray]:
        """The kind of mixture, and its losses (M,) in cross-fitting: with each freedom only where that surely pays."""
        if len(self.target) < ENOUGH:
            return _PLAIN, self._cross_fit(parts, _PLAIN)
        kind = Kind(mixture.RARE_FEATURES)
        losses = self._cross_fit(parts, kind)
        for_inbred = Kind(mixture.HET_FEATURES)
        inbred = self._cross_fit(parts, for_inbred)
        gain = losses - inbred
        if gain.mean() - _error(gain) > INBREEDING * losses.mean():
            kind, losses = for_inbred, inbred
        with_network, half = replace(kind, network=True), self.fold < _FOLDS // 2
        if losses[half].mean() <= self._cross_fit(parts, with_network, half)[half].mean():
            return kind, losses  # most networks lose, and they take longer to fit than all else
        networked = self._cross_fit(parts, with_network)
        gain = losses - networked
        if gain.mean() > max(FREEDOM, 2 * _error(gain)):
            kind, losses = with_network, networked
        return kind, losses

    def _cross_fit(self, parts: tuple[str, ...], kind: Kind, of: np.ndarray | None = None) -> np.ndarray:
        """Log loss (M,) of each cell under parameters that were fitted without its fold.

        of: bool (M,), the folds that it is wanted of; it is NaN elsewhere. None wants all.
        """
        cells, losses = self.cells(parts), np.full(len(self.target), np.nan)
        for fold in np.unique(self.fold if of is None else self.fold[of]).tolist():
            inside, outside = np.flatnonzero(self.fold == fold), np.flatnonzero(self.fold != fold)
            seen = cells.take(outside)
            parameters = self._fitted(kind, seen, fold) if len(outside) else mixture.as_expected(seen, self.prior)
            losses[inside] = cells.take(inside).losses(parameters).numpy()
        return losses

    def _fitted(self, kind: Kind, cells: Cells, fold: int) -> Parameters:
        """A mixture of the cells outside a fold, each fitted once: the kinds are compared, and begin where a simpler
        one ended."""
        key = cells.parts, fold, kind
        if key not in self.known:
            simpler = None if kind.simpler is None else self._fitted(kind.simpler, cells, fold)
            self.known[key] = mixture.fitted(kind, cells, self.prior, simpler)
        return self.known[key]


def _error(gain: np.ndarray) -> float:
    """Standard error of the mean of gains, (M,)."""
    return float(gain.std() / np.sqrt(len(gain)))


def cells_of(log_gp: Mapping[str, np.ndarray], target: np.ndarray | Tensor, features: np.ndarray) -> Cells:
    """Hidden calls as a mixture of all of these parts sees them; as in `Gate.fit`, or with a target made by it."""
    stack = _stack(list(log_gp.values()))
    inputs = _with_confidence(stack, features)
    centre, spread = inputs.mean(0), inputs.std(0, unbiased=False).clamp_min(1e-6)
    target = _target_of(target) if isinstance(target, np.ndarray) else target
    return Cells(tuple(log_gp), stack, (inputs - centre) / spread, _of_hets(features), target, centre, spread)


def _of_hets(features: np.ndarray) -> Tensor:
    """What the bias of heterozygotes may go by, float64 (M, HET_FEATURES); features: see `Gate.fit`."""
    rarity, unseen, excess = np.split(np.asarray(features, float)[:, -4:], [1, 2], 1)
    return torch.as_tensor(np.hstack([unseen, rarity, np.ones_like(rarity), excess]))


def _folds(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The fold of each cell, int64 (M,); cells of one group are in one."""
    codes = np.unique(groups, return_inverse=True)[1]
    return rng.permutation(np.arange(codes.max() + 1) % _FOLDS)[codes]


def _target_of(target: np.ndarray) -> Tensor:
    """Calls, int (M,), as int64; likelihoods, float (M, C), as their logarithms, float64."""
    if target.ndim == 1:
        return torch.from_numpy(target.astype(np.int64))
    return torch.log(torch.as_tensor(target, dtype=torch.float64).clamp_min(1e-12))


def _stack(parts: list[np.ndarray]) -> Tensor:
    """Log probabilities (M, P, C), float64, no smaller than the log of `_LEAST` and normalised again."""
    stack = torch.stack([torch.as_tensor(part, dtype=torch.float64) for part in parts], 1)
    return torch.log_softmax(stack.clamp_min(np.log(_LEAST)), -1)


def _with_confidence(stack: Tensor, features: np.ndarray) -> Tensor:
    """The features that steer, with each part's greatest log probability beside them, float64 (M, F - 3 + P)."""
    return torch.cat([torch.as_tensor(np.asarray(features, float)[:, :-3]), stack.max(-1).values], 1)


def _choose_cells(n_cells: int, rng: np.random.Generator) -> np.ndarray:
    """All cells, or a random choice of so many as are worth their time, int64, rising."""
    if n_cells <= _MAX_CELLS:
        return np.arange(n_cells)
    return np.sort(rng.choice(n_cells, _MAX_CELLS, replace=False))
