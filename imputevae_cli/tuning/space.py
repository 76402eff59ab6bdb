"""What a study searches: ranges of settings, those of the built-in space overlaid with a file and with fixed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imputevae_cli.config import Config, leaves, parse_override, plain_number, read_yaml
from imputevae_cli.errors import ConfigError

GLOBAL, DONORS, HAPLOTYPE, GATE = "vae", "knn", "copying", "gate"


@dataclass(frozen=True)
class Numbers:
    """A range of numbers, both ends included. log: drawn evenly in the logarithm. whole: integers alone."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def holding(self, value: float) -> Numbers:
        """The same range, made to hold `value`."""
        return Numbers(min(self.low, value), max(self.high, value), self.log, self.whole)


@dataclass(frozen=True)
class Choices:
    """Values that are no numbers, or not evenly spaced ones."""

    values: tuple[Any, ...]

    def holding(self, value: Any) -> Choices:
        """The same values and `value`."""
        return self if value in self.values else Choices((*self.values, value))


Dimension = Numbers | Choices


def _whole(low: int, high: int, log: bool = False) -> Numbers:
    return Numbers(low, high, log, whole=True)


_YES_NO = Choices((False, True))

BUILT_IN: dict[str, dict[str, Dimension]] = {
    GLOBAL: {
        "model.latent_dim": _whole(2, 32, log=True),
        "model.hidden_units": _whole(32, 256, log=True),
        "model.num_hidden_layers": _whole(0, 4),
        "model.dropout_rate": Numbers(0.0, 0.5),
        "model.activation": Choices(("relu", "elu", "selu", "leaky_relu", "gelu")),
        "model.layer_scaling_factor": Numbers(2.0, 10.0),
        "model.layer_schedule": Choices(("pyramid", "linear")),
        "train.learning_rate": Numbers(3e-4, 1e-2, log=True),
        "train.max_epochs": _whole(30, 150, log=True),
        "train.l1_penalty": Numbers(0.0, 1e-3),
        "train.decoder_l2": Numbers(5.0, 500.0, log=True),
        "train.input_mask_max": Numbers(0.3, 0.9),
        "train.weights_power": Numbers(0.0, 2.0),
        "train.weights_normalize": _YES_NO,
        "train.weights_inverse": _YES_NO,
        "train.gamma": Numbers(0.0, 3.0),
        "train.gamma_schedule": _YES_NO,
        "vae.kl_beta": Numbers(0.1, 10.0, log=True),
        "vae.kl_beta_schedule": _YES_NO,
    },
    DONORS: {
        "knn.steps": _whole(250, 1500, log=True),
        "knn.learning_rate": Numbers(3e-3, 4e-2, log=True),
        "knn.weight_decay": Numbers(1e-5, 1e-1, log=True),
        "knn.window": _whole(4, 64, log=True),
        "knn.linked": _whole(4, 64, log=True),
        "knn.heads": _whole(3, 10),
        "knn.hidden": _whole(16, 128, log=True),
        "knn.hide": Numbers(0.03, 0.3, log=True),
        "knn.redraws": _whole(1, 8, log=True),
        "knn.averaged_steps": _whole(20, 200, log=True),
    },
    HAPLOTYPE: {
        "copying.iterations": _whole(10, 32, log=True),
        "copying.chains": _whole(1, 8, log=True),
        "copying.donors": _whole(16, 160, log=True),
        "copying.core": _whole(96, 1536, log=True),
        "copying.halo": _whole(16, 256, log=True),
        "copying.error": Numbers(2e-5, 1e-2, log=True),
    },
    GATE: {
        "train.validation_split": Numbers(0.3, 0.9),
        "sim.sim_prop": Numbers(0.02, 0.3, log=True),
    },
}
"""The settings of each part of the model that can move a score, about the defaults."""

OF_OUTPUT = ("model", "train", "vae", "knn", "copying", "sim")
"""Sections that say what a model is; the others say where it comes from and where it goes."""

NOT_SEARCHED = ("train.device", "train.precision", "model.decoder", "sim.sim_strategy", "sim.sim_kwargs")
"""Settings that trials must share to be compared, or that say nothing about the model."""


@dataclass(frozen=True)
class Space:
    """What a study searches.

    named: dimensions that the user named, which are searched in any case. built_in: the rest, by part of the model,
    which are searched where the data use the part. held: settings held at a value.
    """

    named: Mapping[str, Dimension]
    built_in: Mapping[str, Mapping[str, Dimension]]
    held: Mapping[str, Any]

    def of_parts(self, parts: Iterable[str]) -> dict[str, Dimension]:
        """What is searched where the data use these parts, in a lasting order."""
        wanted = set(parts)
        built_in = {k: d for part, group in self.built_in.items() if part in wanted for k, d in group.items()}
        return {**built_in, **self.named}


def make_space(path: str | Path | None, fixes: Iterable[str], config: Config) -> Space:
    """The built-in space, a YAML file of ranges laid over it, and `key=value` texts over both.

    In the file, which has the sections and keys of the settings, a mapping with low, high and perhaps log is a
    range, a list holds choices, null takes a setting out of the search, any other value holds it.
    Raises ConfigError for keys and values that do not serve.
    """
    named: dict[str, Dimension] = {}
    held: dict[str, Any] = {}
    dropped: set[str] = set()
    for key, value in leaves(read_yaml(path)) if path is not None else ():
        _check_key(key, config, str(path))
        if isinstance(value, Mapping):
            named[key] = _range(key, value, config, str(path))
        elif isinstance(value, list):
            named[key] = _choices(key, value, config, str(path))
        elif value is None:
            dropped.add(key)
        else:
            held[key] = value
    held |= dict(parse_override(text, "--fix") for text in fixes)
    for key in held:
        _check_key(key, config, "--fix")
    config.replace(held)
    named = {key: dimension for key, dimension in named.items() if key not in held}
    out = dropped | named.keys() | held.keys()
    built_in = {part: {k: d for k, d in group.items() if k not in out} for part, group in BUILT_IN.items()}
    return Space(named, built_in, held)


def _check_key(key: str, config: Config, where: str) -> None:
    try:
        config.get(key)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if key.split(".")[0] not in OF_OUTPUT or key in NOT_SEARCHED:
        raise ConfigError(f"{where}: {key} is not a setting that trials can differ in; set it with --set or --config")


def _range(key: str, value: Mapping[str, Any], config: Config, where: str) -> Numbers:
    low, high, log = plain_number(value.get("low")), plain_number(value.get("high")), value.get("log", False)
    numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in (low, high))
    if set(value) - {"low", "high", "log"} or not numbers or not isinstance(log, bool) or low >= high:
        raise ConfigError(f"{where}: {key}: write a range as {{low: 1, high: 10, log: true}}, low under high")
    if log and low <= 0:
        raise ConfigError(f"{where}: {key}: a logarithmic range must begin above 0; raise low, or leave log out")
    for end in (low, high):
        _check_value(key, end, config, where)
    inside = low + 1e-6 * (high - low)
    return Numbers(low, high, log, whole=not _serves(key, inside, config))


def _choices(key: str, values: list[Any], config: Config, where: str) -> Choices:
    values = [plain_number(value) for value in values]
    if not values:
        raise ConfigError(f"{where}: {key}: the list of choices is empty; null takes a setting out of the search")
    for value in values:
        _check_value(key, value, config, where)
    return Choices(tuple(values))


def _check_value(key: str, value: Any, config: Config, where: str) -> None:
    try:
        config.replace({key: value})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _serves(key: str, value: Any, config: Config) -> bool:
    try:
        config.replace({key: value})
    except ConfigError:
        return False
    return True
