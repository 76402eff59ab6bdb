"""The popmap: which population each sample belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.errors import InputError
from imputevae_cli.log import logger

UNKNOWN = "unknown"
"""The population of a sample that the popmap does not name."""


@dataclass(frozen=True)
class PopMap:
    """sample -> population. `name` is what messages call it, commonly the file it was read from."""

    populations: Mapping[str, str]
    name: str = "popmap"

    @classmethod
    def read(cls, path: str | Path) -> PopMap:
        """Read `sample population` lines, parted by a tab or by blanks; blank lines and `#` comments are skipped.

        With a tab, a sample's name may hold blanks. Raises InputError naming the line on one that is malformed or
        repeats a sample.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"{path}: no such popmap; check the path") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: the popmap is not UTF-8; convert it, such as with `iconv`") from None
        except OSError as error:
            raise InputError(f"{path}: the popmap cannot be read ({error.strerror}); check the path") from error
        populations: dict[str, str] = {}
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            fields = [field.strip() for field in (line.split("\t") if "\t" in line.strip() else line.split())]
            if len(fields) != 2 or not all(fields):
                raise InputError(f"{path}: line {number} is not `sample<tab>population`; fix that line")
            sample, population = fields
            if sample in populations:
                raise InputError(f"{path}: line {number}: sample {sample!r} is listed a second time; delete one line")
            populations[sample] = population
        if not populations:
            raise InputError(f"{path}: the popmap names no sample; give `sample<tab>population` lines")
        return cls(populations, str(path))

    def align(self, samples: Sequence[str], where: str) -> np.ndarray:
        """Populations in the order of `samples`, object (samples,) of str; `where` names the samples' file.

        A sample that the popmap lacks is of population "unknown", with a warning. Raises InputError where the popmap
        names samples that are not there.
        """
        there = set(samples)
        if unknown := [sample for sample in self.populations if sample not in there]:
            raise InputError(
                f"{self.name}: {unknown_names(unknown, samples, 'sample')} not in {where}; fix or delete those lines"
            )
        lacking = [sample for sample in samples if sample not in self.populations]
        if lacking:
            logger.warning(
                "%s: %d of %d samples are not in the popmap (%s); their population is set to %r",
                self.name, len(lacking), len(samples), _a_few(lacking), UNKNOWN,
            )  # fmt: skip
        return np.array([self.populations.get(sample, UNKNOWN) for sample in samples], dtype=object)


def unknown_names(unknown: Sequence[str], known: Iterable[str], noun: str) -> str:
    """The subject of a message on unknown names: a few of them, and the nearest known name of the first."""
    plural = len(unknown) > 1
    near = difflib.get_close_matches(unknown[0], list(known), n=1, cutoff=0.6)
    hint = f" (nearest to {unknown[0]!r}: {near[0]!r})" if near else ""
    return f"{noun}{'s' if plural else ''} {_a_few(unknown)}{hint} {'are' if plural else 'is'}"


def _a_few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
