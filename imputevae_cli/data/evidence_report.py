"""What was found when a file's likelihoods or read counts were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as of_instance

from imputevae_cli.log import counted

DOTS, WRONG_LENGTH, NEGATIVE = "missing at a visible call", "of the wrong length", "out of range"
FLAT_WITH_READS, CONTRADICTS = "equal for all genotypes in spite of reads", "against the call"
NO_READS = "no reads behind a visible call"
DEEPEST = 1000
"""Deeper cells are counted as so deep."""


@dataclass(frozen=True)
class EvidenceReport:
    """How the evidence of a file was had, and what was odd about it.

    field: PL, GL, AD, CATG or GP; None for calls alone. used: whether the model is given it. reason: why, or why not.
    n_visible, n_uncertain: visible calls, and those whose genotype the evidence leaves open. expected_wrong: share of
    the visible calls that likelihoods and frequencies together hold for wrong. n_rescued: missing calls with evidence.
    agreement: share of the visible calls that the evidence does not rule out, of the `n_informative` where it rules
    out any genotype. median_depth: of cells with reads; depths: cells with 1, 2, ... reads, the last of DEEPEST or
    more. broken: kind -> number of cells. n_half_calls: calls with one allele of two.
    error, overdispersion: of the reads, where counts were read. left: why `auto` left other fields.
    """

    field: str | None
    used: bool
    reason: str
    n_visible: int = 0
    n_uncertain: int = 0
    expected_wrong: float = 0.0
    n_rescued: int = 0
    agreement: float | None = None
    n_informative: int = 0
    median_depth: float | None = None
    depths: tuple[int, ...] = ()
    broken: Mapping[str, int] = of_instance(default_factory=dict)
    n_half_calls: int = 0
    error: float | None = None
    overdispersion: float | None = None
    left: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Sentences for the log."""
        out = [self.reason]
        for kind, count in self.broken.items():
            out.append(f"{self.field}: {counted(count, 'cell is', 'cells are')} {kind}; {_INSTEAD[kind]}")
        if self.n_half_calls:
            halves = counted(self.n_half_calls, "half-call such as ./1 rules", "half-calls such as ./1 rule")
            out.append(f"{halves} out genotypes without the allele that is known")
        return out


_FALL_BACK = "the call is taken with an error rate, or nothing where it is missing"
_INSTEAD = dict.fromkeys((DOTS, WRONG_LENGTH, NEGATIVE, FLAT_WITH_READS, CONTRADICTS), _FALL_BACK)
_INSTEAD[NO_READS] = "they count as unknown, and stay as they are in GT"
