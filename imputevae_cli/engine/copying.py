"""The haplotype decoder: every sample's two haplotypes are mosaics of the other samples' (Li and Stephens 2003).

A chain holds a phase and the missing alleles of every sample. Each iteration reads every sample against the others'
haplotypes as they stood before it, draws its phase, and replaces its missing alleles by their expectation; switch
rates follow by expectation-maximisation. Genotype probabilities are averaged over the later iterations.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imputevae_cli.engine import copying_kernel as kernel
from imputevae_cli.engine import copying_windows, donor_choice
from imputevae_cli.genotypes import MISSING

SAMPLES_PER_TASK = 32
NO_PRIOR = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Schedule:
    """What an iteration does. Lengths are in loci.

    donors: haplotypes a sample copies from in a window. error: the chance that a copied allele differs.
    start_rate: switches per mean distance at the start; cooling: the factor by which the rate's upper bound falls per
    iteration (None: no bound). refresh: iterations between choices of donors and between updates of the rates.
    prior_loci: how many haplotypes' worth of the smooth rate is mixed into each locus's own.
    """

    iterations: int = 13
    burn_in: int = 7
    chains: int = 1
    donors: int = 48
    core: int = 512
    halo: int = 96
    pieces: int = 4
    scales: tuple[int, ...] = (300, 600)
    error: float = 5e-4
    start_rate: float = 0.1
    cooling: float | None = 0.55
    floor: bool = False
    refresh: int = 2
    em_every: int = 2
    prior_haplotypes: float = 200.0


class Chain:
    """One run of the sampler over one set of calls.

    calls: int8 (N, L), -1 missing; paths: uint8 (N,), 1 for a sample that is haploid or inbred, else 2.
    """

    def __init__(self, calls, chrom_codes, positions, ploidy, paths, schedule: Schedule, seed: int):
        self.calls, self.ploidy, self.paths, self.schedule = calls, ploidy, paths, schedule
        self.key = np.uint64(seed)
        self.windows = copying_windows.windows(chrom_codes, schedule.core, schedule.halo)
        self.starts = copying_windows.chrom_starts(chrom_codes)
        self.distances = copying_windows.relative_distances(chrom_codes, positions)
        self.rate = schedule.start_rate
        self.switch = self._smooth_switch(schedule.start_rate).astype(np.float32)
        self.haplotypes = initial_haplotypes(calls, ploidy)  # uint8 (N * ploidy, L)
        self.spare = np.empty_like(self.haplotypes)
        self.donors = np.zeros((len(self.windows), len(calls), schedule.donors), np.int32)
        self.iteration = 0

    def _smooth_switch(self, rate: float) -> np.ndarray:
        switch = 1.0 - np.exp(-rate * self.distances)
        switch[self.starts] = 1.0
        return switch

    def iterate(self, pool: ThreadPoolExecutor, prior: np.ndarray, doses: np.ndarray, at: np.ndarray) -> None:
        """One iteration; doses float32 (missing cells, 2) gathers, or (0, 2) during burn-in; at int64 (W, N)."""
        schedule = self.schedule
        if self.iteration % schedule.refresh == 0:
            self._choose_donors(pool)
        n_blocks = -(-len(self.calls) // SAMPLES_PER_TASK)
        jumps = np.zeros((n_blocks, self.calls.shape[1]), np.float32)
        flips = np.zeros((len(self.windows), len(self.calls), 2), np.uint8)
        key = kernel.mix(self.key, 2 * self.iteration)

        def task(item):
            w, block, samples = item
            kernel.sweep(
                self.calls, self.paths, self.haplotypes, self.haplotypes, self.donors[w], prior, self.switch,
                schedule.error, np.uint64(kernel.mix(np.uint64(key), w)), self.iteration == 0, self.windows[w], samples, at[w], doses,
                self.spare, flips[w], jumps[block],
            )  # fmt: skip

        list(pool.map(task, self._tasks()))
        if self.ploidy == 2:
            kernel.stitch(np.ascontiguousarray(self.windows[:, 1:3]), flips, self.spare)
        self.haplotypes, self.spare = self.spare, self.haplotypes
        self.iteration += 1
        if (self.iteration - 1) % schedule.em_every == 0:
            self._update_switch(jumps.sum(0, dtype=np.float64))

    def _tasks(self):
        """Pieces of work that write apart from each other: (window, block of samples, its first and last sample)."""
        n = len(self.calls)
        return [
            (w, block, np.array([a, min(a + SAMPLES_PER_TASK, n)]))
            for w in range(len(self.windows))
            for block, a in enumerate(range(0, n, SAMPLES_PER_TASK))
        ]

    def _choose_donors(self, pool: ThreadPoolExecutor) -> None:
        rows, owners, own_rows = panel_rows(self.paths, self.ploidy)
        key = kernel.mix(self.key, 2 * self.iteration + 1)
        n_loci = self.calls.shape[1]

        def task(item):
            w, _, samples = item
            spans = copying_windows.stretches(self.windows[w], n_loci, self.schedule.pieces, self.schedule.scales)
            donor_choice.choose(
                self.haplotypes, rows, owners, self.haplotypes, own_rows, spans, samples, np.uint64(kernel.mix(np.uint64(key), w)),
                self.donors[w],
            )  # fmt: skip

        list(pool.map(task, self._tasks()))

    def _update_switch(self, jumps: np.ndarray) -> None:
        """Expectation-maximisation of the switch probabilities; jumps float64 (L,): expected switches before a locus."""
        inner = ~self.starts
        n_haplotypes = int(self.paths.sum())
        if not inner.any():
            return
        schedule = self.schedule
        self.rate = max(float((jumps[inner] / n_haplotypes).sum() / self.distances[inner].sum()), 1e-6)
        target = self.rate
        if schedule.cooling is not None:
            bound = schedule.start_rate * schedule.cooling**self.iteration
            target = max(self.rate, bound) if schedule.floor else min(self.rate, bound)
        smooth = self._smooth_switch(target)
        shrunk = (jumps * (target / self.rate) + schedule.prior_haplotypes * smooth) / (
            n_haplotypes + schedule.prior_haplotypes
        )
        shrunk = np.clip(shrunk, 1e-6, 0.9)
        shrunk[self.starts] = 1.0
        self.switch = shrunk.astype(np.float32)


def initial_haplotypes(calls: np.ndarray, ploidy: int) -> np.ndarray:
    """uint8 (N * ploidy, L): known homozygous alleles, one half at a heterozygous call, the frequency where missing."""
    known = calls != MISSING
    frequency = (np.where(known, calls, 0).sum(0) + 0.5) / (ploidy * known.sum(0) + 1.0)  # (L,)
    table = np.array([0, 255] if ploidy == 1 else [0, 128, 255], np.uint8)
    filled = np.round(frequency * 255).astype(np.uint8)
    one = np.where(known, table[np.maximum(calls, 0)], filled[None])
    return np.repeat(one, ploidy, axis=0)


def panel_rows(paths: np.ndarray, ploidy: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows that may be donors int32 (r,), the sample of each int32 (r,), each sample's own two rows int32 (N, 2)).

    A sample of one path is a donor once.
    """
    n = np.arange(len(paths), dtype=np.int32)
    own = np.stack([n * ploidy, n * ploidy + (paths == 2)], 1).astype(np.int32)
    rows = np.unique(own)
    return rows.astype(np.int32), (rows // ploidy).astype(np.int32), own


def cell_offsets(calls: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """int64 (W, N): the place of the first missing call of each window's core among the missing calls, sample by sample."""
    per_sample = (calls == MISSING).sum(1)
    before = np.concatenate([[0], np.cumsum(per_sample)[:-1]])
    offsets = np.empty((len(windows), len(calls)), np.int64)
    for w, (_, start, stop, _) in enumerate(windows):
        offsets[w] = before
        before = before + (calls[:, start:stop] == MISSING).sum(1)
    return offsets
