"""A fifth decoder, written here alone, takes part in a fit, a checkpoint, a study and a dry run."""

import sys

import numpy as np
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, simulate_linked

from imputevae_cli import Config, ImputeVAE
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import PlainDecoder, Role
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.search_space import Numbers
from imputevae_cli.tuning.memory import depends_on
from imputevae_cli.tuning.opening import open_storage
from imputevae_cli.tuning.space import make_space
from imputevae_cli.tuning.tune import tune

TRUTH: dict[str, np.ndarray] = {}
SECONDS = 1234.0


class Oracle(PlainDecoder):
    """Knows the truth of the data below, and says so with a chance of .98."""

    name, title = "oracle", "an oracle"
    role = Role(trusted=True)
    sections = ("sim",)
    search_space = {"sim.sim_prop": Numbers(0.02, 0.3)}  # noqa: RUF012

    def cost(self, task, inputs):
        return Cost(SECONDS, 0)

    def fit(self, task, inputs):
        return FittedOracle(len(task.cohort.calls))

    def from_state(self, state, setting):
        return FittedOracle(state["n_samples"])


class FittedOracle:
    def __init__(self, n_samples):
        self.n_samples = n_samples

    def gp(self, start, stop):
        return np.where(np.arange(3) == TRUTH["calls"][: self.n_samples, start:stop, None], 0.98, 0.01).astype(
            np.float32
        )

    def gp_of(self, cells):
        return self.gp(0, TRUTH["calls"].shape[1])[cells.samples, cells.loci]

    def on_all_calls(self, task, inputs):
        return self

    def for_cohort(self, context):
        return self

    def for_samples(self, cohort, context):
        return FittedOracle(len(cohort.calls))

    def state(self):
        return {"n_samples": self.n_samples}


@pytest.fixture
def genotypes():
    genotypes, TRUTH["calls"] = simulate_linked(24, 60, seed=3)
    sys.modules.setdefault("toy_decoder", sys.modules[__name__])
    registry.register("oracle", "toy_decoder:Oracle")
    yield genotypes
    registry.unregister("oracle")


@pytest.mark.parametrize("decoder", ["auto", "oracle"])
def test_a_new_decoder_needs_no_change_elsewhere(genotypes, tmp_path, decoder):
    config = Config().replace({**QUICK_VAE, **QUICK_PARTS, "model.decoder": decoder})
    model = ImputeVAE(config)
    assert model.forecast(genotypes).seconds > SECONDS
    model.fit(genotypes)
    assert "oracle" in model.part_names
    assert (model.transform().calls == TRUTH["calls"]).mean() > 0.98
    model.save(tmp_path / "m.ivae")
    again = ImputeVAE.load(tmp_path / "m.ivae")
    assert np.array_equal(again.transform(genotypes).gp, model.transform().gp)


def test_a_study_searches_its_settings(genotypes):
    space = make_space(None, (), Config())
    assert space.of_parts(["oracle"]) == Oracle.search_space
    assert set(depends_on("oracle")) >= {"sim"}


def test_a_study_runs_with_it(genotypes, tmp_path):
    settings = {"model.decoder": "oracle", "tune.n_trials": 2, "tune.sampler_startup": 1, "tune.max_hidden": 200}
    config = Config().replace({**QUICK_VAE, **QUICK_PARTS, **settings})
    storage = open_storage(f"journal:{tmp_path / 'journal'}")
    result = tune(genotypes, config, make_space(None, (), config), storage, "study", join=False)
    searched = [row for row in result.rows if row.stage == "search"]
    assert len(searched) == 2
    assert all(set(row.params) == {"sim.sim_prop"} for row in searched)


def test_without_it_a_model_that_has_it_is_refused(genotypes, tmp_path):
    from imputevae_cli.errors import CheckpointError

    config = Config().replace({**QUICK_VAE, **QUICK_PARTS})
    ImputeVAE(config).fit(genotypes).save(tmp_path / "m.ivae")
    registry.unregister("oracle")
    try:
        with pytest.raises(CheckpointError):
            ImputeVAE.load(tmp_path / "m.ivae")
    finally:
        registry.register("oracle", "toy_decoder:Oracle")
