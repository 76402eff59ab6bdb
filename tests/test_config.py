import pytest
import yaml

from imputevae_cli.config import PRESETS, Config, setting_keys
from imputevae_cli.errors import ConfigError

PG_SUI_SETTINGS = {
    "model.latent_dim": 2,
    "model.num_hidden_layers": 2,
    "model.dropout_rate": 0.2,
    "model.activation": "leaky_relu",
    "model.layer_scaling_factor": 5.0,
    "model.layer_schedule": "linear",
    "train.batch_size": 64,
    "train.learning_rate": 1e-3,
    "train.l1_penalty": 0.0,
    "train.early_stop_gen": 25,
    "train.min_epochs": 100,
    "train.max_epochs": 2000,
    "train.validation_split": 0.2,
    "train.weights_power": 1.0,
    "train.weights_max_ratio": None,
    "train.weights_normalize": True,
    "train.weights_inverse": False,
    "train.gamma": 0.0,
    "train.gamma_schedule": False,
    "train.device": "gpu",
    "vae.kl_beta": 0.5,
    "vae.kl_beta_schedule": True,
    "sim.sim_strategy": "random_weighted_inv",
    "sim.sim_prop": 0.2,
    "sim.sim_kwargs": {},
    "tune.metrics": ["f1", "mcc"],
    "tune.n_trials": 100,
    "tune.resume": False,
    "tune.save_db": False,
    "tune.epochs": 100,
    "tune.batch_size": 64,
    "tune.patience": 10,
    "io.prefix": "run",
    "io.ploidy": 2,
    "io.seed": 42,
    "io.n_jobs": 4,
    "io.scoring_averaging": "macro",
    "io.verbose": True,
    "io.debug": False,
    "plot.fmt": "pdf",
    "plot.dpi": 300,
    "plot.fontsize": 18,
    "plot.despine": True,
    "plot.show": False,
}
"""The settings that users of PG-SUI's ImputeVAE know."""


def value_of(config, dotted):
    section, key = dotted.split(".")
    return getattr(getattr(config, section), key)


@pytest.mark.parametrize(("key", "value"), PG_SUI_SETTINGS.items())
def test_settings_of_pg_sui_are_accepted(key, value):
    assert value_of(Config().replace({key: value}).checked(), key) == value


def test_precedence(tmp_path):
    path = tmp_path / "c.yaml"
    key = "train.max_epochs"
    default, preset = Config().train.max_epochs, PRESETS["fast"][key]
    assert len({default, preset, 41, 42, 43}) == 5
    path.write_text("train:\n  max_epochs: 41\n")
    sources = {"preset": "fast", "yaml_path": path, "flags": {key: 42}, "overrides": [f"{key}=43"]}
    seen = [Config().train.max_epochs]
    for count in range(1, 5):
        given = dict(list(sources.items())[:count])
        seen.append(Config.from_sources(**given).train.max_epochs)
    assert seen == [default, preset, 41, 42, 43]


