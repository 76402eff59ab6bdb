"""Nearest neighbours as one of the decoders: a missing call is filled by the votes of the samples most alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import (
    Context,
    Effort,
    FittedDecoder,
    Inputs,
    PlainDecoder,
    Posterior,
    Role,
    SampleStructure,
    Screen,
    Setting,
    Task,
    View,
    asked_together,
    structure_among,
)
from imputevae_cli.decoders.knn.settings import KnnSettings
from imputevae_cli.decoders.screening import subset_to_screen
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.resumable import State
from imputevae_cli.runtime.search_space import Numbers, whole
from imputevae_cli.seeds import seed_for

if TYPE_CHECKING:
    from imputevae_cli.decoders.knn.model import KnnModel


class KnnDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "knn", "nearest neighbours"
    role = Role(gives_way="closely linked", trusted=True, on_evidence="also", score=0.8)
    depends_on = ("vae",)
    sections = ("knn",)
    search_space = {  # noqa: RUF012
        "knn.steps": whole(250, 1500, log=True),
        "knn.learning_rate": Numbers(3e-3, 4e-2, log=True),
        "knn.weight_decay": Numbers(1e-5, 1e-1, log=True),
        "knn.window": whole(4, 64, log=True),
        "knn.linked": whole(4, 64, log=True),
        "knn.heads": whole(3, 10),
        "knn.hidden": whole(16, 128, log=True),
        "knn.hide": Numbers(0.03, 0.3, log=True),
        "knn.redraws": whole(1, 8, log=True),
        "knn.averaged_steps": whole(20, 200, log=True),
    }

    def screen(self, task: Task, earlier: FittedDecoder | None) -> Screen | None:
        """What a brief training on some of the data says."""
        from imputevae_cli.decoders.knn.model import KnnModel

        samples, loci = subset_to_screen(task)
        places, inside = task.validation.within(samples, loci)
        if len(places) < task.rules.screen_cells:
            return None
        settings = _shortened(task.config.knn, task.rules.screen_steps / task.config.knn.steps)
        model = KnnModel(settings, seed_for(task.config.io.seed, "donors") % 2**31)
        model.fit(task.cohort.subset(samples, loci))
        return Screen(places, model.cells(inside.samples, inside.loci), model.state_dict()["weights"])

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`."""
        from imputevae_cli.decoders.knn.cost import training_cost

        structure = structure_among(inputs.fitted)
        return training_cost(task, None if structure is None else structure.similarity(), _settings(task, inputs))

    def fit(self, task: Task, inputs: Inputs) -> FittedKnn:
        """See `Decoder`."""
        from imputevae_cli.decoders.knn.model import KnnModel

        cohort, structure = task.cohort, structure_among(inputs.fitted)
        model = KnnModel(_settings(task, inputs), seed_for(task.config.io.seed, "donors") % 2**31)
        similarity = None if structure is None else structure.similarity()
        model.fit(cohort, similarity=similarity, options=task.options, start=inputs.learned)
        return FittedKnn(cohort, model, asked_together(task.hidden, model.cells))

    def from_state(self, state: State, setting: Setting) -> FittedKnn:
        """See `Decoder`."""
        from imputevae_cli.decoders.knn.model import KnnModel

        return FittedKnn(setting.cohort, KnnModel.from_state_dict(state))


@dataclass
class FittedKnn:
    """See `FittedDecoder`. The votes of the cohort's calls are counted when they are asked for.

    visible: what the visible calls vote for the held-out ones, or None after a checkpoint or once it was dropped.
    """

    cohort: Cohort
    model: KnnModel = field(repr=False)
    visible: View | None = field(default=None, repr=False)

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`."""
        if self.visible is None:
            raise ValueError("held-out calls are asked for while the fit is under way")
        return self.visible(cells)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedKnn:
        """See `FittedDecoder`; what was kept of the held-out cells is dropped."""
        self.visible = None
        return self

    def for_cohort(self, context: Context) -> Posterior:
        """See `FittedDecoder`."""
        return self._voters(context, structure_among(context.fitted))

    def for_samples(self, cohort: Cohort, context: Context) -> Posterior:
        """See `FittedDecoder`."""
        structure = structure_among(context.fitted)
        similarity = None if structure is None else structure.similarity_to(cohort)
        return self._voters(context, structure).new_samples(cohort, similarity=similarity)

    def _voters(self, context: Context, structure: SampleStructure | None) -> KnnModel:
        """The model with all known calls of the fitted cohort as votes."""
        similarity = None if structure is None else structure.similarity()
        self.model.use_neighbours(self.cohort, similarity=similarity, threads=context.options.threads)
        return self.model

    def state(self) -> State:
        """See `FittedDecoder`."""
        return self.model.state_dict()


def _settings(task: Task, inputs: Inputs) -> KnnSettings:
    """How to train: for a share of the steps where haplotype copying does most of the work, or a screen began."""
    settings, share = task.config.knn, 1.0
    if inputs.learned is not None:
        share = task.rules.after_screen
    elif inputs.effort is Effort.REDUCED:
        share = task.rules.reduced
    return _shortened(settings, share)


def _shortened(settings: KnnSettings, share: float) -> KnnSettings:
    """For a share of the steps, at most all of them, with as many steps as before to each drawing of calls to hide."""
    share = min(share, 1.0)
    steps, redraws = (max(1, round(whole * share)) for whole in (settings.steps, settings.redraws))
    return msgspec.structs.replace(settings, steps=steps, redraws=redraws)
