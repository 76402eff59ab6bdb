"""The likelihoods of a cohort as the compiled recursions read them: sixteen samples at a time, some cells hidden."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np

from imputevae_cli.compiled import compiled
from imputevae_cli.decoders.founders.lanes import WIDTH

Block = Callable[[int, int], np.ndarray]
"""block(start, stop) -> float32 (stop - start, L, C): likelihoods of some samples, each cell's largest 1."""

LEAST = np.float32(1e-6)
KEPT_BYTES = 1 << 28
"""Likelihoods of no more bytes are kept as lanes; larger ones are asked for in every sweep."""
TIMID = 10.0  # how strongly a sample of which little is known is taken for outbred
TELLING = 0.5  # a cell is worth hiding if a genotype is less than half as likely as another
MIN_HELD, MAX_HELD, MOST_HELD = 1000, 20_000, 0.1  # cells, cells, share


@dataclass(frozen=True)
class HeldEvidence:
    """Cells whose evidence is hidden: samples, loci int64 (M,) by rising sample; likelihoods float32 (M, C)."""

    samples: np.ndarray
    loci: np.ndarray
    likelihoods: np.ndarray

    @classmethod
    def choose(cls, block: Block, shape: tuple[int, int, int], share: float, rng: np.random.Generator) -> HeldEvidence:
        """Some cells that tell genotypes apart; between MIN_HELD and MAX_HELD are drawn among all cells."""
        n_samples, n_loci, n_classes = shape
        n_cells = max(n_samples * n_loci, 1)
        share = min(max(share, MIN_HELD / n_cells), MAX_HELD / n_cells, MOST_HELD) if share > 0 else 0.0
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


@compiled(nogil=True)
def _count_alt(
    lik: np.ndarray, n_lanes: int, frequency: np.ndarray, inbreeding: np.ndarray, alt: np.ndarray, slope: np.ndarray,
    bend: np.ndarray,
) -> None:  # fmt: skip
    """Add expected ALT copies to alt (T,), and to slope and bend (lanes,) the first and, negated, the second derivative
    of each lane's log likelihood by its inbreeding coefficient."""
    n_classes = lik.shape[1]
    for t in range(lik.shape[0]):
        p = frequency[t]
        for lane in range(n_lanes):
            if n_classes == 2:
                b = p * lik[t, 1, lane]
                alt[t] += b / (b + (1 - p) * lik[t, 0, lane])
                continue
            f = inbreeding[lane]
            het = 2 * p * (1 - p) * lik[t, 1, lane]
            two = p * p * lik[t, 2, lane]
            free = (1 - p) * (1 - p) * lik[t, 0, lane] + het + two
            change = (1 - p) * lik[t, 0, lane] + p * lik[t, 2, lane] - free
            whole = free + f * change
            alt[t] += ((1 - f) * (het + 2 * two) + 2 * f * p * lik[t, 2, lane]) / whole
            slope[lane] += change / whole
            bend[lane] += (change / whole) ** 2


def _one_more(blocks: LaneBlocks, number: int, frequency: np.ndarray, inbreeding: np.ndarray, alt: np.ndarray) -> None:
    """Add a block's ALT copies to alt and take a Newton step of its samples' coefficients in inbreeding (N,)."""
    first, stop = blocks.samples(number)
    slope, bend = np.zeros((2, stop - first))
    _count_alt(blocks.likelihoods(number), stop - first, frequency, inbreeding[first:stop], alt, slope, bend)
    pulled = inbreeding[first:stop] + (slope - TIMID * inbreeding[first:stop]) / (bend + TIMID)
    inbreeding[first:stop] = np.clip(pulled, 1e-3, 0.999)


def frequencies(blocks: LaneBlocks, iterations: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """(ALT frequency float32 (L,), inbreeding coefficient float32 (N,)) of most likelihood, jointly."""
    n_samples, n_loci, n_classes = blocks.shape
    frequency, inbreeding = np.full(n_loci, 0.3), np.full(n_samples, 0.2)
    for _ in range(iterations):
        alt = np.zeros(n_loci)
        for number in range(blocks.n_blocks):
            _one_more(blocks, number, frequency, inbreeding, alt)
        frequency = np.clip((alt + 0.1) / (n_samples * (n_classes - 1) + 0.2), 1e-4, 1 - 1e-4)
    return frequency.astype(np.float32), inbreeding.astype(np.float32)


def inbreeding_of(blocks: LaneBlocks, frequency: np.ndarray, iterations: int = 8) -> np.ndarray:
    """float32 (N,): inbreeding coefficients where the frequency float32 (L,) is known."""
    inbreeding, known = np.full(blocks.shape[0], 0.2), frequency.astype(np.float64)
    for number in range(blocks.n_blocks):
        for _ in range(iterations):
            _one_more(blocks, number, known, inbreeding, np.zeros(len(frequency)))
    return inbreeding.astype(np.float32)


def mean_share(lik: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """float32 (n, L): expected ALT share of cells, likelihoods (n, L, C), under the locus's frequency (L,)."""
    n_classes = lik.shape[2]
    f = frequency[:, None]
    prior = np.hstack([1 - f, f]) if n_classes == 2 else np.hstack([(1 - f) ** 2, 2 * f * (1 - f), f * f])
    p = lik * prior
    return (p @ np.arange(n_classes, dtype=np.float32) / p.sum(2) / (n_classes - 1)).astype(np.float32)
