"""The loss and gradient written by hand, against torch's own derivatives of the mixture that fills files."""

import numpy as np
import pytest
import torch

from imputevae_cli.ensemble.mixture import HET_FEATURES, RARE_FEATURES, Cells, Prior, _penalised_loss

N_CELLS, N_UNITS = 40, 5
PRIOR = Prior(scores={"a": 0.4, "b": -1.0}, sharpness=0.3, score=0.7, temperature=0.2, het=0.6, network=0.4)


def cells_of(rng, n_classes, is_certain):
    stack = torch.log_softmax(torch.from_numpy(3 * rng.normal(size=(N_CELLS, 2, n_classes))), -1)
    target = torch.from_numpy(rng.integers(n_classes, size=N_CELLS))
    if not is_certain:
        target = torch.from_numpy(rng.dirichlet(np.ones(n_classes), N_CELLS)).log()
    inputs, het = torch.from_numpy(rng.normal(size=(2, N_CELLS, HET_FEATURES)))
    return Cells(("a", "b"), stack, inputs, het, target, *torch.zeros(2, HET_FEATURES))


def parameters_of(rng, n_het, is_networked):
    shapes = {"part": (2,), "temperature": (1,)}
    if n_het:
        shapes["het"] = (n_het,)
    if is_networked:
        shapes |= {"hidden": (N_UNITS, HET_FEATURES + 1), "out": (3, N_UNITS)}
    return {name: torch.from_numpy(rng.normal(size=shape)).requires_grad_(True) for name, shape in shapes.items()}


@pytest.mark.parametrize("is_networked", [False, True])
@pytest.mark.parametrize("n_het", [0, RARE_FEATURES, HET_FEATURES])
@pytest.mark.parametrize("is_certain", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_loss_and_gradient_are_those_of_torch(n_classes, is_certain, n_het, is_networked):
    rng = np.random.default_rng(0)
    cells, parameters = cells_of(rng, n_classes, is_certain), parameters_of(rng, n_het, is_networked)
    expected = cells.losses(parameters).mean()
    for name, value in parameters.items():
        far = (value - PRIOR.mean(name, cells.parts, value)) / PRIOR.spread(name)
        expected = expected + far.square().sum() / (2 * N_CELLS)
    expected.backward()

    plain = {name: value.detach().numpy() for name, value in parameters.items()}
    loss, gradient = _penalised_loss(cells, PRIOR, parameters).of(plain)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert set(gradient) == set(parameters)
    for name, value in parameters.items():
        assert gradient[name] == pytest.approx(value.grad.numpy(), rel=1e-9, abs=1e-12)


def test_a_step_far_out_stays_finite():
    rng = np.random.default_rng(1)
    cells = cells_of(rng, 3, is_certain=True)
    far = {"part": np.array([500.0, -500.0]), "temperature": np.array([6.0])}
    loss, gradient = _penalised_loss(cells, PRIOR, {n: torch.from_numpy(v) for n, v in far.items()}).of(far)
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradient.values())
