"""What the founder decoder learned: founders that fill new samples, and the genotype probabilities of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imputevae_cli.decoders.founders import averaging, draws
from imputevae_cli.decoders.founders.em import Fit, sweep
from imputevae_cli.decoders.founders.evidence_blocks import Block, LaneBlocks, inbreeding_of
from imputevae_cli.errors import CheckpointError, InputError
from imputevae_cli.runtime.kernel_basics import mix, uniform

UNIT = np.float32(65535)
OWN_SWEEPS = 5  # in which a new sample's shares of the founders are found


@dataclass(frozen=True)
class FounderPanel:
    """The founders of each fit, and what is needed to read new samples by them.

    theta: uint16 (S, L, K), 65535 times the chance of ALT. weights: float32 (S, K). rates: of switching, per distance.
    distance, frequency: float32 (L,), see `em.distances`; of ALT. powers: of the fits, see `averaging`. inbred: see the
    settings. stray: the chance of a heterozygote on one path. own_prior: see the settings.
    """

    theta: np.ndarray
    weights: np.ndarray
    rates: tuple[float, ...]
    distance: np.ndarray
    frequency: np.ndarray
    ploidy: int
    powers: tuple[float, ...]
    inbred: float
    stray: float
    own_prior: float

    @classmethod
    def of(cls, fits: Sequence[Fit], **rest: Any) -> FounderPanel:
        """The founders of some fits, their chances rounded."""
        theta = np.stack([np.rint(fit.theta * UNIT).astype(np.uint16) for fit in fits])
        return cls(theta, np.stack([fit.weights for fit in fits]), tuple(float(fit.rate) for fit in fits), **rest)

    def fits(self, own: np.ndarray) -> list[Fit]:
        """The fits, with the samples' own shares float32 (S, N, K)."""
        return [self.fit(number, mine) for number, mine in enumerate(own)]

    def fit(self, number: int, own: np.ndarray) -> Fit:
        """One of the fits, with the samples' own shares float32 (N, K)."""
        theta = self.theta[number].astype(np.float32) / UNIT
        return Fit(theta, self.weights[number], own, self.rates[number])

    def for_samples(self, block: Block, n_samples: int, threads: int = 1) -> FoundersPosterior:
        """Genotype probabilities of samples that were not in the cohort, each from its own evidence and the founders.

        block(start, stop): float32 (stop - start, L, C) at the panel's loci.
        """
        n_loci = len(self.distance)
        if n_samples and block(0, 1).shape[1] != n_loci:
            raise InputError(f"the founders have {n_loci} loci and the new samples {block(0, 1).shape[1]}")
        blocks = LaneBlocks(block, (n_samples, n_loci, self.ploidy + 1), stray=self.stray)
        paths = paths_of(inbreeding_of(blocks, self.frequency), self.inbred, self.ploidy)
        blocks = blocks.following(paths)
        even = np.repeat(self.weights[:, None], n_samples, 1)
        own = np.empty_like(even)
        with ThreadPoolExecutor(threads) as pool:
            for s, fit in enumerate(self.fits(even)):
                for _ in range(OWN_SWEEPS):
                    chosen = sweep(blocks, fit, self.distance, pool).chosen + self.own_prior * fit.weights
                    fit = Fit(fit.theta, fit.weights, chosen / chosen.sum(1, keepdims=True), fit.rate)
                own[s] = fit.own
            return filled(self, blocks, own, pool)

    def state(self) -> dict:
        """Arrays and plain values."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, values: dict) -> FounderPanel:
        """The panel that `state` took down. Raises CheckpointError where a part is missing or unknown."""
        try:
            return cls(**values | {name: tuple(values[name]) for name in ("rates", "powers")})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the checkpoint's founders are not of this version: {error}") from error


@dataclass(frozen=True)
class FoundersPosterior:
    """Genotype probabilities of a cohort whose samples are mosaics of founders.

    own: float32 (S, N, K), each sample's shares of the founders. paths: uint8 (N,). doses: uint16 (N, L, C - 1), 65535
    times the chances of 0 and, if diploid, of 2 ALT alleles, from all but the cells' own evidence.
    block: the cohort's evidence, which draws read; it is not saved.
    """

    panel: FounderPanel
    own: np.ndarray
    paths: np.ndarray
    doses: np.ndarray
    block: Block = field(repr=False)

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, ploidy + 1), from all but
        the cells' own evidence."""
        doses = self.doses[:, start:stop].astype(np.float32) / UNIT
        if self.panel.ploidy == 1:
            return np.concatenate([doses, 1 - doses], 2)
        middle = np.maximum(1 - doses[:, :, 0] - doses[:, :, 1], 0)
        return np.stack([doses[:, :, 0], middle, doses[:, :, 1]], 2)

    def draw(self, number: int, start: int, stop: int) -> np.ndarray:
        """int8 (stop - start, L): draw `number` of the genotypes of samples start..stop, joint along each chromosome.

        Each draw follows one of the fits, drawn by its power. The same number gives the same draw, whatever samples
        are asked for.
        """
        powers = np.cumsum(self.panel.powers)
        drawn = uniform(np.uint64(number), np.uint64(0)) * powers[-1]
        followed = int(np.searchsorted(powers[:-1], drawn, side="right"))
        fit = draws.sharper(self.panel.fit(followed, self.own[followed]), max(1.0, float(powers[-1])))
        out = np.empty((stop - start, len(self.panel.distance)), np.int8)
        for sample in range(start, stop):
            lik = self.block(sample, sample + 1)[0]
            stray = self.panel.stray if self.paths[sample] < self.panel.ploidy else None
            key = mix(np.uint64(number), np.uint64(sample))
            out[sample - start] = draws.draw_sample(lik, fit, sample, self.panel.distance, key, stray)
        return out

    def for_samples(self, block: Block, n_samples: int, threads: int = 1) -> FoundersPosterior:
        """See `FounderPanel.for_samples`."""
        return self.panel.for_samples(block, n_samples, threads)

    def state(self) -> dict:
        """All but the evidence, as arrays and plain values."""
        return {"panel": self.panel.state(), "own": self.own, "paths": self.paths, "doses": self.doses}

    @classmethod
    def from_state(cls, values: dict, block: Block) -> FoundersPosterior:
        """The posterior that `state` took down."""
        return cls(block=block, **values | {"panel": FounderPanel.from_state(values["panel"])})


def paths_of(inbreeding: np.ndarray, inbred: float, ploidy: int) -> np.ndarray:
    """uint8 (N,): how many paths samples follow, by their inbreeding coefficients."""
    return np.where(inbreeding >= inbred, 1, ploidy).astype(np.uint8)


def filled(panel: FounderPanel, blocks: LaneBlocks, own: np.ndarray, pool: Executor) -> FoundersPosterior:
    """The posterior of the samples of `blocks`, none of their evidence hidden; own: float32 (S, N, K)."""
    n_samples, n_loci, n_classes = blocks.shape
    doses = np.empty((n_samples, n_loci, n_classes - 1), np.uint16)
    fits = panel.fits(own)
    kept = [0] if n_classes == 2 else [0, 2]

    def fill(number: int) -> None:
        first, stop = blocks.samples(number)
        lik = blocks.likelihoods(number)
        p = averaging.block_chances(blocks, number, fits, panel.distance, panel.powers, lik)
        doses[first:stop] = np.rint(p[:, kept, : stop - first] * UNIT).transpose(2, 0, 1)

    list(pool.map(fill, range(blocks.n_blocks)))
    return FoundersPosterior(panel, own, blocks.paths, doses, blocks.block)
