"""AdamW without `torch.optim.Optimizer`, whose making imports torch's compiler: 70 MB and more than a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

AT_ONCE = 1 << 18
"""Numbers that are changed at a time: what torch holds beside them is no longer than that."""

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8  # torch's defaults


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), the same numbers as torch's own.

    groups: (parameters, weight decay). The learning rate `lr` may be changed between steps; a parameter without a
    gradient is left as it is.
    """

    def __init__(self, groups: Iterable[tuple[Iterable[Tensor], float]], lr: float):
        self.lr = lr
        self._groups = [(list(parameters), decay) for parameters, decay in groups]
        self._parameters = [p for parameters, _ in self._groups for p in parameters]
        self._moments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # by place: steps (), first and second moment

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters, in place, by their gradients."""
        place = 0
        for parameters, decay in self._groups:
            places = range(place, place + len(parameters))
            place += len(parameters)
            for i, parameter in zip(places, parameters, strict=True):
                if parameter.grad is None:
                    continue
                steps, first, second = self._moments_of(i, parameter)
                whole = (parameter.view(-1), parameter.grad.reshape(-1), first.view(-1), second.view(-1))
                steps += 1
                for p, gradient, m, v in zip(*(tensor.split(AT_ONCE) for tensor in whole), strict=True):
                    self._move(p, gradient, m, v, int(steps), decay)

    def _move(
        self, parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, steps: int, decay: float
    ) -> None:
        """The update of one tensor, or of a piece of it, in the `steps`-th step."""
        first.lerp_(gradient, 1 - _BETA1)
        second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        spread = second.sqrt().div_((1 - _BETA2**steps) ** 0.5).add_(_EPS)
        parameter.mul_(1 - self.lr * decay).addcdiv_(first, spread, value=-self.lr / (1 - _BETA1**steps))

    def _moments_of(self, place: int, parameter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if place not in self._moments:
            self._moments[place] = (torch.tensor(0.0), torch.zeros_like(parameter), torch.zeros_like(parameter))
        return self._moments[place]

    def state_dict(self) -> dict[str, Any]:
        """Plain types and tensors, for `load_state_dict`."""
        return {"lr": self.lr, "moments": {place: list(moments) for place, moments in self._moments.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`. Raises ValueError where it is of other parameters."""
        moments = {place: tuple(tensors) for place, tensors in state["moments"].items()}
        for place, (_, first, second) in moments.items():
            if place >= len(self._parameters) or not first.shape == second.shape == self._parameters[place].shape:
                raise ValueError("the optimizer's state is not of these parameters")
        device = [p.device for p in self._parameters]
        self.lr = state["lr"]
        self._moments = {i: (n, a.to(device[i]), b.to(device[i])) for i, (n, a, b) in moments.items()}
