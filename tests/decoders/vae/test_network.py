import numpy as np
import pytest
import torch
from conftest import simulate

from imputevae_cli.config import ModelSettings
from imputevae_cli.decoders.vae.network import (
    LOGVAR_RANGE,
    GenotypeVae,
    HiddenLayers,
    Latent,
    VaeShape,
    encode_in_batches,
    hidden_widths,
    locus_statistics,
)
from imputevae_cli.runtime.random_draws import Draws

N, L = 14, 40


def calls_of(ploidy=2, seed=0, missing=0.3):
    genotypes, _ = simulate(N, L, ploidy=ploidy, missing=missing, seed=seed)
    return torch.from_numpy(genotypes.calls)


def vae(calls, ploidy=2, n_populations=0, seed=0, loadings=0.3, **settings):
    """A model with loadings far enough from 0 that z matters."""
    chosen = ModelSettings(**{"hidden_units": 12, "latent_dim": 4, **settings})
    shape = VaeShape(calls.shape[1], ploidy + 1, n_populations)
    generator = torch.Generator().manual_seed(seed)
    model = GenotypeVae(shape, chosen, locus_statistics(calls, ploidy + 1), generator)
    with torch.no_grad():
        model.loadings.normal_(0.0, loadings, generator=generator)
    return model


def draws(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randoms(n_rows, seed=0):
    return Draws(torch.Generator().manual_seed(seed), n_rows)


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("n_layers", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "elu", "selu", "leaky_relu", "gelu"])
def test_shapes(ploidy, n_layers, activation):
    calls = calls_of(ploidy)
    model = vae(calls, ploidy, num_hidden_layers=n_layers, activation=activation)
    latent = model.encode(calls)
    assert latent.mu.shape == latent.logvar.shape == (N, 4)
    logits = model.decode(latent.mu)
    assert logits.shape == (ploidy + 1, N, L)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_starts_at_the_frequencies_of_each_locus():
    calls = calls_of()
    model = vae(calls, loadings=0.0)
    gp = torch.softmax(model.decode(draws(3, 4)), 0)  # (3, 3, L)
    frequencies = locus_statistics(calls, 3).frequencies
    assert torch.allclose(gp, frequencies.t()[:, None].expand_as(gp), atol=1e-6)


@pytest.mark.parametrize("n_populations", [0, 2])
def test_samples_are_exchangeable(n_populations):
    calls = calls_of()
    populations = torch.arange(N) % 3 if n_populations else None  # code 2: of none
    model = vae(calls, n_populations=n_populations)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    shuffled = None if populations is None else populations[order]
    latent, other = model.encode(calls, populations), model.encode(calls[order], shuffled)
    assert torch.allclose(latent.mu[order], other.mu, atol=1e-6)
    assert torch.allclose(latent.logvar[order], other.logvar, atol=1e-6)
    logits = model.decode(latent.mu, populations)
    assert torch.allclose(logits[:, order], model.decode(other.mu, shuffled), atol=1e-5)


def test_a_sample_does_not_see_the_others():
    calls = calls_of()
    model = vae(calls)
    assert torch.allclose(model.encode(calls).mu[:1], model.encode(calls[:1]).mu, atol=1e-6)


def test_a_missing_call_counts_as_nothing_known():
    """A locus where a call is missing tells the encoder nothing: its weights there can be anything."""
    calls = calls_of()
    calls[:, 5] = -1
    model = vae(calls)
    before = model.encode(calls)
    with torch.no_grad():
        model.encoder.layers[0].weight[:, 5] = 100.0
        model.mean[5], model.scale[5] = 50.0, 9.0
    after = model.encode(calls)
    assert torch.equal(before.mu, after.mu)
    calls[:, 5] = 1
    assert not torch.allclose(before.mu, model.encode(calls).mu)


