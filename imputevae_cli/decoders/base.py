"""What a decoder is: one way to give genotype probabilities, behind an interface that all of them share.

A decoder is a folder: its class here is found by name (`registry`), fits a `Task`, and gives a `FittedDecoder`. None
imports another; what one needs of another it reads from those that were fitted before it (`Inputs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.ploidy import MOST_PLOIDY
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.errors import ConfigError
from imputevae_cli.log import Progress
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.resumable import Stages, State
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.runtime.search_space import Dimension

LEAST = 1e-6
"""Probabilities below this are raised to it before a logarithm is taken."""

View = Callable[[HiddenCells], np.ndarray]
"""Genotype probabilities, float32 (M, C), of held-out cells."""


def log_of(gp: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, none below LEAST."""
    return np.log(np.maximum(gp, LEAST))


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave. Losses are in nats per call, kl in nats per sample."""

    member: int
    epoch: int
    training_loss: float
    kl: float
    validation_loss: float
    learning_rate: float


@dataclass(frozen=True)
class Task:
    """What there is to fit, and how.

    cohort: with all its known calls; the held-out ones are hidden in place while decoders are fitted.
    validation: held-out cells that decide while decoders are fitted. test: the others, which no decoder sees; the gate,
    and the expected accuracy, go by both.
    samples, populations: the names of samples, and of the codes of `cohort.populations`, where they are known.
    """

    cohort: Cohort
    validation: HiddenCells
    test: HiddenCells
    config: Config
    device: torch.device
    progress: Progress
    threads: int
    on_epoch: Callable[[EpochResult], Any] | None = None
    stages: Stages = field(default_factory=Stages)
    rules: Rules = field(default_factory=Rules)
    samples: tuple[str, ...] = ()
    populations: tuple[str, ...] = ()

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """Rows of the samples of these names, a population's standing for its samples, each once.

        Raises ConfigError for a name of neither.
        """
        rows_of = {name: [row] for row, name in enumerate(self.samples)}
        for code, name in enumerate(self.populations):
            rows_of.setdefault(name, np.flatnonzero(self.cohort.populations == code).tolist())
        if unknown := [name for name in names if name not in rows_of]:
            raise ConfigError(
                f"{unknown[0]!r} is no sample of the file and no population of the popmap; give names of samples"
            )
        return list(dict.fromkeys(row for name in names for row in rows_of[name]))

    @property
    def hidden(self) -> HiddenCells:
        """All held-out cells."""
        return self.validation.and_also(self.test)

    @property
    def options(self) -> RunOptions:
        """How its work is run."""
        return RunOptions(self.threads, self.device, self.progress, self.stages)

    @contextmanager
    def holding_out(self) -> Iterator[None]:
        """Hide the held-out cells, calls and evidence, in place, and put them back whatever happens."""
        hidden, evidence = self.hidden, self.cohort.evidence
        with hidden.hidden_in(self.cohort.calls), nullcontext() if evidence is None else evidence.hidden_in(hidden):
            yield


class Effort(Enum):
    """How much of its training a decoder gets. BRIEF and CHEAP serve other decoders; CHEAP also judges it."""

    BRIEF = "briefly"
    CHEAP = "cheaply"
    REDUCED = "reduced"
    FULL = "in full"

    @property
    def serves_others(self) -> bool:
        """Whether a decoder trained so much is there for others alone."""
        return self in (Effort.BRIEF, Effort.CHEAP)


@dataclass(frozen=True)
class Role:
    """What the plan of a fit has to know of a decoder.

    serves: others, and the user, want what it knows of samples even where it is not mixed.
    screens_first: its screen is run before all else, and may show others to be needless. gives_way: where it does, see
    `Rules`. on_trial: in large files it is fitted only if a cheap run adds to those that are fitted anyway.
    on_evidence: whether it takes part where calls are uncertain, "also" or "only" there, or "never".
    trusted: it is fitted where that cannot be judged. reports_epochs: its fit calls `Task.on_epoch`. ploidies: the
    lowest and the highest that it serves. score: of its weight in the mixture, before a held-out call is seen; see
    `ensemble.mixture.Prior`.
    """

    serves: bool = False
    screens_first: bool = False
    gives_way: Literal["never", "linked", "closely linked"] = "never"
    on_trial: bool = False
    trusted: bool = False
    on_evidence: Literal["never", "also", "only"] = "never"
    reports_epochs: bool = False
    ploidies: tuple[int, int] = (1, MOST_PLOIDY)
    score: float = 0.0


@dataclass(frozen=True)
class Screen:
    """What a decoder says of some held-out cells after a cheap run on some of the data.

    places: int64 (M,), of these cells among all validation cells. gp: float32 (M, C). learned: what a fit after it can
    start from, or None.
    """

    places: np.ndarray
    gp: np.ndarray
    learned: State | None = None


@dataclass(frozen=True)
class Inputs:
    """What a decoder's fit is given beside the task.

    fitted: the decoders that were fitted before. effort: how much of its training it gets. earlier: the same decoder
    as it was fitted with less effort in this run, or None. learned: what its screen learned, see `Screen`.
    """

    fitted: Mapping[str, FittedDecoder]
    effort: Effort = Effort.FULL
    earlier: FittedDecoder | None = None
    learned: State | None = None


@dataclass(frozen=True)
class Context:
    """What a fitted decoder is given to fill samples with.

    fitted: the decoders of the model. wanted: only loci start..stop (exclusive) will be asked for, None for any.
    """

    config: Config
    fitted: Mapping[str, FittedDecoder]
    options: RunOptions = field(default_factory=RunOptions)
    wanted: tuple[int, int] | None = None


@dataclass(frozen=True)
class Setting:
    """What a decoder is given to be read back from a checkpoint. hidden: the cells that its fit held out."""

    cohort: Cohort
    hidden: HiddenCells
    config: Config
    device: torch.device


class Posterior(Protocol):
    """Genotype probabilities of some samples."""

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, C), C is ploidy + 1.

        Those of a cell are from all but its own evidence. Only the values of missing calls count, and of those whose
        evidence leaves them open.
        """
        ...


