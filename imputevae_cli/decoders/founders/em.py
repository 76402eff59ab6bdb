"""One fit of the founders: expectation by the compiled recursions, maximisation in a few lines of arrays."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.decoders.founders.evidence_blocks import LaneBlocks
from imputevae_cli.decoders.founders.kernel import sweep_pair
from imputevae_cli.decoders.founders.kernel_one_path import sweep_one
from imputevae_cli.decoders.founders.lanes import WIDTH

SHARDS = 32
"""Counts are summed over so many runs of samples, each in turn, and then over these: the same at any thread count."""
FIRST_RATE, LEAST_RATE, MOST_RATE = 0.1, 1e-5, 0.5
LEAST_THETA = 1e-3
EVEN = 0.5  # part of the cohort's shares of the founders that is the same for all


@dataclass(frozen=True)
class Fit:
    """The founders as one fit has learned them.

    theta: float32 (L, K), chances of ALT. weights: float32 (K,), the cohort's shares of the founders. own: float32
    (N, K), each sample's. rate: switches per unit of distance.
    """

    theta: np.ndarray
    weights: np.ndarray
    own: np.ndarray
    rate: float


@dataclass
class Counts:
    """Expected counts of a sweep: alt, use float32 (L, K), jumps float32 (L,), see `kernel.sweep_pair`;
    chosen float32 (N, K); log_likelihood float64 (N,)."""

    alt: np.ndarray
    use: np.ndarray
    jumps: np.ndarray
    chosen: np.ndarray
    log_likelihood: np.ndarray

    @classmethod
    def zero(cls, n_loci: int, n_founders: int, n_samples: int) -> Counts:
        matrix = (n_loci, n_founders)
        return cls(
            np.zeros(matrix, np.float32), np.zeros(matrix, np.float32), np.zeros(n_loci, np.float32),
            np.zeros((n_samples, n_founders), np.float32), np.zeros(n_samples),
        )  # fmt: skip


def distances(chrom_codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float32 (L,): to the locus before in units of the mean gap; infinite where a chromosome begins."""
    first = np.r_[True, chrom_codes[1:] != chrom_codes[:-1]]
    gap = np.abs(np.diff(positions.astype(np.float64), prepend=float(positions[0])))
    inside = gap[~first]
    unit = inside.mean() if len(inside) and inside.mean() > 0 else 1.0
    return np.where(first, np.inf, gap / unit).astype(np.float32)


def switches(rate: float, distance: np.ndarray) -> np.ndarray:
    """float32 (L,): the chance that a haplotype chooses its founder anew before each locus."""
    return np.clip(-np.expm1(-rate * distance.astype(np.float64)), 1e-6, 1.0).astype(np.float32)


def sweep_block(
    blocks: LaneBlocks, number: int, fit: Fit, switch: np.ndarray, counts: Counts | None, lik: np.ndarray
) -> np.ndarray | None:
    """Run the recursions over one block; adds to `counts`, or returns chances float32 (L, C, WIDTH) where it is None.

    lik: float32 (L, C, WIDTH), what the block's samples are known by.
    """
    n_loci, n_founders = fit.theta.shape
    first, stop = blocks.samples(number)
    weights = np.full((n_founders, WIDTH), 1.0 / n_founders, np.float32)
    weights[:, : stop - first] = fit.own[first:stop].T
    none = np.zeros((0, n_founders), np.float32)
    stride = max(8, int(np.sqrt(n_loci)))
    result = None
    for paths, sweep in ((2, sweep_pair), (1, sweep_one)):
        lanes = blocks.lanes_of(number, paths)
        if not lanes.any():
            continue
        seen = lik if paths == 2 else blocks.one_path(lik)
        chances = np.zeros(seen.shape if counts is None else (0, *seen.shape[1:]), np.float32)
        chosen, score = np.zeros((n_founders, WIDTH), np.float32), np.zeros(WIDTH, np.float32)
        alt, use, jumps = (none, none, none[:, 0]) if counts is None else (counts.alt, counts.use, counts.jumps)
        sweep(seen, fit.theta, weights, switch, lanes, stride, alt, use, jumps, chosen, chances, score)
        mine = np.flatnonzero(lanes[0])
        if counts is not None:
            counts.chosen[first + mine] = chosen.T[mine]
            counts.log_likelihood[first + mine] = score[mine]
            continue
        whole = chances if paths == 2 else blocks.of_one_path(chances)
        result = whole if result is None else np.where(lanes > 0, whole, result)
    return result


def sweep(blocks: LaneBlocks, fit: Fit, distance: np.ndarray, pool: Executor) -> Counts:
    """Expected counts over all samples."""
    switch = switches(fit.rate, distance)
    n_loci, n_founders = fit.theta.shape
    total = Counts.zero(n_loci, n_founders, blocks.shape[0])
    edges = np.linspace(0, blocks.n_blocks, min(SHARDS, blocks.n_blocks) + 1).astype(int)

    def shard(index: int) -> Counts:
        counts = replace(Counts.zero(n_loci, n_founders, 0), chosen=total.chosen, log_likelihood=total.log_likelihood)
        for number in range(edges[index], edges[index + 1]):
            sweep_block(blocks, number, fit, switch, counts, blocks.likelihoods(number))
        return counts

    for counts in pool.map(shard, range(len(edges) - 1)):
        total.alt += counts.alt
        total.use += counts.use
        total.jumps += counts.jumps
    return total


def maximised(
    fit: Fit, counts: Counts, frequency: np.ndarray, distance: np.ndarray, priors: tuple[float, float]
) -> Fit:
    """The fit that the counts say; priors: `theta_prior` and `own_prior` of the settings."""
    pull, own_pull = np.float32(priors[0]), np.float32(priors[1])
    theta = (counts.alt + pull * frequency[:, None]) / (counts.use + pull)
    use = counts.use.sum(0, dtype=np.float64)
    weights = np.maximum(EVEN / len(use) + (1 - EVEN) * use / use.sum(), 1e-4)
    weights /= weights.sum()
    own = counts.chosen + own_pull * weights.astype(np.float32)
    inside = np.isfinite(distance)
    paths = counts.use.sum(dtype=np.float64) / len(counts.use)  # haplotypes of the cohort
    room = paths * distance[inside].sum(dtype=np.float64)
    rate = counts.jumps[inside].sum(dtype=np.float64) / room if room > 0 else fit.rate
    return Fit(
        np.clip(theta, LEAST_THETA, 1 - LEAST_THETA).astype(np.float32), weights.astype(np.float32),
        own / own.sum(1, keepdims=True), float(np.clip(rate, LEAST_RATE, MOST_RATE)),
    )  # fmt: skip
