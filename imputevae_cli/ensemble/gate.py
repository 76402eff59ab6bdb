"""The gate: how much each part of the model is believed, fitted on calls that were hidden from all of them.

The mixture is a product of experts, exp(t) * sum over parts of w_p log P_p(call), normalised over the calls; w is a
softmax over the parts and exp(t) the inverse temperature that makes the probabilities mean what they say. Both
may vary with a cell's features through a tiny network. What is kept is what cross-fitting shows to pay: a
part, or a freedom, whose gain is within the noise is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.errors import CheckpointError

WORTH = 5e-4
"""Log loss (nats) that a part or a freedom must gain to be kept, or the standard errors below if they are more."""
ERRORS, ERRORS_UNCERTAIN = 2.0, 1.0
"""Those standard errors, of calls that are certain and of uncertain ones, whose reads add noise of their own to every
gain. The second was set after seeing one low-depth file (box turtles), whose figures all were better by it."""

ENOUGH = 50
"""With fewer hidden calls nothing can be weighed: the fallback is used as it is."""

_FOLDS = 4
_MAX_CELLS = 60_000  # cells to fit on: more change the third decimal of a weight
_UNITS = 8
_ITERATIONS = 40
_PENALTY = 2.0  # ridge on the network's weights, in nats over all cells
_LEAST = 1e-4  # probabilities below this are raised to it, so that no part can veto a call

_Kind = Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]]
"""Parameters of a mixture, from the parts' stack, the inputs and the target."""


