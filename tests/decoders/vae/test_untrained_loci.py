"""A VAE that was trained on some of the loci and read off at all."""

import numpy as np
import pytest
import torch
from conftest import simulate, tiny_config

from imputevae_cli import ImputeVAE
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.decoders.vae import rules as vae_rules
from imputevae_cli.decoders.vae import untrained_loci as wide
from imputevae_cli.decoders.vae.network import effects_of
from imputevae_cli.decoders.vae.rules import ReadOffRules, VaeRules
from imputevae_cli.scoring.metrics import log_loss


@pytest.mark.parametrize("ploidy", [1, 2])
def test_weights_are_where_the_slope_is_zero(ploidy):
    """The gradient of the penalised likelihood, by autograd, vanishes at what Newton's steps find."""
    rng = torch.Generator().manual_seed(0)
    inputs = torch.cat([torch.randn(80, 3, generator=rng), torch.ones(80, 1)], 1)
    effects = torch.tensor(effects_of(ploidy + 1))
    calls = torch.randint(-1, ploidy + 1, (80, 6), generator=rng, dtype=torch.int8)
    precision = torch.tensor([20.0, 20.0, 20.0, 1.0])
    weights = wide._weights(inputs, calls, effects, precision).requires_grad_(True)
    seen = wide._Certain(calls, ploidy + 1)
    start = wide._at_frequencies(calls, effects, 4)
    wide._penalised(inputs, weights, start, effects, seen, precision).sum().backward()
    assert weights.grad.abs().max() < 0.05
    begun = start.clone().requires_grad_(True)
    wide._penalised(inputs, begun, start, effects, seen, precision).sum().backward()
    assert begun.grad.abs().max() > 1


def test_loci_that_were_not_trained_on_are_filled_as_well(monkeypatch, tmp_path):
    genotypes, truth = simulate(120, 300, missing=0.2)
    settings = {"model__decoder": "vae", "train__max_epochs": 40, "train__decoder_l2": 5.0}
    monkeypatch.setattr(vae_rules, "DEFAULT", VaeRules(read_off=ReadOffRules(most_trained=150)))
    model = ImputeVAE(tiny_config(**settings)).fit(genotypes)
    (member,) = model._fitted.ensemble.fitted["vae"].members
    assert member.model.shape.n_loci == 150
    z = model._fitted.ensemble.fitted["vae"].latent.mu  # other hidden units need not lie along the axes
    assert torch.allclose(member.wide.decode(z)[..., ::2], member.model.decode(z), atol=1e-2)
    gp = model.transform().gp
    missing = genotypes.calls < 0
    plain = np.broadcast_to(genotype_frequencies(genotypes.calls, 3)[-1], gp.shape)  # of all samples alike
    for some in (slice(0, None, 2), slice(1, None, 2)):  # trained on, and not
        cells, y = missing[:, some], truth[:, some].astype(int)
        assert log_loss(y[cells], gp[:, some][cells]) < 0.9 * log_loss(y[cells], plain[:, some][cells])
    model.save(tmp_path / "m.ivae")
    assert np.array_equal(ImputeVAE.load(tmp_path / "m.ivae").transform(genotypes).gp, gp)


def test_few_loci_are_all_trained_on():
    most = ReadOffRules().most_trained
    assert most == 12_800
    assert wide.trained_loci(most) is None
    for n_loci in (most + 1, 10 * most + 7):
        some = wide.trained_loci(n_loci)
        assert len(np.unique(some)) == len(some) == most
        assert some[0] == 0
        assert n_loci - some[-1] <= -(-n_loci // most)
    assert len(wide.trained_loci(100, ReadOffRules(most_trained=99))) == 99
