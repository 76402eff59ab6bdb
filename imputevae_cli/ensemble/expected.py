"""The accuracy that a user may expect, measured on hidden calls that nothing was fitted on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from imputevae_cli.data import frequencies as baselines
from imputevae_cli.data.evidence_frequencies import posterior
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Inputs, Task
from imputevae_cli.decoders.registry import BASELINE
from imputevae_cli.scoring.bootstrap import draws_of_loci, intervals, sums_by_locus
from imputevae_cli.scoring.metrics import (
    Accuracy,
    Cells,
    ConfidencePoint,
    accuracy,
    call_by_dosage,
    confidence_curve,
    dosage,
)
from imputevae_cli.seeds import seed_for

LD_KNNI_LOCI = 8000
"""LD-kNNi stands beside the model in files of at most so many loci: its time grows with their square."""


@dataclass(frozen=True)
class Expected:
    """Accuracy on calls that were hidden from the fit, the model beside what needs no model.

    low, high: ends of the model's 95 % interval, by resampling loci; NaN for a figure without one. by_dosage: the
    model's, where the genotype nearest to the dosage is called. baseline: genotype frequencies of each sample's
    population, or of all samples without a popmap. ld_knni: of that method (Money et al. 2015); None where calls are
    uncertain, loci more than LD_KNNI_LOCI, or one decoder is asked for by name.
    """

    model: Accuracy
    low: Accuracy
    high: Accuracy
    by_dosage: Accuracy
    baseline: Accuracy
    ld_knni: Accuracy | None = None

    def state(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Expected:
        """What `state` wrote. Raises TypeError where it does not fit."""
        there = {name: Accuracy(**figures) for name, figures in state.items() if figures is not None}
        return cls(**there)


@dataclass(frozen=True)
class Unaided:
    """What needs no model says of the test cells: locus means float (M,), probabilities float32 (M, C), and the calls
    int8 (M,) and probabilities of LD-kNNi, or None."""

    means: np.ndarray
    frequencies: np.ndarray
    ld_knni: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, task: Task) -> Unaided:
        """To be asked while the held-out cells are hidden in the cohort."""
        cohort, test = task.cohort, task.test
        means = baselines.locus_means(cohort.calls)[test.loci]
        found = None
        beside = task.config.model.decoder == "auto" and cohort.n_loci <= LD_KNNI_LOCI
        is_certain = cohort.evidence is None or not cohort.evidence.n_uncertain(cohort.calls)
        if beside and is_certain:
            from imputevae_cli.scoring.ld_knni import ld_knni  # with a compiler, which one decoder alone need not load

            rng = np.random.default_rng(seed_for(task.config.io.seed, "ld_knni"))
            where = (test.samples, test.loci)
            call, shares, _ = ld_knni(cohort.calls, cohort.chrom_codes, cohort.ploidy, *where, rng, cohort.records)
            possible = cohort.possible(shares, *where)
            found = np.where((possible == shares).all(1), call, possible.argmax(1)).astype(np.int8), possible
        frequencies = registry.get(BASELINE).fit(task, Inputs({})).gp_of(test)
        return cls(means, cohort.possible(frequencies, test.samples, test.loci), found)


def expected_accuracy(
    test: HiddenCells, gp: np.ndarray, unaided: Unaided, averaging: str, seed: int
) -> tuple[Expected, list[ConfidencePoint]]:
    """The expected accuracy, and what thresholds on GP keep. gp: float32 (M, C), of the model.

    Where calls are uncertain, the truth of a cell is drawn from its posterior.
    """
    truth, means = test.truth, unaided.means
    if test.likelihoods is not None:
        truth = _drawn(posterior(gp, test.likelihoods), seed_for(seed, "expected accuracy"))
    model = accuracy(truth, gp, means, averaging)
    cells = Cells(truth, gp, gp.argmax(1), means, test.loci, dosage(gp))
    low, high = _interval(model, cells, seed)
    beside = None
    if unaided.ld_knni is not None:
        call, shares = unaided.ld_knni
        beside = accuracy(truth, shares, means, averaging, call)
    expected = Expected(
        model=model,
        low=low,
        high=high,
        by_dosage=accuracy(truth, gp, means, averaging, call_by_dosage(gp)),
        baseline=accuracy(truth, unaided.frequencies, means, averaging),
        ld_knni=beside,
    )
    return expected, confidence_curve(truth, gp)


def _interval(model: Accuracy, cells: Cells, seed: int) -> tuple[Accuracy, Accuracy]:
    """Low and high of the figures of `model`, by a bootstrap over loci."""
    n_loci = int(cells.known_locus.max()) + 1
    draws = draws_of_loci(n_loci, np.random.default_rng(seed_for(seed, "interval")))
    found = intervals(sums_by_locus(cells, n_loci), draws, cells.gp.shape[1])
    names = [field.name for field in fields(model) if field.name != "n"]
    low, high = ({name: found.get(name, (np.nan, np.nan))[end] for name in names} for end in (0, 1))
    return Accuracy(model.n, **low), Accuracy(model.n, **high)


def _drawn(gp: np.ndarray, seed: int) -> np.ndarray:
    """A genotype of each cell, int64 (M,), drawn from its posterior, float (M, C).

    A low-depth call is not the truth: accuracy is expected over what the reads leave open.
    """
    draws = np.random.default_rng(seed).random(len(gp))
    return np.minimum((gp.cumsum(1) < draws[:, None]).sum(1), gp.shape[1] - 1).astype(np.int64)
