"""AdamW without `torch.optim.Optimizer`, whose making imports torch's compiler: 70 MB and more than a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

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
            moved = [(p, *self._moments_of(place + i, p)) for i, p in enumerate(parameters) if p.grad is not None]
            place += len(parameters)
            if not moved:
                continue
            tensors, steps, first, second = (list(column) for column in zip(*moved, strict=True))
            gradients = [p.grad.contiguous() for p in tensors]
            torch._foreach_add_(steps, 1)
            # One pass over memory in place of seven; torch's own AdamW calls it where it is asked to be fused
            torch._fused_adamw_(
                tensors,
                gradients,
                first,
                second,
                [],
                steps,
                lr=self.lr,
                beta1=_BETA1,
                beta2=_BETA2,
                weight_decay=decay,
                eps=_EPS,
                amsgrad=False,
                maximize=False,
            )

    def _moments_of(self, place: int, parameter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if place not in self._moments:
            steps = torch.tensor(0.0, device=parameter.device)
            self._moments[place] = (steps, torch.zeros_like(parameter), torch.zeros_like(parameter))
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
        self._moments = {i: tuple(part.to(device[i]) for part in parts) for i, parts in moments.items()}
