"""Where haplotype decoders come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imputevae_cli.config import CopyingSettings

if TYPE_CHECKING:
    from imputevae_cli.decoders.copying.decoder import CopyingModel


def haplotype_decoder(settings: CopyingSettings, seed: int) -> CopyingModel:
    """A haplotype decoder. The compiler of its kernel, 56 MB, is imported with the first one, and never for a fit that
    does without haplotypes."""
    from imputevae_cli.decoders.copying.decoder import CopyingModel

    return CopyingModel(settings, seed)
