"""Errors that a user can fix. Each carries the exit code that the command line ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_MESSAGE = 440
"""Characters of a message: with a date and `imputevae: error: ` before it, a line stays under 500."""


def brief(text: str, limit: int = MAX_MESSAGE) -> str:
    """A message as one line that a terminal shows as it is: names out of files may hold anything, of any length.

    Line breaks become blanks, control characters and others that cannot be shown their escapes. What is too long loses
    its middle: the beginning says where, the end how to fix it.
    """
    if len(text) > 4 * limit:
        text = text[: 2 * limit] + text[-2 * limit :]
        is_cut = True
    else:
        is_cut = False
    text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= limit and not is_cut:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 5]} ... {text[-tail:]}"


def why_unreadable(error: Exception) -> str:
    """Why a file of text could not be read, in words: of an OSError or a UnicodeDecodeError."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return getattr(error, "strerror", None) or str(error)


def did_you_mean(word: object, choices: Iterable[str], all_of_them: str = "--print-config lists all") -> str:
    """`; did you mean X?`, comparing whole dotted keys and their last parts; where none is near, the choices if they
    are few, else `all_of_them`: what lists them."""
    choices = list(choices)
    text = str(word)
    by_last = {choice.rsplit(".", 1)[-1]: choice for choice in choices}
    near = difflib.get_close_matches(text, choices, 1) or [
        by_last[name] for name in difflib.get_close_matches(text.rsplit(".", 1)[-1], by_last, 1)
    ]
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(choices)}" if len(choices) <= 8 else f"; {all_of_them}"


class ImputeVAEError(Exception):
    """Base of every expected error; its message is one line: what, where, and how to fix it."""

    exit_code = 1

    def __str__(self) -> str:
        return brief(super().__str__())


class ConfigError(ImputeVAEError):
    """A setting or an option that is unknown, out of range, or contradicts another."""

    exit_code = 2


class OutputError(ImputeVAEError):
    """An output that cannot be written, or that would overwrite what is there."""

    exit_code = 2


class InputError(ImputeVAEError):
    """A genotype file or popmap that cannot be used as it is."""

    exit_code = 3


class CheckpointError(ImputeVAEError):
    """A checkpoint that is damaged, of another version, or of other loci."""

    exit_code = 4


class Preempted(ImputeVAEError):
    """A run that a signal stopped, and that can be resumed where it was."""

    exit_code = 75


class TrainingError(ImputeVAEError):
    """Training that cannot go on, such as a loss that is not finite."""

    exit_code = 5


class LostToBaselineError(ImputeVAEError):
    """An evaluation in which the model does worse than a baseline, where that is not to pass."""

    exit_code = 6


class PeerLost(TrainingError):
    """Another of the processes that share a fit has ended before it was done."""
