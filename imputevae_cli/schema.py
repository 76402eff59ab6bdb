"""The types that settings are made of: bounded numbers, and a group of settings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST = 1e30
"""Numbers beyond are no setting of anything, and overflow float32, which networks compute in."""

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
OpenShare = Annotated[float, Meta(gt=0.0, lt=1.0)]
Positive = Annotated[float, Meta(gt=0.0, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0.0, le=LARGEST)]
Exponent = Annotated[float, Meta(ge=0.0, le=100.0)]
Seconds = Annotated[float, Meta(gt=0.0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=10**9)]
CountOrZero = Annotated[int, Meta(ge=0, le=10**9)]
Width = Annotated[int, Meta(ge=1, le=16_384)]
"""Units of a network's layer: memory grows with its square."""


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A group of settings, addressed as `section.key`."""
