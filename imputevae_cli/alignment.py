"""Matching the loci of a file to those of a trained model: by chromosome, position, REF and ALT."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.errors import CheckpointError
from imputevae_cli.genotypes import MISSING, GenotypeMatrix, Loci

LEAST_OVERLAP = 0.5
"""A model serves a file only when it knows at least this share of the file's modelled loci."""


@dataclass(frozen=True)
class Alignment:
    """A file's genotypes seen from a model's loci.

    genotypes: the file's, cut down to the loci that the model knows, in the file's order.
    model_index: int64 (l,), the model's locus for each. swapped: bool (l,), where REF and ALT are exchanged.
    calls: int8 (N, model loci), the file's calls in the model's order and coding, -1 where the file has none.
    n_unknown: loci of the file that the model does not know.
    """

    genotypes: GenotypeMatrix
    model_index: np.ndarray
    swapped: np.ndarray
    calls: np.ndarray
    n_unknown: int


def align_loci(genotypes: GenotypeMatrix, model_loci: Loci, ploidy: int, model_name: str) -> Alignment:
    """Match by (chrom, pos, ref, alt); the k-th of several equal loci matches the k-th.

    A locus of the file whose REF and ALT are exchanged is recoded. Raises CheckpointError when the ploidy
    differs or when less than LEAST_OVERLAP of the file's loci are known to the model.
    """
    file_name = genotypes.source.name if genotypes.source else "genotypes"
    if genotypes.ploidy != ploidy:
        raise CheckpointError(
            f"{model_name}: was trained on ploidy {ploidy}, {file_name} has ploidy {genotypes.ploidy}; "
            "train a model on genotypes like these"
        )
    if genotypes.loci is model_loci:  # the genotypes of the fit themselves: no copy of their calls
        n_loci = genotypes.n_loci
        return Alignment(genotypes, np.arange(n_loci), np.zeros(n_loci, bool), genotypes.calls, 0)
    index, swapped = _match(genotypes.loci, model_loci)
    found = index >= 0
    n_found, n_loci = int(found.sum()), genotypes.n_loci
    if n_found < max(1, LEAST_OVERLAP * n_loci):
        raise CheckpointError(
            f"{model_name}: knows {n_found} of the {n_loci} loci of {file_name} (matched by chromosome, position, "
            f"REF and ALT), and at least {LEAST_OVERLAP:.0%} are needed; train a model on loci like these"
        )
    index, swapped = index[found], swapped[found]
    calls = np.full((genotypes.n_samples, len(model_loci)), MISSING, np.int8)
    shared = genotypes.calls if found.all() else genotypes.calls[:, found]
    recoded = np.where(shared == MISSING, MISSING, ploidy - shared).astype(np.int8) if swapped.any() else shared
    calls[:, index] = np.where(swapped, recoded, shared)
    return Alignment(_keep_loci(genotypes, found), index, swapped, calls, n_loci - n_found)


def _match(loci: Loci, model_loci: Loci) -> tuple[np.ndarray, np.ndarray]:
    """For each locus the model's, int64 (l,), -1 where it has none, and whether REF and ALT are exchanged."""
    places = defaultdict(list)
    for i, key in enumerate(
        zip(model_loci.chrom, model_loci.pos.tolist(), model_loci.ref, model_loci.alt, strict=True)
    ):
        places[key].append(i)
    for found in places.values():
        found.reverse()  # so that pop() gives them in order
    index = np.full(len(loci), -1, np.int64)
    swapped = np.zeros(len(loci), bool)
    for i, (chrom, pos, ref, alt) in enumerate(zip(loci.chrom, loci.pos.tolist(), loci.ref, loci.alt, strict=True)):
        for exchanged, key in ((False, (chrom, pos, ref, alt)), (True, (chrom, pos, alt, ref))):
            if places.get(key):
                index[i], swapped[i] = places[key].pop(), exchanged
                break
    return index, swapped


def _keep_loci(genotypes: GenotypeMatrix, keep: np.ndarray) -> GenotypeMatrix:
    """Only the loci of `keep`, bool (L,); the others pass through, counted by reason."""
    if keep.all():
        return genotypes
    source = genotypes.source
    if source is not None:
        passed = {**source.passed_through, "not in the model": int((~keep).sum())}
        source = replace(source, rows=source.rows[keep], passed_through=passed)
    return replace(genotypes, calls=genotypes.calls[:, keep], loci=genotypes.loci.take(keep), source=source)
