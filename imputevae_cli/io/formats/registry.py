"""The kinds of files that an imputation is written to, found by the ending of a name. A new one is a module and a line.

Nothing is imported for a kind before it is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imputevae_cli.errors import ConfigError
from imputevae_cli.io.outputs import INDEXES, STDOUT, check_output

if TYPE_CHECKING:
    from imputevae_cli.io.formats.base import FolderWriter, Writer


@dataclass(frozen=True)
class OutputFormat:
    """One kind of file.

    key: what --output-type takes. title: what it is called. endings: of names, in lower case, the usual one first.
    module: of this folder, a `Writer`. appended: endings of files beside it that follow its whole name, as those of an
    index do. replaced: endings that take the place of its own, as .bim does of .bed. is_folder: a folder, not a file.
    """

    key: str
    title: str
    endings: tuple[str, ...]
    module: str
    appended: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    is_folder: bool = False

    @property
    def is_vcf(self) -> bool:
        """Whether it is written by a walk over the input, with all that the model does not touch."""
        return self.module == "vcf"

    @property
    def fits_a_stream(self) -> bool:
        """Whether all of it is one file; an index is none of it."""
        return not (self.is_folder or self.replaced or set(self.appended) - set(INDEXES))

    def beside(self, path: str | Path) -> dict[str, Path]:
        """Ending -> file that is written, or removed, with one at `path`."""
        target = Path(os.path.realpath(path))
        appended = {ending: target.with_name(target.name + ending) for ending in self.appended}
        return appended | {ending: target.with_suffix(ending) for ending in self.replaced}

    def writer(self) -> Writer:
        """The module that writes it."""
        return cast("Writer", import_module(f"imputevae_cli.io.formats.{self.module}"))

    def check_place(self, path: str | Path, *, inputs: Iterable[str | Path] = (), force: bool = False) -> None:
        """Raise OutputError where it cannot be written at `path`, or would overwrite what is there without `force`.

        An index is written, or removed, with its file, and asks for no `force` of its own.
        """
        if self.is_folder:
            cast("FolderWriter", self.writer()).check_place(path, force=force)
            return
        parts = [file for ending, file in self.beside(path).items() if ending not in INDEXES]
        for file in (path, *(parts if str(path) != STDOUT else ())):
            check_output(file, inputs=inputs, force=force)


FORMATS = (
    OutputFormat("v", "VCF", (".vcf",), "vcf"),
    OutputFormat("z", "VCF.gz", (".vcf.gz", ".vcf.bgz"), "vcf", appended=INDEXES),
    OutputFormat("b", "BCF", (".bcf",), "vcf", appended=INDEXES),
    OutputFormat("p", "PHYLIP", (".phy", ".phylip"), "phylip"),
    OutputFormat("bed", "PLINK bed", (".bed",), "plink", replaced=(".bim", ".fam")),
    OutputFormat("structure", "STRUCTURE", (".str", ".stru"), "structure"),
    OutputFormat("genepop", "GENEPOP", (".gen", ".genepop"), "genepop"),
    OutputFormat("012", "012 matrix", (".012",), "matrix012", appended=(".indv", ".pos")),
    OutputFormat("tsv", "table of dosages", (".tsv", ".tsv.gz"), "dosages"),
    OutputFormat("zarr", "Zarr VCF", (".vcz", ".zarr"), "zarr_vcf", is_folder=True),
)


def format_of(path: str | Path, output_type: str | None = None) -> OutputFormat:
    """The kind that `output_type` names, else by the ending of `path`; VCF text for standard output.

    Raises ConfigError where neither tells, and for standard output where the kind is more than one file.
    """
    found = _named(output_type) if output_type is not None else _by_ending(str(path))
    if str(path) == STDOUT and not found.fits_a_stream:
        raise ConfigError(f"{found.title} is more than one file, and standard output is one; give -o a file name")
    if found.replaced and str(path).lower().endswith(found.replaced):
        raise ConfigError(f"{path}: is written beside the {found.endings[0]}; give -o the name of that file")
    return found


def is_of_genotypes(path: str | Path) -> bool:
    """Whether a name has the ending of a file of genotypes."""
    return any(str(path).lower().endswith(one.endings) for one in FORMATS)


def output_type_of(path: str | Path, output_type: str | None = None) -> str:
    """The key of `format_of`."""
    return format_of(path, output_type).key


def _named(output_type: str) -> OutputFormat:
    for one in FORMATS:
        if one.key == output_type:
            return one
    known = ", ".join(f"{one.key} ({one.title})" for one in FORMATS)
    raise ConfigError(f"--output-type {output_type}: give one of {known}")


def _by_ending(path: str) -> OutputFormat:
    if path == STDOUT:
        return FORMATS[0]
    for one in FORMATS:
        if path.lower().endswith((*one.endings, *one.replaced)):
            return one
    if Path(path).is_dir():
        raise ConfigError(f"{path}: is a folder; name a file in it")
    known = ", ".join(ending for one in FORMATS for ending in one.endings)
    keys = "|".join(one.key for one in FORMATS)
    raise ConfigError(f"{path}: the ending does not tell the output's type ({known}); give --output-type {keys}")
