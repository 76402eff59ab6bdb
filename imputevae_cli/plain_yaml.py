"""YAML that users write, as plain values: numbers, texts, true and false, and lists and mappings of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imputevae_cli.errors import ConfigError

DEEPEST, MOST_VALUES = 20, 10_000
"""How deep values may be nested, and how many there may be."""


class NotYaml(ValueError):
    """Text that is not YAML; its message says where, if that is known."""


def load(text: str | bytes) -> Any:
    """The value that a text, in UTF-8 where it is bytes, stands for; None for an empty one. Raises NotYaml."""
    import yaml

    try:
        return yaml.safe_load(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: dates and numbers that cannot be
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise NotYaml("not valid YAML" if line is None else f"not valid YAML at line {line + 1}") from error


def check_plain(value: Any, where: str, depth: int = 0) -> int:
    """How many values there are in `value`. Raises ConfigError where they are too many, or of types without a text.

    YAML can refer to what is around a value, or repeat a list in a list in a list: that has no end, or none in sight.
    """
    if isinstance(value, (Mapping, list)):
        if depth > DEEPEST:
            raise ConfigError(f"{where}: is nested more than {DEEPEST} deep, or refers to itself; write it out")
        parts = [*value, *value.values()] if isinstance(value, Mapping) else value
        count = 1
        for part in parts:
            count += check_plain(part, where, depth + 1)
            if count > MOST_VALUES:
                raise ConfigError(f"{where}: holds more than {MOST_VALUES} values; no setting has so many")
        return count
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise ConfigError(f"{where}: a {type(value).__name__} is no setting; give a number, a text, or a list of them")
    return 1


def plain_number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 (no point) as text; users write it all the time."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