@runtime_checkable
class Phased(Protocol):
    """A posterior that knows phase."""

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote's ALT is on the first haplotype."""
        ...


@runtime_checkable
class Drawing(Protocol):
    """A posterior that draws whole genotypes."""

    def draw(self, number: int, start: int, stop: int) -> np.ndarray:
        """Draw `number` of samples start..stop, int8 (stop - start, L), joint along each chromosome."""
        ...


class FittedDecoder(Protocol):
    """A decoder that was fitted: it gives genotype probabilities, and what a checkpoint keeps of it."""

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """Genotype probabilities of held-out cells, float32 (M, C), from the calls that were visible to the fit.

        To be asked while the held-out cells are hidden in the cohort.
        """
        ...

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedDecoder:
        """The decoder with the held-out calls put back, where that takes work; asked once, at the end of a fit."""
        ...

    def for_cohort(self, context: Context) -> Posterior:
        """Genotype probabilities of the fitted cohort, from all calls that it holds now."""
        ...

    def for_samples(self, cohort: Cohort, context: Context) -> Posterior:
        """Genotype probabilities of samples that the decoder was not fitted on, at its loci.

        Those of a sample are from its own calls and the model alone.
        """
        ...

    def state(self) -> State:
        """Plain types and tensors, for a checkpoint."""
        ...


@runtime_checkable
class SampleStructure(Protocol):
    """A fitted decoder that knows how samples lie to one another.

    in_full: whether it may be mixed itself. reads_all_loci: whether it was given all loci.
    """

    in_full: bool
    reads_all_loci: bool

    def similarity(self) -> np.ndarray:
        """How alike the cohort's samples are to each other, float32 (N, N), 1 for the same place."""
        ...

    def similarity_to(self, cohort: Cohort) -> np.ndarray:
        """How alike other samples (rows) are to the cohort's (columns), float32 (M, N)."""
        ...

    def allele_chances(self) -> np.ndarray:
        """The chance of ALT of an allele of each sample, uint8 (N, L): 255 is 1."""
        ...

    def for_others_alone(self) -> FittedDecoder:
        """The little of it that others and the user want where it is not mixed."""
        ...


