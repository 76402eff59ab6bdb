"""Settings: one typed schema, its presets, YAML in and out, dotted overrides.

Sources are laid over one another in this order: defaults < preset < YAML < flag < `--set key=value`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from imputevae_cli.decoders import registry
from imputevae_cli.decoders.copying.settings import CopyingSettings
from imputevae_cli.decoders.founders.settings import FoundersSettings
from imputevae_cli.decoders.knn.settings import KnnSettings
from imputevae_cli.decoders.vae.settings import VaeSettings
from imputevae_cli.errors import ConfigError, did_you_mean
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.passwords import hide_passwords, without_passwords
from imputevae_cli.plain_yaml import NotYaml, check_plain, load, plain_number
from imputevae_cli.schema import (
    LARGEST,
    Count,
    CountOrZero,
    Exponent,
    NonNegative,
    OpenShare,
    Positive,
    Section,
    Share,
    Width,
)
from imputevae_cli.tuning.settings import TuneSettings

OLD_SECTIONS = {"donors": "knn", "haplotype": "copying"}
OLD_DECODERS = {"global": "vae", "donors": "knn", "haplotype": "copying"}
"""Names that settings had in 0.1, and those that they have now."""

Strategy = Literal[
    "observed", "random", "random_weighted", "random_weighted_inv", "nonrandom", "nonrandom_weighted", "dropout"
]


class ModelSettings(Section):
    """Which decoders fill the calls, and the shape of the VAE's networks.

    decoder: auto mixes the decoders that help on held-out calls; vae (population structure), knn (nearest neighbours),
    copying (haplotypes that samples share), founders (a few ancestral haplotypes, by the reads' likelihoods),
    regression (on linked loci, for polyploids) and frequencies use one alone. trial: whether, where haplotypes do most
    of the work in a large file, a cheap run shows what nearest neighbours add to them; without it these are left out
    there. latent_dim: size of z. hidden_units: width of the encoder's first hidden layer. num_hidden_layers: hidden
    layers of the encoder, and of the decoder in reverse; 0 makes both linear. layer_schedule and layer_scaling_factor:
    widths fall from hidden_units to latent_dim x layer_scaling_factor, by equal ratios (pyramid) or equal steps
    (linear). dropout_rate: share of the encoder's hidden units dropped in training. activation: of the hidden layers.
    population_dim: size of the population embedding, used when a popmap is given; 0 leaves populations out.
    population_dropout: share of samples whose population is withheld in a batch, so that the model also serves samples
    of none.
    """

    decoder: str = "auto"
    trial: bool = True
    latent_dim: Annotated[int, Meta(ge=1, le=1024)] = 8
    hidden_units: Width = 128
    num_hidden_layers: Annotated[int, Meta(ge=0, le=20)] = 1
    dropout_rate: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.1
    activation: Literal["relu", "elu", "selu", "leaky_relu", "gelu"] = "gelu"
    layer_scaling_factor: Annotated[float, Meta(gt=0.0, le=100.0)] = 5.0
    layer_schedule: Literal["pyramid", "linear"] = "pyramid"
    population_dim: Annotated[int, Meta(ge=0, le=1024)] = 4
    population_dropout: Share = 0.1


class TrainSettings(Section):
    """How the VAE is trained, and on which device.

    batch_size: at most a quarter of the samples serves, so that small cohorts too see several steps per epoch.
    learning_rate: the highest, after the warm-up. l1_penalty: weight of the absolute size of the networks' weights.
    weight_decay: AdamW's. decoder_l2: precision of the Gaussian prior on the decoder's loadings, which are many more
    than the samples. warmup_epochs: linear warm-up, then cosine to 0 at max_epochs. early_stop_gen: epochs without a
    better score on the held-out calls before training stops. min_epochs, max_epochs: it never stops before the one,
    and always at the other. ensemble: models fitted from different starting points, whose genotype probabilities are
    averaged. validation_split: share of the held-out calls that early stopping goes by; the gate and the expected
    accuracy go by all, each part of them judged by what the other says. input_mask_min, input_mask_max: least and
    greatest share of the observed calls hidden from the encoder, drawn anew for each sample of each batch.
    weights_power: of the class weights; 0 switches them off, 1 is full inverse frequency. weights_max_ratio: bounds
    largest / smallest class weight. weights_normalize: brings the mean of the class weights to 1. weights_inverse:
    takes the frequency itself as the weight. gamma: exponent of the focal loss. gamma_schedule: raises gamma
    linearly from 0 over the first half of max_epochs. device: where the VAE is trained; gpu is another name of
    cuda. precision: of the products in a training step of the VAE; bf16 is for GPUs that have it. Weights, losses
    and all else stay float32.
    """

    batch_size: Count = 64
    learning_rate: Positive = 3e-3
    l1_penalty: NonNegative = 0.0
    weight_decay: NonNegative = 1e-4
    decoder_l2: NonNegative = 60.0
    warmup_epochs: CountOrZero = 3
    early_stop_gen: Count = 12
    min_epochs: CountOrZero = 20
    max_epochs: Count = 60
    ensemble: Annotated[int, Meta(ge=1, le=1000)] = 1
    validation_split: OpenShare = 0.5
    input_mask_min: Share = 0.1
    input_mask_max: Share = 0.6
    weights_power: Exponent = 0.0
    weights_max_ratio: Annotated[float, Meta(ge=1.0, le=LARGEST)] | None = None
    weights_normalize: bool = True
    weights_inverse: bool = False
    gamma: Exponent = 0.0
    gamma_schedule: bool = False
    device: Literal["auto", "cpu", "cuda", "gpu", "mps"] = "cpu"
    precision: Literal["float32", "bf16"] = "float32"


class SimSettings(Section):
    """Simulated missingness: the known calls that are held out from training, to stop it and to score it.

    sim_strategy: observed hides calls in the way that the missing ones are missing; the others are those of `evaluate
    --strategy`. sim_prop: share of the known calls. max_hidden: their number at most, since held-out calls are lost
    to training. sim_kwargs: none of today's strategies takes any.
    """

    sim_strategy: Strategy = "observed"
    sim_prop: OpenShare = 0.1
    max_hidden: Count = 20_000
    sim_kwargs: dict[str, Any] = {}  # noqa: RUF012


class IoSettings(Section):
    """Files, threads and messages.

    prefix: OUT is `prefix` + `.vcf.gz` (`.ivae` for train) where -o is not given. ploidy: null takes the file's.
    likelihoods: the FORMAT field that says how certain calls are (PL, GL, AD, CATG, GP); auto takes the first but GP
    that is there and agrees with the calls, where they are uncertain; none takes each call for the truth.
    seed: same seed, same file. n_jobs: threads; 0 takes what the scheduler or the machine gives. scoring_averaging:
    of F1 over genotype classes, in the summary. verbose, debug: as `-v` and `--debug`.
    """

    prefix: str | None = None
    ploidy: Annotated[int, Meta(ge=1, le=8)] | None = None
    likelihoods: Literal["auto", "PL", "GL", "AD", "CATG", "GP", "none"] = "auto"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    n_jobs: Annotated[int, Meta(ge=0, le=4096)] = 0
    scoring_averaging: Literal["macro", "micro", "weighted"] = "macro"
    verbose: bool = False
    debug: bool = False


class PlotSettings(Section):
    """Pictures of `tune` and of `train --latent`.

    fmt: file format. dpi: resolution of png. fontsize: in points. despine: leaves out the upper and right axes.
    show: read, so that old files serve; nothing is shown.
    """

    fmt: Literal["pdf", "png", "svg"] = "pdf"
    dpi: Annotated[int, Meta(ge=1, le=1200)] = 300
    fontsize: Annotated[int, Meta(ge=1, le=200)] = 18
    despine: bool = True
    show: bool = False


class Config(Section):
    """Every setting of a run. Attributes may be assigned; `checked()` says whether the result holds."""

    model: ModelSettings = msgspec.field(default_factory=ModelSettings)
    train: TrainSettings = msgspec.field(default_factory=TrainSettings)
    vae: VaeSettings = msgspec.field(default_factory=VaeSettings)
    knn: KnnSettings = msgspec.field(default_factory=KnnSettings)
    copying: CopyingSettings = msgspec.field(default_factory=CopyingSettings)
    founders: FoundersSettings = msgspec.field(default_factory=FoundersSettings)
    panels: PanelSettings = msgspec.field(default_factory=PanelSettings)
    sim: SimSettings = msgspec.field(default_factory=SimSettings)
    tune: TuneSettings = msgspec.field(default_factory=TuneSettings)
    io: IoSettings = msgspec.field(default_factory=IoSettings)
    plot: PlotSettings = msgspec.field(default_factory=PlotSettings)

    @classmethod
    def from_preset(cls, name: str) -> Config:
        """A preset's settings. Raises ConfigError for a name that is not in PRESETS."""
        return cls.from_sources(preset=name)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Config:
        """Defaults overlaid with a YAML file. Raises ConfigError for a file or key that does not serve."""
        return cls.from_sources(yaml_path=path)

    @classmethod
    def from_dict(cls, nested: Mapping[str, Any]) -> Config:
        """Defaults overlaid with nested dictionaries, as `to_dict` gives them."""
        return _convert(_overlay({}, dict(leaves(nested)), "settings"))

    @classmethod
    def from_sources(
        cls,
        preset: str | None = None,
        yaml_path: str | Path | None = None,
        flags: Mapping[str, Any] | None = None,
        overrides: Iterable[str] = (),
    ) -> Config:
        """Lay the sources over one another: preset < YAML < flags (dotted keys) < overrides (`key=value`)."""
        nested: dict[str, Any] = {}
        if preset is not None:
            if preset not in PRESETS:
                raise ConfigError(f"preset {preset!r} is not known{did_you_mean(preset, PRESETS)}")
            _overlay(nested, PRESETS[preset], f"preset {preset}")
        if yaml_path is not None:
            _overlay(nested, dict(leaves(read_yaml(yaml_path))), str(yaml_path))
        _overlay(nested, flags or {}, "command line")
        _overlay(nested, dict(parse_override(text) for text in overrides), "--set")
        return _convert(nested)

    def replace(self, dotted: Mapping[str, Any]) -> Config:
        """A copy with some dotted keys changed.

        >>> Config().replace({"vae.kl_beta": 1.25}).vae.kl_beta
        1.25
        """
        return _convert(_overlay(self.to_dict(), dotted, "replace"))

    def checked(self) -> Config:
        """A copy whose every value was checked against the schema. Raises ConfigError."""
        check_plain(self.sim.sim_kwargs, "setting sim.sim_kwargs")
        config = _convert(self.to_dict())
        known = ("auto", *registry.names())
        if config.model.decoder not in known:
            meant = did_you_mean(config.model.decoder, known)
            raise ConfigError(f"setting model.decoder: {config.model.decoder!r} is not known{meant}")
        if config.train.input_mask_min > config.train.input_mask_max:
            raise ConfigError("train.input_mask_min is above train.input_mask_max: lower the one or raise the other")
        return config

    def get(self, dotted: str) -> Any:
        """The value of a dotted key. Raises ConfigError for a key not in the schema."""
        known = setting_keys()
        if dotted not in known:
            raise ConfigError(f"setting {dotted!r} is not known{did_you_mean(dotted, known)}")
        section, name = dotted.split(".")
        return getattr(getattr(self, section), name)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionaries."""
        return msgspec.to_builtins(self)

    def to_share(self) -> dict[str, Any]:
        """As `to_dict`, for what others read: with `***` for passwords, such as that of tune.storage."""
        return without_passwords(self.to_dict())

    def to_yaml(self) -> str:
        """The settings as YAML, which `from_yaml` reads back, but for passwords: `***` stands for those."""
        import yaml

        return yaml.safe_dump(self.to_share(), sort_keys=False)


PRESETS: dict[str, dict[str, Any]] = {
    "fast": {
        "model.trial": False,
        "model.latent_dim": 4,
        "model.hidden_units": 64,
        "train.learning_rate": 5e-3,
        "train.early_stop_gen": 5,
        "train.min_epochs": 8,
        "train.max_epochs": 20,
        "knn.steps": 60,
        "knn.learning_rate": 3e-2,
        "knn.redraws": 1,
        "knn.heads": 3,
        "knn.window": 8,
        "knn.linked": 0,
        "copying.chains": 1,
        "copying.trial": False,
        "sim.max_hidden": 5000,
    },
    "balanced": {},
    "thorough": {
        "model.latent_dim": 16,
        "train.early_stop_gen": 25,
        "train.max_epochs": 150,
        "train.ensemble": 3,
        "knn.steps": 1500,
        "copying.chains": 6,
    },
}


def setting_keys() -> list[str]:
    """Every dotted key of the schema."""
    return list(dict(leaves(Config().to_dict())))


def leaves(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of each setting; a mapping two levels down, such as `sim_kwargs`, is a value."""
    for key, value in nested.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and not prefix:
            yield from leaves(value, f"{dotted}.")
        else:
            yield dotted, value


def _overlay(nested: dict[str, Any], dotted: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Set dotted keys in nested dictionaries, in place. Raises ConfigError for a key not in the schema."""
    known = setting_keys()
    for key, value in dotted.items():
        key, value = _current(key, value)
        if key not in known:
            raise ConfigError(f"{where}: setting {key!r} is not known{did_you_mean(key, known)}")
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _current(key: str, value: Any) -> tuple[str, Any]:
    """A dotted key and its value by today's names; those of 0.1 serve on."""
    section, _, name = key.partition(".")
    if key == "model.decoder" and isinstance(value, str):
        value = OLD_DECODERS.get(value, value)
    return f"{OLD_SECTIONS.get(section, section)}.{name}" if name else key, value


def _convert(nested: Mapping[str, Any]) -> Config:
    for key, value in leaves(nested):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"setting {key}: {value} is not a finite number")
        if isinstance(value, str) and not value.isprintable():
            raise ConfigError(f"setting {key}: {value!r} holds characters that cannot be shown; leave them out")
    try:
        return msgspec.convert(nested, Config)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`")
        raise ConfigError(f"setting {key or '?'}: {text}{_choices(key)}") from error


def _choices(key: str) -> str:
    """`; known: A, B` for a dotted key that takes one of some words, nothing for another."""
    section, _, name = key.partition(".")
    types = get_type_hints(type(getattr(Config(), section, None)))
    words = [word for word in get_args(types.get(name)) if isinstance(word, str)]
    return f"; known: {', '.join(words)}" if words else ""


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """Dotted key and value of `key=value`, the value in YAML. Raises ConfigError, naming the option.

    >>> parse_override("vae.kl_beta=1.25")
    ('vae.kl_beta', 1.25)
    >>> parse_override("copying.chains=null")
    ('copying.chains', None)
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{option} {hide_passwords(text)}: write it as key=value, such as vae.kl_beta=1.25")
    try:
        loaded = load(value)
    except NotYaml as error:
        raise ConfigError(f"{option} {hide_passwords(text)}: the value is not valid YAML") from error
    check_plain(loaded, f"{option} {key}")
    return _current(key.strip(), plain_number(loaded))


def read_yaml(path: str | Path) -> Mapping[str, Any]:
    """Sections of `key: value` lines. Raises ConfigError for a file that does not serve; keys are not looked at."""
    try:
        loaded = load(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: the settings cannot be read ({error.strerror}); check the path") from error
    except NotYaml as error:
        raise ConfigError(f"{path}: {error}; --print-config shows the form") from error
    if loaded is None:
        return {}
    check_plain(loaded, str(path))
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{path}: expected sections such as `model:` and `train:`; --print-config shows the form")
    for section, values in loaded.items():
        if OLD_SECTIONS.get(section, section) not in Config.__struct_fields__:
            raise ConfigError(
                f"{path}: section {section!r} is not known{did_you_mean(section, Config.__struct_fields__)}"
            )
        if not isinstance(values, Mapping):
            raise ConfigError(f"{path}: section {section!r} must hold `key: value` lines")
    return {
        OLD_SECTIONS.get(s) or s: {k: plain_number(v) if k != "prefix" else v for k, v in values.items()}
        for s, values in loaded.items()
    }
