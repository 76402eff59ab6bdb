"""What every subcommand does before and around its one API call: settings, log, threads, reading."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer

from imputevae_cli.cli.options import Common
from imputevae_cli.cli.processes import process_number, processes_here, refuse_many
from imputevae_cli.config import Config
from imputevae_cli.errors import ConfigError, InputError, why_unreadable
from imputevae_cli.io.outputs import STDOUT, standard_output
from imputevae_cli.io.paths import Files, check_files
from imputevae_cli.io.temporary import remove_leftovers, use_scratch_folder
from imputevae_cli.log import Progress, counted, logger, start_logging, start_silence
from imputevae_cli.passwords import hide_passwords

if TYPE_CHECKING:
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.data.region import ListedRegion, Region
    from imputevae_cli.imputer import ImputeVAE

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Session:
    """One run of one subcommand. command: the command line, as provenance."""

    common: Common
    config: Config
    progress: Progress
    threads: int
    command: str
    files: Files

    @property
    def inputs(self) -> list[str | Path]:
        """What the run reads."""
        return [path for path in self.files.reads.values() if path is not None]


def start(
    common: Common,
    files: Callable[[Config], Files],
    own_flags: Mapping[str, Any] | None = None,
    *,
    shares: bool = False,
) -> Session:
    """Settings from all their sources, a check of all paths, the log, the threads. Ends here with --print-config.

    files: what the subcommand reads and writes under its settings; the options that all share are added here.
    own_flags: what the subcommand's own options set, by dotted key; None stands for: not given. shares: whether several
    processes may share the subcommand; else ConfigError is raised where there are several.
    """
    if not shares:
        refuse_many()
    config = _settings(common, own_flags or {})
    leads = process_number() == 0
    if common.print_config:
        if leads:
            with standard_output() as out:
                out.write(config.to_yaml().encode())
        raise typer.Exit
    threads = config.io.n_jobs or allotted_threads()
    _announce_threads(threads)
    planned = _checked_files(common, files(config))
    if leads and not common.dry_run:
        _clear(planned)
    use_scratch_folder()
    progress = start_logging(config.io.verbose, common.quiet, common.log_file) if leads else start_silence()
    if config.train.device not in ("auto", "cpu"):  # before the reading, which may take long
        from imputevae_cli.runtime.device import choose_device

        choose_device(config.train.device)
    from imputevae_cli.compiled import load_without_linear_algebra

    load_without_linear_algebra()
    return Session(common, config, progress, threads, _provenance(sys.argv[1:]), planned)


def _settings(common: Common, own_flags: Mapping[str, Any]) -> Config:
    """Settings from all their sources."""
    flags = {
        "io.seed": common.seed,
        "io.n_jobs": common.threads,
        "io.verbose": common.verbose or None,
        "io.debug": common.debug or None,
        "train.device": common.device,
        **own_flags,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    return Config.from_sources(common.preset, common.config, given, common.set_ or ()).checked()


def _checked_files(common: Common, files: Files) -> Files:
    """A subcommand's files with those of the options that all share, checked together."""
    files.reads |= {
        "--config": common.config,
        "--samples-file": common.samples_file,
        "--regions-file": common.regions_file,
    }
    files.writes |= {"--log-file": common.log_file}
    check_files(files)
    return files


def _announce_threads(threads: int) -> None:
    """Set what torch, numpy and numba read when they are imported, which is later."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    # The matrices that numpy multiplies are small: more threads wait for one another longer than they work
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Threads that wait do not spin: on a node shared with others, spinning takes three times the CPU time
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _clear(files: Files) -> None:
    """Remove the temporary files that dead runs left of the same outputs."""
    for path in (*files.writes.values(), *files.folders.values()):
        if path is not None and str(path) != STDOUT:
            remove_leftovers(Path(os.path.realpath(path)))


def _provenance(arguments: list[str]) -> str:
    """The command line less how often it was stopped and saved, so that a resumed run names the same command.

    It is written into outputs, which others read: passwords are left out.
    """
    kept, words = ["imputevae"], iter(arguments)
    for word in words:
        if word == "--checkpoint-every":
            next(words, None)
        elif word != "--resume" and not word.startswith("--checkpoint-every="):
            kept.append(hide_passwords(word))
    return shlex.join(kept)


def allotted_threads() -> int:
    """Cores that the scheduler gave this job, or that this process and its container may run on.

    Where torchrun has started several processes on this machine, each takes its share of them.
    """
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit() and int(slurm) > 0:
        cores = int(slurm)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cores = min(cores, _container_share() or cores)
    return max(1, cores // processes_here())


def _container_share(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Processors that the control group grants, rounded up, at least 1; None where it sets no bound."""
    try:
        quota, period = limit.read_text().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups, another version of them, or "max"
        return None


def output_path(output: str | None, config: Config, ending: str) -> str:
    """OUT, or io.prefix and an ending. Raises ConfigError where neither is given."""
    if output is not None:
        return output
    if config.io.prefix is None:
        raise ConfigError("no output: give -o OUT, or set io.prefix")
    return config.io.prefix + ending


