"""A fitted model: up to three decoders, the genotype frequencies, and the gate that weighs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells, surroundings
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior, Stretch
from imputevae_cli.decoders.knn.decoder import KnnModel
from imputevae_cli.decoders.registry import haplotype_decoder
from imputevae_cli.decoders.vae.network import Latent, encode_in_batches
from imputevae_cli.decoders.vae.predict import VaePosterior
from imputevae_cli.decoders.vae.train_data import population_tensor
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.log import NullProgress, Progress
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.runtime.sample_keys import digests

FREQUENCIES, GLOBAL, DONORS, HAPLOTYPE = "frequencies", "vae", "knn", "copying"
LEAST = 1e-6
MOST_COMPARED = 1000
"""So many samples at most tell how far apart samples lie."""


class Part(Protocol):
    """One way to give genotype probabilities."""

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Of loci start..stop (exclusive), float32 (N, stop - start, C); only missing calls' values count."""
        ...


@dataclass(frozen=True)
class FrequencyPart:
    """Genotype frequencies of each sample's population.

    table: float32 (populations + 1, L, C), the last of all samples. codes: int64 (N,), rows of the table.
    """

    table: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort) -> FrequencyPart:
        """From the known calls of a cohort."""
        codes = np.zeros(len(cohort.calls), np.int64) if cohort.populations is None else cohort.populations
        return cls(
            genotype_frequencies(cohort.calls, cohort.ploidy + 1, cohort.populations, cohort.n_populations), codes
        )

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `Part`."""
        return self.table[self.codes, start:stop]

    def for_samples(self, cohort: Cohort) -> FrequencyPart:
        """The same frequencies for other samples."""
        last = len(self.table) - 1
        codes = np.full(len(cohort.calls), last) if cohort.populations is None else np.minimum(cohort.populations, last)
        return replace(self, codes=codes)

    def cells(self, cells: HiddenCells) -> np.ndarray:
        """Genotype frequencies of the cells, float32 (M, C)."""
        return self.table[self.codes[cells.samples], cells.loci]


@dataclass
class Mixed:
    """The parts of a cohort, weighed by the gate."""

    cohort: Cohort
    parts: Mapping[str, Part]
    gate: Gate
    _held: tuple[int, np.ndarray] | None = field(default=None, init=False, repr=False)  # the block computed last

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `Part`. The loci are computed in blocks that do not hang on what is asked for: any stretch of the file
        gets the same bytes as the whole of it, which sums over batches of other sizes would not give."""
        size = _loci_at_once(len(self.cohort.calls))
        pieces = []
        for first in range(start - start % size, stop, size):
            block = self._block(first, min(first + size, self.cohort.n_loci))
            pieces.append(block[:, max(start - first, 0) : stop - first])
        return np.concatenate(pieces, 1) if len(pieces) > 1 else pieces[0]

    def _block(self, start: int, stop: int) -> np.ndarray:
        """`gp` of one block; the last one is held, since the next stretch may begin in its midst."""
        if self._held is None or self._held[0] != start:
            self._held = None  # before the next takes its place in memory
            self._held = start, self._compute(start, stop)
        return self._held[1]

    def _compute(self, start: int, stop: int) -> np.ndarray:
        cohort = self.cohort
        missing = cohort.calls[:, start:stop] == MISSING
        gp = np.zeros((*missing.shape, cohort.ploidy + 1), np.float32)
        if missing.any():
            around = surroundings(cohort.calls, cohort.chrom_codes, cohort.ploidy, start, stop)[missing]
            logs = {name: log_of(self.parts[name].gp(start, stop)[missing]) for name in self.gate.parts}
            gp[missing] = self.gate.mix(logs, around)
        return gp

    @property
    def has_phase(self) -> bool:
        """Whether the haplotype decoder is among the parts."""
        return HAPLOTYPE in self.parts

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote's ALT is on the first haplotype."""
        return self.parts[HAPLOTYPE].alt_first(start, stop)


