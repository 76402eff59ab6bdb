"""The mixture of the parts of a model: its parameters, what is expected of them beforehand, and their fit.

The mixture is a product of experts, exp(t) * sum over parts of w_p log P_p(call) + b(call), normalised over the calls;
w is a softmax over the parts' scores, exp(t) the inverse temperature, and b moves heterozygotes alone. w and t may vary
with a cell's features through a tiny network; b is linear in a cell's rarity and in how much commoner a rare allele
is than it seems, and may be in what tells of inbreeding too. The fit is penalised: each parameter is a Gaussian about
what simulated files have shown (`Prior`), so that few held-out calls move it little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.ensemble.mixture_loss import MixtureLoss
from imputevae_cli.runtime.lbfgs import least

RARE_FEATURES, HET_FEATURES = 2, 5
"""How many of these the bias of heterozygotes is linear in, by rarity alone and by all: how much commoner carriers
of the minor allele are than they seem (`data/unseen.py`); its rarity, near 0 for a common one; one; and the excess of
heterozygotes at the locus, and of the sample around the cell."""

_UNITS = 8
_ITERATIONS = 40

Parameters = dict[str, Tensor]
"""float64 tensors `part` (P,) and `temperature` (1,); maybe `het` (RARE_FEATURES,) or (HET_FEATURES,); maybe `hidden`
(U, F + P + 1) and `out` (P + 1, U) of the network."""


@dataclass(frozen=True)
class Prior:
    """What is expected of a mixture before any held-out call is seen: means and standard deviations of parameters.

    scores: part -> the mean of its score; 0 where it has none. sharpness: the mean of the temperature's logarithm where
    parts are mixed, which together know more than each. score, temperature, het, network: standard deviations.
    bench/gate_prior.py learns them from mixtures that are fitted on many calls of simulated files, whose results are
    in bench/results/gate_prior.json; those of heterozygotes and of the network were chosen by hand.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    sharpness: float = 0.2
    score: float = 1.0
    temperature: float = 0.23
    het: float = 0.5
    network: float = 0.5

    def mean(self, name: str, parts: tuple[str, ...], like: Tensor) -> Tensor:
        """The mean of the parameter of this name, of the shape of `like`."""
        if name == "part":
            return torch.tensor([self.scores.get(part, 0.0) for part in parts], dtype=torch.float64)
        if name == "het":  # what is unseen of rare alleles is taken at its word
            return torch.eye(1, like.numel(), dtype=torch.float64)[0]
        return torch.full_like(like, self.sharpness if name == "temperature" and len(parts) > 1 else 0.0)

    def spread(self, name: str) -> float:
        """The standard deviation of the parameter of this name."""
        spreads = {"part": self.score, "temperature": self.temperature, "het": self.het}
        return spreads.get(name, self.network)


@dataclass(frozen=True)
class Cells:
    """Held-out calls as a mixture of parts sees them.

    parts: their names. stack: float64 (M, P, C), log probabilities. inputs: float64 (M, F + P), standardised: the F
    features that steer and the parts' confidence. het: float64 (M, HET_FEATURES), see there. target: the calls,
    int64 (M,), or the logarithms of their likelihoods, float64 (M, C).
    centre, spread: float64 (F + P,), that were taken out of the inputs.
    """

    parts: tuple[str, ...]
    stack: Tensor
    inputs: Tensor
    het: Tensor
    target: Tensor
    centre: Tensor
    spread: Tensor

    def take(self, places: np.ndarray) -> Cells:
        """Some of the cells, int64."""
        some = {name: getattr(self, name)[places] for name in ("stack", "inputs", "het", "target")}
        return replace(self, **some)

    def losses(self, parameters: Parameters) -> Tensor:
        """What a mixture loses on each cell, (M,)."""
        return losses(torch.log_softmax(logits(parameters, self.stack, self.inputs, self.het), -1), self.target)


def losses(log_p: Tensor, target: Tensor) -> Tensor:
    """What log probabilities (M, C) lose on each cell, (M,): -log p of its call, or -log sum of p times likelihood."""
    if target.ndim == 1:
        return -log_p[torch.arange(len(log_p)), target]
    return -torch.logsumexp(log_p + target, -1)


def as_expected(cells: Cells, prior: Prior) -> Parameters:
    """The mixture that is expected beforehand."""
    one = torch.zeros(1, dtype=torch.float64)
    return {name: prior.mean(name, cells.parts, one) for name in ("part", "temperature")}


