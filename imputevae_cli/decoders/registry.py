"""Which decoders there are: a name, and where its class is; a decoder's modules are imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imputevae_cli.decoders.base import Decoder

BASELINE = "frequencies"
"""The decoder that needs no fit, and that all others must beat."""

_PLACES = {
    "frequencies": "imputevae_cli.decoders.frequencies.decoder:FrequencyDecoder",
    "vae": "imputevae_cli.decoders.vae.decoder:VaeDecoder",
    "knn": "imputevae_cli.decoders.knn.decoder:KnnDecoder",
    "regression": "imputevae_cli.decoders.regression.decoder:RegressionDecoder",
    "copying": "imputevae_cli.decoders.copying.decoder:CopyingDecoder",
    "founders": "imputevae_cli.decoders.founders.decoder:FoundersDecoder",
}
"""In an order in which each comes after those that it depends on."""


def names() -> tuple[str, ...]:
    """The names of all decoders; each comes after those that it depends on."""
    return tuple(_PLACES)


def get(name: str) -> Decoder:
    """The decoder of this name. Raises KeyError where there is none."""
    module, _, cls = _PLACES[name].partition(":")
    return getattr(import_module(module), cls)()


def every() -> dict[str, Decoder]:
    """All decoders by name."""
    return {name: get(name) for name in _PLACES}


def register(name: str, place: str) -> None:
    """Add a decoder: `place` is "module:Class". Those that it depends on must be there before it."""
    _PLACES[name] = place


def unregister(name: str) -> None:
    """Take a decoder out again."""
    del _PLACES[name]
