"""The founder decoder: samples are mosaics of a few ancestral haplotypes, which are learned from uncertain evidence.

`FoundersModel(settings, seed).fit(...)` gives a `FoundersPosterior`: genotype probabilities of every cell, draws of
whole genotypes, and a small panel of founders that later samples are filled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np

from imputevae_cli.decoders.founders import averaging, choose
from imputevae_cli.decoders.founders.em import distances
from imputevae_cli.decoders.founders.evidence_blocks import Block, HeldEvidence, LaneBlocks, frequencies
from imputevae_cli.decoders.founders.fitting import Fitting
from imputevae_cli.decoders.founders.posterior import FounderPanel, FoundersPosterior, filled, paths_of
from imputevae_cli.decoders.founders.seeding import Seeds
from imputevae_cli.decoders.founders.settings import FoundersSettings
from imputevae_cli.errors import InputError
from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.runtime.resumable import Stages

STRAY = 0.01
INBRED_COHORT, NEVER = 0.5, 2.0
"""Samples follow one path only if half the cohort is about so inbred: in others, few heterozygotes can be chance."""


class FoundersModel:
    """Fits founders to a cohort. The same seed gives the same result at any number of threads."""

    def __init__(self, settings: FoundersSettings | None = None, seed: int = 0):
        self.settings = settings or FoundersSettings()
        self.seed = seed

    def fit(
        self,
        block: Block,
        shape: tuple[int, int, int],
        chrom_codes: np.ndarray,
        positions: np.ndarray,
        ploidy: int,
        *,
        seeds: Seeds | None = None,
        inbreeding: np.ndarray | None = None,
        threads: int = 1,
        progress: Progress | None = None,
        stages: Stages | None = None,
    ) -> FoundersPosterior:
        """Learn the founders and the genotype probabilities of all cells.

        block(start, stop): float32 (stop - start, L, ploidy + 1), likelihoods of some samples, each cell's largest 1;
        shape: (N, L, ploidy + 1). It is called from several threads. chrom_codes: (L,), the same along a
        chromosome. positions: (L,), bp or cM. seeds: what the founders begin like, if not like samples drawn at
        random. inbreeding: float (N,), coefficients; None: from the evidence. stages: remember the fits.
        Raises InputError where the ploidy is above 2.
        """
        if ploidy > 2:
            raise InputError(f"the founder decoder fills haploids and diploids, not ploidy {ploidy}")
        progress, stages, seeds = progress or NullProgress(), stages or Stages(), seeds or Seeds()
        distance = distances(chrom_codes, positions)
        held = HeldEvidence.choose(block, shape, self.settings.held, self._rng(0))
        blocks = LaneBlocks(block, shape, held=held, stray=STRAY)
        frequency, estimated = frequencies(blocks)
        given = inbreeding is not None
        inbred = self.settings.inbred if given or np.median(estimated) >= INBRED_COHORT else NEVER
        paths = paths_of(estimated if inbreeding is None else inbreeding, inbred, ploidy)
        with ThreadPoolExecutor(threads) as pool:

            def planned() -> dict:
                settings = self._settings_for(seeds)
                return vars(choose.plan(settings, block, shape, distance, self._rng(1), pool, None if given else paths))

            plan = choose.Plan(**stages.run("founders plan", planned))
            if not (given or plan.one_path):
                inbred, paths = NEVER, np.full_like(paths, ploidy)
            blocks = blocks.following(paths)
            fitting = Fitting(blocks, (frequency, distance), plan, self.settings, self.seed, seeds)
            fits = fitting.run(pool, progress, stages)
            panel = FounderPanel.of(
                fits, distance=distance, frequency=frequency, ploidy=ploidy, powers=(1.0,),
                inbred=inbred, stray=STRAY, own_prior=self.settings.own_prior,
            )  # fmt: skip
            own = np.stack([fit.own for fit in fits])
            logs = averaging.held_logs(blocks, panel.fits(own), distance, pool)
            powers, _ = averaging.fit_powers(logs, held.likelihoods)
            return filled(replace(panel, powers=tuple(map(float, powers))), blocks.in_full(), own, pool)

    def _settings_for(self, seeds: Seeds) -> FoundersSettings:
        """The settings, with as many founders as there are parents where that is open."""
        if not seeds.parents or self.settings.founders is not None:
            return self.settings
        return msgspec.structs.replace(self.settings, founders=max(len(seeds.parents), 2))

    def _rng(self, *path: int) -> np.random.Generator:
        """Draws that depend on the seed and on what they are for alone."""
        return np.random.default_rng([self.seed, *path])