@dataclass(frozen=True)
class Kind:
    """What a mixture is free in, beside one weight for each part and one temperature for all cells.

    n_het: of HET_FEATURES, that a bias of heterozygotes is linear in: 0 (no bias), RARE_FEATURES, or all. network:
    whether weights and temperature vary with a cell's features.
    """

    n_het: int = 0
    network: bool = False

    @property
    def simpler(self) -> Kind | None:
        """The kind with one freedom fewer, whose parameters a fit of this one starts from; None of the simplest."""
        if self.network:
            return Kind(self.n_het)
        return Kind() if self.n_het else None


def fitted(kind: Kind, cells: Cells, prior: Prior, simpler: Parameters | None = None) -> Parameters:
    """The mixture of a kind. simpler: that of `kind.simpler` on the same cells, which is fitted first if not given."""
    if kind.simpler is None:
        return _minimise(as_expected(cells, prior), cells, prior)
    start = dict(simpler or fitted(kind.simpler, cells, prior))
    if kind.network:
        generator = torch.Generator().manual_seed(0)
        width = cells.inputs.shape[1] + 1
        start["hidden"] = torch.randn(_UNITS, width, generator=generator, dtype=torch.float64) / width**0.5
        start["out"] = torch.zeros(len(cells.parts) + 1, _UNITS, dtype=torch.float64)
    else:
        start["het"] = prior.mean("het", cells.parts, torch.empty(kind.n_het))
    return _minimise(start, cells, prior)


def _minimise(start: Parameters, cells: Cells, prior: Prior) -> Parameters:
    """The parameters of least penalised log loss."""
    shapes = {name: value.shape for name, value in start.items()}
    ends = np.cumsum([0, *(value.numel() for value in start.values())]).tolist()
    places = {name: slice(*ends[i : i + 2]) for i, name in enumerate(start)}
    loss = _penalised_loss(cells, prior, start)

    def unpack(flat: np.ndarray) -> dict[str, np.ndarray]:
        return {name: flat[place].reshape(shapes[name]) for name, place in places.items()}

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss.of(unpack(flat))
        return value, np.concatenate([gradient[name].ravel() for name in shapes])

    first = torch.cat([value.reshape(-1) for value in start.values()]).numpy()
    found = least(loss_and_gradient, first, _ITERATIONS)
    return {name: torch.from_numpy(piece.copy()) for name, piece in unpack(found).items()}


def _penalised_loss(cells: Cells, prior: Prior, like: Parameters) -> MixtureLoss:
    """What parameters of these shapes lose on the cells, with the penalty of what is expected beforehand."""
    likelihoods, called = cells.target, None
    if cells.target.ndim == 1:
        called = torch.nn.functional.one_hot(cells.target, cells.stack.shape[2]).double()
        likelihoods = called.log()
    return MixtureLoss(
        stack=np.ascontiguousarray(cells.stack.permute(2, 1, 0)),
        inputs=np.ascontiguousarray(_with_one(cells.inputs).T),
        het=np.ascontiguousarray(cells.het[:, : like["het"].numel() if "het" in like else 0].T),
        likelihoods=np.ascontiguousarray(likelihoods.T),
        called=None if called is None else np.ascontiguousarray(called.T),
        means={name: prior.mean(name, cells.parts, value).numpy() for name, value in like.items()},
        spreads={name: prior.spread(name) for name in like},
    )


def steer(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the parts (M, P), before the softmax, and log inverse temperature (M, 1)."""
    parts = parameters["part"].expand(len(inputs), -1)
    temperature = parameters["temperature"].expand(len(inputs), -1)
    if "hidden" in parameters:
        moved = torch.tanh(_with_one(inputs) @ parameters["hidden"].T) @ parameters["out"].T  # (M, P + 1)
        parts, temperature = parts + moved[:, :-1], temperature + moved[:, -1:]
    return parts, temperature


def logits(parameters: Parameters, stack: Tensor, inputs: Tensor, het: Tensor) -> Tensor:
    """Unnormalised log probabilities (M, C); stack, inputs, het: see `Cells`."""
    parts, temperature = steer(parameters, inputs)
    mixed = torch.exp(temperature) * (torch.softmax(parts, -1)[..., None] * stack).sum(1)
    if "het" in parameters:
        bias = (het[:, : len(parameters["het"])] @ parameters["het"])[:, None]
        mixed = mixed + torch.nn.functional.pad(bias.expand(-1, mixed.shape[1] - 2), (1, 1))
    return mixed


def _with_one(inputs: Tensor) -> Tensor:
    return torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
