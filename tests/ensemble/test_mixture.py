"""The mixture's fit: what is expected beforehand, and what calls make of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from imputevae_cli.ensemble.mixture import (
    RARE_FEATURES,
    Cells,
    Kind,
    Prior,
    as_expected,
    fitted,
    logits,
    steer,
)

PARTS = ("good", "noise")


def cells_of(n, n_classes=3, seed=0):
    """One part that knows the calls, about, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    good = 2 * np.eye(n_classes)[truth] + rng.normal(size=(n, n_classes))
    stack = torch.log_softmax(torch.from_numpy(np.stack([good, rng.normal(size=(n, n_classes))], 1)), -1)
    return Cells(
        PARTS, stack, *torch.from_numpy(rng.normal(size=(2, n, 4))), torch.from_numpy(truth), *torch.zeros(2, 4)
    )


def share_of_good(parameters):
    return float(torch.softmax(parameters["part"], 0)[0])


def test_what_is_expected_beforehand_gives_way_to_many_cells():
    prior = Prior(scores={"good": -1.0, "noise": 1.0}, score=0.3)
    assert share_of_good(as_expected(cells_of(5), prior)) == pytest.approx(1 / (1 + np.exp(2)))
    shares = [share_of_good(fitted(Kind(), cells_of(n), prior)) for n in (5, 50, 500, 5000)]
    assert shares[0] < 0.3
    assert shares[-1] > 0.8
    assert shares == sorted(shares)


@pytest.mark.parametrize("kind", [Kind(), Kind(RARE_FEATURES), Kind(RARE_FEATURES, network=True)])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_every_kind_lowers_the_loss_at_any_ploidy(kind, n_classes):
    cells, prior = cells_of(400, n_classes), Prior()
    found = fitted(kind, cells, prior)
    assert logits(found, cells.stack, cells.inputs, cells.het).shape == (400, n_classes)
    assert steer(found, cells.inputs)[0].shape == (400, 2)
    assert cells.losses(found).mean() < cells.losses(as_expected(cells, prior)).mean()


def test_likelihoods_of_one_genotype_are_a_call():
    cells, prior = cells_of(300), Prior()
    sure = torch.nn.functional.one_hot(cells.target, 3).double().clamp_min(1e-12).log()
    again = replace(cells, target=sure)
    assert again.losses(as_expected(cells, prior)) == pytest.approx(cells.losses(as_expected(cells, prior)), abs=1e-6)
    assert fitted(Kind(), again, prior)["part"] == pytest.approx(fitted(Kind(), cells, prior)["part"], abs=1e-3)


def test_the_bias_moves_heterozygotes_alone():
    cells = cells_of(3)
    plain = as_expected(cells, Prior())
    biased = plain | {"het": torch.tensor([0.0, 0.0, 0.0, 0.7], dtype=torch.float64)}
    told = cells.stack, cells.inputs, torch.ones(3, 4, dtype=torch.float64)
    moved = logits(biased, *told) - logits(plain, *told)
    assert moved.numpy() == pytest.approx(np.tile([0, 0.7, 0], (3, 1)))


def test_a_fit_from_the_simpler_mixture_is_the_fit_from_nothing():
    cells, prior, kind = cells_of(300), Prior(), Kind(RARE_FEATURES, network=True)
    simpler = fitted(kind.simpler, cells, prior)
    again, found = fitted(kind, cells, prior, simpler), fitted(kind, cells, prior)
    assert all(torch.equal(again[name], found[name]) for name in found)
    assert set(simpler) == {"part", "temperature", "het"}
