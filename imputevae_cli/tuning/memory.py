"""Parts of fits that trials share: what does not depend on the settings in which two trials differ is computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from imputevae_cli.config import Config
from imputevae_cli.decoders import registry
from imputevae_cli.runtime.resumable import Stages, State

T = TypeVar("T")

_HELD_OUT = ("sim", "train.validation_split")
"""The settings that say which calls a fit holds out."""


def depends_on(stage: str) -> tuple[str, ...] | None:
    """Sections and settings that the result of a stage follows from, on one data set and seed; None for those that are
    not remembered. A stage of a decoder begins with its name, its screen with "screen"."""
    first, _, rest = stage.partition(" ")
    names = registry.names()
    if first == "screen" and rest in names:
        return (*registry.get(rest).sections, *_HELD_OUT)
    if stage == "screens judged":  # it follows from all that was fitted before
        return (*_sections(names), *_HELD_OUT)
    if first not in names:
        return None
    first_screened = [name for name in names if registry.get(name).role.screens_first]  # these settle the plan
    return (*_sections([first, *first_screened]), *_HELD_OUT)


def _sections(names: Iterable[str]) -> tuple[str, ...]:
    """The sections of these decoders, and of those that they depend on."""
    found: dict[str, None] = {}
    for name in names:
        decoder = registry.get(name)
        found |= dict.fromkeys((*decoder.sections, *_sections(decoder.depends_on)))
    return tuple(found)


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
        settings = depends_on(name)
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
