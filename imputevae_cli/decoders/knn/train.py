"""The training of the votes' weights, step by step."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from imputevae_cli.config import KnnSettings
from imputevae_cli.decoders.knn.attention import NeighbourVotes
from imputevae_cli.decoders.knn.rules import TrainingRules
from imputevae_cli.decoders.knn.train_examples import Drawing
from imputevae_cli.errors import TrainingError
from imputevae_cli.runtime.adamw import AdamW
from imputevae_cli.runtime.learning_rate import warm_up_then_cosine


class Training:
    """Weights in training, and all that they need to go on.

    average: the running average of the weights, which is what the training gives. losses: of the steps done.
    """

    def __init__(
        self,
        votes: NeighbourVotes,
        settings: KnnSettings,
        drawing: Drawing,
        rng: np.random.Generator,
        rules: TrainingRules,
    ):
        self._votes, self._settings, self._rules = votes, settings, rules
        self._weights, self._gradient = _as_one(votes)
        self._optimizer = AdamW([([self._weights], settings.weight_decay)], settings.learning_rate)
        self._drawing, self._rng = drawing, rng
        self.average = copy.deepcopy(votes).requires_grad_(False)
        self._average, _ = _as_one(self.average)
        n_network = sum(p.numel() for p in votes.correction.parameters())
        self._attention = self._weights[:-n_network]  # the network's are the last
        self.losses: list[float] = []
        self._drawn_at = 0  # the step before which the examples in use were drawn

    @property
    def _parts(self) -> dict[str, Any]:
        """What has a state of its own."""
        return {
            "votes": self._votes, "optimizer": self._optimizer, "average": self.average, "drawing": self._drawing,
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on, as plain types and tensors."""
        return {
            "losses": self.losses,
            "drawn_at": self._drawn_at,
            **{name: part.state_dict() for name, part in self._parts.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.losses, self._drawn_at = state["losses"], state["drawn_at"]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    def step(self) -> bool:
        """Take one step; False, without one, where nothing can be learned. Raises TrainingError where the loss is not
        finite."""
        settings, rules, step = self._settings, self._rules, len(self.losses)
        if step == 0 or self._is_spent(step):
            self._drawing.anew()
            self._drawn_at = step
        if not len(self._drawing.examples.loci):
            return False
        share = warm_up_then_cosine(step, settings.steps, rules.warm_up, rules.floor)
        self._optimizer.lr = settings.learning_rate * share
        self._gradient.zero_()
        batch = settings.batch_loci, settings.queries_per_locus
        log_loss = self._drawing.examples.loss(self._votes, *batch, self._rng)
        log_loss.backward()
        loss = log_loss.item()
        if not math.isfinite(loss):
            raise TrainingError("the kNN decoder's loss is not finite; try a lower learning rate")
        self._gradient.mul_(rules.max_gradient / max(self._gradient.norm().item(), rules.max_gradient))
        before = self._attention.clone()
        self._optimizer.step()
        self._attention.copy_(before.lerp(self._attention, rules.attention))
        self._average.lerp_(self._weights, 1 / min(step + 1, settings.averaged_steps))
        self.losses.append(loss)
        return True

    def _is_spent(self, step: int) -> bool:
        """Whether other calls are to be hidden before this step: in a small file few are hidden at a time, and the
        network would learn them by heart."""
        settings, taken = self._settings, step - self._drawn_at
        asked = taken * settings.batch_loci * settings.queries_per_locus
        often = asked >= self._rules.asked * len(self._drawing.examples.samples)
        return often or taken >= -(-settings.steps // settings.redraws)


def _as_one(module: NeighbourVotes) -> tuple[Tensor, Tensor]:
    """All parameters of a module in one vector, and their gradients in another, which is its `grad`: the module's own
    are views of these, so that a step of the optimizer is one operation and not one for each."""
    parameters = list(module.parameters())
    one = parameters_to_vector(parameters).detach()
    vector_to_parameters(one, parameters)
    one.grad = gradient = torch.zeros_like(one)
    start = 0
    for parameter in parameters:
        if parameter.requires_grad:
            parameter.grad = gradient[start : start + parameter.numel()].view_as(parameter)
        start += parameter.numel()
    return one, gradient
