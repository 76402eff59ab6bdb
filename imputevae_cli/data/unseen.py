"""How much commoner carriers of a rare allele are than those among the known calls say, by the Good-Turing estimate.

Where k of M samples carry an allele, k / M is not the chance that the next sample does: that is (k + 1) n(k + 1) /
(M n(k)), where n(k) counts the loci whose minor allele has k carriers (Good 1953). The two agree in a file that holds
all loci that vary. Where loci of rare alleles were left out before calls went missing, say all with fewer than three
carriers, the few that show one or two owe it to those that went missing: there the estimate is many times higher.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.genotypes import genotype_counts

MOST_CARRIERS = 10
"""Alleles with more are common enough to go by their frequency."""
RAREST = 10
"""The estimate is of alleles that one sample in so many carries, at most: of the commoner of two nothing is unseen."""
SURE = 2.0
"""Standard errors of the estimate's logarithm below which it counts as agreeing; above, it is shrunk."""

NOTHING = np.zeros(1, np.float32)
"""What `log_unseen` would give where all is as it seems."""


def log_unseen(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """Log of the Good-Turing estimate over the share seen, float32 (MOST_CARRIERS + 2,), by the number of carriers of
    the minor allele among the known calls; 0 for none, or too many for an estimate. calls: int8 (N, L), -1 missing."""
    counts = genotype_counts(calls, ploidy + 1)  # (C, L)
    loci_with = np.bincount(minor_carriers(counts[0], counts[-1], counts.sum(0)), minlength=2)
    most = min(MOST_CARRIERS, len(calls) // RAREST, len(loci_with) - 2)
    carriers = np.arange(1, most + 1)
    so_many, one_more = loci_with[carriers] + 0.5, loci_with[carriers + 1] + 0.5
    log_ratio = np.log((carriers + 1) * one_more / (carriers * so_many))
    noise = SURE**2 * (1 / so_many + 1 / one_more)
    table = np.zeros(MOST_CARRIERS + 2, np.float32)
    table[carriers] = log_ratio * np.maximum(1 - noise / np.maximum(log_ratio**2, noise), 0)
    return table


def minor_carriers(n_all_ref: np.ndarray, n_all_alt: np.ndarray, n_known: np.ndarray) -> np.ndarray:
    """Samples that carry the minor allele, from the numbers of those with REF alone, with ALT alone, and with a known
    call, int64 each."""
    return n_known - np.maximum(n_all_ref, n_all_alt)
