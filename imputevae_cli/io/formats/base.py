"""What every kind of output file is behind: a module of this folder with the functions of `Writer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlocks
from imputevae_cli.io.vcf_writer import WriteSummary
from imputevae_cli.log import ProgressOption


@dataclass(frozen=True)
class Writing:
    """How a file is written. What a kind has no place for it leaves out.

    output_type: the key of its kind. command, version: what made it. threads: for compression. names: of samples in
    PHYLIP, `relaxed` or `strict`. refines: whether visible calls were to be rewritten.
    """

    output_type: str
    command: str = ""
    version: str = ""
    threads: int = 1
    progress: ProgressOption = None
    names: str = "relaxed"
    refines: bool = False


class Writer(Protocol):
    """A module that writes one kind of file, or several that are alike."""

    def check(self, path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
        """Raise OutputError, one line, where the kind cannot hold these genotypes: before hours of compute."""
        ...

    def write(self, path: str | Path, imputed: ImputedBlocks, how: Writing) -> WriteSummary | None:
        """Write an imputation at `path`, whole or not at all, or to standard output where `path` is `-`.

        Loci that the kind cannot hold are left out, with their number in the log. Raises OutputError where the file
        cannot be written, or as `check` does. The counts are those of a VCF; None of any other kind.
        """
        ...

    def command_of(self, path: Path) -> str | None:
        """The command that wrote a file; None where the kind has no place for it. Raises ValueError where the file is
        of another kind, or was not written by imputevae."""
        ...


class FolderWriter(Writer, Protocol):
    """A `Writer` of what is a folder."""

    def check_place(self, path: str | Path, *, force: bool) -> None:
        """Raise OutputError where the folder cannot be made at `path`; `force` replaces one that was written here."""
        ...
