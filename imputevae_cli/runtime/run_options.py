"""How a piece of work is run: its threads, its device, whom it tells of its progress, and what it resumes from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.runtime.resumable import Stages


@dataclass(frozen=True)
class RunOptions:
    """Nothing of what is computed hangs on these, but for rounding on another device.

    threads: of the CPU. device: where tensors are computed. progress: is told of every step. stages: remember what is
    done, so that a run that is stopped can be resumed.
    """

    threads: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = field(default_factory=NullProgress)
    stages: Stages = field(default_factory=Stages)
