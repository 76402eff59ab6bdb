"""The depth of single cells: how many reads stand behind a call."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.io.vcf_fields import RecordFields
from imputevae_cli.io.vcf_records import open_vcf
from imputevae_cli.io.vcf_values import values_of

FIELDS = ("AD", "CATG", "DP")
"""The first that a cell has tells its reads. DP comes last: some callers count reads in it that they do not use."""


def read_depths(genotypes: GenotypeMatrix, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
    """Reads of each cell, int64 (M,), -1 where unknown; samples, loci: int (M,), in any order.

    The genotypes' file is read again. Genotypes that are of no file have unknown depths.
    """
    depths = np.full(len(loci), -1, np.int64)
    source = genotypes.source
    if source is None:
        return depths
    order = np.argsort(loci, kind="stable")
    edges = np.searchsorted(loci[order], np.arange(genotypes.n_loci + 1))
    loci_of: defaultdict[int, list[int]] = defaultdict(list)  # one for each ALT allele of the record
    for locus, row in enumerate(source.rows.tolist()):
        loci_of[row].append(locus)
    number = -1  # of the record among those of the regions
    for block in open_vcf(source.path, source.name, again=True).blocks():
        for i, fixed in enumerate(block.fixed):
            if source.regions is not None and (fixed.chrom, fixed.pos) not in source.regions:
                continue
            number += 1
            for locus in loci_of.get(number, ()):
                cells = order[edges[locus] : edges[locus + 1]]
                if len(cells):
                    depths[cells] = _depths(RecordFields(block, i), source.columns[samples[cells]])
    return depths


def _depths(record: RecordFields, columns: np.ndarray) -> np.ndarray:
    """Reads at some columns of a record, int64 (m,), -1 where no field tells."""
    out = np.full(len(columns), -1, np.int64)
    for field in FIELDS:
        values = values_of(record, field)
        if values is not None:
            values = values[columns]
            counts = np.where((values >= 0).any(1), np.where(values >= 0, values, 0).sum(1), -1)
            out = np.where(out >= 0, out, counts)
    return out
