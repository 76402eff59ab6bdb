"""Where a fit of the founders begins, and how founders that hardly anyone copies begin anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imputevae_cli.decoders.founders.em import FIRST_RATE, Counts, Fit
from imputevae_cli.decoders.founders.evidence_blocks import Block, mean_share

OF_SAMPLE, NOISE = 0.8, 0.1
"""A founder begins as a sample's expected alleles, drawn to the frequency by the rest, and noise."""
AT = (4, 8, 12)
"""Iterations after which founders are looked at."""
SELDOM = 0.3  # of an even share


def first_fit(
    block: Block,
    n_samples: int,
    frequency: np.ndarray,
    n_founders: int,
    rng: np.random.Generator,
    parents: Sequence[int | Sequence[int]] | None = None,
) -> Fit:
    """Founders like samples drawn at random; founder k like the samples `parents[k]` (row numbers), where given."""
    n_loci = len(frequency)
    rows = rng.permutation(n_samples)[:n_founders]
    rows = np.concatenate([rows, rng.integers(0, n_samples, n_founders - len(rows))])
    theta: np.ndarray = np.empty((n_loci, n_founders), np.float32)
    for k, row in enumerate(rows):
        theta[:, k] = mean_share(block(int(row), int(row) + 1), frequency)[0]
    theta = OF_SAMPLE * theta + (1 - OF_SAMPLE) * frequency[:, None] + NOISE * (rng.random(theta.shape) - 0.5)
    for k, named in enumerate((parents or [])[:n_founders]):
        own = np.mean([mean_share(block(int(row), int(row) + 1), frequency)[0] for row in np.atleast_1d(named)], 0)
        theta[:, k] = 0.95 * own + 0.05 * frequency
    weights = np.full(n_founders, 1.0 / n_founders, np.float32)
    own = np.full((n_samples, n_founders), 1.0 / n_founders, np.float32)
    return Fit(np.clip(theta, 0.02, 0.98).astype(np.float32), weights, own, FIRST_RATE)


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
