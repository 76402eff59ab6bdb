"""Ploidies: which there are, their names and genotypes, and the one that the settings insist on."""

from __future__ import annotations

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import InputError

MOST_PLOIDY = 8
"""Genotypes of more alleles are refused."""
PLOIDY_NAMES = {
    1: "haploid",
    2: "diploid",
    3: "triploid",
    4: "tetraploid",
    5: "pentaploid",
    6: "hexaploid",
    7: "heptaploid",
    8: "octoploid",
}


def genotype_texts(ploidy: int) -> tuple[str, ...]:
    """How a VCF spells the genotypes of 0..ploidy ALT alleles.

    >>> genotype_texts(2)
    ('0/0', '0/1', '1/1')
    """
    return tuple("/".join("0" * (ploidy - n_alt) + "1" * n_alt) for n_alt in range(ploidy + 1))


def check_ploidy(genotypes: GenotypeMatrix, wanted: int | None) -> None:
    """Raise InputError where genotypes are not of the ploidy that `io.ploidy` insists on; None takes any."""
    if wanted not in (None, genotypes.ploidy):
        raise InputError(f"{genotypes.name}: ploidy is {genotypes.ploidy}, io.ploidy says {wanted}; fix the setting")
