"""What there is to fit, as every step of a fit is told it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae.training_state import EpochResult
from imputevae_cli.log import Progress
from imputevae_cli.runtime.resumable import Stages


@dataclass(frozen=True)
class Task:
    """What there is to fit, and how.

    cohort: with all its known calls; the hidden ones are hidden in place while parts are fitted.
    validation: hidden cells that fit what is fitted on hidden cells. test: those that only measure.
    """

    cohort: Cohort
    validation: HiddenCells
    test: HiddenCells
    config: Config
    device: torch.device
    progress: Progress
    threads: int
    on_epoch: Callable[[EpochResult], Any] | None = None
    stages: Stages = field(default_factory=Stages)

    @property
    def hidden(self) -> HiddenCells:
        """All hidden cells."""
        return self.validation.and_also(self.test)
