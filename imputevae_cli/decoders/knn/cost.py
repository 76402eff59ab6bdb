"""What nearest neighbours will take to train and to fill with."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np

from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.knn import rules as knn_rules
from imputevae_cli.decoders.knn.model import KnnModel
from imputevae_cli.decoders.knn.settings import KnnSettings
from imputevae_cli.runtime.cost import MOMENT_CELLS, Cost, timed

STEPS = (4, 12)
ASKED = 400
"""Cells that it is asked for."""


def training_cost(task: Task, similarity: np.ndarray | None, settings: KnnSettings) -> Cost:
    """By trainings of a few steps on some of the loci, and by some cells that are asked for."""
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    n_some = min(n_loci, max(MOMENT_CELLS // n_samples, settings.window * 8))
    first = (n_loci - n_some) // 2
    some = cohort.subset(np.arange(n_samples), np.arange(first, first + n_some))

    def train(steps: int) -> KnnModel:
        few = msgspec.structs.replace(settings, steps=steps, redraws=1)
        return KnnModel(few, 1).fit(some, similarity=similarity)

    took = [timed(partial(train, steps)) for steps in STEPS]
    per_step = max(0.0, (took[1][0] - took[0][0]) / (STEPS[1] - STEPS[0]))
    panel = max(0.0, took[0][0] - STEPS[0] * per_step) / 2  # one to train with, one to fill from
    asked, loci = (index[:ASKED] for index in np.nonzero((some.calls == MISSING).T)[::-1])
    took[1][1].cells(asked[:1], loci[:1])  # what holds for all loci is worked out with the first
    fill = timed(lambda: took[1][1].cells(asked, loci))[0] / max(len(asked), 1)
    cells, rules = cohort.calls.size, knn_rules.DEFAULT
    n_open = int(missing_per_sample(cohort.calls).sum())
    table = 0  # bytes a cell
    if cohort.evidence is not None:
        n_open += cohort.evidence.n_uncertain(cohort.calls)
        table = 2 * cohort.evidence.n_classes if n_samples > settings.max_donors else cohort.evidence.n_classes
    n_asked = n_open + len(task.validation.truth) + len(task.test.truth)
    trained = min(n_loci, rules.training.cells // n_samples) / n_some * settings.redraws
    seconds = panel * (trained + 2 * n_loci / n_some) + settings.steps * per_step + fill * n_asked
    links = 4 * min(n_samples, rules.panel.link_samples) * (min(n_loci, rules.panel.link_candidates) - n_some)
    # Hidden cells of the training take 8 bytes each, a few times over
    return Cost(seconds, (1 + table) * cells + links + (3 + 32 * settings.hide) * min(cells, rules.training.cells))
