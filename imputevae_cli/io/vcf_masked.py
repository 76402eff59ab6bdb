"""Writing the input with some of its calls hidden, so that any tool can be scored on them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.io.vcf_header import output_header
from imputevae_cli.io.vcf_splice import Splice
from imputevae_cli.io.vcf_writer import Walk, write_walk
from imputevae_cli.log import NullProgress, Progress


def write_masked_vcf(
    path: str | Path,
    genotypes: GenotypeMatrix,
    samples: np.ndarray,
    loci: np.ndarray,
    *,
    output_type: str,
    command: str,
    version: str,
    progress: Progress | None = None,
) -> None:
    """Write the input's records without the calls at (samples, loci), int (M,), loci rising; all else stays as it is.

    A hidden cell is a bare `./.`, or `.` where it is haploid, since likelihoods or depths would give it away; AC, AN,
    AF and NS follow where they are present. Files and errors as in `write_vcf`.
    """
    write_walk(path, _MaskedWalk(genotypes, samples, loci, command, version, progress), output_type, threads=1)


class _MaskedWalk(Walk):
    def __init__(
        self,
        genotypes: GenotypeMatrix,
        samples: np.ndarray,
        loci: np.ndarray,
        command: str,
        version: str,
        progress: Progress | None,
    ):
        assert genotypes.source is not None  # what is masked is a file
        super().__init__(genotypes, genotypes.source, command, version, progress or NullProgress())
        records = genotypes.loci.records
        self._samples, self._edges = samples, np.searchsorted(records[loci], np.arange(records[-1] + 2))

    def _header(self, lines: list[bytes], extra: list[bytes]) -> list[bytes]:
        return output_header(lines, self._genotypes.samples, self._version, self._command, extra, {})

    def _modelled(self) -> Iterator[list[int]]:
        return (self._samples[first:last].tolist() for first, last in pairwise(self._edges.tolist()))

    def _spliced(self, splice: Splice, line: bytes, record: list[int]) -> bytes:
        return splice.masked(line, record)
