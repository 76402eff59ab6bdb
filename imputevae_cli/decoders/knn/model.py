"""The kNN decoder: a missing call is filled by the votes of the other samples, the neighbours.

How much each sample's vote weighs is learned (attention.py, train.py) from calls hidden from the query alone; what the
samples know is in the panel (panel.py). The weights are few and shared by all loci, so they are trained on a part of
the loci, and a file of any length is filled block by block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import Tensor

from imputevae_cli.config import KnnSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import of_whole_records
from imputevae_cli.decoders.knn import rules as knn_rules
from imputevae_cli.decoders.knn.attention import Ballot, NeighbourVotes, VotesShape
from imputevae_cli.decoders.knn.kernel_layout import Samples
from imputevae_cli.decoders.knn.panel import N_COVARIATES, Panel, Queries
from imputevae_cli.decoders.knn.rules import KnnRules
from imputevae_cli.decoders.knn.train import Training
from imputevae_cli.decoders.knn.train_examples import Drawing, Examples, training_cohort
from imputevae_cli.decoders.knn.varying_loci import given_that_it_varies
from imputevae_cli.errors import CheckpointError
from imputevae_cli.log import logger
from imputevae_cli.masking.observed_pattern import observed_like_hidden_cells
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.run_options import RunOptions

_OWN_SIMILARITIES = 4  # those of sample_structure.overall_similarity, without the caller's
_LOCI_AT_ONCE = 64  # loci whose linked loci are sought together, as one piece of work for a thread
_MANY_SAMPLES, _LOCI_OF_MANY = 512, 16  # of more samples, so few: all that is asked for at once are some 64 loci then


class KnnModel:
    """Genotype probabilities from the votes of the other samples.

    settings: KnnSettings. seed: the only source of randomness; one seed gives the same numbers at any number of
    threads. It computes on the CPU whatever the device: its work is many small pieces, locus by locus.
    """

    def __init__(self, settings: KnnSettings | None = None, seed: int = 0, rules: KnnRules | None = None):
        self.settings = settings or KnnSettings()
        self.seed = seed
        self.rules = rules or knn_rules.DEFAULT
        self.history: list[float] = []
        self._votes: NeighbourVotes = None  # type: ignore[assignment]  # until it is fitted

    def fit(
        self,
        cohort: Cohort,
        *,
        similarity: np.ndarray | None = None,
        options: RunOptions | None = None,
        start: dict[str, Tensor] | None = None,
    ) -> KnnModel:
        """Learn how to weigh votes, then take these samples as neighbours.

        similarity: float32 (N, N), such as in a latent space, or None. options: their stages remember the training, and
        where it is, see `Stages`. start: weights of the `state_dict` of another fit, on calls of the
        same ploidy, to begin at, or None. `history` afterwards holds the mean loss of each tenth of the training,
        unless that was remembered. Raises TrainingError when the loss is not finite.
        """
        options, latent = options or RunOptions(), _as_tensor(similarity)
        if options.device.type != "cpu":
            logger.info("nearest neighbours are computed on the CPU: they make no use of %s", options.device.type)
        with kernel_threads(1):  # sums split over threads differ in their last bits; whole loci are shared out instead
            part = training_cohort(cohort, self.rules.training)
            self._votes = options.stages.run(
                "knn votes",
                lambda: self._train(part, latent, options, start),
                NeighbourVotes.state_dict,
                lambda state: self._made_votes(state, cohort.ploidy + 1, latent is not None),
            )
            self.use_neighbours(cohort, similarity=similarity, threads=options.threads)
        return self

    def use_neighbours(self, cohort: Cohort, *, similarity: np.ndarray | None = None, threads: int = 1) -> None:
        """Take these samples as the neighbours and as the queries of `gp`, with the weights as they are; see `fit`."""
        self._panel: Panel = None  # type: ignore[assignment]  # those before go before the next come
        self._members: Queries = None  # type: ignore[assignment]
        self._threads = threads
        self._latent = _as_tensor(similarity)
        self._cohort = cohort
        with kernel_threads(1):  # as in `fit`, so that no number of threads changes a digit
            self._panel = self._make_panel(cohort, np.random.default_rng(self.seed))
            self._members = self._panel.members(self._latent)

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, ploidy + 1).

        A known call has probability 1 at its genotype, unless its evidence leaves it open: then the others speak.
        """
        gp, evidence = self._fill(self._members, self._cohort, start, stop), self._cohort.evidence
        if evidence is None:
            return gp
        return given_that_it_varies(gp, evidence.block(slice(None), start, stop), self._cohort.calls[:, start:stop])

    def cells(self, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
        """Genotype probabilities of missing calls of the samples, float32 (M, C); int64 (M,) each, by rising locus."""
        return self._query(self._members, samples, loci)

    def new_samples(self, cohort: Cohort, *, similarity: np.ndarray | None = None) -> NewSamples:
        """New samples, at the same loci, to be filled by the votes of the neighbours.

        similarity: float32 (M, N) to the training samples, needed if `fit` was given one.
        """
        genotypes, latent = self._panel.genotypes_of(cohort), _as_tensor(similarity)
        queries = self._panel.new_samples(genotypes, cohort.known_populations, latent, self._members.scale)
        return NewSamples(self, queries, cohort)

    def state_dict(self) -> dict:
        """Plain types and tensors that `from_state_dict` rebuilds the decoder from, but for the neighbours."""
        return {
            "settings": msgspec.to_builtins(self.settings),
            "seed": self.seed,
            "n_classes": self._votes.n_classes,
            "has_latent": self._latent is not None,
            "weights": self._votes.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: dict) -> KnnModel:
        """The decoder of a `state_dict`, for `use_neighbours`. Raises CheckpointError when it does not fit."""
        try:
            decoder = cls(msgspec.convert(state["settings"], KnnSettings), state["seed"])
            decoder._votes = decoder._made_votes(state["weights"], state["n_classes"], state["has_latent"])
        except (KeyError, TypeError, RuntimeError, msgspec.ValidationError) as error:
            raise CheckpointError(
                f"the checkpoint's kNN decoder cannot be read ({error}); train the model again"
            ) from error
        return decoder

    def _make_panel(self, cohort: Cohort, rng: np.random.Generator, hidden: np.ndarray | None = None) -> Panel:
        return Panel(cohort, self.settings, rng, hidden, self.rules.panel)

    def _make_votes(self, n_classes: int, has_latent: bool) -> NeighbourVotes:
        generator = torch.Generator().manual_seed(self.seed)
        shape = VotesShape(n_classes, _OWN_SIMILARITIES + has_latent, self.rules.panel.n_frequencies, N_COVARIATES)
        return NeighbourVotes(shape, self.settings.heads, self.settings.hidden, generator, self.rules.attention)

    def _made_votes(self, weights: dict[str, Tensor], n_classes: int, has_latent: bool) -> NeighbourVotes:
        """The votes with weights that were learned before."""
        votes = self._make_votes(n_classes, has_latent)
        votes.load_state_dict(weights)
        return votes.requires_grad_(False)

    def _train(
        self, cohort: Cohort, latent: Tensor | None, options: RunOptions, start: dict[str, Tensor] | None
    ) -> NeighbourVotes:
        """Fit the weights by cross-entropy on calls hidden from the query alone."""
        rng, stages, steps = np.random.default_rng(self.seed), options.stages, self.settings.steps
        votes = self._make_votes(cohort.ploidy + 1, latent is not None)
        if start is not None:
            _begin_at(votes, start)
        with _pool_of(options.threads) as pool, options.progress.task("nearest neighbours", steps) as task:
            drawing = Drawing(rng, lambda: self._draw(cohort, latent, rng, pool))
            training = Training(votes, self.settings, drawing, rng, self.rules.training)
            if begun := stages.resumed():
                training.load_state_dict(begun)
            task.advance(len(training.losses))
            while len(training.losses) < steps:
                stages.safe_point(training.state_dict)
                if not training.step():
                    break
                task.advance(1, f"loss {training.losses[-1]:.4f}")
        self.history = [float(np.mean(part)) for part in np.array_split(training.losses, 10) if len(part)]
        return training.average

    def _draw(
        self, cohort: Cohort, latent: Tensor | None, rng: np.random.Generator, pool: ThreadPoolExecutor | None
    ) -> Examples:
        """Cells to train on, drawn by `rng`."""
        calls, codes = cohort.calls, cohort.chrom_codes
        hidden = observed_like_hidden_cells(calls, codes, self.settings.hide, rng, haploid=cohort.haploid)
        hidden = of_whole_records(hidden, cohort.records)
        return Examples(self._make_panel(cohort, rng, hidden), hidden, latent, rng, self.rules.training, pool)

    def _fill(self, queries: Queries, cohort: Cohort, start: int, stop: int) -> np.ndarray:
        """Probabilities of queries at loci start..stop; `cohort` are they as they came."""
        calls = cohort.calls[:, start:stop]
        gp = (calls[..., None] == np.arange(self._panel.n_classes)).astype(np.float32)
        wanted = calls == MISSING
        if cohort.evidence is not None:
            wanted |= cohort.evidence.uncertain(slice(None), start, stop)
        loci, asked = np.nonzero(wanted.T)
        gp[asked, loci] = self._query(queries, asked, loci + start)
        return gp

    def _query(self, queries: Queries, asked: np.ndarray, loci: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (M, C), of queries `asked` at `loci`, int64 (M,) each, by rising locus."""
        samples = self._panel.samples(queries)
        size = _LOCI_AT_ONCE if len(queries.own) <= _MANY_SAMPLES else _LOCI_OF_MANY
        pieces = range(0, self._panel.n_loci, size)
        edges = np.searchsorted(loci, [*pieces, self._panel.n_loci])

        def fill_piece(i: int) -> np.ndarray:
            cells = slice(edges[i], edges[i + 1])
            there = (
                torch.from_numpy(np.ascontiguousarray(loci[cells])),
                torch.from_numpy(np.ascontiguousarray(asked[cells])),
            )
            return self._cells(queries, samples, *there).numpy()

        filled = [i for i in range(len(pieces)) if edges[i + 1] > edges[i]]
        with kernel_threads(1):  # sums split over threads differ in their last bits; whole loci are shared out instead
            parts = _map(fill_piece, filled, self._threads)
        return np.concatenate(parts) if parts else np.zeros((0, self._panel.n_classes), np.float32)

    @torch.no_grad()
    def _cells(self, queries: Queries, samples: Samples, loci: Tensor, asked: Tensor) -> Tensor:
        """Probabilities, float32 (M, C), of queries `asked` (M,) at `loci` (M,), which rise."""
        panel = self._panel
        targets, rows = torch.unique_consecutive(loci, return_inverse=True)
        votes, effective = self._votes.poll(Ballot(samples, targets, panel.context(targets), rows, asked))
        frequencies, covariates = panel.frequencies(queries, loci, asked[:, None], panel.evidence is not None)
        logits = self._votes.logits(votes, effective, frequencies[:, 0], covariates[:, 0])
        gp = torch.softmax(logits, -1)
        return torch.where(panel.flipped[loci][:, None], gp.flip(-1), gp)


@dataclass(frozen=True)
class NewSamples:
    """Samples that are filled and do not vote."""

    decoder: KnnModel
    queries: Queries
    cohort: Cohort

    def gp(self, start: int, stop: int) -> np.ndarray:
        """As `KnnModel.gp`, float32 (M, stop - start, ploidy + 1)."""
        return self.decoder._fill(self.queries, self.cohort, start, stop)


def _begin_at(votes: NeighbourVotes, weights: dict[str, Tensor]) -> None:
    """Take over weights; those of a latent's similarity, which comes last, stay as they are where it was not known."""
    n_known = weights["similarity"].shape[1]
    latent = votes.similarity.detach()[:, n_known:]
    votes.load_state_dict({**weights, "similarity": torch.cat([weights["similarity"], latent], 1)})


def _as_tensor(similarity: np.ndarray | None) -> Tensor | None:
    return None if similarity is None else torch.as_tensor(similarity, dtype=torch.float32)


def _pool_of(threads: int) -> contextlib.AbstractContextManager[ThreadPoolExecutor | None]:
    """A pool, or None for one thread, which needs none: a pool keeps memory."""
    return contextlib.nullcontext() if threads == 1 else ThreadPoolExecutor(threads)


def _map(function: Callable, items: list, threads: int) -> list:
    """function(item) of each item, in order."""
    with _pool_of(threads) as pool:
        return list((map if pool is None else pool.map)(function, items))
