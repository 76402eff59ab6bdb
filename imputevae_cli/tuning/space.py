"""What a study searches: ranges of settings, those of the built-in space overlaid with a file and with fixed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imputevae_cli.config import Config, leaves, parse_override, read_yaml
from imputevae_cli.decoders import registry
from imputevae_cli.errors import ConfigError
from imputevae_cli.plain_yaml import plain_number
from imputevae_cli.runtime.search_space import Choices, Dimension, Numbers

GATE = "gate"
"""The name, beside those of decoders, under which the settings of the mixture stand."""

OF_GATE: dict[str, Dimension] = {
    "train.validation_split": Numbers(0.3, 0.9),
    "sim.sim_prop": Numbers(0.02, 0.3, log=True),
}


def built_in() -> dict[str, dict[str, Dimension]]:
    """The settings of each decoder, and of the gate, that can move a score, about the defaults."""
    spaces = {name: dict(decoder.search_space) for name, decoder in registry.every().items() if decoder.search_space}
    return spaces | {GATE: OF_GATE}


OF_OUTPUT = tuple(section for section in Config.__struct_fields__ if section not in ("tune", "io", "plot"))
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
        found = {k: d for part, group in self.built_in.items() if part in wanted for k, d in group.items()}
        return {**found, **self.named}


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
    groups = {part: {k: d for k, d in group.items() if k not in out} for part, group in built_in().items()}
    return Space(named, groups, held)


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
