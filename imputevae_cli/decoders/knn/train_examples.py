"""Calls hidden to train the kNN decoder on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.subsets import even_stretches
from imputevae_cli.decoders.knn.attention import Ballot, NeighbourVotes, rows
from imputevae_cli.decoders.knn.panel import Panel
from imputevae_cli.decoders.knn.rules import TrainingRules

_AT_ONCE = 64  # loci whose context is sought together


def training_cohort(cohort: Cohort, rules: TrainingRules) -> Cohort:
    """What to train on: the cohort, or evenly spread stretches of a long one."""
    n_samples, n_loci = cohort.calls.shape
    length = rules.cells // n_samples // rules.stretches
    if n_loci <= rules.stretches * length:
        return cohort
    return cohort.subset(np.arange(n_samples), even_stretches(n_loci, rules.stretches, length))


class Drawing:
    """Examples that are drawn anew now and then.

    They are too large to keep with a run that is stopped; it draws them once more, by the generator as it was before.
    """

    def __init__(self, rng: np.random.Generator, draw: Callable[[], Examples]):
        """draw: draws examples by `rng`, which others may use as well."""
        self._rng, self._draw = rng, draw
        self._before: Mapping[str, Any] | None = None
        self._examples: Examples | None = None

    @property
    def examples(self) -> Examples:
        """Those drawn last."""
        if self._examples is None:
            assert self._before is not None
            now, self._rng.bit_generator.state = self._rng.bit_generator.state, self._before
            self._examples = self._draw()
            self._rng.bit_generator.state = now
        return self._examples

    def anew(self) -> None:
        """Draw other examples."""
        self._before = self._rng.bit_generator.state
        self._examples = None  # those before go before the next come
        self._examples = self._draw()

    def state_dict(self) -> dict[str, Any]:
        """The generator before the last drawing and now, as plain types."""
        return {"before": self._before, "now": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._before, self._rng.bit_generator.state = state["before"], state["now"]
        self._examples = None


class Examples:
    """Cells to guess: hidden from the query, while the panel's neighbours still vote with theirs.

    panel: made with the same `hidden`, int64 (cells,), sample * L + locus. latent: float32 (samples, samples)
    similarity, or None. samples, at: int64 (M,), sample and locus of each cell that may be asked for, by rising locus.
    loci: int64, the loci that cells are drawn from; empty where nothing can be learned.
    """

    def __init__(
        self,
        panel: Panel,
        hidden: np.ndarray,
        latent: Tensor | None,
        rng: np.random.Generator,
        rules: TrainingRules | None = None,
    ):
        self.rules = rules or TrainingRules()
        self.panel, self.queries = panel, panel.members(latent)
        self.samples, self.at = _fair(panel, hidden)
        self.loci = np.unique(self.at)
        if len(self.loci) > self.rules.max_loci:
            self.loci = np.sort(rng.choice(self.loci, self.rules.max_loci, replace=False))
        if len(self.loci):
            pieces = torch.from_numpy(self.loci).split(_AT_ONCE)
            self.context = [torch.cat(parts) for parts in zip(*map(panel.context, pieces), strict=True)]
            self.shares = self._shares()

    def losses(self, model: NeighbourVotes, n_loci: int, n_queries: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """Log loss of `model` on a random batch, weighted to undo the uneven drawing, in parts that sum to it.

        Go backward through each before the next is asked for: then what one part is made of is held at a time.
        """
        picked = rng.choice(len(self.loci), n_loci, p=self.shares)
        loci = self.loci[picked]
        asked = np.empty((n_loci, n_queries), np.int64)
        for row, locus in enumerate(loci):
            first, last = np.searchsorted(self.at, [locus, locus + 1])
            asked[row] = np.resize(rng.permutation(self.samples[first:last]), n_queries)
        n_hidden = np.searchsorted(self.at, loci, "right") - np.searchsorted(self.at, loci)
        weights = n_hidden / self.shares[picked]
        batch = (asked, loci, picked, (weights / weights.sum()).astype(np.float32))
        entries = self.context[0].shape[1] * self.panel.n_classes * self.panel.n_neighbours  # of one locus
        at_once = max(self.rules.entries_at_once // entries, 1)
        for some in zip(*(torch.from_numpy(part).split(at_once) for part in batch), strict=True):
            yield self._loss(model, *some)

    def _loss(self, model: NeighbourVotes, asked: Tensor, loci: Tensor, picked: Tensor, weights: Tensor) -> Tensor:
        """Sum of weights (B,) times the mean log loss of the queries `asked` (B, Q) at `loci` (B,)."""
        votes, effective = model.poll(self._ballot(model, loci, asked, tuple(part[picked] for part in self.context)))
        logits = model.logits(votes, effective, *self.panel.frequencies(self.queries, loci, asked))
        if self.panel.evidence is not None:
            likelihoods = self.panel.likelihoods(loci[:, None].expand_as(asked), asked).clamp_min(1e-30)
            losses = -torch.logsumexp(torch.log_softmax(logits, -1) + likelihoods.log(), -1).mean(1)
            return (losses * weights).sum()
        truth = self.panel.everyone.calls[loci[:, None], asked].long()
        losses = F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view_as(truth).mean(1)
        return (losses * weights).sum()

    def _shares(self) -> np.ndarray:
        """How often each of `loci` is drawn: by its spread of genotypes, as a locus without any teaches little."""
        mean = self.panel.mean.numpy()[self.loci]
        spread = np.sqrt(mean * (1 - mean / self.panel.ploidy)) + 0.1
        return spread / spread.sum()

    def _ballot(self, model: NeighbourVotes, loci: Tensor, asked: Tensor, context: tuple[Tensor, ...]) -> Ballot:
        panel, queries = self.panel, self.queries
        around, distance, r2 = context  # (B, W)
        others = queries.own[asked][..., None] != panel.neighbours  # (B, Q, N)
        same = None if queries.same_population is None else rows(queries.same_population, asked)
        return Ballot(
            query=queries.shown.tables(around, asked),
            neighbour=panel.votes.tables(around),
            distance=distance,
            r2=r2,
            overall=model.overall(rows(queries.similarity, asked), same).permute(0, 3, 1, 2),
            target=panel.votes.tables(loci, classes=-1),
            may_vote=(panel.votes.calls[loci] != MISSING)[:, None] & others,
        )


def _fair(panel: Panel, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sample and locus, int64 (M,) each, by rising locus, of the hidden cells that may be asked for.

    A neighbour's, and no call that alone makes its locus vary: files hold loci that vary in the calls one sees; a locus
    that does not vary without the query gives the query away, and no such locus is ever to be filled.
    """
    samples, loci = np.divmod(hidden, panel.n_loci)
    order = np.argsort(loci, kind="stable")
    samples, loci = samples[order], loci[order]
    minor = panel.counts.numpy() @ np.arange(panel.n_classes)  # (L,) minor alleles of all samples
    call = panel.everyone.calls.numpy()[loci, samples]
    fair = (call < minor[loci] - 0.5) & np.isin(samples, panel.neighbours.numpy())
    return samples[fair], loci[fair]
