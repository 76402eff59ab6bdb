"""`train --as-panel`, and `impute --add-loci` or `--panel`: packing a reference panel, and filling from one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli.cli import session as this
from imputevae_cli.cli.options import Common
from imputevae_cli.errors import ConfigError
from imputevae_cli.log import counted, logger

if TYPE_CHECKING:
    from imputevae_cli.cli.outputs import Outputs
    from imputevae_cli.cli.session import Session
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.config import Config
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.io.vcf_haplotypes import HaplotypeFile
    from imputevae_cli.io.vcf_merged import MergeSummary
    from imputevae_cli.panels.filled_loci import Calling
    from imputevae_cli.panels.imputation import PanelImputation
    from imputevae_cli.panels.imputed_from_panel import ImputedFromPanel
    from imputevae_cli.panels.kept_windows import WindowFolder
    from imputevae_cli.panels.match import PanelMatch
    from imputevae_cli.panels.pack import Packed
    from imputevae_cli.panels.store import PanelStore


@dataclass(frozen=True)
class PanelRun:
    """The options of a run that fills from a panel.

    panel: a file of any kind; model: a packed panel, the one or the other. without_effect: options that have no meaning
    here, and what was given for them. only_panel_loci: leave out loci that INPUT alone has.
    """

    input: str | None
    panel: Path | None
    model: Path | None
    popmap: Path | None
    map: Path | None
    likelihoods: str | None
    without_effect: Mapping[str, object]
    only_panel_loci: bool = False

    def check(self) -> None:
        """Raise ConfigError for options that do not go together."""
        if self.panel is not None and self.model is not None:
            raise ConfigError("give --panel, or --model with --add-loci, not both")
        if self.panel is None and self.model is None:
            raise ConfigError("--add-loci needs the panel: give --model PANEL.ivae, or --panel in place of both")
        if given := [name for name, value in self.without_effect.items() if value]:
            raise ConfigError(f"{given[0]} has no meaning where loci are filled from a panel; leave it out")

    @property
    def reads(self) -> dict[str, str | Path | None]:
        """For `Files.reads`."""
        paths: dict[str, str | Path | None] = {"INPUT": self.input, "--popmap": self.popmap, "--map": self.map}
        return paths | {"--panel": self.panel, "--model": self.model}


@dataclass(frozen=True)
class Opened:
    """A panel and the targets that it is to fill, matched."""

    store: PanelStore
    targets: GenotypeMatrix
    match: PanelMatch
    pool: ThreadPoolExecutor


def train_panel(common: Common, input: str | None, output: str | None, popmap: Path | None) -> None:
    """Pack INPUT as a reference panel."""
    from imputevae_cli.cli.finished import check_outputs
    from imputevae_cli.cli.summary import Stopwatch, cost_rows, show_table
    from imputevae_cli.io.paths import Files

    def files(config: Config) -> Files:
        return Files({"INPUT": input, "--popmap": popmap}, {"-o": this.checkpoint_path(output, config)})

    clock = Stopwatch()
    session = this.start(common, files)
    path = this.checkpoint_path(output, session.config)
    if check_outputs(path, session, _command_of_panel) is None:
        return
    if input is None:
        raise ConfigError("no INPUT: give the panel as VCF, VCF.gz or BCF, or - for standard input")
    if common.dry_run:
        _show_what_would_be_packed(_haplotypes_of(input, common, popmap))
        return
    with ThreadPoolExecutor(session.threads) as pool:
        packed = _pack(_haplotypes_of(input, common, popmap), path, session, pool)
    rows = [*_panel_rows(packed), ("Panel", path), *cost_rows(clock)]
    show_table("Packed", rows, common.quiet)


def _haplotypes_of(source: str, common: Common, popmap: Path | None) -> HaplotypeFile:
    """The samples and regions of a file that the options ask for."""
    from imputevae_cli.io.vcf_haplotypes import HaplotypeFile

    pops = common.include_pops.split(",") if common.include_pops else None
    chosen: dict[str, Any] = {"samples": this.chosen_samples(common), "popmap": popmap, "include_pops": pops}
    return HaplotypeFile.open(source, **chosen, region=this.chosen_regions(common))


def _show_what_would_be_packed(file: HaplotypeFile) -> None:
    from imputevae_cli.cli.summary import show_table
    from imputevae_cli.panels.pack import is_phased

    phase = "the file's" if is_phased(file) else "to be found: the file has none"
    rows = [("Samples", f"{len(file.samples):,}"), ("Phase", phase)]
    show_table("Dry run: nothing was written", rows, quiet=False)


def _pack(file: HaplotypeFile, path: str | Path, session: Session, pool: ThreadPoolExecutor) -> Packed:
    from imputevae_cli import __version__
    from imputevae_cli.panels.pack import Packing, pack_panel

    config = session.config
    made = {"software_version": __version__, "command": session.command}
    packed = pack_panel(file, path, Packing(config.panels, config.io.seed, pool, made, session.progress))
    for reason, count in packed.left_out.items():
        logger.info("%s: the panel leaves out %s: %s", file.name, counted(count, "record"), reason)
    phase = "its own phase is used" if packed.phased else "it has no phase, which was found here"
    logger.info("%s: %s", file.name, phase)
    if packed.n_unphased:
        unphased = counted(packed.n_unphased, "heterozygote")
        logger.info("%s: alleles are taken in the order written at %s without phase", file.name, unphased)
    if packed.n_missing:
        found = "the commoner allele of their locus" if packed.phased else "what the phasing finds"
        logger.info("%s: missing alleles become %s: %s", file.name, found, f"{packed.n_missing:,}")
    return packed


def _command_of_panel(path: Path) -> str | None:
    """See `CommandOf`, of a packed panel."""
    from imputevae_cli.panels.store import PanelStore

    return str(PanelStore(path).made["command"])


def _panel_rows(packed: Packed) -> list[tuple[str, str]]:
    rows = [
        ("Samples", f"{len(packed.samples):,}, {2 * len(packed.samples):,} haplotypes"),
        ("Loci", f"{packed.n_loci:,}, on {counted(packed.n_chroms, 'chromosome')}"),
        ("Phase", "the file's" if packed.phased else "found here: the file has none"),
    ]
    if packed.n_missing:
        rows.append(("Missing alleles, filled", f"{packed.n_missing:,}"))
    if packed.left_out:
        rows.append(("Records left out", f"{sum(packed.left_out.values()):,}"))
    return rows


@contextmanager
def opened(run: PanelRun, session: Session) -> Iterator[Opened]:
    """The panel, packed if it is not, and the targets; what a user should know of both is said in the log."""
    from imputevae_cli.panels.match import match_panel
    from imputevae_cli.panels.panel import usable_targets

    with ThreadPoolExecutor(session.threads) as pool:
        store = _store(run, session, pool)
        targets = usable_targets(this.read(run.input, run.popmap, session, context=None, to_fit=False))
        match = match_panel(targets, store)
        for line in match.lines(targets.loci):
            logger.info("%s: %s", targets.name, line)
        for line in match.warnings(targets.loci):
            logger.warning("%s: %s", targets.name, line)
        shared = len(set(targets.samples) & set(store.samples))
        if shared:
            both = counted(shared, "sample is", "samples are")
            logger.warning("%s: %s in the panel too, by name, and copied from there", targets.name, both)
        yield Opened(store, targets, match, pool)


def _store(run: PanelRun, session: Session, pool: ThreadPoolExecutor) -> PanelStore:
    """The packed panel; one of another kind is packed into a temporary folder."""
    import tempfile

    from imputevae_cli.io.vcf_haplotypes import HaplotypeFile
    from imputevae_cli.panels.store import PanelStore
    from imputevae_cli.runtime.panel_file import is_panel

    if run.model is not None:
        return PanelStore(run.model)
    assert run.panel is not None  # it was checked
    if is_panel(run.panel) or run.panel.suffix == ".ivae":  # which is refused, if it is another checkpoint
        return PanelStore(run.panel)
    path = Path(tempfile.mkdtemp(prefix="imputevae-panel-")) / "panel.ivae"
    _pack(HaplotypeFile.open(run.panel), path, session, pool)
    return PanelStore(path, str(run.panel))


def imputation_of(found: Opened, run: PanelRun, session: Session, kept: WindowFolder | None = None) -> PanelImputation:
    """The targets filled from the panel, window by window as they are asked for. kept: where filled ones are kept."""
    from imputevae_cli.data.genetic_map import GeneticMap
    from imputevae_cli.panels.imputation import How, PanelImputation
    from imputevae_cli.panels.kept_windows import KeptWindows

    genetic_map = GeneticMap.read(run.map) if run.map else None
    config = session.config
    how = How(config.panels, config.io.seed, found.pool, genetic_map, KeptWindows(kept))
    return PanelImputation(found.store, found.targets, found.match, how)


def impute_from_panel(common: Common, run: PanelRun, outputs_of: Callable[[Config], Outputs], calling: Calling) -> None:
    """Fill INPUT's missing calls and add the panel's other loci."""
    from imputevae_cli.cli.panel_summary import show_added
    from imputevae_cli.cli.signals import run_folder_of
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.imputed import check_call
    from imputevae_cli.io.paths import Files
    from imputevae_cli.panels.imputed_from_panel import ImputedFromPanel

    def files(config: Config) -> Files:
        run.check()
        check_call(calling.call)
        outputs = outputs_of(config)
        folders = {**outputs.folders, "the folder of a stopped run": run_folder_of(outputs.first)}
        return Files(run.reads, {**outputs.writes}, folders)

    clock = Stopwatch()
    session = this.start(common, files, {"io.likelihoods": run.likelihoods})
    outputs = outputs_of(session.config)
    force = outputs.check_places(session)
    if force is None:
        return
    with opened(run, session) as found:
        outputs.check_content(found.targets)
        if common.dry_run:
            _show_dry_run(found, imputation_of(found, run, session), clock)
            return
        with _resumable(outputs.first, found, run, session) as kept:
            # With --checkpoint-every 0 only what is in memory when a run is stopped would be saved: nothing
            imputation = imputation_of(found, run, session, kept if session.common.checkpoint_every else None)
            imputed = ImputedFromPanel(imputation, found.targets, calling, run.only_panel_loci)
            with session.progress.task("filling windows of the panel", imputation.n_windows) as task:
                imputation.on_window = task.advance
                written = outputs.write_from_panel(imputed, session, force)
            _write_report(outputs, imputed, written, found, session)
    show_added(found, written, imputed.counts.by_frequency, ", ".join(outputs.paths), clock, session.common.quiet)


def _write_report(
    outputs: Outputs, imputed: ImputedFromPanel, written: MergeSummary, found: Opened, session: Session
) -> None:
    """The page on the run, where it is asked for."""
    if outputs.report is None:
        return
    from imputevae_cli.report.panel_page import PanelRunPage, write_panel_report

    warnings = found.match.warnings(found.targets.loci)
    page = PanelRunPage(imputed, written, session.config, outputs.all_paths, warnings, session.command)
    write_panel_report(outputs.report, page)
    logger.info("report: %s", outputs.report)


@contextmanager
def _resumable(path: str, found: Opened, run: PanelRun, session: Session) -> Iterator[WindowFolder | None]:
    """Where the windows of a run that writes `path` are kept until it is whole; None for standard output."""
    from imputevae_cli.cli.signals import kept_until_whole, run_folder_of
    from imputevae_cli.panels.kept_windows import panel_run

    place = run_folder_of(path)
    if place is None:
        yield None
        return
    folder = panel_run(place, found.targets, session.config, found.store, run.map)
    with kept_until_whole(folder, path, session.common, save=lambda: None):  # windows are written when they are filled
        yield folder


def _show_dry_run(found: Opened, imputation: PanelImputation, clock: Stopwatch) -> None:
    """Time and memory as the first window suggests."""
    from imputevae_cli.cli.panel_summary import show_panel_estimate
    from imputevae_cli.cli.summary import Stopwatch

    to_here, one = clock.seconds(), Stopwatch()
    first = next((chrom for chrom in imputation.chroms if chrom.windows), None)
    if first is not None:
        imputation.fill(first, 0)
    show_panel_estimate(found, imputation, to_here + imputation.n_windows * one.seconds())
