"""The likelihoods of a cohort as the compiled recursions read them: sixteen samples at a time, some cells hidden."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from numba import njit

from imputevae_cli.decoders.founders.lanes import WIDTH

Block = Callable[[int, int], np.ndarray]
"""block(start, stop) -> float32 (stop - start, L, C): likelihoods of some samples, each cell's largest 1."""

LEAST = np.float32(1e-6)
KEPT_BYTES = 1 << 28
"""Likelihoods of no more bytes are kept as lanes; larger ones are asked for in every sweep."""
TELLING = 0.5  # a cell is worth hiding if a genotype is less than half as likely as another
MAX_HELD = 20_000


@dataclass(frozen=True)
class HeldEvidence:
    """Cells whose evidence is hidden: samples, loci int64 (M,) by rising sample; likelihoods float32 (M, C)."""

    samples: np.ndarray
    loci: np.ndarray
    likelihoods: np.ndarray

    @classmethod
    def choose(cls, block: Block, shape: tuple[int, int, int], share: float, rng: np.random.Generator) -> HeldEvidence:
        """Some cells that tell genotypes apart; at most MAX_HELD of them, give or take."""
        n_samples, n_loci, n_classes = shape
        share = min(share, MAX_HELD / max(n_samples * n_loci, 1))
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, n_classes), np.float32))]
        for first in range(0, n_samples, WIDTH):
            lik = block(first, min(first + WIDTH, n_samples))
            drawn = (rng.random(lik.shape[:2], np.float32) < share) & (lik.min(2) < TELLING)
            samples, loci = np.nonzero(drawn)
            parts.append((first + samples, loci, lik[samples, loci]))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def of_block(self, number: int) -> slice:
        """Which of the cells lie in the samples of block `number`."""
        return slice(*np.searchsorted(self.samples, [number * WIDTH, (number + 1) * WIDTH]))