@dataclass
class Mixture:
    """What a fit leaves behind.

    encoder: the model that gives the latent; thinned: the loci that it was fitted on, int64, or None for all.
    latent: of the training samples, from their visible calls. members: the models of the global part. members,
    donors, haplotypes: none where the gate leaves them out.
    notes: why parts were left out before the gate saw them.
    """

    cohort: Cohort
    encoder: Member
    thinned: np.ndarray | None
    latent: Latent
    members: list[Member]
    donors: KnnModel | None
    haplotypes: HaplotypePosterior | None
    gate: Gate
    notes: list[str]

    def fill(self, config: Config, threads: int = 1) -> Mixed:
        """Genotype probabilities of the cohort that was fitted, from all its known calls."""
        makers: dict[str, Callable[[], Part]] = {
            FREQUENCIES: lambda: FrequencyPart.of(self.cohort),
            GLOBAL: lambda: global_posterior(self.members, self.cohort, config),
            DONORS: lambda: self._voters(threads),
            HAPLOTYPE: lambda: self.haplotypes,
        }
        return Mixed(self.cohort, {name: makers[name]() for name in self.gate.parts}, self.gate)

    def fill_others(
        self,
        others: Cohort,
        config: Config,
        threads: int = 1,
        progress: Progress | None = None,
        stages: Stages | None = None,
        wanted: tuple[int, int] | None = None,
    ) -> Mixed:
        """Genotype probabilities of samples that the model was not fitted on, at its loci.

        wanted: only loci start..stop (exclusive) will be asked for, None for any; see `CopyingModel.impute_new`.
        """
        size = _loci_at_once(len(others.calls))
        reach = None
        if wanted is not None:  # to the edges of the blocks that will be computed
            reach = wanted[0] - wanted[0] % size, min(wanted[1] + -wanted[1] % size, others.n_loci)
        makers: dict[str, Callable[[], Part]] = {
            FREQUENCIES: lambda: FrequencyPart.of(self.cohort).for_samples(others),
            GLOBAL: lambda: global_posterior(self.members, others, config, as_others=True),
            DONORS: lambda: self._voters(threads).new_samples(
                others, similarity=closeness(self.encode(others), self.latent)
            ),
            HAPLOTYPE: lambda: self._copied(others, config, reach, threads, progress, stages or Stages()),
        }
        return Mixed(others, {name: makers[name]() for name in self.gate.parts}, self.gate)

    def _copied(self, others: Cohort, config: Config, reach, threads: int, progress, stages: Stages) -> Stretch:
        """Samples that the model was not fitted on, read against its haplotypes."""
        decoder, panel = haplotype_decoder(config.copying, config.io.seed), self.haplotypes.panel()
        options = RunOptions(threads, progress=progress or NullProgress(), stages=stages)
        return stages.run(
            "haplotypes of others",
            lambda: decoder.impute_new(panel, others, wanted=reach, options=options),
            Stretch.state,
            lambda state: Stretch.from_state(state, others.calls),
        )

    def encode(self, cohort: Cohort) -> Latent:
        """q(z | x) of samples from their known calls."""
        thinned = None if self.thinned is None else torch.from_numpy(self.thinned)
        model = self.encoder.model
        populations = population_tensor(cohort)
        populations = None if populations is None else populations.to(model.loadings.device)
        latent = encode_in_batches(model, torch.from_numpy(cohort.calls), populations, thinned)
        return Latent(latent.mu.cpu(), latent.logvar.cpu())

    def _voters(self, threads: int) -> KnnModel:
        """The donor decoder with all known calls of the fitted cohort as votes."""
        cohort = self.cohort
        self.donors.use_neighbours(cohort, similarity=closeness(self.latent), threads=threads)
        return self.donors


def _loci_at_once(n_samples: int) -> int:
    """Loci in a block of `Mixed.gp`: about 65,000 cells, in multiples of 64, the donors' own step."""
    return 64 * int(np.clip(2**10 // max(n_samples, 1), 1, 64))


def global_posterior(members: list[Member], cohort: Cohort, config: Config, *, as_others: bool = False) -> VaePosterior:
    """The global decoder's view of a cohort. as_others: a sample's draws hang on its own calls, not on its place."""
    return VaePosterior(
        [member.decoder for member in members],
        torch.from_numpy(cohort.calls),
        population_tensor(cohort),
        draws=config.vae.draws,
        seed=config.io.seed,
        identities=digests(cohort.calls, np.array([[0, 0, cohort.n_loci, cohort.n_loci]]))[0] if as_others else None,
    )


def global_rows(members: list[Member], cohort: Cohort, config: Config) -> np.ndarray:
    """The chance of ALT that the global decoder gives an allele of each sample, uint8 (N, L): 255 is 1."""
    posterior = global_posterior(members, cohort, config)
    rows = np.empty(cohort.calls.shape, np.uint8)
    size = _loci_at_once(len(rows))
    alleles = np.arange(cohort.ploidy + 1, dtype=np.float32) * (255 / cohort.ploidy)
    for start in range(0, cohort.n_loci, size):
        stop = min(start + size, cohort.n_loci)
        rows[:, start:stop] = np.rint(posterior.gp(start, stop) @ alleles)
    return rows


def closeness(latent: Latent, other: Latent | None = None) -> np.ndarray:
    """How near samples lie in the latent space, float32 (N, M): 1 where means coincide, falling with their distance.

    exp(-d^2 / 2 median(d^2)) of the posterior means; rows are `latent`, columns `other` (or the same samples).
    """
    a = latent.mu.double()
    b = a if other is None else other.mu.double()
    some = b[:: -(-len(b) // MOST_COMPARED)]
    distance = torch.cdist(some, some).square()
    distance = distance[distance > 0]
    typical = distance.median() if len(distance) else torch.tensor(1.0)
    near = np.empty((len(a), len(b)), np.float32)
    for start in range(0, len(a), 256):  # in double precision for some samples at a time
        near[start : start + 256] = torch.exp(-torch.cdist(a[start : start + 256], b).square() / (2 * typical)).numpy()
    return near


def log_of(gp: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, none below LEAST."""
    return np.log(np.maximum(gp, LEAST))
