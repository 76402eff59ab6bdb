"""Parts of fits that trials share: what does not depend on the settings in which two trials differ is computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from imputevae_cli.config import Config
from imputevae_cli.runtime.resumable import Stages, State

T = TypeVar("T")

_HIDDEN = ("sim", "train.validation_split")  # they set which calls a fit hides from itself
_LATENT = ("model", "train", "vae", "copying", *_HIDDEN)  # haplotypes that stand alone leave it fewer epochs
DEPENDS_ON = {
    "glimpse": ("copying", *_HIDDEN),
    "latent": _LATENT,
    "vae": _LATENT,
    "votes": ("knn", *_LATENT),
    "idle parts": ("knn", *_LATENT),
    "haplotypes": _LATENT,
    "haplotypes with the global state": _LATENT,
    "haplotypes with all calls": ("knn", *_LATENT),  # which may settle whether there is a global state
}
"""Stage of a fit, less its number -> sections and settings that its result follows from, on one data set and seed."""
LIMIT = 12
"""Results kept, of those that were used last."""


class FittedParts(Stages):
    """Remembers the stages of fits to one data set, all of one seed and device, for later fits in the same process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, State] = OrderedDict()
        self._config = Config()
        self._inside = False
        self.reused = 0

    def of(self, config: Config) -> FittedParts:
        """The stages of a fit with these settings, which is the next to run."""
        self._config, self._inside = config, False
        return self

    def run(
        self,
        name: str,
        make: Callable[[], T],
        state_of: Callable[[T], State] = lambda value: value,
        of_state: Callable[[State], T] = lambda state: state,
    ) -> T:
        """See `Stages`. Stages within a stage are made anew, as they are where it is not remembered."""
        settings = DEPENDS_ON.get(name.rstrip(" 0123456789"))
        if settings is None or self._inside:
            return make()
        key = repr((name, [self._setting(dotted) for dotted in settings]))
        if key in self._kept:
            self._kept.move_to_end(key)
            self.reused += 1
            return of_state(self._kept[key])
        self._inside = True
        try:
            result = make()
        finally:
            self._inside = False
        self._kept[key] = state_of(result)
        while len(self._kept) > LIMIT:
            self._kept.popitem(last=False)
        return result

    def _setting(self, dotted: str) -> object:
        return self._config.get(dotted) if "." in dotted else self._config.to_dict()[dotted]
