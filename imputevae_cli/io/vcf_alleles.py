"""Records of several ALT alleles as the loci that they are modelled as: each ALT allele against all others."""

from __future__ import annotations

import re

import numpy as np

from imputevae_cli.io.vcf_genotypes import (
    FIRST_POLYPLOID,
    HALF_ALT,
    HALF_REF,
    HAPLOID_ALT,
    HAPLOID_REF,
    LONG,
    NO_DIPLOID,
    NO_HAPLOID,
    POLYPLOID,
    STATE_OF,
    alleles_of_codes,
    genotype_codes,
)
from imputevae_cli.io.vcf_records import RecordBlock

_OTHER, _OWN, _MISSING, _NONE = range(4)
_STATE = np.full((4, 4), LONG, np.uint8)
"""By what the first allele and the second are: another, the ALT in question, missing, or not there."""
_STATE[_OTHER, :] = 0, 1, HALF_REF, HAPLOID_REF
_STATE[_OWN, :] = 1, 2, HALF_ALT, HAPLOID_ALT
_STATE[_MISSING, :] = HALF_REF, HALF_ALT, NO_DIPLOID, NO_HAPLOID


def states_by_allele(block: RecordBlock, i: int, states: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The states (see `vcf_genotypes`) of the i-th record of a block seen from each of its ALT alleles, uint8 (A, n).

    states: uint8 (n,), of the record, whose genotypes were checked; those of polyploids stay as they are. columns:
    int64 (n,), the samples.
    """
    n_alt = block.fixed[i].n_alt
    starts = block.starts_of(i)[columns]
    polyploid = (states == POLYPLOID) | (states >= FIRST_POLYPLOID)
    codes = genotype_codes(block.text, starts, block.header.prefixed)
    first, second = alleles_of_codes(codes)
    long = np.flatnonzero((STATE_OF[codes] == LONG) & ~polyploid)
    if len(long):
        cells = block.cells(i)
        for at in long.tolist():
            first[at], second[at] = _spelled_out(cells[int(columns[at])])
    out = np.empty((n_alt, len(states)), np.uint8)
    for allele in range(1, n_alt + 1):
        out[allele - 1] = _STATE[_seen_from(allele, first), _seen_from(allele, second)]
    out[:, polyploid] = states[polyploid]
    return out


def _seen_from(allele: int, alleles: np.ndarray) -> np.ndarray:
    """What alleles, int (n,), -1 missing, -2 not there, are to one of them."""
    return np.where(alleles < 0, np.where(alleles == -1, _MISSING, _NONE), (alleles == allele).astype(int))


def _spelled_out(cell: bytes) -> tuple[int, int]:
    """The alleles of a cell, -1 missing, -2 not there."""
    texts = re.split(rb"[/|]", cell.split(b":", 1)[0].lstrip(b"/|"))
    alleles = [-1 if text == b"." else int(text) for text in texts]
    return alleles[0], alleles[1] if len(alleles) > 1 else -2