def checkpoint_path(output: str | None, config: Config) -> str:
    """Where `train` writes. Raises ConfigError as `output_path` does, and for what is no place for a checkpoint."""
    from imputevae_cli.io.formats.registry import is_of_genotypes

    path = output_path(output, config, ".ivae")
    if path == STDOUT:
        raise ConfigError("train writes a checkpoint, which is not for standard output; give -o a file name")
    if is_of_genotypes(path):
        raise ConfigError(
            f"-o {path}: train writes a checkpoint: name it .ivae, or run `imputevae impute` for genotypes"
        )
    return path


def read(
    source: str | None,
    popmap: Path | None,
    session: Session,
    genetic_map: Path | None = None,
    *,
    context: int | None = 0,
    to_fit: bool = True,
) -> GenotypeMatrix:
    """The genotypes that the options ask for, with genetic positions where there is a map.

    context: with regions, loci on either side of each to be read as well; None for all loci of the file. to_fit: see
    `read_vcf`.
    """
    from imputevae_cli.data.genetic_map import GeneticMap
    from imputevae_cli.io.vcf_reader import read_vcf

    if source is None:
        raise ConfigError("no INPUT: give a VCF, VCF.gz, BCF, PLINK .bed or Zarr VCF, or - for standard input")
    common = session.common
    distances = GeneticMap.read(genetic_map) if genetic_map else None
    regions = chosen_regions(common)
    genotypes = read_vcf(
        source,
        popmap,
        samples=chosen_samples(common),
        include_pops=common.include_pops.split(",") if common.include_pops else None,
        region=regions,
        context=context,
        likelihoods=session.config.io.likelihoods,
        progress=session.progress,
        to_fit=to_fit,
    )
    _say_what_was_read(genotypes)
    return genotypes if distances is None else genotypes.with_map(distances.centimorgans(genotypes.loci))


def _say_what_was_read(genotypes: GenotypeMatrix) -> None:
    """Log the records that are not modelled, the haploid samples and the evidence."""
    source, report = genotypes.source, genotypes.evidence_report
    assert source is not None  # they were read from a file
    for reason, count in source.passed_through.items():
        records = counted(count, "record passes", "records pass")
        logger.info("%s: %s through unchanged: %s", source.name, records, reason)
    if genotypes.haploid is not None:
        for line in genotypes.haploid.in_words(genotypes.loci.chrom):
            logger.info("%s: %s", source.name, line)
    _say_where_nothing_lies(genotypes)
    if report is not None and (report.field or genotypes.evidence is not None):
        for line in report.lines():
            logger.info("%s: %s", source.name, line)


def chosen_samples(common: Common) -> list[str] | None:
    """The samples that the options name; None for all."""
    if common.samples and common.samples_file:
        raise ConfigError("give --samples or --samples-file, not both")
    if common.samples:
        return common.samples.split(",")
    if common.samples_file is None:
        return None
    try:
        names = common.samples_file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = why_unreadable(error)
        raise InputError(f"{common.samples_file}: cannot be read ({why}); give one sample a line") from error
    return [name.strip() for name in names if name.strip()]


def _say_where_nothing_lies(genotypes: GenotypeMatrix) -> None:
    """A note on chromosomes that regions name and that have no locus there: names may differ between two files."""
    source = genotypes.source
    if source is None or source.regions is None:
        return
    named = {part.chrom for part in source.regions.parts}
    empty = sorted(named - set(genotypes.loci.chrom[~genotypes.is_context]))
    if empty:
        chroms = f"{len(empty):,} of {len(named):,} chromosomes (such as {empty[0]})"
        logger.info("%s: the regions hold no locus to model on %s", source.name, chroms)


def chosen_regions(common: Common) -> Sequence[str | Region | ListedRegion] | None:
    """The regions that the options name; None for the whole file."""
    from imputevae_cli.io.regions_file import read_regions

    if common.region and common.regions_file:
        raise ConfigError("give --region or --regions-file, not both")
    if common.regions_file is not None:
        return read_regions(common.regions_file)
    return [common.region] if common.region else None


def write_latent(path: Path | None, model: ImputeVAE, genotypes: GenotypeMatrix, *, picture: bool = False) -> None:
    """The latent of each sample as a table, where asked for, and with `picture` as a picture beside it."""
    if path is None:
        return
    from imputevae_cli.report.latent import draw_latent, write_latent_table

    latent = model.latent_of(genotypes)
    mu, sigma = latent.mu.numpy(), (0.5 * latent.logvar).exp().numpy()
    write_latent_table(path, genotypes, mu, sigma)
    if picture:
        draw_latent(picture_of(path, model.config), genotypes, mu, model.config.plot)


def picture_of(latent: Path, config: Config) -> Path:
    """Where the picture of a table of latents goes. Raises ConfigError for a table that cannot have one."""
    if not latent.name:
        raise ConfigError(f"--latent {latent}: is no file; name one, such as latent.tsv")
    return latent.with_suffix(f".{config.plot.fmt}")


def limit_threads(session: Session) -> None:
    """Hold torch to the threads of this session."""
    torch = _import_torch()
    torch.set_num_threads(session.threads)


def _import_torch() -> ModuleType:
    """torch, whose import makes objects that last as long as the process: that none is searched for garbage, then or
    later, takes a third off the time of all imports."""
    if "torch" in sys.modules:
        return sys.modules["torch"]
    gc.disable()
    try:
        import torch
    finally:
        gc.freeze()
        gc.enable()
    return torch
