"""What an evaluation comes to, in plain words, the most important first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.evaluation.baselines import FREQUENCIES, LD_KNNI, MODE, POPULATION_MODE
from imputevae_cli.evaluation.evaluate import Evaluation
from imputevae_cli.evaluation.score import MethodScore

LABELS = {
    MODE: "the commonest genotype of the locus",
    POPULATION_MODE: "the commonest genotype of the population",
    FREQUENCIES: "genotype frequencies",
    LD_KNNI: "LD-kNNi",
}
JUDGED_BY = {
    "log_loss": "log loss",
    "nrd": "non-reference discordance",
    "read_loss": "log loss of the reads",
    "estimated_nrd": "estimated non-reference discordance",
}
FEW_CELLS = 1000
WELL_CALIBRATED = 0.02


@dataclass(frozen=True)
class Loss:
    """A metric on which a baseline is better."""

    method: str
    metric: str
    model: float
    baseline: float


@dataclass(frozen=True)
class Findings:
    """Sentences to show as they are, and the baselines that the model loses to."""

    sentences: tuple[str, ...]
    losses: tuple[Loss, ...]


def findings_of(evaluation: Evaluation, subject: str = "The model", notes: tuple[str, ...] = ()) -> Findings:
    """Whether the model beats every baseline on log loss and on NRD, and what its calls and probabilities are worth.

    subject: what is scored, at the start of a sentence. notes: sentences that come before all others.
    """
    model, *others = evaluation.methods
    losses = tuple(
        Loss(other.method, metric, model.figures[metric], other.figures[metric])
        for other in others
        for metric in JUDGED_BY
        if metric in model.figures and metric in other.figures and model.figures[metric] > other.figures[metric]
    )
    sentences = [*_on_baselines(subject, model, others, losses), *notes, _on_calls(evaluation, model, others)]
    sentences += [*_on_probabilities(model), *_on_classes(model), *_on_size(evaluation)]
    return Findings(tuple(sentences), losses)


def _on_baselines(subject: str, model: MethodScore, others: list[MethodScore], losses: tuple[Loss, ...]) -> list[str]:
    if losses:
        return [
            f"{subject} loses to {LABELS[loss.method]} on {JUDGED_BY[loss.metric]}: {loss.model:.4f} against "
            f"{loss.baseline:.4f}, where less is better."
            for loss in losses
        ]
    judged = " and ".join(label for name, label in JUDGED_BY.items() if name in model.figures)
    nrd = "nrd" if "nrd" in model.figures else "estimated_nrd"
    best = min(others, key=lambda other: other.figures[nrd])
    return [
        f"{subject} is no worse than any baseline on {judged}; the nearest, {LABELS[best.method]}, has a "
        f"{JUDGED_BY[nrd].removeprefix('estimated ')} of {best.figures[nrd]:.4f}, against {model.figures[nrd]:.4f}."
    ]


def _on_calls(evaluation: Evaluation, model: MethodScore, others: list[MethodScore]) -> str:
    if evaluation.cells.likelihoods is not None:
        return _on_reads(evaluation, model, others)
    best = max(others, key=lambda other: other.figures["concordance"])
    left = int((evaluation.guess.call == MISSING).sum())
    missing = f" {left:,} were left missing, which counts as wrong." if left else ""
    return (
        f"Of {len(evaluation.samples):,} scored calls, {model.figures['concordance']:.1%} are right "
        f"(95 % interval over loci {model.low['concordance']:.1%} to {model.high['concordance']:.1%}); "
        f"{LABELS[best.method]} gets {best.figures['concordance']:.1%}.{missing}"
    )


def _on_reads(evaluation: Evaluation, model: MethodScore, others: list[MethodScore]) -> str:
    key = "estimated_concordance"
    best = max(others, key=lambda other: other.figures[key])
    return (
        f"The {len(evaluation.samples):,} hidden calls are uncertain, so they are scored by their reads, and not taken "
        f"for the truth. All these reads together let one estimate that {model.figures[key]:.1%} of the cells are "
        f"filled in right; {LABELS[best.method]} gets {best.figures[key]:.1%}."
    )


def _on_probabilities(model: MethodScore) -> list[str]:
    if not {"ece", "estimated_ece"} & model.figures.keys():
        return ["There are no genotype probabilities, so nothing can be said of how sure each call is."]
    ece = model.figures.get("ece", model.figures.get("estimated_ece", np.nan))
    if not np.isfinite(ece):
        return []
    worth = "can be taken at their word" if ece <= WELL_CALIBRATED else "should not be taken at their word"
    return [f"The genotype probabilities {worth}: on average they are {ece:.1%} away from the share that is right."]


def _on_classes(model: MethodScore) -> list[str]:
    """Recall of each true genotype: concordance over homozygous reference calls can hide what is lost elsewhere."""
    shares = [f"{row['level']} {row['concordance']:.1%}" for row in model.strata if row["stratum"] == "class"]
    return [f"Right calls by true genotype: {', '.join(shares)}."] if shares else []


def _on_size(evaluation: Evaluation) -> list[str]:
    n = len(evaluation.samples)
    return [f"Only {n:,} calls were scored: the figures are rough."] if n < FEW_CELLS else []
