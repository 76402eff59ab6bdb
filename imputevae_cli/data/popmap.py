"""The popmap: which population each sample belongs to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.errors import InputError
from imputevae_cli.log import logger

UNKNOWN = "unknown"
"""The population of a sample that the popmap does not name."""
SEPARATORS = {",": "commas", ";": "semicolons"}
"""What may separate columns beside tabs and blanks, and what the log calls it."""
PACKED = (b"PK\3\4", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")
"""What spreadsheets and compressed files begin with."""
_HEADER_SAMPLE = re.compile(
    r"(samples?|indv?|indiv|individuals?|specimen|name|id|iid|taxon)([ _.-]?(id|name)s?)?", re.IGNORECASE
)
_HEADER_POPULATION = re.compile(r"(pops?|populations?|groups?|sites?|species)([ _.-]?(id|map|name)s?)?", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class PopMap:
    """sample -> population. `name` is what messages call it, commonly the file it was read from.

    header: a first line that seems to name the columns; it stands for a sample where the file has one of that name.
    """

    populations: Mapping[str, str]
    name: str = "popmap"
    header: tuple[str, str] | None = None

    def __repr__(self) -> str:
        n_populations = len(set(self.populations.values()))
        return f"<PopMap {self.name}: {len(self.populations):,} samples, {n_populations} populations>"

    @classmethod
    def read(cls, path: str | Path) -> PopMap:
        """Read `sample population` lines, separated by a tab, a comma, a semicolon or blanks.

        Blank lines and `#` comments are skipped. With a tab, a sample's name may hold blanks, also at its end. Further
        columns, such as the third of Stacks, and a first line that names the columns are not used; both are said in the
        log, and so are commas and semicolons. Raises InputError naming the line on one that is malformed or repeats a
        sample.
        """
        lines = [
            (number, line.rstrip("\r"))
            for number, line in enumerate(_text(path).split("\n"), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        separator = _separator([line for _, line in lines])
        if separator:
            logger.info("%s: its columns are separated by %s", path, SEPARATORS[separator])
        populations: dict[str, str] = {}
        header, n_wide = None, 0
        for i, (number, line) in enumerate(lines):
            fields = _fields(line, separator)
            if len(fields) < 2 or not all(_bare(field) for field in fields[:2]):
                raise InputError(f"{path}: line {number} is not `sample<tab>population`; fix that line")
            sample, population = fields[0], _bare(fields[1])
            n_wide += len(fields) > 2
            if sample in populations:
                raise InputError(f"{path}: line {number}: sample {sample!r} is listed a second time; delete one line")
            if i == 0 and _names_columns(sample, population):
                header = sample, population
            else:
                populations[sample] = population
        if n_wide:
            logger.info("%s: columns after the second, which %d lines have, are not used", path, n_wide)
        if not populations:
            raise InputError(f"{path}: the popmap names no sample; give `sample<tab>population` lines")
        return cls(populations, str(path), header)

    def align(self, samples: Sequence[str], where: str) -> np.ndarray:
        """Populations in the order of `samples`, object (samples,) of str; `where` names the samples' file.

        Names are matched as they are, and where that fails without the blanks and quotes around them. A sample that the
        popmap lacks is of population "unknown", with a warning; so are those that the popmap has beyond the file's
        counted. Raises InputError where not one sample is in both.
        """
        populations = dict(self.populations)
        if self.header is not None and self.header[0] in samples:
            populations.setdefault(*self.header)
        elif self.header is not None:
            logger.info("%s: its first line names the columns (%s, %s) and no sample", self.name, *self.header)
        key_of = match_names(samples, populations)
        found = set(key_of.values())
        strangers = [sample for sample in populations if sample not in found]
        if not found:
            unknown = unknown_names(strangers, samples, "sample")
            raise InputError(f"{self.name}: {unknown} not in {where}, nor is any other; give the popmap of that file")
        if strangers:
            logger.warning(
                "%s: %d of its %d samples are not in %s (%s) and are not used",
                self.name, len(strangers), len(populations), where, _a_few(strangers),
            )  # fmt: skip
        lacking = [sample for sample in samples if sample not in key_of]
        if lacking:
            logger.warning(
                "%s: %d of %d samples are not in the popmap (%s); their population is set to %r",
                self.name, len(lacking), len(samples), _a_few(lacking), UNKNOWN,
            )  # fmt: skip
        labels = [populations[key_of[sample]] if sample in key_of else UNKNOWN for sample in samples]
        return np.array(labels, dtype=object)


def _text(path: str | Path) -> str:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such popmap; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: the popmap cannot be read ({reason}); check the path") from error
    if data.startswith(PACKED):
        raise InputError(f"{path}: is a spreadsheet or compressed, and no text; save it as text, separated by tabs")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: the popmap is not UTF-8; convert it, such as with `iconv`") from None
    if "\0" in text:
        raise InputError(f"{path}: the popmap holds a NUL byte; remove it, or make the file again")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(lines: Sequence[str]) -> str | None:
    """The one of SEPARATORS that all lines hold, where no tab does, and blanks do not separate two names."""
    by_blanks = [line.split() for line in lines]
    for separator in SEPARATORS if lines and not any("\t" in line for line in lines) else ():
        are_two_names = all(len(row) == 2 and all(f.strip(separator) == f for f in row) for row in by_blanks)
        if all(separator in line for line in lines) and not are_two_names:
            return separator
    return None


def _fields(line: str, separator: str | None) -> list[str]:
    """A line's columns; a sample's name keeps its blanks where a tab follows it."""
    if separator:
        return [_bare(field) for field in line.split(separator)]
    if "\t" not in line.strip():
        fields = line.split()
        return fields if len(fields) <= 3 else [line]  # names that hold blanks, without a tab: nothing tells them apart
    fields = line.split("\t")
    while len(fields) > 2 and not fields[-1].strip():
        fields.pop()
    return fields


def _bare(name: str) -> str:
    """A name without the blanks and the quotes around it, which R and spreadsheets write."""
    return name.strip().strip('"').strip()


def _names_columns(sample: str, population: str) -> bool:
    return bool(_HEADER_SAMPLE.fullmatch(_bare(sample)) and _HEADER_POPULATION.fullmatch(population))


def match_names(wanted: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """For each name its match in `known`: itself, else the one that is equal without the blanks and quotes around it.

    Names without a match are left out, and so are those that only these tell from one another in `known`.
    """
    known = list(known)
    there = set(known)
    bare: dict[str, list[str]] = {}
    for name in known:
        bare.setdefault(_bare(name), []).append(name)
    found = {}
    for name in wanted:
        near = bare.get(_bare(name), ())
        if name in there:
            found[name] = name
        elif len(near) == 1:
            found[name] = near[0]
    return found


def unknown_names(unknown: Sequence[str], known: Iterable[str], noun: str) -> str:
    """The subject of a message on unknown names: a few of them, and the nearest known name of the first."""
    plural = len(unknown) > 1
    near = difflib.get_close_matches(unknown[0], list(known), n=1, cutoff=0.6)
    hint = f" (nearest to {unknown[0]!r}: {near[0]!r})" if near else ""
    return f"{noun}{'s' if plural else ''} {_a_few(unknown)}{hint} {'are' if plural else 'is'}"


def _a_few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