def test_half_of_the_calls_give_a_latent_as_long_as_all_of_them():
    """A sample with many missing calls is not pulled to the origin."""
    calls = calls_of(missing=0.0).repeat(1, 20)
    model = vae(calls, num_hidden_layers=0)
    with torch.no_grad():  # so that every locus speaks for the first sample in the same direction
        model.to_latent.weight[0] = (calls[0].float() - model.mean) * model.scale
    hidden = calls.clone()
    hidden[torch.rand(calls.shape, generator=torch.Generator().manual_seed(0)) < 0.5] = -1
    whole, half = (model.encode(c).mu[0, 0].item() for c in (calls, hidden))
    assert half == pytest.approx(whole, rel=0.15)


def test_a_sample_without_calls_has_a_finite_latent():
    calls = calls_of()
    latent = vae(calls).encode(torch.full((2, L), -1, dtype=torch.int8))
    assert torch.isfinite(latent.mu).all()
    assert torch.equal(latent.mu[0], latent.mu[1])


@pytest.mark.parametrize("loci", [slice(3, 17), slice(0, 1), slice(None), torch.tensor([7, 2, 2, 39])])
@pytest.mark.parametrize("ploidy", [1, 2])
def test_decoding_some_loci_equals_decoding_all(ploidy, loci):
    model = vae(calls_of(ploidy), ploidy)
    z = draws(N, 4)
    assert torch.allclose(model.decode(z, None, loci), model.decode(z)[:, :, loci], atol=1e-6)


@pytest.mark.parametrize("ploidy", [1, 2])
def test_decoding_cells_equals_decoding_all(ploidy):
    model = vae(calls_of(ploidy), ploidy, n_populations=2)
    z, populations = draws(N, 4), torch.arange(N) % 3
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, N, (9000,), generator=generator)  # more than are decoded at once
    loci = torch.randint(0, L, (9000,), generator=generator)
    cells = model.decode_cells(z, populations, rows, loci)
    assert torch.allclose(cells, model.decode(z, populations)[:, rows, loci], atol=1e-5)


def test_populations_move_the_latent_and_the_logits():
    calls = calls_of()
    model = vae(calls, n_populations=2)
    first, second = torch.zeros(N, dtype=torch.int64), torch.ones(N, dtype=torch.int64)
    assert not torch.allclose(model.encode(calls, first).mu, model.encode(calls, second).mu)
    z = draws(N, 4)
    assert not torch.allclose(model.decode(z, first), model.decode(z, second))


def test_no_population_is_the_last_code():
    calls = calls_of()
    model = vae(calls, n_populations=2)
    none = torch.full((N,), 2)
    assert torch.equal(model.encode(calls).mu, model.encode(calls, none).mu)
    assert torch.equal(model.decode(draws(N, 4)), model.decode(draws(N, 4), none))


def test_population_dim_of_nought_leaves_populations_out():
    calls = calls_of()
    model = vae(calls, n_populations=2, population_dim=0)
    assert torch.equal(model.encode(calls, torch.zeros(N, dtype=torch.int64)).mu, model.encode(calls).mu)


def test_heterozygotes_have_an_effect_of_their_own():
    """The log odds of 0, 1, 2 are free: those of 1 are not the mean of those of 0 and 2."""
    model = vae(calls_of())
    logits = model.decode(draws(N, 4)) - model.decode(torch.zeros(1, 4))
    bend = logits[1] - (logits[0] + logits[2]) / 2
    assert bend.abs().mean() > 0.05


def test_encoding_in_batches_equals_the_whole():
    calls = calls_of()
    populations = torch.arange(N) % 2
    model = vae(calls, n_populations=2)
    whole, parts = model.encode(calls, populations), encode_in_batches(model, calls, populations, size=5)
    assert torch.allclose(whole.mu, parts.mu, atol=1e-6)
    assert torch.allclose(whole.logvar, parts.logvar, atol=1e-6)


