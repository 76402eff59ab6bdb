"""What an error is called on the command line, and the exit code that goes with it."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator

from imputevae_cli.cli.hints import hint
from imputevae_cli.cli.signals import STOPPED_BY
from imputevae_cli.errors import ConfigError, ImputeVAEError, TrainingError
from imputevae_cli.runtime.stopping import Stopped

EXIT_BUG = 1
TOO_MANY_FILES = "Too many open files"


def describe(error: BaseException) -> tuple[str, int]:
    """A message, and the exit code. What a signal ended is told as that, though Python made another error of it, as it
    does where a class is being made."""
    if any(_lacks_descriptors(cause) for cause in _chain(error)):
        code = error.exit_code if isinstance(error, ImputeVAEError) else ConfigError.exit_code
        return "too many open files: the limit is too low for a run; raise it, such as with `ulimit -n 1024`", code
    if isinstance(error, ImputeVAEError):
        return str(error), error.exit_code
    for cause in _chain(error):
        if isinstance(cause, Stopped):
            return f"{STOPPED_BY[cause.number]}; nothing was written", 128 + cause.number
    # Of typer, for options and arguments that do not hold
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        known = hint(getattr(error, "option_name", ""))
        if known is not None:
            return f"there is no option {error.option_name} here: {known}", error.exit_code  # type: ignore[attr-defined]
        return f"{error.format_message()}; -h lists the options", error.exit_code
    if _is_out_of_memory(error):
        return (
            "out of memory; give fewer samples or loci at a time (--region), or smaller settings",
            TrainingError.exit_code,
        )
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{place}{error.strerror}; check the file, its disk and its permissions", ConfigError.exit_code
    text = " ".join(str(error).split())
    return f"a bug: {type(error).__name__}: {text[:300]}; run again with --debug and report it", EXIT_BUG


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _lacks_descriptors(error: BaseException) -> bool:
    limits = (errno.EMFILE, errno.ENFILE)
    return (isinstance(error, OSError) and error.errno in limits) or TOO_MANY_FILES in str(error)


def _is_out_of_memory(error: BaseException) -> bool:
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from imputevae_cli.runtime.device import is_out_of_memory

    return is_out_of_memory(error)
