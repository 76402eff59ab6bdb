"""The files that `impute` writes: one for each -o, of whatever kinds, the draws beside the first, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli import __version__
from imputevae_cli.errors import ConfigError
from imputevae_cli.io.formats.registry import FORMATS, OutputFormat, format_of
from imputevae_cli.io.outputs import STDOUT
from imputevae_cli.io.paths import with_companions

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.imputed import ImputedGenotypes
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.io.vcf_merged import MergeSummary
    from imputevae_cli.io.vcf_writer import WriteSummary
    from imputevae_cli.panels.imputed_from_panel import ImputedFromPanel
    from imputevae_cli.scoring.filled import Filled


@dataclass(frozen=True)
class Outputs:
    """The files of one run.

    paths: of -o, in the order given; a stopped run is known by the first. kinds: of each. n_draws: further VCFs with
    drawn genotypes, beside the first. names: of samples in PHYLIP, `relaxed` or `strict`. report: the page on the run,
    or None.
    """

    paths: tuple[str, ...]
    kinds: tuple[OutputFormat, ...]
    n_draws: int
    names: str
    report: str | None = None

    @classmethod
    def of(
        cls, paths: Sequence[str], output_type: str | None, n_draws: int, names: str, report: str | None = None
    ) -> Outputs:
        """report: a file, or `auto`. Raises ConfigError where a kind is not told, and for what cannot be combined."""
        from imputevae_cli.io.formats.phylip import check_name_style

        if output_type is not None and len(paths) > 1:
            raise ConfigError("--output-type is for one -o; give each of several an ending that tells its kind")
        if STDOUT in paths[1:]:
            raise ConfigError("standard output is for the first -o alone; give a file name to every other")
        kinds = tuple(format_of(path, output_type) for path in paths)
        if n_draws and (not kinds[0].is_vcf or paths[0] == STDOUT):
            raise ConfigError("--draws writes VCF or BCF files beside OUT; give the first -o with such an ending")
        check_name_style(names)
        return cls(tuple(paths), kinds, n_draws, names, _report_path(report, paths[0]))

    @property
    def first(self) -> str:
        return self.paths[0]

    @property
    def writes(self) -> dict[str, str | Path | None]:
        """For `Files.writes`."""
        found: dict[str, str | Path | None] = {}
        for option, path, kind in self._by_option():
            if not kind.is_folder:
                found |= with_companions(option, path, kind.key)
        for number in range(1, self.n_draws + 1):
            found |= with_companions(f"draw {number}", drawn_path(self.first, number), self.kinds[0].key)
        return found | {"--report": self.report}

    @property
    def folders(self) -> dict[str, str | Path | None]:
        """For `Files.folders`."""
        return {option: path for option, path, kind in self._by_option() if kind.is_folder}

    def _by_option(self) -> list[tuple[str, str, OutputFormat]]:
        options = ["-o", *(f"-o number {number}" for number in range(2, len(self.paths) + 1))]
        return list(zip(options, self.paths, self.kinds, strict=True))

    def check_places(self, session: Session) -> bool | None:
        """See `check_outputs`; the indexes that a run which was killed did not come to make are made."""
        from imputevae_cli.cli.finished import check_outputs
        from imputevae_cli.io.vcf_index import index_again

        folders = {path: partial(kind.check_place, path) for _, path, kind in self._by_option() if kind.is_folder}
        force = check_outputs(self.first, session, self.kinds[0].writer().command_of, folders)
        if force is None:
            for path, kind in zip(self.paths, self.kinds, strict=True):
                index_again(path, kind.key)
        return force

    def check_content(self, genotypes: GenotypeMatrix) -> None:
        """Raise OutputError where a kind cannot hold these genotypes."""
        from imputevae_cli.io.formats.base import Writing

        for path, kind in zip(self.paths, self.kinds, strict=True):
            kind.writer().check(path, genotypes, Writing(kind.key, version=__version__, names=self.names))

    def write_from_panel(self, imputed: ImputedFromPanel, session: Session, force: bool) -> MergeSummary:
        """Write all but the report; returns the counts of the first."""
        how = self._how(session, force)
        written, *_ = [imputed.write(path, kind.key, **how) for path, kind in zip(self.paths, self.kinds, strict=True)]
        for number in range(1, self.n_draws + 1):
            imputed.draw(number).write(drawn_path(self.first, number), self.kinds[0].key, **how)
        return written

    @property
    def all_paths(self) -> list[str]:
        """Of every -o and every draw."""
        return [*self.paths, *(drawn_path(self.first, number) for number in range(1, self.n_draws + 1))]

    def _how(self, session: Session, force: bool) -> dict[str, Any]:
        return {
            "force": force,
            "command": session.command,
            "threads": session.threads,
            "progress": session.progress,
            "names": self.names,
        }

    def write(self, model: ImputeVAE, imputed: ImputedGenotypes, session: Session, force: bool) -> WriteSummary:
        """Write all; returns the counts of the first VCF, or without one of what was refined alone."""
        from imputevae_cli.io.vcf_writer import WriteSummary

        how = self._how(session, force)
        filled = None
        if self.report is not None:
            from imputevae_cli.scoring.filled import Filled

            filled = Filled(imputed.genotypes)
        written = []
        for path, kind in zip(self.paths, self.kinds, strict=True):
            watch = filled.add if filled is not None and path == self.first else None
            written.append(imputed.write(path, kind.key, watch=watch, **how))
        for number in range(1, self.n_draws + 1):
            imputed.draw(number).write(drawn_path(self.first, number), self.kinds[0].key, **how)
        if filled is not None:
            self._write_report(model, imputed, filled, session, force)
        counted = next((summary for summary in written if summary is not None), None)
        return counted or WriteSummary(refined=imputed.n_refined)

    def _write_report(
        self, model: ImputeVAE, imputed: ImputedGenotypes, filled: Filled, session: Session, force: bool
    ) -> None:
        from imputevae_cli.log import logger
        from imputevae_cli.report.imputation_page import write_report

        assert self.report is not None  # else it is not called
        write_report(
            self.report,
            model,
            imputed,
            filled=filled,
            outputs=self.all_paths,
            command=session.command,
            force=force,
        )
        logger.info("report: %s", self.report)


def _report_path(report: str | None, first: str) -> str | None:
    """Where the report goes; `auto` is OUT.report.html, for OUT without the ending of its kind.

    Raises ConfigError for standard output, and where that has no place beside it.
    """
    if report == "auto" and first == STDOUT:
        raise ConfigError("--report auto is beside OUT, and OUT is standard output; give --report a file name")
    if report == STDOUT:
        raise ConfigError("--report is a page, which is not for standard output; give it a file name")
    return f"{_stem(first)}.report.html" if report == "auto" else report


def drawn_path(path: str | Path, number: int) -> str:
    """Where draw `number` goes: OUT.draw1.vcf.gz beside OUT.vcf.gz."""
    text, stem = str(path), _stem(path)
    return f"{stem}.draw{number}{text[len(stem) :]}"


def _stem(path: str | Path) -> str:
    """A path without the ending that tells its kind."""
    text = str(path)
    endings = sorted((ending for one in FORMATS for ending in one.endings), key=len, reverse=True)
    ending = next((e for e in endings if text.lower().endswith(e)), "")
    return text[: len(text) - len(ending)]
