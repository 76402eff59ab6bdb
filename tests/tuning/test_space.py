"""What a study searches."""

import pytest

from imputevae_cli.config import Config
from imputevae_cli.errors import ConfigError
from imputevae_cli.tuning.space import Choices, Numbers, built_in, make_space

BUILT_IN = built_in()
EVERYTHING = {key: dimension for group in BUILT_IN.values() for key, dimension in group.items()}


def space_of(tmp_path, text, fixes=()):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return make_space(path, fixes, Config())


@pytest.mark.parametrize("key", EVERYTHING)
def test_the_ends_of_a_built_in_range_are_settings_and_hold_the_default(key):
    dimension, default = EVERYTHING[key], Config().get(key)
    ends = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
    for end in ends:
        Config().replace({key: int(end) if getattr(dimension, "whole", False) else end}).checked()
    if default is not None:
        assert dimension.holding(default) == dimension


def test_the_settings_of_pg_sui_are_searched():
    names = {key.split(".")[1] for key in BUILT_IN["vae"]}
    assert names > {
        "latent_dim", "learning_rate", "dropout_rate", "num_hidden_layers", "activation", "l1_penalty", "gamma",
        "layer_scaling_factor", "layer_schedule", "weights_power", "weights_normalize", "weights_inverse",
        "kl_beta", "kl_beta_schedule", "gamma_schedule",
    }  # fmt: skip


def test_only_parts_in_use_are_searched():
    searched = make_space(None, (), Config()).of_parts(["knn"])
    assert set(searched) == set(BUILT_IN["knn"])


def test_a_file_overrides_ranges_and_adds_settings(tmp_path):
    text = """
    donors: {steps: {low: 10, high: 1000, log: true}, window: null, heads: 4}
    model: {activation: [relu, elu]}
    vae: {kl_beta: {low: 1e-1, high: 2}}
    """
    space = space_of(tmp_path, text)
    searched = space.of_parts(["knn"])
    assert searched["knn.steps"] == Numbers(10, 1000, log=True, whole=True)
    assert searched["vae.kl_beta"] == Numbers(0.1, 2), "named settings are searched though their part is idle"
    assert searched["model.activation"] == Choices(("relu", "elu"))
    assert not {"knn.window", "knn.heads", "model.latent_dim"} & searched.keys()
    assert space.held == {"knn.heads": 4}


def test_fix_holds_a_setting_whatever_the_file_says(tmp_path):
    space = space_of(tmp_path, "donors: {steps: {low: 10, high: 100}}", ["knn.steps=70", "vae.kl_beta=1e-1"])
    assert space.held == {"knn.steps": 70, "vae.kl_beta": 0.1}
    assert "knn.steps" not in space.of_parts(["knn"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("donors: {step: {low: 1, high: 2}}", "knn.steps"),
        ("kn: {steps: {low: 1, high: 2}}", "knn"),
        ("donors: {steps: {low: 5, high: 5}}", "low under high"),
        ("donors: {steps: {low: 5, hi: 9}}", "low under high"),
        ("donors: {steps: {low: 0, high: 9}}", "knn.steps"),
        ("donors: {linked: {low: 0, high: 9, log: true}}", "above 0"),
        ("donors: {steps: {low: 1.5, high: 9}}", "knn.steps"),
        ("model: {activation: [relu, tanh]}", "model.activation"),
        ("model: {activation: []}", "empty"),
        ("train: {device: [cpu, cuda]}", "train.device"),
        ("io: {seed: {low: 1, high: 9}}", "io.seed"),
        ("tune: {n_trials: 7}", "tune.n_trials"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        space_of(tmp_path, text)


@pytest.mark.parametrize("fix", ["knn.steps", "donors.step=9", "knn.steps=0", "io.seed=3"])
def test_what_cannot_be_held_is_refused(fix):
    with pytest.raises(ConfigError):
        make_space(None, [fix], Config())
