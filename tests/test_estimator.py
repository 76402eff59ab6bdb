"""ImputeVAE as an estimator of scikit-learn, and the functions of the top level."""

import warnings

import numpy as np
import pytest
from conftest import simulate, tiny_config
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

import imputevae_cli
from imputevae_cli import Config, GenotypeMatrix, ImputeVAE, evaluate, tune
from imputevae_cli.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def array():
    """Genotypes as an array with NaN."""
    calls = simulate(24, 60)[0].calls
    return np.where(calls < 0, np.nan, calls)


def test_an_array_is_fitted_and_filled(array):
    imputed = ImputeVAE(tiny_config()).fit_transform(array)
    assert np.array_equal(imputed.calls[~np.isnan(array)], array[~np.isnan(array)])
    assert (imputed.calls >= 0).all()
    assert imputed.shape == array.shape
    assert np.array_equal(np.asarray(imputed), imputed.dosage)
    assert np.asarray(imputed, np.float64).dtype == np.float64
    model = ImputeVAE(tiny_config()).fit(array)
    assert np.array_equal(model.transform(array).gp, imputed.gp)
    assert model.transform(array[:5]).shape == (5, 60)


def test_other_things_are_no_genotypes(array):
    for thing in ("cohort.vcf", None, array[0]):
        with pytest.raises(InputError):
            ImputeVAE(tiny_config()).fit(thing)


def test_a_clone_has_the_settings_and_no_fit(array):
    model = ImputeVAE(tiny_config(vae__kl_beta=1.5)).fit(array)
    copy = clone(model)
    assert copy.config == model.config
    assert copy.config is not model.config
    check_is_fitted(model)
    with pytest.raises(Exception, match="not fitted"):
        check_is_fitted(copy)


def test_parameters_by_name():
    model = ImputeVAE(Config())
    assert model.get_params(deep=False).keys() == {"config", "rules"}
    assert model.get_params()["vae__kl_beta"] == model.config.vae.kl_beta
    assert model.set_params(vae__kl_beta=2.5, io__seed=7) is model
    assert (model.config.vae.kl_beta, model.config.io.seed) == (2.5, 7)
    other = tiny_config()
    assert model.set_params(config=other, io__seed=3).config.io.seed == 3
    assert ImputeVAE(Config()).set_params(**ImputeVAE(other).get_params()).config == other
    with pytest.raises(ConfigError, match="'beta' is no parameter"):
        model.set_params(beta=1)
    with pytest.raises(ConfigError, match="kl_bta"):
        model.set_params(vae__kl_bta=1)


def test_a_step_of_a_pipeline(array):
    pipeline = make_pipeline(ImputeVAE(tiny_config()), PCA(2, random_state=0))
    pipeline.set_params(imputevae__vae__draws=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = pipeline.fit_transform(array)
        assert pipeline.transform(array) == pytest.approx(scores, abs=1e-4)
    assert scores.shape == (24, 2)


def test_reprs_are_short(array):
    model = ImputeVAE(Config().replace({"vae.kl_beta": 1.5}))
    assert repr(model) == "<ImputeVAE: vae.kl_beta=1.5; not fitted>"
    assert repr(ImputeVAE()) == "<ImputeVAE: default settings; not fitted>"
    assert "secret" not in repr(ImputeVAE(Config().replace({"tune.storage": "postgresql://user:secret@host/base"})))
    imputed = ImputeVAE(tiny_config()).fit_transform(array)
    n_missing = int(np.isnan(array).sum())
    assert repr(imputed) == f"<ImputedGenotypes: 24 samples x 60 loci, {n_missing} calls were missing>"


def test_what_is_computed_is_kept_and_cannot_be_written_to(array):
    imputed = ImputeVAE(tiny_config()).fit_transform(array)
    for name in ("calls", "gp", "dosage", "imputed"):
        values = getattr(imputed, name)
        assert getattr(imputed, name) is values
        with pytest.raises(ValueError, match="read-only"):
            values[0, 0] = 0
    assert not np.array_equal(imputed.draw(1).calls, imputed.calls)


def test_a_data_frame_and_a_dataset_are_fitted(array):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    expected = ImputeVAE(tiny_config()).fit_transform(array).gp
    assert np.array_equal(ImputeVAE(tiny_config()).fit_transform(pandas.DataFrame(array)).gp, expected)
    dataset = GenotypeMatrix.from_array(array).to_xarray()
    assert np.array_equal(ImputeVAE(tiny_config()).fit_transform(dataset).gp, expected)


def test_results_as_a_dataset_and_as_anndata(array):
    pytest.importorskip("xarray")
    genotypes = GenotypeMatrix.from_array(array, populations=["n"] * 12 + ["s"] * 12)
    imputed = ImputeVAE(tiny_config()).fit_transform(genotypes)
    data = imputed.to_xarray()
    assert np.array_equal(data.call_genotype.values.sum(2), imputed.calls.T)
    assert data.call_genotype_probability.dims == ("variants", "samples", "genotypes")
    assert np.array_equal(data.call_genotype_probability.values[:, 3], imputed.gp[3])
    assert np.array_equal(data.call_imputed.values, np.isnan(array).T)


def test_results_as_anndata(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what anndata imports
        pytest.importorskip("anndata")
        genotypes = GenotypeMatrix.from_array(array, populations=["n"] * 12 + ["s"] * 12)
        imputed = ImputeVAE(tiny_config()).fit_transform(genotypes)
        made = imputed.to_anndata()
    assert np.array_equal(made.X, imputed.dosage)
    assert np.array_equal(made.layers["calls"], imputed.calls)
    assert made.obs["population"].tolist() == genotypes.populations.tolist()
    assert made.var["pos"].tolist() == genotypes.loci.pos.tolist()


def test_evaluate_scores_the_model_beside_the_baselines(array):
    found = evaluate(array, tiny_config(), strategy="random", prop=0.2, repeats=2)
    assert {"model", "mode"} <= found.figures.keys()
    assert 0 < found.figures["model"]["concordance"] < 1
    n_known = int((~np.isnan(array)).sum())
    assert len(found.samples) == 2 * round(0.2 * n_known)
    again = evaluate(array, tiny_config(), strategy="random", prop=0.2, repeats=2)
    assert again.figures == found.figures
    assert repr(found).startswith(f"<Evaluation: {len(found.samples):,} hidden calls, methods model, ")


def test_tune_gives_settings(array, tmp_path):
    config = tiny_config(tune__finalists=1, tune__sampler_startup=1)
    result = tune(array, config, n_trials=2, fix=["vae.kl_beta=1.5"])
    assert len(result.counted) == 2
    assert result.config.vae.kl_beta in (1.5, config.vae.kl_beta)
    kept = tune(array, config, n_trials=1, storage=f"journal:{tmp_path / 'kept'}")
    more = tune(array, config, n_trials=2, storage=f"journal:{tmp_path / 'kept'}")
    assert (len(kept.counted), len(more.counted)) == (1, 2)


def test_the_top_level_lists_what_there_is():
    assert set(imputevae_cli.__all__) <= set(dir(imputevae_cli))
    for name in imputevae_cli.__all__:
        assert getattr(imputevae_cli, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        imputevae_cli.nothing  # noqa: B018
