"""Parts of fits that are kept from one trial to the next, and are the very parts that a fit of its own would have."""

import numpy as np
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, simulate

from imputevae_cli import ImputeVAE
from imputevae_cli.config import Config
from imputevae_cli.decoders.copying.run_chains import ChainRun
from imputevae_cli.decoders.knn.model import KnnModel
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.tuning import memory
from imputevae_cli.tuning.memory import FittedParts, depends_on

QUICK = {**QUICK_VAE, **QUICK_PARTS}


LARGE = Rules(small_cells=1000)
"""So that decoders are screened first, as in large files."""


@pytest.fixture
def genotypes():
    return simulate(30, 150, missing=0.1)[0]


@pytest.mark.parametrize(
    ("change", "reused"),
    [
        ({}, 4),
        ({"knn.steps": 20}, 2),
        ({"copying.donors": 20}, 0),
    ],
    ids=str,
)
def test_what_does_not_depend_on_the_change_is_reused_and_nothing_else(genotypes, change, reused):
    kept = FittedParts()
    first, second = (Config().replace({**QUICK, **more}) for more in ({}, change))
    ImputeVAE(first, LARGE).fit(genotypes, stages=kept.of(first))
    again = ImputeVAE(second, LARGE).fit(genotypes, stages=kept.of(second))
    assert kept.reused == reused
    alone = ImputeVAE(second, LARGE).fit(genotypes)
    assert again.parts == alone.parts
    assert np.array_equal(again.transform().gp, alone.transform().gp)


def test_haplotypes_are_not_run_again_where_only_donors_change(genotypes, monkeypatch):
    runs, trained = [], []
    run, train = ChainRun.run, KnnModel._train
    monkeypatch.setattr(ChainRun, "run", lambda *a, **k: runs.append(1) or run(*a, **k))
    monkeypatch.setattr(KnnModel, "_train", lambda *a, **k: trained.append(1) or train(*a, **k))
    kept = FittedParts()
    for steps in (30, 20):
        config = Config().replace({**QUICK, "knn.steps": steps})
        ImputeVAE(config).fit(genotypes, stages=kept.of(config))
        if steps == 30:
            runs.clear()
    assert not runs
    assert len(trained) == 2


def test_only_so_many_parts_are_kept(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 2)
    kept = FittedParts()
    for beta in (1.0, 2.0, 3.0, 1.0):
        assert kept.of(Config().replace({"vae.kl_beta": beta})).run("vae cheaply 1", lambda beta=beta: beta) == beta
    assert kept.reused == 0
    assert kept.run("vae cheaply 1", lambda: None) == 1.0
    assert kept.reused == 1


def test_every_setting_that_is_named_is_a_setting():
    assert depends_on("gate") is None
    for stage in ("screen copying", "vae 1", "knn votes", "copying", "copying with all calls", "screens judged"):
        assert set(depends_on(stage)) >= {"sim", "train.validation_split"}
        for name in depends_on(stage):
            assert name in Config.__struct_fields__ or Config().get(name) is not None
