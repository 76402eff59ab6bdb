"""One chain of the copying decoder.

A chain holds a phase and the missing alleles of every sample. Each iteration reads every sample against the others'
haplotypes as they stood before it, draws its phase, and replaces its missing alleles by their expectation; switch
rates follow by expectation-maximisation. Genotype probabilities are averaged over the later iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies_of_counts
from imputevae_cli.data.genotypes import MISSING, genotype_counts
from imputevae_cli.decoders.copying import copying_prior, inbreeding, select_haplotypes, uncertain
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.inputs import ChainInputs
from imputevae_cli.decoders.copying.kernel import stitch
from imputevae_cli.decoders.copying.kernel_choice import CompiledKernel, Kernel, LikelihoodKernel
from imputevae_cli.decoders.copying.kernel_numerics import mix
from imputevae_cli.decoders.copying.rules import DEFAULT, CopyingRules
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.select_haplotypes import Candidates, Packed
from imputevae_cli.decoders.copying.sweep_block import SweepBlock
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.runtime.threads import share_out


@dataclass
class Sweep:
    """How far an iteration has come, and what it has gathered.

    chunk: the run of windows that is read now. done: bool (its tasks,). fresh: uint8 (rows, loci), the haplotypes that
    they make; waiting: those of the chunk before, which the halos of this one still read as they were. jumps: float32
    (blocks of samples, loci), switches expected in the chunk; switches: float64 (L,), in those before it. flips: uint8
    (W, N, 2), phases at the edges of the cores. usage: float32 (W, N, K), how often each donor is copied; (1, N, K), of
    no use, where nothing asks for it.
    """

    chunk: int
    done: np.ndarray
    fresh: np.ndarray
    waiting: np.ndarray
    jumps: np.ndarray
    switches: np.ndarray
    flips: np.ndarray
    usage: np.ndarray


class Chain:
    """One run of the sampler. `haplotypes` is uint8 (N * ploidy, L): 0 REF, 255 ALT, between them the chance of ALT."""

    def __init__(
        self,
        inputs: ChainInputs,
        schedule: Schedule,
        seed: int,
        kernel: Kernel | None = None,
        ranks: Ranks | None = None,
        rules: CopyingRules | None = None,
    ):
        """kernel: None for the compiled one; where calls are uncertain there is one alone. ranks: the processes that
        all run this chain, and part its work among them."""
        self.inputs, self.cohort, self.schedule = inputs, inputs.cohort, schedule
        self.ranks, self.rules = ranks or Ranks(), rules or DEFAULT
        cohort, self.key = inputs.cohort, np.uint64(seed)
        self.frame = inputs.frame_by(schedule, self.rules)
        self.windows, self.paths = self.frame.windows, self.frame.paths
        self.starts = copying_windows.chrom_starts(cohort.chrom_codes)
        self.distances = copying_windows.relative_distances(cohort.chrom_codes, cohort.positions, self.rules.switch)
        self.rate = schedule.start_rate
        given = inputs.switch
        self.switch = self._smooth_switch(self.rate).astype(np.float32) if given is None else given
        self.kernel, self.haplotypes = _start(inputs, kernel)
        fewest = int(self._n_candidates.min()) - (inputs.panel is None) * cohort.ploidy
        n_donors = max(1, min(schedule.donors, fewest))
        self.donors = np.zeros((len(self.windows), len(cohort.calls), n_donors), np.int32)
        self.panel = self.haplotypes if inputs.panel is None else inputs.panel
        self.global_share = schedule.global_share if inputs.global_rows is not None and n_donors > 1 else 0.0
        beside = inputs.global_rows if self.global_share else inputs.reference
        if beside is not None:
            self.panel = np.concatenate([self.haplotypes, beside])
            self.haplotypes = self.panel[: len(self.haplotypes)]
        self.prior, self.steepness = inputs.prior, 0.0
        self.chunks = self._chunks()
        self.iteration = self.begun_at = 0
        self.sweep: Sweep | None = None  # of an iteration that is not at its end

    def go_on_from(self, bits: np.ndarray, switch: np.ndarray, iteration: int) -> None:
        """Begin at this iteration with what another chain of the schedule ended with, but no colder than it was then.

        bits: uint8 (N * ploidy, ceil(L / 8)), a bit per allele, 1 is ALT. switch: float32 (L,).
        """
        self.iteration = self.begun_at = iteration
        for own, packed in zip(self.haplotypes, bits, strict=True):
            own[:] = np.uint8(255) * np.unpackbits(packed, count=len(own))
        cooling = self.schedule.cooling
        if cooling is None:
            self.switch = switch
        else:
            self.switch = self._smooth_switch(self.schedule.start_rate * cooling**iteration).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What the rest of the chain depends on, as plain types and tensors that share memory with the chain."""
        arrays = {name: getattr(self, name) for name in ("haplotypes", "donors", "switch")}
        if self.sweep is not None:
            arrays |= {"sweep": vars(self.sweep)}
        own = {"iteration": self.iteration, "rate": self.rate, "steepness": self.steepness}
        return own | as_tensors(arrays) | {"prior_is_fitted": self.prior is not self.inputs.prior}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of the same chain."""
        state = as_arrays(state)
        self.iteration, self.rate, self.steepness = state["iteration"], state["rate"], state["steepness"]
        self.haplotypes[:] = state["haplotypes"]  # in place: it is a part of the panel
        self.donors, self.switch = state["donors"], state["switch"]
        if "sweep" in state:
            self.sweep = Sweep(**state["sweep"])
        if state["prior_is_fitted"]:
            self.prior = self._steep_prior()

    def _smooth_switch(self, rate: float) -> np.ndarray:
        switch = 1.0 - np.exp(-rate * self.distances)
        switch[self.starts] = 1.0
        return switch

    def iterate(
        self,
        pool: ThreadPoolExecutor,
        doses: np.ndarray,
        at: np.ndarray,
        unit: int,
        is_due: Callable[[], bool] = lambda: False,
    ) -> None:
        """One iteration, or a part of it: where `is_due()`, it is left where its state is whole, to be called again.

        doses: uint16 (missing cells, 2), gathers, in units of a chance; or (0, 2) during burn-in. at: int64 (W, N), of
        `window_frame.cell_offsets`. Windows read the haplotypes as they stood before the iteration. New ones wait
        beside them until the windows to the right, whose halo reaches back, are done: there is no second copy of all.
        Where several processes run the chain, each reads some of the blocks, and its doses are those of its blocks
        alone.
        """
        if self.sweep is None:
            if self._refreshes:
                self._choose_donors(pool)
            self.sweep = self._new_sweep()
        sweep = self.sweep
        while sweep.chunk < len(self.chunks):
            tasks = self._sweep_tasks(sweep.chunk)
            to_do = self.ranks.mine(np.flatnonzero(~sweep.done).tolist())

            def read(
                i: int, tasks: list[tuple[int, int, np.ndarray]] = tasks, first: Sequence[int] = to_do[:1]
            ) -> None:
                if i in first or not is_due():  # one at least, so that every call comes closer to the end
                    self._read(tasks[i], doses, at, unit)
                    sweep.done[i] = True

            share_out(pool, read, to_do)
            self._merge_chunk()
            if not sweep.done.all():
                return
            self._next_chunk()
        self._finish(sweep)
        self.sweep = None
        self.iteration += 1

    def _new_sweep(self) -> Sweep:
        n_samples = len(self.cohort.calls)
        return Sweep(
            chunk=0,
            done=np.zeros(len(self._sweep_tasks(0)), bool),
            fresh=self._room(0),
            waiting=np.zeros((len(self.haplotypes), 0), np.uint8),
            jumps=self._no_jumps(0),
            switches=np.zeros(len(self.switch)),
            flips=np.zeros((len(self.windows), n_samples, 2), np.uint8),
            usage=np.zeros(self.donors.shape if self._fits_prior else (1, *self.donors.shape[1:]), np.float32),
        )

    @property
    def _refreshes(self) -> bool:
        """Whether donors are chosen, and rates updated, in this iteration."""
        return (self.iteration - self.begun_at) % self.schedule.refresh == 0

    @property
    def _fits_prior(self) -> bool:
        """Whether a copying prior is fitted on the samples' similarity."""
        return self.schedule.relatedness and self.inputs.similarity is not None

    def _merge_chunk(self) -> None:
        """Give every process what each has read of the chunk."""
        assert self.sweep is not None
        sweep, chunk = self.sweep, self.chunks[self.sweep.chunk]
        windows = slice(chunk[0], chunk[-1] + 1)
        self.ranks.merge(sweep.done, sweep.fresh, sweep.flips[windows], sweep.jumps, sweep.usage[windows])

    def _next_chunk(self) -> None:
        """Put the haplotypes that waited in place, let the fresh ones wait, and sum up the switches."""
        assert self.sweep is not None
        sweep, origin = self.sweep, self._origin(self.sweep.chunk)
        self._take(sweep.waiting, origin)
        sweep.waiting = sweep.fresh
        sweep.switches[origin : origin + sweep.jumps.shape[1]] = sweep.jumps.sum(0, dtype=np.float64)
        sweep.chunk += 1
        if sweep.chunk < len(self.chunks):
            sweep.fresh, sweep.jumps = self._room(sweep.chunk), self._no_jumps(sweep.chunk)
            sweep.done = np.zeros(len(self._sweep_tasks(sweep.chunk)), bool)

    def _take(self, haplotypes: np.ndarray, stop: int) -> None:
        """Put new haplotypes, up to locus `stop`, in place of the old."""
        self.haplotypes[:, stop - haplotypes.shape[1] : stop] = haplotypes

    def _room(self, chunk: int) -> np.ndarray:
        return np.zeros((len(self.haplotypes), self._width(chunk)), np.uint8)

    def _no_jumps(self, chunk: int) -> np.ndarray:
        return np.zeros((-(-len(self.cohort.calls) // self._block_size), self._width(chunk)), np.float32)

    def _width(self, chunk: int) -> int:
        """Loci in the cores of a chunk."""
        return int(self.windows[self.chunks[chunk][-1], 2]) - self._origin(chunk)

    def _origin(self, chunk: int) -> int:
        """The first locus of a chunk's first core."""
        return int(self.windows[self.chunks[chunk][0], 1])

    def _chunks(self) -> list[list[int]]:
        """Runs of windows whose new haplotypes take about `chunk_bytes`, each wider than a halo."""
        least = max(self.schedule.halo, self.rules.work.chunk_bytes // len(self.haplotypes))
        chunks: list[list[int]] = [[]]
        width = 0
        for w, (_, start, stop, _) in enumerate(self.windows.tolist()):
            if width >= least:
                chunks, width = [*chunks, []], 0
            chunks[-1].append(w)
            width += stop - start
        return chunks

    def _read(self, task: tuple[int, int, np.ndarray], doses: np.ndarray, at: np.ndarray, unit: int) -> None:
        """Read one block of samples in one window against the haplotypes as they stood before the iteration."""
        assert self.sweep is not None
        sweep, (w, block, samples) = self.sweep, task
        self.kernel.sweep(
            SweepBlock(
                calls=self.cohort.calls,
                by_descent=self.frame.by_descent,
                panel=self.panel,
                state=self.haplotypes,
                donors=self.donors[w],
                prior=self.prior,
                global_share=self.global_share,
                switch=self.switch,
                error=self.schedule.error,
                keys=self.frame.keys(self._key(2 * self.iteration, w), w),
                first_pass=self.iteration == 0,
                window=self.windows[w],
                samples=samples,
                at=at[w],
                doses=doses,
                unit=unit,
                out=sweep.fresh,
                origin=self._origin(sweep.chunk),
                flips=sweep.flips[w],
                jumps=sweep.jumps[block],
                usage=sweep.usage[w if len(sweep.usage) == len(self.windows) else 0],
            )
        )

    def _finish(self, sweep: Sweep) -> None:
        """Put the windows together, and update the rates and the prior."""
        self._take(sweep.waiting, len(self.switch))
        if self.cohort.ploidy == 2:
            stitch(np.ascontiguousarray(self.windows[:, 1:3]), sweep.flips, self.haplotypes)
        if self._refreshes and self.inputs.switch is None:
            self._update_switch(sweep.switches)
        if self._fits_prior:
            n_others = self.donors.shape[2] - (self.global_share > 0)
            self._update_prior(self.donors[..., :n_others], sweep.usage[..., :n_others])

    def _key(self, stream: int, window: int) -> np.uint64:
        return np.uint64(mix(np.uint64(mix(self.key, stream)), self.frame.first + window))

    @property
    def _block_size(self) -> int:
        return self.kernel.block_size(len(self.cohort.calls), self.rules.work.samples_per_sweep)

    def _sweep_tasks(self, chunk: int) -> list[tuple[int, int, np.ndarray]]:
        return self._tasks(self._block_size, self.chunks[chunk])

    def _tasks(self, size: int, windows: Iterable[int]) -> list[tuple[int, int, np.ndarray]]:
        """Pieces of work that write apart from each other: (window, block of samples, its first and last sample)."""
        n = len(self.cohort.calls)
        return [
            (w, block, np.array([a, min(a + size, n)])) for w in windows for block, a in enumerate(range(0, n, size))
        ]

    def _choose_donors(self, pool: ThreadPoolExecutor) -> None:
        if self.inputs.panel is None and self.inputs.reference is None and len(self.cohort.calls) < 2:
            return  # nobody else to copy from: the sample's own frequencies stand
        keys = [self._key(2 * self.iteration + 1, w) for w in range(len(self.windows))]
        keys_of = [self.frame.keys(key, w) for w, key in enumerate(keys)]
        size = max(1, self.rules.work.packed_bytes // self._packed_bytes)
        windows = self.ranks.mine(range(len(self.windows)))  # whole ones, since each is packed first
        self.donors[np.isin(np.arange(len(self.windows)), windows, invert=True)] = 0
        for some in (windows[first : first + size] for first in range(0, len(windows), size)):
            packed = dict(zip(some, share_out(pool, lambda w: self._packed(w, int(keys[w])), some), strict=True))

            def choose(task: tuple[int, int, np.ndarray], packed: dict[int, Packed] = packed) -> None:
                w, _, samples = task
                select_haplotypes.choose(packed[w], samples, keys_of[w], self.donors[w])

            share_out(pool, choose, self._tasks(self.rules.work.samples_per_choice, some))
        self.ranks.merge(self.donors)
        if self.global_share > 0:  # in place of the least similar donor
            self.donors[..., -1] = len(self.haplotypes) + np.arange(len(self.cohort.calls))

    def _packed(self, w: int, seed: int) -> Packed:
        """What donors of a window are chosen by. The first choice draws `max_candidates` to compare: where no phase has
        been drawn, neighbours in the order of their alleles tell little."""
        schedule, rules = self.schedule, self.rules.choice
        n_beside = 0 if self.inputs.reference is None else len(self.inputs.reference)
        found = Candidates.of(self.paths[w], self.cohort.ploidy, self.inputs.panel, n_beside)
        in_order = self.iteration > self.begun_at and len(found.rows) > rules.most_compared
        found = found if in_order else found.drawn(rules.max_candidates, seed)
        spans = copying_windows.stretches(self.windows[w], len(self.switch), schedule.pieces, schedule.scales)
        return Packed.of(found, self.panel, self.haplotypes, spans, in_order)

    @property
    def _n_candidates(self) -> np.ndarray:
        """int64 (W,): haplotypes that may be copied in each window, see `Candidates`."""
        panel, reference = self.inputs.panel, self.inputs.reference
        if panel is not None:
            return np.full(len(self.paths), len(panel))
        return self.paths.sum(1, dtype=np.int64) + (0 if reference is None else len(reference))

    @property
    def _packed_bytes(self) -> int:
        """Of a window's candidates and queries, two bits a locus, about."""
        n_rows = 2 * len(self.cohort.calls) + self._n_candidates.max()
        n_loci = self.schedule.core + 2 * max(self.schedule.halo, *self.schedule.scales)
        return n_rows * n_loci // 4

    def _update_prior(self, donors: np.ndarray, usage: np.ndarray) -> None:
        """The prior over donors from the samples' similarity; donors int32 (W, N, K), usage float32 (W, N, K)."""
        n = np.arange(len(self.cohort.calls))[None, :, None]
        assert self.inputs.similarity is not None
        similarity = self.inputs.similarity[n, donors // self.cohort.ploidy]  # (W, N, K)
        k, rules = usage.shape[2], self.rules.prior
        self.steepness = copying_prior.fit_steepness(similarity.reshape(-1, k), usage.reshape(-1, k), rules)
        self.prior = self._steep_prior()

    def _steep_prior(self) -> np.ndarray:
        """How readily each sample is copied, float32 (N, N): it grows with similarity."""
        assert self.inputs.similarity is not None
        return np.exp(self.steepness * self.inputs.similarity)

    def _update_switch(self, jumps: np.ndarray) -> None:
        """Expectation-maximisation of the switch probabilities; jumps float64 (L,): switches expected per locus."""
        inner = ~self.starts
        if not inner.any():
            return
        schedule, rules = self.schedule, self.rules.switch
        n_haplotypes = float(len(self.haplotypes)) - inbreeding.n_joined(self.frame.by_descent)  # a number, or (L,)
        self.rate = max(float((jumps / n_haplotypes)[inner].sum() / self.distances[inner].sum()), rules.least_rate)
        target = max(self.rate, schedule.rate_floor)
        if schedule.cooling is not None:
            target = min(target, schedule.start_rate * schedule.cooling ** (self.iteration + 1))
        smooth = schedule.smoothing * self._smooth_switch(target)
        switch = (jumps * (target / self.rate) + smooth) / (n_haplotypes + schedule.smoothing)
        switch = np.clip(switch, rules.least, rules.most)
        switch[self.starts] = 1.0
        self.switch = switch.astype(np.float32)


def _start(inputs: ChainInputs, kernel: Kernel | None) -> tuple[Kernel, np.ndarray]:
    """The kernel, see `Chain`, and the haplotypes that a chain starts from, uint8 (N * ploidy, L)."""
    cohort, frequency = inputs.cohort, inputs.frequency
    if cohort.evidence is None:
        return kernel or CompiledKernel(), initial_haplotypes(cohort.calls, cohort.ploidy, frequency)
    assert frequency is not None
    codes = np.ascontiguousarray(cohort.evidence.codes)
    haplotypes = uncertain.initial_haplotypes(cohort.evidence, frequency)
    return LikelihoodKernel(codes, cohort.evidence.table, frequency), haplotypes


def initial_haplotypes(calls: np.ndarray, ploidy: int, frequency: np.ndarray | None = None) -> np.ndarray:
    """uint8 (N * ploidy, L): known homozygous alleles, one half at a heterozygous call, the frequency where missing."""
    if frequency is None:
        frequency = alt_frequencies_of_counts(genotype_counts(calls, ploidy + 1), ploidy, pseudo_count=0.5)  # (L,)
    table = np.array([0, 255] if ploidy == 1 else [0, 128, 255], np.uint8)
    filled = np.round(frequency * 255).astype(np.uint8)
    haplotypes = np.empty((len(calls), ploidy, calls.shape[1]), np.uint8)
    for own, row in zip(haplotypes, calls, strict=True):
        own[:] = np.where(row != MISSING, table[np.maximum(row, 0)], filled)
    return haplotypes.reshape(len(calls) * ploidy, -1)
