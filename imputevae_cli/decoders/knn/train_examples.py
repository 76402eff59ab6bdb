"""Calls hidden to train the kNN decoder on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.subsets import even_stretches
from imputevae_cli.decoders.knn.attention import Ballot, Context, NeighbourVotes
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
    similarity, or None. samples, at: int64 (M,), sample and locus of each cell that may be asked for, by rising locus,
    in random order at each. loci: int64, the loci that cells are drawn from; empty where nothing can be learned.
    """

    def __init__(
        self,
        panel: Panel,
        hidden: np.ndarray,
        latent: Tensor | None,
        rng: np.random.Generator,
        rules: TrainingRules | None = None,
        pool: ThreadPoolExecutor | None = None,
    ):
        self.rules, self._pool = rules or TrainingRules(), pool
        self.panel, self.queries = panel, panel.members(latent)
        self.samples, self.at = _fair(panel, hidden, rng)
        self.loci = np.unique(self.at)
        if len(self.loci) > self.rules.max_loci:
            self.loci = np.sort(rng.choice(self.loci, self.rules.max_loci, replace=False))
        if len(self.loci):
            pieces = torch.from_numpy(self.loci).split(_AT_ONCE)
            contexts = (map if pool is None else pool.map)(panel.context, pieces)
            self.context = Context(*(torch.cat(parts) for parts in zip(*contexts, strict=True)))
            self.shares = self._shares()
        self._samples = panel.samples(self.queries)

    def loss(self, model: NeighbourVotes, n_loci: int, n_queries: int, rng: np.random.Generator) -> Tensor:
        """Log loss of `model` on a random batch, weighted to undo the uneven drawing."""
        picked = np.sort(rng.choice(len(self.loci), n_loci, p=self.shares))
        loci = self.loci[picked]
        asked, n_hidden = self._asked(loci, n_queries, rng)
        return self._loss(model, asked, loci, self.context.of(torch.from_numpy(picked)), n_hidden / self.shares[picked])

    def _asked(self, loci: np.ndarray, n_queries: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Queries, int64 (B, n_queries), with hidden calls at loci, int64 (B,), and how many have one there.

        They are a stretch of the ring that these are in, in random order; some more than once where they are fewer."""
        first, last = np.searchsorted(self.at, loci), np.searchsorted(self.at, loci, "right")
        some = rng.integers(0, last - first)[:, None] + np.arange(n_queries)
        return self.samples[first[:, None] + some % (last - first)[:, None]], last - first

    def _loss(
        self, model: NeighbourVotes, queries: np.ndarray, targets: np.ndarray, context: Context, weight: np.ndarray
    ) -> Tensor:
        """Mean log loss of `queries` (B, Q) at `targets` (B,), which are weighed by `weight` (B,)."""
        asked, loci = torch.from_numpy(queries), torch.from_numpy(targets)
        frequencies, covariates = self.panel.frequencies(self.queries, loci, asked)
        rows, each = torch.arange(len(loci)).repeat_interleave(asked.shape[1]), asked.flatten()
        ballot = Ballot(self._samples, loci, context, rows, each, self._pool)
        logits = model.logits(*model.poll(ballot), frequencies.flatten(0, 1), covariates.flatten(0, 1))
        if self.panel.evidence is not None:
            likelihoods = self.panel.likelihoods(loci[rows], each).clamp_min(1e-30)
            losses = -torch.logsumexp(torch.log_softmax(logits, -1) + likelihoods.log(), -1)
        else:
            truth = self.panel.everyone.calls[loci[rows], each].long()
            losses = F.cross_entropy(logits, truth, reduction="none")
        shares = torch.from_numpy((weight / weight.sum() / asked.shape[1]).astype(np.float32))
        return losses @ shares[rows]

    def _shares(self) -> np.ndarray:
        """How often each of `loci` is drawn: by its spread of genotypes, as a locus without any teaches little."""
        mean = self.panel.mean.numpy()[self.loci]
        spread = np.sqrt(mean * (1 - mean / self.panel.ploidy)) + 0.1
        return spread / spread.sum()


def _fair(panel: Panel, hidden: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample and locus, int64 (M,) each, by rising locus, at each in random order, of the hidden cells that may be
    asked for.

    A neighbour's, and no call that alone makes its locus vary: files hold loci that vary in the calls one sees; a locus
    that does not vary without the query gives the query away, and no such locus is ever to be filled.
    """
    samples, loci = np.divmod(rng.permutation(hidden), panel.n_loci)
    order = np.argsort(loci, kind="stable")
    samples, loci = samples[order], loci[order]
    minor = panel.counts.numpy() @ np.arange(panel.n_classes)  # (L,) minor alleles of all samples
    call = panel.everyone.calls.numpy()[loci, samples]
    fair = (call < minor[loci] - 0.5) & np.isin(samples, panel.neighbours.numpy())
    return samples[fair], loci[fair]
