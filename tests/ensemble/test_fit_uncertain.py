"""Whole fits where calls are uncertain: reads of a few founders' mosaics at about one a cell."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, simulate_linked

from imputevae_cli import Config, ImputeVAE
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.decoders.knn.decoder import KnnDecoder

QUICK = {**QUICK_VAE, **QUICK_PARTS, "founders.starts": 2, "founders.iterations": 12, "founders.founders": 6}
ERROR = 0.005


def sequenced(n=60, n_loci=160, depth=1.5, seed=1):
    """(genotypes with evidence, truth) of samples seen through Poisson reads; a call is the likeliest genotype."""
    genotypes, truth = simulate_linked(n, n_loci, seed=seed)
    rng = np.random.default_rng(seed)
    reads = rng.poisson(depth, truth.shape)
    chance = np.array([ERROR, 0.5, 1 - ERROR])
    alt = rng.binomial(reads, chance[truth])
    keys = np.unique(reads * 100 + alt)
    logs = (keys % 100)[:, None] * np.log(chance) + (keys // 100 - keys % 100)[:, None] * np.log(1 - chance)
    table = np.exp(logs - logs.max(1, keepdims=True)).astype(np.float32)
    table = np.concatenate([np.ones((12, 3), np.float32), table])
    codes = np.where(reads == 0, 0, 12 + np.searchsorted(keys, reads * 100 + alt)).astype(np.uint16)
    calls = np.where(reads == 0, MISSING, table[codes].argmax(2)).astype(np.int8)
    return (
        GenotypeMatrix(calls, genotypes.samples, genotypes.loci, 2, evidence=Evidence(codes, table)),
        truth.astype(np.int8),
    )


@pytest.fixture(scope="module")
def data():
    return sequenced()


@pytest.fixture(scope="module")
def model(data):
    return ImputeVAE(Config().replace(QUICK)).fit(data[0])


def right(calls, truth):
    return (calls == truth).mean()


def test_founders_carry_the_model(model, data):
    genotypes, truth = data
    assert "founders" in model.part_names
    imputed = model.transform(refine=True)
    assert right(imputed.calls, truth) > right(np.where(genotypes.calls < 0, 0, genotypes.calls), truth) + 0.15
    missing = genotypes.calls == MISSING  # what is promised is of cells without reads of their own
    assert abs(model.expected.model.concordance - right(imputed.calls[missing], truth[missing])) < 0.08


def test_visible_calls_stay_unless_they_are_to_be_refined(model, data):
    genotypes, _ = data
    visible = genotypes.calls != MISSING
    plain, refined = model.transform(), model.transform(refine=True)
    assert np.array_equal(plain.calls[visible], genotypes.calls[visible])
    assert (refined.calls[visible] != genotypes.calls[visible]).any()
    assert np.array_equal(plain.gp, refined.gp)
    assert plain.gp.sum(2) == pytest.approx(1, abs=1e-6)


def test_the_fit_leaves_calls_and_evidence_as_they_were(data):
    genotypes, _ = sequenced()
    calls, codes = genotypes.calls.copy(), genotypes.evidence.codes.copy()
    ImputeVAE(Config().replace(QUICK)).fit(genotypes)
    assert np.array_equal(genotypes.calls, calls)
    assert np.array_equal(genotypes.evidence.codes, codes)


def test_a_saved_model_fills_alike(model, data, tmp_path):
    genotypes, _ = data
    model.save(tmp_path / "m.ivae")
    again = ImputeVAE.load(tmp_path / "m.ivae")
    assert np.array_equal(again.transform(genotypes).gp, model.transform().gp)


def test_new_samples_are_filled_from_the_founders(model):
    new, _ = sequenced(20, seed=2)
    new = GenotypeMatrix(
        new.calls, tuple(f"new{i}" for i in range(20)), model._training_genotypes.loci, 2, evidence=new.evidence
    )
    assert np.isfinite(model.transform(new).gp).all()


def test_draws_follow_the_probabilities(model, data):
    genotypes, _ = data
    imputed = model.transform()
    draws = np.stack([imputed.draw(number).calls for number in range(1, 21)])
    missing = genotypes.calls == MISSING
    assert np.array_equal(draws[0][~missing], genotypes.calls[~missing])
    assert not np.array_equal(draws[0], draws[1])
    assert np.array_equal(draws[2], imputed.draw(3).calls)
    for genotype in range(3):
        drawn = (draws == genotype).mean(0)[missing].mean()
        assert drawn == pytest.approx(imputed.gp[missing][:, genotype].mean(), abs=0.04)


def test_draws_of_single_cells_are_the_same_whatever_stretch_is_asked_for():
    genotypes, _ = simulate_linked(24, 60, seed=3)
    config = Config().replace({**QUICK_VAE, **QUICK_PARTS, "model.decoder": "vae"})
    drawn = ImputeVAE(config).fit(genotypes).transform().draw(5)
    assert np.array_equal(drawn.block(10, 20).calls, drawn.calls[:, 10:20])
    assert (drawn.calls != drawn.genotypes.calls)[genotypes.calls == MISSING].all()


def test_a_decoder_that_knows_calls_alone_says_so(data, caplog, monkeypatch):
    genotypes, _ = data
    monkeypatch.setattr(KnnDecoder, "role", replace(KnnDecoder.role, on_evidence="never"))
    ImputeVAE(Config().replace({**QUICK, "model.decoder": "knn"})).fit(genotypes)
    assert "takes each call as certain" in caplog.text


def test_named_parents_are_samples_of_the_file(data):
    from imputevae_cli.errors import ConfigError

    genotypes, _ = data
    names = list(genotypes.samples[:2])
    ImputeVAE(Config().replace({**QUICK, "founders.founders": 2, "founders.parents": names})).fit(genotypes)
    with pytest.raises(ConfigError, match="nobody"):
        ImputeVAE(Config().replace({**QUICK, "founders.parents": ["nobody"]})).fit(genotypes)
