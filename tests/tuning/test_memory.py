"""Parts of fits that are kept from one trial to the next, and are the very parts that a fit of its own would have."""

import numpy as np
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, simulate

from imputevae_cli import ImputeVAE
from imputevae_cli.config import Config
from imputevae_cli.decoders.copying.decoder import CopyingModel
from imputevae_cli.decoders.knn.decoder import KnnModel
from imputevae_cli.ensemble import fit as fitting
from imputevae_cli.tuning import memory
from imputevae_cli.tuning.memory import DEPENDS_ON, FittedParts

QUICK = {**QUICK_VAE, **QUICK_PARTS}


@pytest.fixture
def genotypes(monkeypatch):
    monkeypatch.setattr(fitting, "SMALL", 1000)  # so that parts are judged by cheap runs first, as in large files
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
    ImputeVAE(first).fit(genotypes, stages=kept.of(first))
    again = ImputeVAE(second).fit(genotypes, stages=kept.of(second))
    assert kept.reused == reused
    alone = ImputeVAE(second).fit(genotypes)
    assert again.parts == alone.parts
    assert np.array_equal(again.transform().gp, alone.transform().gp)


def test_haplotypes_are_not_run_again_where_only_donors_change(genotypes, monkeypatch):
    runs, trained = [], []
    run, train = CopyingModel._run, KnnModel._train
    monkeypatch.setattr(CopyingModel, "_run", lambda *a, **k: runs.append(1) or run(*a, **k))
    monkeypatch.setattr(KnnModel, "_train", lambda *a, **k: trained.append(1) or train(*a, **k))
    monkeypatch.setattr(fitting, "SMALL", 10**9)  # every part is fitted
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
        assert kept.of(Config().replace({"vae.kl_beta": beta})).run("latent 1", lambda beta=beta: beta) == beta
    assert kept.reused == 0
    assert kept.run("latent 1", lambda: None) == 1.0
    assert kept.reused == 1


def test_every_setting_that_is_named_is_a_setting():
    for names in DEPENDS_ON.values():
        for name in names:
            assert name in Config.__struct_fields__ or Config().get(name) is not None
