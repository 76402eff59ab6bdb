"""The ploidy that a file is modelled with: that of most of its records; the others pass through."""

from __future__ import annotations

from collections.abc import Sequence

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import InputError

PLOIDY_NAMES = {1: "haploid", 2: "diploid"}


def commonest_ploidy(ploidies: Sequence[int]) -> int:
    """1 where more than half of the records are haploid, else 2."""
    return 1 if ploidies.count(1) > len(ploidies) / 2 else 2


def check_ploidy(genotypes: GenotypeMatrix, wanted: int | None) -> None:
    """Raise InputError where genotypes are not of the ploidy that `io.ploidy` insists on; None takes any."""
    if wanted not in (None, genotypes.ploidy):
        name = genotypes.source.name if genotypes.source else "genotypes"
        raise InputError(f"{name}: ploidy is {genotypes.ploidy}, io.ploidy says {wanted}; fix the setting")
