import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from imputevae_cli.config import TrainSettings
from imputevae_cli.decoders.vae.loss import Objective, class_weights, focal_loss
from imputevae_cli.decoders.vae.network import Latent

ONES = torch.ones(3)


@pytest.fixture
def batch():
    """Logits, float32 (3, 8, 20), and calls, int8 (8, 20), a quarter of them missing."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((3, 8, 20), generator=generator) * 2
    return logits, torch.randint(-1, 3, (8, 20), generator=generator, dtype=torch.int8)


def cross_entropy(logits, calls, **options):
    """That of torch, (B, L), 0 where missing."""
    return F.cross_entropy(
        logits.permute(1, 0, 2), calls.long(), ignore_index=-1, reduction="none", **options
    )  # torch wants (B, C, L)


def latent_of(batch_size=8):
    generator = torch.Generator().manual_seed(1)
    return Latent(*(torch.randn((batch_size, 4), generator=generator) for _ in range(2)))


def loss_of(logits, calls, latent, weights, gamma, beta):
    """Reconstruction (B,), and the objective of a batch."""
    objective = Objective.of(calls, weights, gamma, beta)
    reconstruction, _ = objective.reconstruction(logits, calls)
    return reconstruction, objective.mean(reconstruction, latent.kl())


def test_plain_is_cross_entropy(batch):
    logits, calls = batch
    assert torch.allclose(focal_loss(logits, calls, ONES, 0.0)[0], cross_entropy(logits, calls), atol=1e-5)


def test_weights_are_those_of_cross_entropy(batch):
    logits, calls = batch
    weights = torch.tensor([0.5, 1.0, 3.0])
    expected = cross_entropy(logits, calls, weight=weights)
    assert torch.allclose(focal_loss(logits, calls, weights, 0.0)[0], expected, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_by_hand(gamma):
    p = torch.tensor([0.7, 0.2, 0.1])
    logits = p.log()[:, None, None].expand(3, 1, 3) + 5.0  # a constant cancels
    calls = torch.tensor([[0, 1, 2]], dtype=torch.int8)
    expected = -((1 - p) ** gamma) * p.log()
    assert focal_loss(logits, calls, ONES, gamma)[0][0].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_the_focal_loss_has_a_finite_slope_at_certainty():
    logits = torch.tensor([60.0, 0.0, -60.0])[:, None, None]
    _, slope = focal_loss(logits, torch.zeros((1, 1), dtype=torch.int8), ONES, 0.5)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_slope_is_that_of_autograd(batch, gamma):
    logits, calls = batch
    logits = logits.requires_grad_()
    cells, slope = focal_loss(logits, calls, torch.tensor([0.5, 1.0, 3.0]), gamma)
    assert torch.allclose(slope, torch.autograd.grad(cells.sum(), logits)[0], atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_missing_cells_give_no_loss_and_no_slope(batch, gamma):
    logits, calls = batch
    missing = calls == -1
    assert missing.any()
    cells, slope = focal_loss(logits, calls, torch.tensor([0.5, 1.0, 3.0]), gamma)
    assert not cells[missing].any()
    assert not slope[:, missing].any()
    assert (slope[:, ~missing] != 0).any(0).all()


def test_the_loss_is_the_mean_over_samples_of_nats(batch):
    logits, calls = batch
    latent = latent_of()
    reconstruction, total = loss_of(logits, calls, latent, ONES, 0.0, 1.5)
    per_sample = cross_entropy(logits, calls).sum(1)
    assert torch.allclose(reconstruction, per_sample, atol=1e-4)
    assert float(total) == pytest.approx(float(per_sample.mean() + 1.5 * latent.kl().mean()), rel=1e-5)


def test_the_size_of_the_weights_does_not_matter(batch):
    """Weighted cross-entropy is scaled by the mean weight, as in torch, so that beta keeps its meaning."""
    logits, calls = batch
    weights = torch.tensor([0.5, 1.0, 3.0])
    one, ten = (loss_of(logits, calls, latent_of(), w, 0.0, 1.0)[1] for w in (weights, 10 * weights))
    assert float(one) == pytest.approx(float(ten), rel=1e-5)
    mean = F.cross_entropy(logits.permute(1, 0, 2), calls.long(), weight=weights, ignore_index=-1)
    expected = mean * (calls != -1).sum() / len(calls)  # times the mean number of observed loci
    assert float(loss_of(logits, calls, latent_of(), weights, 0.0, 0.0)[1]) == pytest.approx(float(expected), rel=1e-4)


def test_beta_of_nought_takes_the_kl_away(batch):
    logits, calls = batch
    reconstruction, total = loss_of(logits, calls, latent_of(), ONES, 0.0, 0.0)
    assert float(total) == pytest.approx(float(reconstruction.mean()))


def test_a_batch_without_calls_has_a_finite_loss(batch):
    logits, _ = batch
    missing = torch.full((8, 20), -1, dtype=torch.int8)
    reconstruction, total = loss_of(logits, missing, latent_of(), ONES, 2.0, 1.0)
    assert torch.isfinite(total)
    assert not reconstruction.any()


def test_kl_agrees_with_torch_distributions():
    latent = latent_of(30)
    q = Normal(latent.mu, (0.5 * latent.logvar).exp())
    expected = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(latent.kl(), expected, atol=1e-5)
    assert Latent(torch.zeros(1, 3), torch.zeros(1, 3)).kl().tolist() == [0.0]


CALLS = torch.tensor([[0] * 8 + [1] * 4 + [2] * 4 + [-1] * 9], dtype=torch.int8)
"""Frequencies 1/2, 1/4, 1/4."""


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"weights_power": 0.0}, [1, 1, 1]),
        ({"weights_power": 1.0, "weights_normalize": False}, [2, 4, 4]),
        ({"weights_power": 0.5, "weights_normalize": False}, [2**0.5, 2, 2]),
        ({"weights_power": 1.0, "weights_normalize": False, "weights_inverse": True}, [0.5, 0.25, 0.25]),
        ({"weights_power": 1.0}, [0.6, 1.2, 1.2]),
        ({"weights_power": 1.0, "weights_normalize": False, "weights_max_ratio": 1.5}, [2, 3, 3]),
    ],
)
def test_class_weights(settings, weights):
    assert class_weights(CALLS, 3, TrainSettings(**settings)).tolist() == pytest.approx(weights)


def test_class_weights_of_a_class_that_is_absent_are_finite():
    weights = class_weights(torch.zeros((4, 5), dtype=torch.int8), 3, TrainSettings(weights_power=1.0))
    assert torch.isfinite(weights).all()
