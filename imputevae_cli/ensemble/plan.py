"""What is fitted, in full or not, and why: a pure function that a fit and a dry run both carry out.

`plan` is asked three times as more is known: at first; after the screens that are run before all else (`ratio`); and
once the decoders on trial were judged (`idle`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imputevae_cli.config import Config
from imputevae_cli.decoders.base import Decoder, Effort
from imputevae_cli.decoders.rules import Rules


@dataclass(frozen=True)
class Findings:
    """What screens have shown so far.

    ratio: log loss over the baseline's, of the decoders that are screened first; None where that is not known.
    idle: decoder -> why, of those on trial that were judged to add nothing; None before they were judged.
    """

    ratio: float | None = None
    idle: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Step:
    """One decoder. effort: of its fit now. is_mixed: whether the gate weighs it. on_trial: whether a screen is to
    show first that it is worth more."""

    decoder: str
    effort: Effort
    is_mixed: bool
    on_trial: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps in order, and why decoders that could have been fitted are not.

    screens_first: decoders whose screen is wanted before the plan can be made.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    screens_first: tuple[str, ...] = ()

    @property
    def on_trial(self) -> tuple[str, ...]:
        """The decoders that are to be judged before the rest is fitted."""
        return tuple(step.decoder for step in self.steps if step.on_trial)


def plan(
    config: Config, n_cells: int, findings: Findings, decoders: Mapping[str, Decoder], rules: Rules | None = None
) -> Plan:
    """The plan for a file of so many cells (samples x loci). decoders: by name, each after those it depends on."""
    rules = rules or Rules()
    asked = config.model.decoder
    screened = asked == "auto" and n_cells > rules.small_cells
    outdone = _outdone(findings.ratio, decoders, rules) if screened else ()
    idle = findings.idle or {}
    wanted = [name for name in decoders if asked in ("auto", name) and name not in outdone and name not in idle]
    in_full = set(wanted) | (set(decoders[asked].needs_in_full(config)) if asked in decoders else set())
    on_trial = screened and not outdone and findings.idle is None
    steps = []
    for name, decoder in decoders.items():
        role = decoder.role
        waits = on_trial and role.on_trial and name in wanted
        if name in in_full and not waits:
            reduced = bool(outdone) and role.gives_way != "never"
            steps.append(Step(name, Effort.REDUCED if reduced else Effort.FULL, name in wanted))
        elif role.serves:
            steps.append(Step(name, Effort.BRIEF if name in outdone else Effort.CHEAP, False, waits))
        elif waits:
            steps.append(Step(name, Effort.FULL, False, True))
    first = [n for n, d in decoders.items() if screened and d.role.screens_first and findings == Findings()]
    return Plan(tuple(steps), _notes(findings, outdone), tuple(first))


def _outdone(ratio: float | None, decoders: Mapping[str, Decoder], rules: Rules) -> Sequence[str]:
    """The decoders that give way to those that were screened first."""
    if ratio is None:
        return ()
    limits = {"linked": rules.linked, "closely linked": rules.closely_linked}
    return [name for name, decoder in decoders.items() if ratio < limits.get(decoder.role.gives_way, 0.0)]


def _notes(findings: Findings, outdone: Sequence[str]) -> tuple[str, ...]:
    notes = list((findings.idle or {}).values())
    if outdone:
        notes.insert(
            0,
            f"{' and '.join(outdone)} skipped: on a few stretches haplotypes bring the log loss of the frequencies "
            f"down to {findings.ratio:.0%}",
        )
    return tuple(notes)
