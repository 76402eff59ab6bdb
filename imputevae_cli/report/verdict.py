"""Whether an imputation can be trusted: one of three levels, said in words, from the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imputevae_cli.report.labels import MODEL, is_number, method_name, metric_name, number, value

MUCH_WORSE = 0.02
"""A loss to a baseline on NRD or log loss by more than this share of the baseline's figure makes the level `no`."""
MAX_NRD = 0.2
MIN_SKILL_R2 = 0.5
MAX_ECE = 0.05
RULE = (
    f"No: a baseline is better on NRD or log loss by more than {MUCH_WORSE:.0%} of its figure, or skill r² is 0 or less. "
    f"With care: a baseline is better by less than that, NRD is over {MAX_NRD}, skill r² under {MIN_SKILL_R2}, "
    f"calibration error over {MAX_ECE}, or nothing was there to compare with. Yes: none of these."
)
"""How the level is set, in words."""
HEADLINES = {
    "yes": "Yes, the imputed calls can be trusted for most uses",
    "care": "Usable, but with care",
    "no": "No, do not rely on the imputed calls",
}


@dataclass(frozen=True)
class Verdict:
    """level: yes, care or no. headline: its sentence. reasons: sentences, the most important first."""

    level: str
    headline: str
    reasons: tuple[str, ...]


def verdict(report: Mapping) -> Verdict:
    """The level that RULE gives the report."""
    bad, doubts = _losses(report)
    skill, nrd, ece = (value(report, MODEL, metric) for metric in ("skill_r2", "nrd", "ece"))
    if skill is not None and skill <= 0:
        bad.append(f"Its dosages are no better than the mean of each locus (skill r² {number(skill, 2)}).")
    elif skill is not None and skill < MIN_SKILL_R2:
        doubts.append(
            f"It explains only part of the variation between samples (skill r² {number(skill, 2)}): "
            "work with the probabilities or dosages rather than with single calls."
        )
    if nrd is not None and nrd > MAX_NRD:
        doubts.append(f"Of every 100 filled calls that involve an ALT allele, {100 * nrd:.0f} are wrong.")
    if ece is not None and ece > MAX_ECE:
        doubts.append(f"Its probabilities are off by {100 * ece:.0f} points in a hundred on average.")
    if not any(
        value(report, method, "concordance") is not None for method in report.get("methods") or () if method != MODEL
    ):
        doubts.append("No simple method was scored beside it, so there is nothing to compare with.")
    level = "no" if bad else "care" if doubts else "yes"
    return Verdict(level, HEADLINES[level], (*bad, *doubts))


def _losses(report: Mapping) -> tuple[list[str], list[str]]:
    """Sentences on the baselines that beat the model: by much, and by little."""
    much, little = [], []
    for loss in (report.get("verdict") or {}).get("loses_to") or ():
        ours, theirs = loss.get("model"), loss.get("baseline")
        name = method_name(loss.get("method", "a baseline"))
        sentence = (
            f"A simple method does better: “{name}” has {metric_name(loss.get('metric', ''))} "
            f"{number(theirs, 3)}, the model {number(ours, 3)}."
        )
        by_much = is_number(ours) and is_number(theirs) and abs(ours - theirs) > MUCH_WORSE * abs(theirs)
        (much if by_much else little).append(sentence)
    return much, little
