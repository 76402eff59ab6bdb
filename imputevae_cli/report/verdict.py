"""Whether an imputation can be trusted: one of three levels, said in words, from the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imputevae_cli.report.labels import (
    METRICS,
    MODEL,
    is_number,
    known_value,
    method_name,
    metric_in_words,
    number,
    percent,
    value,
)

MUCH_WORSE = 0.02
"""A loss to a baseline on NRD or log loss by more than this share of the baseline's figure makes the level `no`."""
MAX_NRD = 0.2
MIN_SKILL_R2 = 0.5
MAX_ECE = 0.05
RULE = (
    f"No: a baseline is better on NRD or log loss by more than {percent(MUCH_WORSE, 0)} of its figure, or skill r² is "
    f"0 or less. With care: a baseline is better by less than that, NRD is over {MAX_NRD}, skill r² under "
    f"{MIN_SKILL_R2}, calibration error over {MAX_ECE}, or nothing was there to compare with. Yes: none of these. "
    "Where the hidden calls are uncertain, their reads stand for them: log loss is that of the reads, NRD and "
    "calibration error are estimated from them, and there is no skill r²."
)
"""How the level is set, in words."""
HEADLINES = {
    "yes": "Yes, the imputed calls can be trusted for most uses",
    "care": "Usable, but with care",
    "no": "No, do not rely on the imputed calls",
}
BEATEN = "No, a simple method fills in these calls better"
"""The headline of level `no` where the dosages are of some worth, but a baseline's are of more."""
MIN_CELLS = 30
"""Of fewer scored cells in a stratum nothing is said."""
MUCH_WORSE_NRD = 1.5
"""Times the NRD over all above which that of a population is said to be worse."""


@dataclass(frozen=True)
class Verdict:
    """level: yes, care or no. headline: its sentence. reasons: sentences, the most important first."""

    level: str
    headline: str
    reasons: tuple[str, ...]


def verdict(report: Mapping[str, Any]) -> Verdict:
    """The level that RULE gives the report, and why: lost comparisons first, other doubts, what speaks for it.

    The report's own sentences stand for what would be said here of baselines and probabilities.
    """
    much, little = _losses(report)
    useless, doubts, uncalibrated = _useless(report), _doubts(report), _uncalibrated(report)
    level = "no" if much or useless else "care" if little or doubts or uncalibrated else "yes"
    losses = much + little
    given = (report.get("verdict") or {}).get("sentences")
    if given:
        reasons = [*useless, *given, *doubts] if losses else [*useless, *doubts, *given]
    else:
        reasons = [*losses, *useless, *doubts, *uncalibrated, *_strengths(report)]
    headline = BEATEN if much and not useless else HEADLINES[level]
    return Verdict(level, headline, (*reasons, *_weak_spots(report)))


def _losses(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Sentences on the baselines that beat the model: by much, and by little."""
    much: list[str] = []
    little: list[str] = []
    for loss in (report.get("verdict") or {}).get("loses_to") or ():
        ours, theirs = loss.get("model"), loss.get("baseline")
        sentence = (
            f"A simple method does better: “{method_name(report, loss.get('method', 'a baseline'))}” reaches "
            f"{number(theirs, 3)} in {metric_in_words(loss.get('metric', ''))}, the model {number(ours, 3)}."
        )
        by_much = is_number(ours) and is_number(theirs) and abs(ours - theirs) > MUCH_WORSE * abs(theirs)
        (much if by_much else little).append(sentence)
    return much, little


def _useless(report: Mapping[str, Any]) -> list[str]:
    skill = value(report, MODEL, "skill_r2")
    if skill is None or skill > 0:
        return []
    return [f"Its dosages are no better than the mean of each locus (skill r² {number(skill, 2)})."]


def _uncalibrated(report: Mapping[str, Any]) -> list[str]:
    ece = known_value(report, MODEL, "ece")
    if ece is None or ece <= MAX_ECE:
        return []
    return [f"Its probabilities are off by {100 * ece:.0f} points in a hundred on average."]


def _doubts(report: Mapping[str, Any]) -> list[str]:
    skill, nrd = value(report, MODEL, "skill_r2"), known_value(report, MODEL, "nrd")
    doubts = []
    if skill is not None and 0 < skill < MIN_SKILL_R2:
        doubts.append(
            f"It explains only part of the variation between samples (skill r² {number(skill, 2)}): "
            "work with the probabilities or dosages rather than with single calls."
        )
    if nrd is not None and nrd > MAX_NRD:
        doubts.append(f"Of every 100 filled calls that involve an ALT allele, {100 * nrd:.0f} are wrong.")
    if not _baselines(report):
        doubts.append("No simple method was scored beside it, so there is nothing to compare with.")
    return doubts


def _strengths(report: Mapping[str, Any]) -> list[str]:
    said = []
    baselines = _baselines(report)
    compared = {metric: ours for metric in METRICS if (ours := value(report, MODEL, metric)) is not None}
    won = [m for m, ours in compared.items() if all(_better(m, ours, value(report, rival, m)) for rival in baselines)]
    if baselines and won:
        share = f"all {len(won)}" if len(won) == len(compared) else f"{len(won)} of {len(compared)}"
        lost = [metric_in_words(metric) for metric in compared if metric not in won]
        beside = f" (not on {', '.join(lost)})" if lost else ""
        said.append(f"It does better than every simple method on {share} measures{beside}.")
    ece = known_value(report, MODEL, "ece")
    if ece is not None and ece <= MAX_ECE:
        said.append(
            "Its probabilities can be taken at their word: "
            f"they are off by {number(100 * ece, 1)} points in a hundred on average."
        )
    return said


def _weak_spots(report: Mapping[str, Any]) -> list[str]:
    """What is much worse than the whole, though it sets no level: the rarest alleles, and one population."""
    rows = [
        row for row in report.get("strata") or () if row.get("method") == MODEL and (row.get("n") or 0) >= MIN_CELLS
    ]
    return [*_rare_alleles(rows), *_worst_population(rows, value(report, MODEL, "nrd"))]


def _rare_alleles(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """That the first stratum of allele frequencies is filled in poorly, where it is."""
    rare = next((row for row in rows if row.get("stratum") == "maf" and is_number(row.get("dosage_r2"))), None)
    if rare is None or rare["dosage_r2"] >= MIN_SKILL_R2:
        return []
    return [
        f"Rare alleles are filled in poorly: at loci with a minor allele frequency in {rare['level']}, "
        f"dosage r² is {number(rare['dosage_r2'], 2)}."
    ]


def _worst_population(rows: Sequence[Mapping[str, Any]], overall: float | None) -> list[str]:
    """That a population is filled in far worse than all are, and by more than chance. overall: NRD over all."""
    known = [row for row in rows if row.get("stratum") == "population" and is_number(row.get("nrd_low"))]
    worst = max(known, key=lambda row: row["nrd"], default=None)
    if worst is None or overall is None or worst["nrd_low"] <= overall or worst["nrd"] <= MUCH_WORSE_NRD * overall:
        return []
    return [
        f"Population “{worst['level']}” is filled in worse than the rest: NRD {number(worst['nrd'], 2)} against "
        f"{number(overall, 2)} over all."
    ]


def _baselines(report: Mapping[str, Any]) -> list[str]:
    methods = report.get("methods") or report.get("metrics") or ()
    return [method for method in methods if method != MODEL and known_value(report, method, "concordance") is not None]


def _better(metric: str, ours: float, theirs: float | None) -> bool:
    return theirs is None or (ours > theirs if METRICS[metric].rises else ours < theirs)