def test_starting_weights_come_from_the_generator_alone():
    calls = calls_of()
    torch.manual_seed(1)
    one = vae(calls, seed=5, n_populations=2).state_dict()
    torch.manual_seed(2)
    same, other = (vae(calls, seed=seed, n_populations=2).state_dict() for seed in (5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["to_latent.weight"], other["to_latent.weight"])


def test_dropout_happens_only_with_draws_and_keeps_the_mean():
    calls = calls_of()
    model = vae(calls, dropout_rate=0.5)
    assert torch.equal(model.encode(calls).mu, model.encode(calls).mu)
    dropped = [model.encode(calls, dropout=randoms(len(calls), i)).mu for i in range(2)]
    again = model.encode(calls, dropout=randoms(len(calls), 1)).mu
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(dropped[1], again)
    layers = HiddenLayers([1, 4000], ModelSettings(dropout_rate=0.3, activation="relu"))
    with torch.no_grad():
        layers.layers[0].weight.fill_(0.0)
        layers.layers[0].bias.fill_(1.0)
        hidden = layers(torch.zeros(5, 1), randoms(5))
    assert hidden.mean() == pytest.approx(1.0, abs=0.03)
    assert (hidden == 0).float().mean() == pytest.approx(0.3, abs=0.03)


def test_the_variance_stays_in_bounds():
    calls = calls_of()
    model = vae(calls)
    with torch.no_grad():
        model.to_latent.weight.mul_(1e4)
    logvar = model.encode(calls).logvar
    assert logvar.min() >= LOGVAR_RANGE[0]
    assert logvar.max() <= LOGVAR_RANGE[1]


def test_draws_have_the_mean_and_the_spread_of_the_latent():
    latent = Latent(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), np.log(0.25)))
    z = latent.sample(randoms(len(latent.mu)))
    assert float(z.mean()) == pytest.approx(2.0, abs=0.02)
    assert float(z.std()) == pytest.approx(0.5, abs=0.02)


def test_statistics_by_hand():
    calls = torch.tensor([[0, 2], [1, 2], [1, -1], [-1, -1]], dtype=torch.int8)
    plain = locus_statistics(calls, 3, pseudo_count=0.0)
    assert plain.frequencies[0].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert plain.mean.tolist() == pytest.approx([2 / 3, 2.0])
    assert float(plain.spread[0]) == pytest.approx((2 / 9) ** 0.5)
    shrunk = locus_statistics(calls, 3, pseudo_count=1.0)
    q = (2 + 0.5) / 7  # ALT alleles, and half an allele of each kind
    expected = [(1 + (1 - q) ** 2) / 4, (2 + 2 * q * (1 - q)) / 4, q**2 / 4]
    assert shrunk.frequencies[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_frequencies_are_never_nought(n_classes):
    calls = torch.full((5, 3), -1, dtype=torch.int8)
    calls[:, 1] = 0
    frequencies = locus_statistics(calls, n_classes).frequencies
    assert (frequencies > 0).all()
    assert frequencies.sum(1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("settings", "widths"),
    [
        ({"num_hidden_layers": 0}, []),
        ({"num_hidden_layers": 1, "hidden_units": 128}, [128]),
        ({"num_hidden_layers": 3, "hidden_units": 160, "latent_dim": 2, "layer_scaling_factor": 5}, [160, 40, 10]),
        (
            {
                "num_hidden_layers": 3,
                "hidden_units": 100,
                "latent_dim": 2,
                "layer_scaling_factor": 5,
                "layer_schedule": "linear",
            },
            [100, 55, 10],
        ),
        ({"num_hidden_layers": 2, "hidden_units": 8, "latent_dim": 16}, [8, 8]),
        ({"num_hidden_layers": 2, "hidden_units": 8, "latent_dim": 1, "layer_scaling_factor": 0.1}, [8, 1]),
    ],
)
def test_hidden_widths(settings, widths):
    assert hidden_widths(ModelSettings(**settings)) == widths