@runtime_checkable
class PhasedCohort(Protocol):
    """A fitted decoder that knows the haplotypes of the cohort's samples, `n_haplotypes` in all."""

    @property
    def n_haplotypes(self) -> int: ...

    def haplotypes(self, numbers: np.ndarray) -> np.ndarray:
        """Those of some numbers, int64 (K,), as uint8 (K, L): 255 for ALT, in between where an allele is open, as it is
        where a call was held out."""
        ...


class Decoder(Protocol):
    """One way to give genotype probabilities.

    name: as in `model.decoder`. title: in words, for people. depends_on: decoders that it reads, if they are fitted.
    sections: of the settings, those that its result follows from. search_space: dotted setting -> what `tune` draws.
    """

    name: str
    title: str
    role: Role
    depends_on: tuple[str, ...]
    sections: tuple[str, ...]
    search_space: Mapping[str, Dimension]

    def needs_in_full(self, config: Config) -> tuple[str, ...]:
        """Decoders that must be fitted in full where this one stands alone."""
        ...

    def screen(self, task: Task, earlier: FittedDecoder | None) -> Screen | None:
        """A cheap run that shows what it is worth; None where too few held-out cells lie there, or there is none.

        earlier: the decoder as it was fitted with less effort in this run, if it was. Unless its role is
        `screens_first` or `serves`, it may run beside the fits of others: it has no stages and reports no progress.
        """
        ...

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """What `fit` and filling every missing call will take, about, from a moment of either."""
        ...

    def fit(self, task: Task, inputs: Inputs) -> FittedDecoder:
        """Fit on the visible calls. Raises TrainingError."""
        ...

    def from_state(self, state: State, setting: Setting) -> FittedDecoder:
        """What `FittedDecoder.state` wrote. Raises CheckpointError, KeyError, RuntimeError or ValueError."""
        ...

    def notes(self, fitted: FittedDecoder) -> list[str]:
        """What is to be said of the fit, a line each."""
        ...

    def learned_settings(self, fitted: FittedDecoder) -> dict[str, Any]:
        """Dotted settings that were left open, and what rules and trials made of them."""
        ...


class PlainDecoder:
    """Answers of most decoders to what `Decoder` asks: no screen, no notes, nothing to search; to inherit from."""

    role = Role()
    depends_on: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    search_space: Mapping[str, Dimension] = {}

    def needs_in_full(self, config: Config) -> tuple[str, ...]:
        """See `Decoder`."""
        return ()

    def screen(self, task: Task, earlier: FittedDecoder | None) -> Screen | None:
        """See `Decoder`."""
        return None

    def notes(self, fitted: FittedDecoder) -> list[str]:
        """See `Decoder`."""
        return []

    def learned_settings(self, fitted: FittedDecoder) -> dict[str, Any]:
        """See `Decoder`."""
        return {}


def structure_among(fitted: Mapping[str, FittedDecoder]) -> SampleStructure | None:
    """The first of these decoders that knows how samples lie to one another, if any."""
    return next((one for one in fitted.values() if isinstance(one, SampleStructure)), None)


def asked_together(cells: HiddenCells, ask: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> View:
    """A view of some of `cells` that asks for all of them the first time: what a locus takes is paid once.

    ask: genotype probabilities, float32 (M, C), of samples and loci, int64 (M,) each, by rising locus.
    """
    width = int(cells.samples.max(initial=0)) + 1
    answer = cache(lambda: ask(cells.samples, cells.loci))

    def view(some: HiddenCells) -> np.ndarray:
        return answer()[np.searchsorted(cells.loci * width + cells.samples, some.loci * width + some.samples)]

    return view


def loci_at_once(n_samples: int) -> int:
    """Loci in a block that is filled together: about 65,000 cells, in multiples of 64."""
    return 64 * int(np.clip(2**10 // max(n_samples, 1), 1, 64))
