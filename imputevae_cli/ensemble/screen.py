"""Screens: cheap runs of decoders on a few stretches of the genome, which show what is not worth its cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Decoder, FittedDecoder, Screen, Task
from imputevae_cli.decoders.registry import BASELINE
from imputevae_cli.ensemble.held_out import HeldOut
from imputevae_cli.scoring.likelihood_score import likelihood_loss
from imputevae_cli.scoring.metrics import log_loss


def loss_ratio(task: Task, screen: Screen, baseline: FittedDecoder) -> float:
    """Log loss that a screen gets down to, over that of the baseline on the same cells."""
    cells = task.validation.take(screen.places)
    plain = baseline.gp_of(cells)
    mixed = np.sqrt(screen.gp * plain)  # either may be too sure; what counts is what they say together
    mixed /= mixed.sum(1, keepdims=True)
    best = min(_loss(cells, screen.gp), _loss(cells, mixed))
    return float(best / _loss(cells, plain))


def _loss(cells: HiddenCells, gp: np.ndarray) -> float:
    """Log loss on held-out cells, by their likelihoods where calls are uncertain."""
    return log_loss(cells.truth, gp) if cells.likelihoods is None else likelihood_loss(gp, cells.likelihoods)


def idle_decoders(
    task: Task, held_out: HeldOut, decoders: Mapping[str, Decoder], screens: Mapping[str, Screen | None]
) -> dict[str, str]:
    """Of the decoders that were screened, those that seem to add nothing to the others in the gate, and a note on why.

    held_out: what the decoders say that are fitted anyway. A decoder without a screen is fitted if it is trusted, as
    too much can hang on it.
    """
    idle = {}
    for name, screen in screens.items():
        if screen is None and not decoders[name].role.trusted:
            idle[name] = f"{name} skipped: too few held-out calls to judge it by"
        elif screen is not None and held_out.beside(name, screen).is_idle(name, task.config.io.seed):
            idle[name] = f"{name} skipped: in a cheap run it adds next to nothing to the others"
    idle.pop(BASELINE, None)
    return idle
