"""Matching the loci of a file to those of a trained model: by chromosome, position, REF and ALT."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.errors import CheckpointError

LEAST_OVERLAP = 0.5
"""A model serves a file only when it knows at least this share of the file's modelled loci."""


@dataclass(frozen=True)
class Alignment:
    """A file's genotypes seen from a model's loci.

    genotypes: the file's, cut down to the loci to fill, in the file's order: those known to the model, less the context
    of a region. model_index: int64 (l,), the model's locus for each. swapped: bool (l,), where REF and ALT are
    exchanged. calls: int8 (N, model loci), the file's calls with those of the context, in the model's order and coding,
    -1 where the file has none. seen: bool (model loci,), where it has one. n_unknown: loci to fill that the model does
    not know. evidence: of the cells of `calls`, or None where calls are certain.
    """

    genotypes: GenotypeMatrix
    model_index: np.ndarray
    swapped: np.ndarray
    calls: np.ndarray
    seen: np.ndarray
    n_unknown: int
    evidence: Evidence | None = None


def align_loci(genotypes: GenotypeMatrix, model_loci: Loci, ploidy: int, model_name: str) -> Alignment:
    """Match by (chrom, pos, ref, alt); the k-th of several equal loci matches the k-th.

    A locus of the file whose REF and ALT are exchanged is recoded. Raises CheckpointError when the ploidy
    differs or when less than LEAST_OVERLAP of the loci to fill are known to the model.
    """
    file_name = genotypes.source.name if genotypes.source else "genotypes"
    if genotypes.ploidy != ploidy:
        raise CheckpointError(
            f"{model_name}: was trained on ploidy {ploidy}, {file_name} has ploidy {genotypes.ploidy}; "
            "train a model on genotypes like these"
        )
    if genotypes.loci is model_loci and not genotypes.is_context.any():  # those of the fit: no copy of their calls
        n_loci = genotypes.n_loci
        swapped, seen = np.zeros(n_loci, bool), np.ones(n_loci, bool)
        return Alignment(genotypes, np.arange(n_loci), swapped, genotypes.calls, seen, 0, genotypes.evidence)
    index, swapped = match_loci(genotypes.loci, model_loci)
    found, wanted = index >= 0, ~genotypes.is_context
    n_found, n_loci = int((found & wanted).sum()), int(wanted.sum())
    if n_found < LEAST_OVERLAP * n_loci:
        raise CheckpointError(
            f"{model_name}: knows {n_found} of the {n_loci} loci of {file_name} (matched by chromosome, position, "
            f"REF and ALT), and at least {LEAST_OVERLAP:.0%} are needed; train a model on loci like these"
        )
    where, recode = index[found], swapped[found]
    calls = np.full((genotypes.n_samples, len(model_loci)), MISSING, np.int8)
    shared = genotypes.calls if found.all() else genotypes.calls[:, found]
    recoded = np.where(shared == MISSING, MISSING, ploidy - shared).astype(np.int8) if recode.any() else shared
    calls[:, where] = np.where(recode, recoded, shared)
    seen = np.zeros(len(model_loci), bool)
    seen[where] = True
    evidence = genotypes.evidence
    if evidence is not None:
        evidence = evidence.at_loci(found).placed(where, len(model_loci), recode)
    fill, n_unknown = found & wanted, n_loci - n_found
    to_fill = _to_fill(genotypes, fill, n_unknown)
    return Alignment(to_fill, index[fill], swapped[fill], calls, seen, n_unknown, evidence)


class LocusFinder:
    """Finds loci by (chrom, pos, ref, alt); the k-th of several equal loci is found the k-th time."""

    def __init__(self, loci: Loci):
        self._places = defaultdict(list)
        for i, key in enumerate(zip(loci.chrom, loci.pos.tolist(), loci.ref, loci.alt, strict=True)):
            self._places[key].append(i)
        for found in self._places.values():
            found.reverse()  # so that pop() gives them in order

    def find(self, chrom: str, pos: int, ref: str, alt: str) -> tuple[int, bool]:
        """The place of the locus, -1 where there is none, and whether REF and ALT are exchanged there."""
        for exchanged, key in ((False, (chrom, pos, ref, alt)), (True, (chrom, pos, alt, ref))):
            if self._places.get(key):
                return self._places[key].pop(), exchanged
        return -1, False


def match_loci(loci: Loci, others: Loci) -> tuple[np.ndarray, np.ndarray]:
    """For each of `loci` its place in `others`, int64 (l,), -1 where it has none, and whether alleles are exchanged."""
    finder = LocusFinder(others)
    found = [finder.find(*key) for key in zip(loci.chrom, loci.pos.tolist(), loci.ref, loci.alt, strict=True)]
    index, swapped = zip(*found, strict=True) if found else ((), ())
    return np.array(index, np.int64), np.array(swapped, bool)


def _to_fill(genotypes: GenotypeMatrix, fill: np.ndarray, n_unknown: int) -> GenotypeMatrix:
    """Only the loci of `fill`, bool (L,); those that the model does not know pass through, counted by reason."""
    genotypes = genotypes.at_loci(fill)
    source = genotypes.source
    if source is None or not n_unknown:
        return genotypes
    passed = {**source.passed_through, "not in the model": n_unknown}
    return replace(genotypes, source=replace(source, passed_through=passed))
