import numpy as np
import pytest
import torch
from conftest import simulate

from imputevae_cli.config import ModelSettings
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae.network import GenotypeVae, VaeShape, locus_statistics
from imputevae_cli.decoders.vae.predict import VaePosterior

N, L = 10, 30


def posterior(n_models=1, draws=3, seed=0, ploidy=2):
    genotypes, _ = simulate(N, L, ploidy=ploidy, missing=0.3)
    calls = torch.from_numpy(genotypes.calls)
    models = []
    for index in range(n_models):
        generator = torch.Generator().manual_seed(index)
        statistics = locus_statistics(calls, ploidy + 1)
        model = GenotypeVae(VaeShape(L, ploidy + 1, 2), ModelSettings(latent_dim=3), statistics, generator)
        with torch.no_grad():
            model.loadings.normal_(0.0, 0.5, generator=generator)
        models.append(model)
    populations = torch.arange(N) % 2
    return VaePosterior(models, calls, populations, draws=draws, seed=seed)


ALL = (0, L)


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("draws", [0, 3])
def test_probabilities(ploidy, draws):
    gp = posterior(n_models=2, draws=draws, ploidy=ploidy).gp(*ALL)
    assert (gp.shape, gp.dtype) == ((N, L, ploidy + 1), np.float32)
    assert gp.sum(2) == pytest.approx(1.0, abs=1e-5)
    assert (gp >= 0).all()


def test_it_is_the_same_each_time():
    one = posterior(n_models=2)
    first = one.gp(*ALL)
    assert np.array_equal(one.gp(*ALL), first)
    assert np.array_equal(posterior(n_models=2).gp(*ALL), first)
    assert not np.array_equal(posterior(n_models=2, seed=1).gp(*ALL), first)


def test_it_asks_no_global_generator():
    torch.manual_seed(0)
    first = posterior().gp(*ALL)
    torch.manual_seed(1)
    assert np.array_equal(posterior().gp(*ALL), first)


@pytest.mark.parametrize(("start", "stop"), [(5, 12), (0, 0), (0, 1), (29, 30), (7, 30)])
def test_some_loci_equal_the_whole(start, stop):
    one = posterior(n_models=2)
    assert one.gp(start, stop) == pytest.approx(one.gp(*ALL)[:, start:stop], abs=1e-6)


def test_cells_equal_the_whole():
    one = posterior(n_models=2)
    rng = np.random.default_rng(0)
    samples, loci = rng.integers(0, N, 200), np.sort(rng.integers(0, L, 200))
    cells = HiddenCells(samples, loci, np.zeros(200, np.int64))
    assert one.cells(cells) == pytest.approx(one.gp(*ALL)[samples, loci], abs=1e-5)


def test_draws_are_averaged():
    one = posterior(draws=4)
    model, populations = one._models[0], one._populations
    expected = sum(torch.softmax(model.decode(z, populations), 0) for z in one._draws[0]) / 4
    assert one.gp(*ALL) == pytest.approx(expected.detach().permute(1, 2, 0).numpy(), abs=1e-5)
    assert len({tuple(z.flatten().tolist()) for z in one._draws[0]}) == 4


def test_no_draws_take_the_mean_of_z():
    one = posterior(draws=0)
    assert torch.equal(one._draws[0][0], one.latents[0].mu)