class LaneBlocks:
    """Blocks of WIDTH samples in turn; the last is filled up with lanes of no sample.

    paths: uint8 (N,), 2 or 1. stray: the chance that an inbred sample's cell is heterozygous all the same.
    """

    def __init__(
        self,
        block: Block,
        shape: tuple[int, int, int],
        paths: np.ndarray | None = None,
        held: HeldEvidence | None = None,
        stray: float = 0.01,
    ):
        self.shape, self.held, self.stray = shape, held, np.float32(stray)
        self.block = block
        self.ploidy = shape[2] - 1
        self.paths = np.full(shape[0], self.ploidy, np.uint8) if paths is None else paths
        self.n_blocks = -(-shape[0] // WIDTH)
        self._kept: dict[int, np.ndarray] | None = {} if 4 * np.prod(shape, dtype=np.int64) <= KEPT_BYTES else None

    def following(self, paths: np.ndarray) -> LaneBlocks:
        """The same with other paths, uint8 (N,)."""
        other = copy(self)
        other.paths = paths
        return other

    def in_full(self) -> LaneBlocks:
        """The same with nothing hidden."""
        return LaneBlocks(self.block, self.shape, self.paths, None, float(self.stray))

    def likelihoods(self, number: int) -> np.ndarray:
        """float32 (L, C, WIDTH) of a block, held cells flat."""
        if self._kept is not None and number in self._kept:
            return self._kept[number]
        first, stop = self.samples(number)
        lanes = np.ones((*self.shape[1:], WIDTH), np.float32)
        given = np.maximum(self.block(first, stop), LEAST)
        lanes[:, :, : stop - first] = given.transpose(1, 2, 0)
        if self.held is not None:
            some = self.held.of_block(number)
            lanes[self.held.loci[some], :, self.held.samples[some] - first] = 1.0
        if self._kept is not None:
            self._kept[number] = lanes
        return lanes

    def samples(self, number: int) -> tuple[int, int]:
        """The samples of a block, start and stop."""
        return number * WIDTH, min((number + 1) * WIDTH, self.shape[0])

    def lanes_of(self, number: int, paths: int) -> np.ndarray:
        """float32 (1, WIDTH): 1 for the samples of a block that follow so many paths."""
        first, stop = self.samples(number)
        lanes = np.zeros((1, WIDTH), np.float32)
        lanes[0, : stop - first] = self.paths[first:stop] == paths
        return lanes

    def one_path(self, lik: np.ndarray) -> np.ndarray:
        """float32 (L, 2, WIDTH): likelihoods of the allele of the one path, from those of genotypes."""
        if self.ploidy == 1:
            return lik
        return np.ascontiguousarray((1 - self.stray) * lik[:, [0, 2]] + self.stray * lik[:, 1:2])

    def of_one_path(self, chances: np.ndarray) -> np.ndarray:
        """float32 (L, C, WIDTH): genotype probabilities, from those of the allele of the one path."""
        if self.ploidy == 1:
            return chances
        whole = np.full((len(chances), 3, WIDTH), self.stray, np.float32)
        whole[:, [0, 2]] = (1 - self.stray) * chances
        return whole


@njit(cache=True, nogil=True)
def _count_alt(lik, n_lanes, frequency, inbreeding, alt, own):
    """Add expected ALT copies per sample to alt (L,) and E[identical by descent] to own (lanes,)."""
    n_classes = lik.shape[1]
    for t in range(lik.shape[0]):
        p = frequency[t]
        for lane in range(n_lanes):
            if n_classes == 2:
                b = p * lik[t, 1, lane]
                alt[t] += b / (b + (1 - p) * lik[t, 0, lane])
                continue
            f = inbreeding[lane]
            same = f * ((1 - p) * lik[t, 0, lane] + p * lik[t, 2, lane])
            g1 = (1 - f) * 2 * p * (1 - p) * lik[t, 1, lane]
            g2 = (1 - f) * p * p * lik[t, 2, lane]
            whole = same + g1 + g2 + (1 - f) * (1 - p) * (1 - p) * lik[t, 0, lane]
            alt[t] += (g1 + 2 * g2 + 2 * f * p * lik[t, 2, lane]) / whole
            own[lane] += same / whole


def frequencies(blocks: LaneBlocks, iterations: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """(ALT frequency float32 (L,), inbreeding coefficient float32 (N,)) by EM over the likelihoods."""
    n_samples, n_loci, n_classes = blocks.shape
    frequency, inbreeding = np.full(n_loci, 0.3), np.full(n_samples, 0.2)
    for _ in range(iterations):
        alt = np.zeros(n_loci)
        for number in range(blocks.n_blocks):
            first, stop = blocks.samples(number)
            own = np.zeros(stop - first)
            lik = blocks.likelihoods(number)
            _count_alt(lik, stop - first, frequency, inbreeding[first:stop].copy(), alt, own)
            inbreeding[first:stop] = np.clip(own / n_loci, 1e-3, 0.999)
        frequency = np.clip((alt + 0.1) / (n_samples * (n_classes - 1) + 0.2), 1e-4, 1 - 1e-4)
    return frequency.astype(np.float32), inbreeding.astype(np.float32)


def inbreeding_of(blocks: LaneBlocks, frequency: np.ndarray, iterations: int = 12) -> np.ndarray:
    """float32 (N,): inbreeding coefficients where the frequency float32 (L,) is known."""
    n_samples, n_loci, _ = blocks.shape
    inbreeding = np.full(n_samples, 0.2)
    for number in range(blocks.n_blocks):
        first, stop = blocks.samples(number)
        lik = blocks.likelihoods(number)
        for _ in range(iterations):
            own = np.zeros(stop - first)
            _count_alt(
                lik, stop - first, frequency.astype(np.float64), inbreeding[first:stop].copy(), np.zeros(n_loci), own
            )
            inbreeding[first:stop] = np.clip(own / n_loci, 1e-3, 0.999)
    return inbreeding.astype(np.float32)


def mean_share(lik: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """float32 (n, L): expected ALT share of cells, likelihoods (n, L, C), under the locus's frequency (L,)."""
    n_classes = lik.shape[2]
    f = frequency[:, None]
    prior = np.hstack([1 - f, f]) if n_classes == 2 else np.hstack([(1 - f) ** 2, 2 * f * (1 - f), f * f])
    p = lik * prior
    return (p @ np.arange(n_classes, dtype=np.float32) / p.sum(2) / (n_classes - 1)).astype(np.float32)
