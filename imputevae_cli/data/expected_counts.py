"""The expectation step of genotype frequencies: reading a file with likelihoods takes it hundreds of times."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled


@compiled(nogil=True)
def add_expected(
    frequencies: np.ndarray,
    table: np.ndarray,
    loci: np.ndarray,
    codes: np.ndarray,
    counts: np.ndarray,
    tiny: float,
    out: np.ndarray,
) -> None:
    """out float64 (L, C) += expected samples with each genotype; frequencies, float64 (L, C), are the prior.

    loci, codes, counts: int64 (M,), how often a likelihood vector of `table`, float64 (K, C), occurs at a locus. tiny:
    added to each joint probability.
    """
    joint = np.empty(table.shape[1])
    for row in range(len(loci)):
        locus, code, total = loci[row], codes[row], 0.0
        for g in range(len(joint)):
            joint[g] = frequencies[locus, g] * table[code, g] + tiny
            total += joint[g]
        share = counts[row] / total
        for g in range(len(joint)):
            out[locus, g] += joint[g] * share
