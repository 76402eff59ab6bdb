"""How much commoner a rare allele is than its copies among the known calls say, by the Good-Turing estimate.

Of an allele seen k times among M, k / M is not the chance that the next one drawn is it: that is (k + 1) n(k + 1) /
(M n(k)), where n(k) counts the loci whose minor allele was seen k times (Good 1953). The two agree in a file that holds
all loci that vary. Where loci of rare alleles were left out before calls went missing, say all seen fewer than three
times, the few that show one copy or two owe it to those that went missing: there the estimate is many times higher.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.genotypes import genotype_counts

MOST_COPIES = 10
"""Alleles seen oftener are common enough to go by their frequency."""
RAREST = 20
"""The estimate is of alleles up to one in so many: of the commoner of two nothing is unseen."""
SURE = 2.0
"""Standard errors of the estimate's logarithm below which it is taken to agree with the frequency; it is shrunk above."""

NOTHING = np.zeros(1, np.float32)
"""What `log_unseen` would give where all is as it seems."""


def log_unseen(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """Log of the Good-Turing estimate over the frequency seen, float32 (MOST_COPIES + 2,), by copies of the minor
    allele that were seen; 0 where there are none, or too many for an estimate. calls: int8 (N, L), -1 missing."""
    counts = genotype_counts(calls, ploidy + 1)  # (C, L)
    loci_with = np.bincount(minor_copies(np.arange(ploidy + 1) @ counts, counts.sum(0), ploidy), minlength=2)
    most = min(MOST_COPIES, ploidy * len(calls) // RAREST, len(loci_with) - 2)
    copies = np.arange(1, most + 1)
    so_many, one_more = loci_with[copies] + 0.5, loci_with[copies + 1] + 0.5
    log_ratio = np.log((copies + 1) * one_more / (copies * so_many))
    noise = SURE**2 * (1 / so_many + 1 / one_more)
    table = np.zeros(MOST_COPIES + 2, np.float32)
    table[copies] = log_ratio * np.maximum(1 - noise / np.maximum(log_ratio**2, noise), 0)
    return table


def minor_copies(n_alt: np.ndarray, n_known: np.ndarray, ploidy: int) -> np.ndarray:
    """Copies of the rarer allele, int64, from those of ALT and from the number of known calls, int64 like it."""
    return np.minimum(n_alt, ploidy * n_known - n_alt)
