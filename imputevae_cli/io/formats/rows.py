"""What kinds of files with one row per sample share: names, alleles as numbers, populations, and all calls at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlock, ImputedBlocks, Loci
from imputevae_cli.errors import OutputError
from imputevae_cli.log import counted, logger

BLOCK_LOCI = 4096
BASE_NUMBER = {"A": 1, "C": 2, "G": 3, "T": 4}
"""As PGDSpider, Stacks and adegenet number the bases."""
OTHER_REF, OTHER_ALT = 5, 6
"""Numbers of alleles that are not one base."""


def check_ploidy_at_most(path: str | Path, genotypes: GenotypeMatrix, most: int, title: str) -> None:
    """Raise OutputError for genotypes of more chromosome copies than a kind of file holds."""
    if genotypes.ploidy > most:
        held = "haploid and diploid" if most == 2 else f"ploidy 1 to {most}"
        raise OutputError(
            f"{path}: the genotypes are of ploidy {genotypes.ploidy}, and {title} holds {held} ones; write a VCF, "
            "or a .tsv of dosages"
        )


def held_loci(path: str | Path, genotypes: GenotypeMatrix, title: str) -> np.ndarray:
    """int64 (held,): the biallelic loci; the others, whose ALT lists several alleles, are counted in the log.

    Raises OutputError where there is none.
    """
    held = np.flatnonzero(["," not in alt for alt in genotypes.loci.alt])
    n_left_out = genotypes.n_loci - len(held)
    if not len(held):
        raise OutputError(f"{path}: no locus is biallelic, and {title} holds no others; write a VCF")
    if n_left_out:
        left_out = counted(n_left_out, "locus", "loci")
        logger.warning("%s: %s of multiallelic records left out, which %s cannot hold", path, left_out, title)
    return held


def held_block(imputed: ImputedBlocks, held: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, ImputedBlock]:
    """The loci of `held`, rising, from start to stop (exclusive), and the filled block that they are in.

    The first is int64 (b,), their columns in the block.
    """
    low, high = np.searchsorted(held, (start, stop))
    return held[low:high] - start, imputed.block(start, stop)


def all_calls(imputed: ImputedBlocks, held: np.ndarray) -> np.ndarray:
    """int8 (samples, held): filled calls, -1 missing, of the loci of `held`, int64 rising."""
    genotypes = imputed.genotypes
    calls = np.empty((genotypes.n_samples, len(held)), np.int8)
    done = 0
    for start in range(0, genotypes.n_loci, BLOCK_LOCI):
        columns, block = held_block(imputed, held, start, min(start + BLOCK_LOCI, genotypes.n_loci))
        calls[:, done : done + len(columns)] = block.calls[:, columns]
        done += len(columns)
    return calls


def plain_names(samples: Sequence[str], title: str, forbidden: str = "") -> list[str]:
    """Names without blanks and without the characters `forbidden`, which become `_`.

    Raises OutputError where two become one.
    """
    table = str.maketrans(dict.fromkeys(forbidden, "_"))
    names: dict[str, str] = {}
    for sample in samples:
        name = "_".join(sample.split()).translate(table)
        if name in names:
            raise OutputError(
                f"{title}: samples {names[name]!r} and {sample!r} would both be named {name!r}; rename one"
            )
        names[name] = sample
    return list(names)


def locus_names(loci: Loci, held: np.ndarray) -> list[str]:
    """`CHROM_POS` of some loci, without blanks and commas; further ones at a place are numbered from 2."""
    seen: dict[str, int] = {}
    names = []
    for locus in held.tolist():
        name = "_".join(f"{loci.chrom[locus]}_{loci.pos[locus]}".replace(",", "_").split())
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def allele_numbers(loci: Loci, held: np.ndarray) -> np.ndarray:
    """uint8 (held, 2): numbers of REF and ALT: A 1, C 2, G 3, T 4, any other REF 5, any other ALT 6."""
    pairs = [
        (
            BASE_NUMBER.get(str(loci.ref[locus]).upper(), OTHER_REF),
            BASE_NUMBER.get(str(loci.alt[locus]).upper(), OTHER_ALT),
        )
        for locus in held.tolist()
    ]
    return np.array(pairs, np.uint8).reshape(-1, 2)


def populations_of(genotypes: GenotypeMatrix) -> tuple[list[str], np.ndarray]:
    """Names of the populations in order, and the number of each sample's, int64 (samples,) from 0.

    Without populations all samples are of one that is called "all".
    """
    if genotypes.populations is None:
        return ["all"], np.zeros(genotypes.n_samples, np.int64)
    names, codes = np.unique(genotypes.populations.astype(str), return_inverse=True)
    return names.tolist(), codes.astype(np.int64)
