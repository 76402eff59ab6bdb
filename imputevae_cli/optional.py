"""Libraries that only some uses need: imported there, and where one is missing the error says how to install it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from imputevae_cli.errors import ConfigError


def optional(library: str, use: str, extra: str) -> Any:
    """The module `library`. Raises ConfigError, naming what to install, where it is not there.

    use: what needs it, the subject of the message. extra: of this package, which brings it.
    """
    try:
        return import_module(library)
    except ImportError:
        raise ConfigError(f"{use} needs {library}, which is not installed; pip install 'imputevae[{extra}]'") from None
