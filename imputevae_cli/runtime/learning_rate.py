"""The course of a learning rate: up linearly, then down along a cosine."""

from __future__ import annotations

import math


def warm_up_then_cosine(step: int, steps: int, warm_up: int, floor: float = 0.0) -> float:
    """Share of the learning rate at `step`, from 0 on: it rises over `warm_up` steps, and falls along a cosine that
    reaches 0 at `steps`; never below `floor` once it has risen."""
    return min(1.0, (step + 1) / warm_up) * max(0.5 * (1.0 + math.cos(math.pi * step / steps)), floor)
