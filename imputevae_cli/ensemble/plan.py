"""What is fitted, in full or not, and why: a pure function that a fit and a dry run both carry out.

`plan` is asked three times as more is known: at first; after the screens that are run before all else (`ratio`); and
once the decoders on trial were judged (`idle`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imputevae_cli.config import Config
from imputevae_cli.decoders.base import Decoder, Effort, Role
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.errors import ConfigError


@dataclass(frozen=True)
class Data:
    """What a plan has to know of the data. n_cells: samples x loci. is_uncertain: whether calls are."""

    n_cells: int
    is_uncertain: bool = False
    ploidy: int = 2


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
    config: Config, data: Data, findings: Findings, decoders: Mapping[str, Decoder], rules: Rules | None = None
) -> Plan:
    """The plan for a file. decoders: by name, each after those it depends on.

    Raises ConfigError where a decoder is asked for by name that does not serve the file's ploidy.
    """
    rules = rules or Rules()
    _check_asked(config, decoders, data)
    screened, unfit = _is_screened(config, data, rules), _unfit(decoders, data)
    outdone, close = _given_way(findings.ratio, decoders, rules, data) if screened else ([], [])
    if not config.model.trial:  # what might add something to haplotypes is left out untried
        outdone, close = [*outdone, *close], []
    wanted = _wanted(config.model.decoder, decoders, {*unfit, *outdone, *(findings.idle or {})})
    is_open = screened and findings.idle is None
    asked = _Asked(
        wanted,
        needed=_needed(config, decoders, wanted),
        trial=_waiting(wanted, decoders, outdone, close) if is_open else (),
        outdone=outdone,
        reduced=_reduced(wanted, decoders) if outdone and not close else (),
    )
    steps = [asked.step(name, decoder.role) for name, decoder in decoders.items()]
    first = _screened_first(decoders, unfit) if screened and findings == Findings() else ()
    notes = (*_notes_on_ploidy(decoders, data), *_notes(findings, outdone))
    return Plan(tuple(filter(None, steps)), notes, first)


def takes_part(role: Role, data: Data) -> bool:
    """Whether a decoder can take part on these data."""
    return serves_ploidy(role, data.ploidy) and _serves_evidence(role, data)


def serves_ploidy(role: Role, ploidy: int) -> bool:
    """Whether a decoder has a model of so many copies of each chromosome."""
    return role.ploidies[0] <= ploidy <= role.ploidies[1]


def _serves_evidence(role: Role, data: Data) -> bool:
    return role.on_evidence != "never" if data.is_uncertain else role.on_evidence != "only"


def _check_asked(config: Config, decoders: Mapping[str, Decoder], data: Data) -> None:
    """Raise ConfigError where the decoder that is asked for by name does not serve the ploidy."""
    name = config.model.decoder
    if name != "auto" and name in decoders and not serves_ploidy(decoders[name].role, data.ploidy):
        low, high = decoders[name].role.ploidies
        raise ConfigError(
            f"model.decoder is {name}, which serves ploidy {low} to {high}, and the ploidy is {data.ploidy}; "
            "set model.decoder=auto"
        )


def _notes_on_ploidy(decoders: Mapping[str, Decoder], data: Data) -> tuple[str, ...]:
    """Which decoders sit out as they have no model of so many copies."""
    out = [name for name, decoder in decoders.items() if decoder.role.ploidies[1] < data.ploidy]
    if not out:
        return ()
    most = max(decoders[name].role.ploidies[1] for name in out)
    return (f"{' and '.join(out)} left out: they model the haplotypes of ploidy {most} at most, not of {data.ploidy}",)


def _is_screened(config: Config, data: Data, rules: Rules) -> bool:
    """Whether screens have a say: in large files, where no decoder is asked for by name."""
    return config.model.decoder == "auto" and data.n_cells > rules.small_cells


def _unfit(decoders: Mapping[str, Decoder], data: Data) -> list[str]:
    """The decoders that cannot take part on these data."""
    return [name for name, decoder in decoders.items() if not takes_part(decoder.role, data)]


def _needed(config: Config, decoders: Mapping[str, Decoder], wanted: Sequence[str]) -> Sequence[str]:
    """The decoders that the one that is wanted, where it is alone, needs in full."""
    return decoders[wanted[0]].needs_in_full(config) if len(wanted) == 1 else ()


def _waiting(
    wanted: Sequence[str], decoders: Mapping[str, Decoder], outdone: Sequence[str], close: Sequence[str]
) -> Sequence[str]:
    """The decoders that must show in a screen what they add: where haplotypes do most of the work, to these."""
    return close if outdone else [name for name in wanted if decoders[name].role.on_trial]


def _reduced(wanted: Sequence[str], decoders: Mapping[str, Decoder]) -> Sequence[str]:
    """The decoders that are trained for less where haplotypes do most of the work."""
    return [name for name in wanted if decoders[name].role.gives_way != "never"]


def _screened_first(decoders: Mapping[str, Decoder], unfit: Sequence[str]) -> tuple[str, ...]:
    """The decoders whose screen is run before all else."""
    return tuple(name for name, decoder in decoders.items() if decoder.role.screens_first and name not in unfit)


def _wanted(asked: str, decoders: Mapping[str, Decoder], left_out: set[str]) -> list[str]:
    """The decoders that are to be mixed, in their order; the one that is asked for by name in any case."""
    return [name for name in decoders if name == asked or (asked == "auto" and name not in left_out)]


@dataclass(frozen=True)
class _Asked:
    """What is asked of decoders, by name. wanted: to be mixed. needed: in full, by another. trial: wanted, and waiting
    for a trial. outdone: left to those that were screened first. reduced: that may be trained for less."""

    wanted: Sequence[str]
    needed: Sequence[str]
    trial: Sequence[str]
    outdone: Sequence[str]
    reduced: Sequence[str]

    def step(self, name: str, role: Role) -> Step | None:
        """The step of the plan for one decoder, None where it is left out."""
        wanted, waits = name in self.wanted, name in self.trial
        if (wanted or name in self.needed) and not waits:
            return Step(name, Effort.REDUCED if name in self.reduced else Effort.FULL, wanted)
        if role.serves:
            return Step(name, Effort.BRIEF if name in self.outdone else Effort.CHEAP, False, waits)
        return Step(name, Effort.FULL, False, True) if waits else None


def _given_way(
    ratio: float | None, decoders: Mapping[str, Decoder], rules: Rules, data: Data
) -> tuple[list[str], list[str]]:
    """The decoders that are left to those that were screened first, and those that must show what they add to these."""
    if ratio is None:
        return [], []
    closely = rules.closely_linked_uncertain if data.is_uncertain else rules.closely_linked
    limits = {"linked": rules.linked, "closely linked": closely}
    below = {name: one.role.gives_way for name, one in decoders.items() if ratio < limits.get(one.role.gives_way, 0.0)}
    return [n for n, way in below.items() if way == "linked"], [n for n, way in below.items() if way != "linked"]


def _notes(findings: Findings, outdone: Sequence[str]) -> tuple[str, ...]:
    notes = list((findings.idle or {}).values())
    if outdone:
        notes.insert(
            0,
            f"{' and '.join(outdone)} skipped: on a few stretches haplotypes bring the log loss of the frequencies "
            f"down to {findings.ratio:.0%}",
        )
    return tuple(notes)
