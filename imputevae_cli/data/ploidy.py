"""The ploidy that the settings insist on."""

from __future__ import annotations

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import InputError


def check_ploidy(genotypes: GenotypeMatrix, wanted: int | None) -> None:
    """Raise InputError where genotypes are not of the ploidy that `io.ploidy` insists on; None takes any."""
    if wanted not in (None, genotypes.ploidy):
        name = genotypes.source.name if genotypes.source else "genotypes"
        raise InputError(f"{name}: ploidy is {genotypes.ploidy}, io.ploidy says {wanted}; fix the setting")
