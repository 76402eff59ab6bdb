"""Where a fit of the founders begins, and how founders that hardly anyone copies begin anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.decoders.founders.em import FIRST_RATE, Counts, Fit
from imputevae_cli.decoders.founders.evidence_blocks import Block, mean_share

OF_SAMPLE, NOISE = 0.8, 0.1
"""A founder begins as a sample's expected alleles, drawn to the frequency by the rest, and noise."""
OF_HAPLOTYPE, OF_PARENT = 0.85, 0.95
"""Or as a haplotype that another decoder found, or as a named parent's expected alleles, drawn to the frequency too."""
AT = (4, 8, 12)
"""Iterations after which founders are looked at."""
SELDOM = 0.3  # of an even share


@dataclass(frozen=True)
class Seeds:
    """Samples that the founders begin like, where that is known.

    parents: of founder k, the sample or samples (rows) parents[k]. n_haplotypes: how many `haplotypes` knows, which
    gives those of some numbers, int64 (K,), as uint8 (K, L): 255 for ALT, and in between where an allele is open.
    """

    parents: Sequence[int | Sequence[int]] = ()
    n_haplotypes: int = 0
    haplotypes: Callable[[np.ndarray], np.ndarray] | None = None

    def of_start(self, number: int) -> Seeds:
        """For one of the starts: every second begins without haplotypes, as fits that differ average better."""
        return replace(self, haplotypes=None) if number % 2 else self


def first_fit(
    block: Block,
    n_samples: int,
    frequency: np.ndarray,
    n_founders: int,
    rng: np.random.Generator,
    seeds: Seeds | None = None,
) -> Fit:
    """Founders like samples, or like haplotypes of `seeds`, drawn at random; the first like its parents."""
    seeds, f = seeds or Seeds(), frequency[:, None]
    theta: np.ndarray = np.empty((len(frequency), n_founders), np.float32)
    if seeds.haplotypes is None:
        for k, row in enumerate(_drawn(n_samples, n_founders, rng)):
            theta[:, k] = _alleles_of(block, [row], frequency)
        theta = OF_SAMPLE * theta + (1 - OF_SAMPLE) * f + NOISE * (rng.random(theta.shape) - 0.5)
    else:
        alleles = seeds.haplotypes(_drawn(seeds.n_haplotypes, n_founders, rng)).T / np.float32(255)
        theta[:] = OF_HAPLOTYPE * alleles + (1 - OF_HAPLOTYPE) * f
    for k, named in enumerate(seeds.parents[:n_founders]):
        theta[:, k] = OF_PARENT * _alleles_of(block, np.atleast_1d(named), frequency) + (1 - OF_PARENT) * frequency
    weights = np.full(n_founders, 1.0 / n_founders, np.float32)
    own = np.full((n_samples, n_founders), 1.0 / n_founders, np.float32)
    return Fit(np.clip(theta, 0.02, 0.98).astype(np.float32), weights, own, FIRST_RATE)


def _drawn(n: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """So many numbers below n, int64, none twice before all were drawn."""
    rows = rng.permutation(n)[:wanted]
    return np.concatenate([rows, rng.integers(0, n, wanted - len(rows))])


def _alleles_of(block: Block, rows: Iterable[int], frequency: np.ndarray) -> np.ndarray:
    """float32 (L,): the mean of the expected ALT shares of some samples."""
    return np.mean([mean_share(block(int(row), int(row) + 1), frequency)[0] for row in rows], 0)


def renewed(fit: Fit, counts: Counts, rng: np.random.Generator) -> Fit:
    """Seldom used founders begin anew near others, drawn by their use."""
    use = counts.use.sum(0, dtype=np.float64)
    use /= use.sum()
    seldom = np.flatnonzero(use < SELDOM / len(use))
    theta = fit.theta.copy()
    for k in seldom:
        like = rng.choice(len(use), p=use)
        theta[:, k] = np.clip(0.7 * fit.theta[:, like] + 0.3 * rng.random(len(theta)), 0.02, 0.98)
    return replace(fit, theta=theta) if len(seldom) else fit
