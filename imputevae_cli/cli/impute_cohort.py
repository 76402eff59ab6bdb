"""`imputevae impute` without a panel: a file is filled by a model, which is fitted on it or read from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imputevae_cli.cli import session as this
from imputevae_cli.cli.options import Common, names_of
from imputevae_cli.errors import ConfigError
from imputevae_cli.log import logger

if TYPE_CHECKING:
    from imputevae_cli.cli.outputs import Outputs
    from imputevae_cli.cli.session import Session
    from imputevae_cli.config import Config
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.io.paths import Files


@dataclass(frozen=True)
class CohortRun:
    """The options of a run that fills by a model.

    model: a checkpoint, None to fit on INPUT. overlap: loci beside the regions that a fit reads too. min_gp, phased,
    refine, call: see `ImputeVAE.transform`. target_accuracy: to choose min_gp by, or None.
    """

    input: str | None
    model: Path | None
    popmap: Path | None
    map: Path | None
    likelihoods: str | None
    parents: str | None
    overlap: int
    latent: Path | None
    min_gp: float
    target_accuracy: float | None
    phased: bool
    refine: bool
    call: str

    def check(self) -> None:
        """Raise ConfigError for options that do not go together."""
        from imputevae_cli.imputed import check_call

        check_call(self.call)
        if self.target_accuracy is not None and self.min_gp:
            raise ConfigError("give --min-gp or --target-accuracy, not both")

    def files(self, outputs: Outputs) -> Files:
        """What the run reads and writes."""
        from imputevae_cli.cli.signals import run_folder_of
        from imputevae_cli.io.paths import Files

        return Files(
            {"INPUT": self.input, "--popmap": self.popmap, "--model": self.model, "--map": self.map},
            {**outputs.writes, "--latent": self.latent},
            {**outputs.folders, "the folder of a stopped run": run_folder_of(outputs.first)},
        )

    def how(self, fitted: ImputeVAE) -> dict[str, Any]:
        """How genotypes are called, for `ImputeVAE.transform`."""
        min_gp = self.min_gp if self.target_accuracy is None else _threshold(fitted, self.target_accuracy)
        return {"min_gp": min_gp, "phased": self.phased, "refine": self.refine, "call": self.call}


def impute_cohort(common: Common, run: CohortRun, outputs_of: Callable[[Config], Outputs]) -> None:
    """Fill INPUT's missing calls by a model."""
    from imputevae_cli.cli.signals import resumable
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_imputation, writing_seconds

    clock = Stopwatch()
    flags = {"io.likelihoods": run.likelihoods, "founders.parents": names_of(run.parents)}
    session = this.start(common, lambda config: run.files(outputs_of(config)), flags)
    run.check()
    outputs = outputs_of(session.config)
    force = outputs.check_places(session)
    if force is None:
        return
    fitted = _load(run.model, session) if run.model else None
    genotypes = _read(run, session)
    outputs.check_content(genotypes)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE, check_phasing

    if run.phased:
        check_phasing(genotypes.ploidy)
    if common.dry_run:
        show_estimate(fitted or ImputeVAE(session.config), genotypes, clock)
        return
    with (
        session.progress.whole([("writing", writing_seconds(genotypes))]),
        resumable(outputs.first, common, genotypes, (fitted or session).config, run.model) as stages,
    ):
        fitted = fitted or ImputeVAE(session.config).fit(genotypes, progress=session.progress, stages=stages)
        imputed = fitted.transform(genotypes, **run.how(fitted), progress=session.progress, stages=stages)
        written = outputs.write(fitted, imputed, session, force)
        this.write_latent(run.latent, fitted, genotypes)
    show_imputation(fitted, imputed, ", ".join(outputs.paths), clock, common.quiet, written)


def _read(run: CohortRun, session: Session) -> GenotypeMatrix:
    """INPUT's genotypes. With a model all of the file is read, so that samples are known, or encoded, by all of their
    calls whatever the region."""
    context = None if run.model else run.overlap
    return this.read(run.input, run.popmap, session, run.map, context=context, to_fit=run.model is None)


def _threshold(fitted: ImputeVAE, accuracy: float) -> float:
    """The --min-gp that should give this accuracy, said in the log."""
    point = fitted.min_gp_for(accuracy)
    logger.info(
        "--min-gp %.2f should give an accuracy of %.4f and keep %.1f %% of the calls",
        point.min_gp,
        point.accuracy,
        100 * point.kept,
    )
    return point.min_gp


def _load(path: Path, session: Session) -> ImputeVAE:
    """The model of a checkpoint, with a warning where settings are given beside it."""
    from imputevae_cli.imputer import ImputeVAE

    common = session.common
    if common.preset or common.config or common.set_:
        logger.warning("with --model the settings are the checkpoint's: --preset, --config and --set have no effect")
    return ImputeVAE.load(path, common.device)