def test_a_source_leaves_the_settings_it_does_not_name(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("vae:\n  kl_beta: 2.5\n")
    config = Config.from_sources("fast", path, {"io.seed": 9}, ["sim.sim_prop=0.3"])
    assert (config.model.latent_dim, config.vae.kl_beta, config.io.seed, config.sim.sim_prop) == (4, 2.5, 9, 0.3)
    assert config.train.batch_size == Config().train.batch_size


def test_the_last_of_two_overrides_holds():
    assert Config.from_sources(overrides=["vae.kl_beta=1", "vae.kl_beta=2"]).vae.kl_beta == 2.0


@pytest.mark.parametrize(
    "text", ["train.learning_rate=1e-3", "train.learning_rate=0.001", "train.learning_rate=1.0e-3"]
)
def test_numbers_as_users_write_them(text):
    assert Config.from_sources(overrides=[text]).train.learning_rate == 0.001


@pytest.mark.parametrize(
    ("key", "words"), [("train.device", "auto, cpu, cuda, gpu, mps"), ("plot.fmt", "pdf, png, svg")]
)
def test_a_word_that_is_not_known_is_refused_with_those_that_are(key, words):
    with pytest.raises(ConfigError, match=f"setting {key}: .*'tpu'; known: {words}"):
        Config.from_sources(overrides=[f"{key}=tpu"])


@pytest.mark.parametrize("value", ["null", "~", ""])
def test_null_override(value):
    assert Config.from_sources(overrides=[f"train.weights_max_ratio={value}"]).train.weights_max_ratio is None


@pytest.mark.parametrize("name", PRESETS)
def test_yaml_round_trip(tmp_path, name):
    config = Config.from_preset(name).replace({"io.prefix": "7", "tune.metrics": ["f1", "mcc"], "io.ploidy": 1})
    path = tmp_path / "c.yaml"
    path.write_text(config.to_yaml())
    assert Config.from_yaml(path) == config
    assert Config.from_dict(config.to_dict()) == config
    assert yaml.safe_load(config.to_yaml()) == config.to_dict()


def test_configs_do_not_share_their_parts():
    one, other = Config(), Config()
    one.vae.kl_beta = 7.0
    one.sim.sim_kwargs["a"] = 1
    assert other == Config()
    changed = one.replace({"vae.kl_beta": 8.0})
    assert (one.vae.kl_beta, changed.vae.kl_beta) == (7.0, 8.0)


def test_empty_yaml_is_the_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert Config.from_yaml(path) == Config()


@pytest.mark.parametrize(
    ("key", "offered"),
    [
        ("vae.kl_bata", "vae.kl_beta"),
        ("model.latent_dims", "model.latent_dim"),
        ("latent_dim", "model.latent_dim"),
        ("train.kl_beta", "vae.kl_beta"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, offered):
    with pytest.raises(ConfigError, match=f"{key!r} is not known; did you mean {offered!r}"):
        Config.from_sources(overrides=[f"{key}=1"])
    with pytest.raises(ConfigError, match=f"did you mean {offered!r}"):
        Config().replace({key: 1})


def test_unknown_keys_of_yaml(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("vae:\n  kl_bta: 1\n")
    with pytest.raises(ConfigError, match=r"c\.yaml: setting 'vae\.kl_bta' is not known; did you mean 'vae\.kl_beta'"):
        Config.from_yaml(path)
    path.write_text("trian:\n  gamma: 1\n")
    with pytest.raises(ConfigError, match="section 'trian' is not known; did you mean 'train'"):
        Config.from_yaml(path)


@pytest.mark.parametrize("text", ["- a\n- b\n", "train: 3\n", "a: [1\n", "text", b"\xff\xfe"])
def test_files_that_are_no_settings(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"c\.yaml") as error:
        Config.from_yaml(path)
    assert "\n" not in str(error.value)


def test_absent_yaml_and_preset(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        Config.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"preset 'quick' is not known.*fast, balanced, thorough"):
        Config.from_preset("quick")


@pytest.mark.parametrize(
    "override",
    [
        "train.batch_size=0",
        "train.batch_size=1.5",
        "train.batch_size=many",
        "model.dropout_rate=1",
        "model.activation=tanhh",
        "sim.sim_prop=0",
        "sim.sim_prop=1",
        "sim.sim_strategy=nonsense",
        "train.learning_rate=-1",
        "train.learning_rate=.nan",
        "train.learning_rate=.inf",
        "train.gamma=true",
        "train.device=tpu",
        "train.weights_max_ratio=0.5",
        "vae.kl_beta=-0.1",
        "io.ploidy=9",
        "io.seed=-1",
        "train.max_epochs=null",
    ],
)
def test_bad_values_are_refused_by_name(override):
    with pytest.raises(ConfigError, match=override.split("=")[0].replace(".", r"\.")) as error:
        Config.from_sources(overrides=[override]).checked()
    assert "\n" not in str(error.value)


def test_values_that_contradict_each_other():
    config = Config()
    config.train.input_mask_min = 0.9
    with pytest.raises(ConfigError, match="input_mask_min"):
        config.checked()


def test_an_assigned_value_is_checked():
    config = Config()
    config.vae.kl_beta = -1.0
    with pytest.raises(ConfigError, match=r"vae\.kl_beta"):
        config.checked()


@pytest.mark.parametrize("text", ["vae.kl_beta", "vae.kl_beta=[1", "=1"])
def test_overrides_that_are_no_pair(text):
    with pytest.raises(ConfigError):
        Config.from_sources(overrides=[text])


def test_every_key_is_a_leaf_of_the_schema():
    keys = setting_keys()
    assert len(keys) == len(set(keys))
    assert set(PG_SUI_SETTINGS) <= set(keys)
    assert all(set(preset) <= set(keys) for preset in PRESETS.values())


def test_the_names_of_0_1_serve_on(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text("donors: {steps: 7}\nhaplotype: {chains: 2}\nmodel: {decoder: global}\n")
    config = Config.from_sources(yaml_path=path, overrides=["donors.heads=3"])
    assert (config.knn.steps, config.copying.chains, config.knn.heads) == (7, 2, 3)
    assert config.model.decoder == "vae"


@pytest.mark.parametrize(
    "override",
    [
        "train.learning_rate=1e308", "train.gamma=1e9", "train.weights_power=1e9", "vae.kl_beta=1e300",
        "model.latent_dim=1000000000", "model.hidden_units=" + "9" * 30, "model.layer_scaling_factor=1e9",
        "knn.heads=100000", "knn.batch_loci=1000000000", "knn.queries_per_locus=1000000000", "vae.draws=1000000000",
        "train.ensemble=1000000", "io.seed=" + "9" * 30, "io.n_jobs=1000000000", "plot.dpi=1000000",
        "plot.fontsize=9999",
        "tune.timeout=1e300", "tune.stale_after=1e300", "sim.max_hidden=" + "9" * 30, "train.max_epochs=" + "9" * 5000,
        "sim.sim_kwargs=&a {x: *a}", "sim.sim_kwargs={a: 2020-01-01}", "sim.sim_kwargs=2020-99-99",
        "train.gamma=" + "[" * 3000, "io.prefix=\"a\\0b\"", "tune.study=\"a\\nb\"", "train.gamma=.nan",
    ],
)  # fmt: skip
def test_absurd_settings_are_refused(override):
    with pytest.raises(ConfigError) as error:
        Config.from_sources(overrides=[override])
    assert len(str(error.value)) < 500


def test_yaml_that_refers_to_itself_or_grows_without_end(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("sim:\n  sim_kwargs: &a\n    x: *a\n")
    with pytest.raises(ConfigError, match=r"c\.yaml: is nested more than 20 deep, or refers to itself"):
        Config.from_yaml(path)
    lines = ["sim:", "  sim_kwargs:", "    a0: &a0 [1, 2]"]
    lines += [f"    a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 18)]
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 10000 values"):
        Config.from_yaml(path)
    path.write_text("sim: " + "[" * 5000)
    with pytest.raises(ConfigError, match="not valid YAML"):
        Config.from_yaml(path)
    config, loop = Config(), {}
    loop["x"] = loop
    config.sim.sim_kwargs = loop
    with pytest.raises(ConfigError, match="refers to itself"):
        config.checked()