@dataclass
class Gate:
    """Weights of the parts of a model.

    parts: names of the parts that are mixed, in the order of the weights. parameters: float64 tensors `part`
    (P,) and `temperature` (1,); with the network also `hidden` (U, F + 1) and `out` (P + 1, U). centre, spread: float64
    (F,), of the features. losses: cross-fitted log loss of each part as it is, and of "mixture". dropped: why each part
    that is not mixed is left out. shares: mean weight of each part kept. n_cells: hidden calls that decided.
    """

    parts: tuple[str, ...]
    parameters: dict[str, Tensor]
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
        fallback: str = "frequencies",
        groups: np.ndarray | None = None,
        seed: int = 0,
    ) -> Gate:
        """Choose and weigh the parts on hidden calls.

        log_gp: part -> float (M, C), log probabilities of the M hidden calls. target: the calls, int (M,), or where
        these are uncertain their likelihoods, float (M, C). features: float (M, F),
        what may decide whom to believe, such as MAF or the distance to the nearest known call; the parts' confidence
        is added here. fallback: the part that is used alone when nothing beats it, if it is among `log_gp`.
        groups: int (M,), cells of one group (a locus, say) are never on both sides of a cross-fit.
        """
        rng = np.random.default_rng(seed)
        chosen = _choose_cells(len(target), rng)
        cells = _Cells.of(
            {name: gp[chosen] for name, gp in log_gp.items()},
            target[chosen],
            np.asarray(features, float)[chosen],
            np.arange(len(chosen)) if groups is None else np.asarray(groups)[chosen],
            rng,
        )
        return _select(cls, cells, fallback)

    def mix(self, log_gp: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        """Genotype probabilities, float32 (M, C), of cells with these log probabilities and features; see `fit`."""
        stack = _stack([log_gp[name] for name in self.parts])
        inputs = (_with_confidence(stack, features) - self.centre) / self.spread
        return torch.softmax(_logits(self.parameters, stack, inputs), -1).float().numpy()

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


@dataclass
class _Cells:
    """Hidden calls: log probabilities float64 (M, P, C), features (M, F), fold of each cell (M,).

    target: the calls, int64 (M,), or the logarithms of their likelihoods, float64 (M, C).
    """

    names: list[str]
    stack: Tensor
    target: Tensor
    features: np.ndarray
    fold: np.ndarray

    @classmethod
    def of(
        cls,
        log_gp: Mapping[str, np.ndarray],
        target: np.ndarray,
        features: np.ndarray,
        groups: np.ndarray,
        rng: np.random.Generator,
    ) -> _Cells:
        codes = np.unique(groups, return_inverse=True)[1]
        fold = rng.permutation(np.arange(codes.max() + 1) % _FOLDS)[codes]
        names = list(log_gp)
        return cls(names, _stack([log_gp[n] for n in names]), _target_of(target), features, fold)

    def part(self, names: Sequence[str]) -> tuple[Tensor, np.ndarray]:
        return self.stack[:, [self.names.index(name) for name in names]], self.features

    def pays(self, before: np.ndarray, after: np.ndarray) -> bool:
        """Whether log losses `after` (M,) are better than `before` by more than `WORTH` and the noise."""
        gain, errors = before - after, ERRORS if self.target.ndim == 1 else ERRORS_UNCERTAIN
        return bool(gain.mean() > max(WORTH, errors * gain.std() / np.sqrt(len(gain))))


def _select(cls: type[Gate], cells: _Cells, fallback: str) -> Gate:
    """The simplest gate that no larger one beats by more than the noise."""
    alone = {name: _losses_as_is(cells, name) for name in cells.names}
    best = min(alone, key=lambda name: alone[name].mean())
    if fallback in alone and not cells.pays(alone[fallback], alone[best]):
        best = fallback
    parts: tuple[str, ...] = (best,)
    kind: _Kind = _as_is
    losses = alone[best]
    if len(cells.target) < ENOUGH:
        dropped = {name: "too few hidden calls to weigh it" for name in cells.names if name != best}
    else:
        parts, kind, losses = _grow(cells, parts, losses)
        parts, losses, dropped = _without_idle(cells, parts, kind, losses)
    stack, features = cells.part(parts)
    inputs, centre, spread = _standard(stack, features)
    parameters = kind(stack, inputs, cells.target)
    shares = torch.softmax(_steer(parameters, inputs)[0], -1).mean(0)
    return cls(
        parts=parts,
        parameters=parameters,
        centre=centre,
        spread=spread,
        losses={name: float(loss.mean()) for name, loss in alone.items()} | {"mixture": float(losses.mean())},
        dropped=dropped | _not_taken_in(cells, parts, dropped, alone, losses),
        shares=dict(zip(parts, shares.tolist(), strict=True)),
        n_cells=len(cells.target),
    )


def _not_taken_in(
    cells: _Cells,
    parts: tuple[str, ...],
    dropped: Mapping[str, str],
    alone: Mapping[str, np.ndarray],
    losses: np.ndarray,
) -> dict[str, str]:
    """Why each part is left out that was never among those that are mixed."""
    reasons = {}
    for name in cells.names:
        if name not in parts and name not in dropped:
            gain = losses.mean() - min(alone[name].mean(), _cross_fit(cells, (*parts, name), _constant).mean())
            reasons[name] = f"adds {max(gain, 0):.4f} nats a call, within the noise"
    return reasons


def _grow(cells: _Cells, parts: tuple[str, ...], losses: np.ndarray) -> tuple[tuple[str, ...], _Kind, np.ndarray]:
    """Add parts, each with a single weight and the most helpful first; then temperature; then the network."""
    kind: _Kind = _as_is
    while rest := [name for name in cells.names if name not in parts]:
        tried = {name: _cross_fit(cells, (*parts, name), _constant) for name in rest}
        name = min(tried, key=lambda n: tried[n].mean())
        if not cells.pays(losses, tried[name]):
            break
        parts, kind, losses = (*parts, name), _constant, tried[name]
    for richer in (_constant, _network):
        fitted = _cross_fit(cells, parts, richer)
        if richer is not kind and cells.pays(losses, fitted):
            kind, losses = richer, fitted
    return parts, kind, losses


def _without_idle(
    cells: _Cells, parts: tuple[str, ...], kind: _Kind, losses: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    """Leave out each part whose absence costs no more than the noise, the least missed first."""
    dropped = {}
    while len(parts) > 1:
        fewer = {kept: _cross_fit(cells, kept, kind) for kept in combinations(parts, len(parts) - 1)}
        kept = min(fewer, key=lambda k: fewer[k].mean())
        if cells.pays(fewer[kept], losses):
            break
        (name,) = set(parts) - set(kept)
        dropped[name] = f"adds {max(fewer[kept].mean() - losses.mean(), 0):.4f} nats a call, within the noise"
        parts, losses = kept, fewer[kept]
    return parts, losses, dropped


def _losses_as_is(cells: _Cells, name: str) -> np.ndarray:
    stack, _ = cells.part((name,))
    return _losses(stack[:, 0], cells.target).numpy()


def _target_of(target: np.ndarray) -> Tensor:
    """Calls, int (M,), as int64; likelihoods, float (M, C), as their logarithms, float64."""
    if target.ndim == 1:
        return torch.from_numpy(target.astype(np.int64))
    return torch.log(torch.as_tensor(target, dtype=torch.float64).clamp_min(1e-12))


def _losses(log_p: Tensor, target: Tensor) -> Tensor:
    """What log probabilities (M, C) lose on each cell, (M,): -log p of its call, or -log sum of p times likelihood."""
    if target.ndim == 1:
        return -log_p[torch.arange(len(log_p)), target]
    return -torch.logsumexp(log_p + target, -1)


def _mean_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of `_losses`, of logits (M, C)."""
    if target.ndim == 1:
        return torch.nn.functional.cross_entropy(logits, target)
    return _losses(torch.log_softmax(logits, -1), target).mean()


def _cross_fit(cells: _Cells, parts: tuple[str, ...], kind: _Kind) -> np.ndarray:
    """Log loss (M,) of each cell under parameters that were fitted without its fold."""
    stack, features = cells.part(parts)
    inputs, _, _ = _standard(stack, features)
    losses = np.empty(len(stack))
    for fold in np.unique(cells.fold):
        inside, outside = np.flatnonzero(cells.fold == fold), np.flatnonzero(cells.fold != fold)
        parameters = kind(stack[outside], inputs[outside], cells.target[outside])
        log_p = torch.log_softmax(_logits(parameters, stack[inside], inputs[inside]), -1)
        losses[inside] = _losses(log_p, cells.target[inside]).numpy()
    return losses


def _as_is(stack: Tensor, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Equal weights, temperature 1: one part as it came."""
    return {
        "part": torch.zeros(stack.shape[1], dtype=torch.float64),
        "temperature": torch.zeros(1, dtype=torch.float64),
    }


def _constant(stack: Tensor, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
    """One weight for each part and one temperature."""
    return _minimise(_as_is(stack, inputs, target), stack, inputs, target)


def _network(stack: Tensor, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Weights and temperature that vary with a cell's features."""
    generator = torch.Generator().manual_seed(0)
    width = inputs.shape[1] + 1
    start = _constant(stack, inputs, target)
    start["hidden"] = torch.randn(_UNITS, width, generator=generator, dtype=torch.float64) / width**0.5
    start["out"] = torch.zeros(stack.shape[1] + 1, _UNITS, dtype=torch.float64)
    return _minimise(start, stack, inputs, target)


def _minimise(start: dict[str, Tensor], stack: Tensor, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The parameters of least penalised log loss, by L-BFGS (scipy's: torch's brings its compiler, 70 MB)."""
    from scipy.optimize import minimize  # 37 MB that what comes before the gate, the training, is spared

    shapes = {name: value.shape for name, value in start.items()}
    shrunk = [name for name in start if name in ("hidden", "out")]

    def unpack(flat: Tensor) -> dict[str, Tensor]:
        pieces = flat.split([shape.numel() for shape in shapes.values()])
        return {name: piece.view(shapes[name]) for name, piece in zip(shapes, pieces, strict=True)}

    def loss_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
        flat = torch.from_numpy(values.copy()).requires_grad_(True)
        parameters = unpack(flat)
        loss = _mean_loss(_logits(parameters, stack, inputs), target)
        loss = loss + _PENALTY / len(target) * sum(parameters[name].square().sum() for name in shrunk)
        loss.backward()
        assert flat.grad is not None  # of a leaf, after `backward`
        return loss.item(), flat.grad.numpy()

    first = torch.cat([value.reshape(-1) for value in start.values()]).numpy()
    with torch.enable_grad():
        found = minimize(loss_and_gradient, first, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return unpack(torch.from_numpy(found.x))


def _steer(parameters: dict[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the parts (M, P), before the softmax, and log inverse temperature (M, 1)."""
    parts = parameters["part"].expand(len(inputs), -1)
    temperature = parameters["temperature"].expand(len(inputs), -1)
    if "hidden" in parameters:
        ones = torch.ones(len(inputs), 1, dtype=inputs.dtype)
        moved = torch.tanh(torch.cat([inputs, ones], 1) @ parameters["hidden"].T) @ parameters["out"].T  # (M, P + 1)
        parts, temperature = parts + moved[:, :-1], temperature + moved[:, -1:]
    return parts, temperature


def _logits(parameters: dict[str, Tensor], stack: Tensor, inputs: Tensor) -> Tensor:
    """Unnormalised log probabilities (M, C) of log probabilities (M, P, C) and standardised features (M, F)."""
    parts, temperature = _steer(parameters, inputs)
    return torch.exp(temperature) * (torch.softmax(parts, -1)[..., None] * stack).sum(1)


def _stack(parts: list[np.ndarray]) -> Tensor:
    """Log probabilities (M, P, C), float64, no smaller than the log of `_LEAST` and normalised again."""
    stack = torch.stack([torch.as_tensor(part, dtype=torch.float64) for part in parts], 1)
    return torch.log_softmax(stack.clamp_min(np.log(_LEAST)), -1)


def _with_confidence(stack: Tensor, features: np.ndarray) -> Tensor:
    """Features with each part's greatest log probability beside them, float64 (M, F + P)."""
    return torch.cat([torch.as_tensor(np.asarray(features, float)), stack.max(-1).values], 1)


def _standard(stack: Tensor, features: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Features and confidences centred and scaled (M, F + P), with the centre and the spread (F + P,)."""
    inputs = _with_confidence(stack, features)
    centre, spread = inputs.mean(0), inputs.std(0, unbiased=False).clamp_min(1e-6)
    return (inputs - centre) / spread, centre, spread


def _choose_cells(n_cells: int, rng: np.random.Generator) -> np.ndarray:
    """All cells, or a random choice of so many as are worth their time, int64, rising."""
    if n_cells <= _MAX_CELLS:
        return np.arange(n_cells)
    return np.sort(rng.choice(n_cells, _MAX_CELLS, replace=False))
