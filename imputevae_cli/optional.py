"""Libraries that only some uses need: imported there, and where one is missing the error says how to install it."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

from imputevae_cli.errors import ConfigError


def optional(library: str, use: str, extra: str, least: int = 0) -> Any:
    """The module `library`. Raises ConfigError, naming what to install, where it is not there or older than `least`.

    use: what needs it, the subject of the message. extra: of this package, which brings it. least: a major version.
    """
    try:
        module = import_module(library)
    except ImportError:
        raise ConfigError(f"{use} needs {library}, which is not installed; pip install 'imputevae[{extra}]'") from None
    if least and int(metadata.version(library).partition(".")[0]) < least:
        raise ConfigError(f"{use} needs {library} {least} or newer; pip install --upgrade 'imputevae[{extra}]'")
    return module
