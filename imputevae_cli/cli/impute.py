"""`imputevae impute`: fill the missing calls of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imputevae_cli.cli.help import FILES, FILLING, PANEL
from imputevae_cli.cli.options import (
    OVERLAP,
    AddLoci,
    CallRule,
    Common,
    Input,
    LatentFile,
    Likelihoods,
    MapFile,
    Overlap,
    PanelFile,
    Parents,
    Popmap,
    names_of,
    with_common,
)
from imputevae_cli.errors import ConfigError

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.config import Config
    from imputevae_cli.imputer import ImputeVAE


@with_common
def impute(
    common: Common,
    input: Input = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help=".vcf .vcf.gz .bcf .bed .str .gen .phy .012 .tsv .vcz, or -; repeatable.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="MODEL.ivae", help="A checkpoint; without one, fits in place.", rich_help_panel=FILES
        ),
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    likelihoods: Likelihoods = None,
    parents: Parents = None,
    overlap: Overlap = OVERLAP,
    output_type: Annotated[
        str | None,
        typer.Option(
            "--output-type",
            metavar="KIND",
            help="Where the ending of OUT does not tell: v (VCF), z (VCF.gz), b (BCF), p (PHYLIP), bed, structure, "
            "genepop, 012, tsv or zarr.",
            rich_help_panel=FILES,
        ),
    ] = None,
    min_gp: Annotated[
        float,
        typer.Option(
            "--min-gp",
            metavar="GP",
            min=0.0,
            max=1.0,
            help="Leave a call missing whose best GP is under this.",
            rich_help_panel=FILLING,
        ),
    ] = 0.0,
    target_accuracy: Annotated[
        float | None,
        typer.Option(
            "--target-accuracy",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Choose --min-gp for this share of right calls.",
            rich_help_panel=FILLING,
        ),
    ] = None,
    call: CallRule = "map",
    phased: Annotated[
        bool, typer.Option("--phased", help="Write GT with |, phased by haplotype copying.", rich_help_panel=FILLING)
    ] = False,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="Rewrite visible calls whose posterior says otherwise; OGT keeps the old one.",
            rich_help_panel=FILLING,
        ),
    ] = False,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            metavar="N",
            min=0,
            max=1000,
            help="Write N more files, OUT.draw1... , with genotypes drawn from the posterior.",
            rich_help_panel=FILLING,
        ),
    ] = 0,
    panel: PanelFile = None,
    add_loci: AddLoci = False,
    only_panel_loci: Annotated[
        bool,
        typer.Option(
            "--only-panel-loci", help="Leave out loci of INPUT that the panel does not have.", rich_help_panel=PANEL
        ),
    ] = False,
    latent: LatentFile = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="Write a page on the run: accuracy, missingness, confidence, shifts; auto: beside OUT.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    phylip_names: Annotated[
        str,
        typer.Option(
            "--phylip-names",
            metavar="relaxed|strict",
            help="strict cuts names to 10 characters.",
            rich_help_panel=FILES,
        ),
    ] = "relaxed",
) -> None:
    """Fill the missing calls of INPUT; every known call stays as it is, unless --refine is given."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.outputs import Outputs
    from imputevae_cli.cli.signals import resumable, run_folder_of
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_imputation, writing_seconds
    from imputevae_cli.io.paths import Files

    def outputs_of(config: Config) -> Outputs:
        paths = output or [this.output_path(None, config, ".vcf.gz")]
        return Outputs.of(paths, output_type, draws, phylip_names, report)

    if panel is not None or add_loci or only_panel_loci:
        from imputevae_cli.cli.panels import PanelRun, impute_from_panel
        from imputevae_cli.panels.filled_loci import Calling

        idle: dict[str, object] = {"--parents": parents, "--latent": latent, "--target-accuracy": target_accuracy}
        run = PanelRun(input, panel, model, popmap, map_, likelihoods, idle, only_panel_loci)
        impute_from_panel(common, run, outputs_of, Calling(min_gp, phased, refine, call))
        return

    def files(config: Config) -> Files:
        out = outputs_of(config)
        return Files(
            {"INPUT": input, "--popmap": popmap, "--model": model, "--map": map_},
            {**out.writes, "--latent": latent},
            {**out.folders, "the folder of a stopped run": run_folder_of(out.first)},
        )

    clock = Stopwatch()
    session = this.start(common, files, {"io.likelihoods": likelihoods, "founders.parents": names_of(parents)})
    from imputevae_cli.imputed import check_call

    check_call(call)
    outputs = outputs_of(session.config)
    if target_accuracy is not None and min_gp:
        raise ConfigError("give --min-gp or --target-accuracy, not both")
    force = outputs.check_places(session)
    if force is None:
        return
    fitted = _load(model, session) if model else None
    # A model reads all of the file, so that samples are known, or encoded, by all of their calls whatever the region
    context = None if model else overlap
    genotypes = this.read(input, popmap, session, map_, context=context, to_fit=model is None)
    outputs.check_content(genotypes)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE, check_phasing

    if phased:
        check_phasing(genotypes.ploidy)

    if common.dry_run:
        show_estimate(fitted or ImputeVAE(session.config), genotypes, clock)
        return
    ends = [("writing", writing_seconds(genotypes))]
    with (
        session.progress.whole(ends),
        resumable(outputs.first, common, genotypes, (fitted or session).config, model) as stages,
    ):
        fitted = fitted or ImputeVAE(session.config).fit(genotypes, progress=session.progress, stages=stages)
        if target_accuracy is not None:
            min_gp = _threshold(fitted, target_accuracy)
        how: dict[str, Any] = {"min_gp": min_gp, "phased": phased, "refine": refine, "call": call}
        imputed = fitted.transform(genotypes, **how, progress=session.progress, stages=stages)
        written = outputs.write(fitted, imputed, session, force)
        this.write_latent(latent, fitted, genotypes)
    show_imputation(fitted, imputed, ", ".join(outputs.paths), clock, common.quiet, written)


def _threshold(fitted: ImputeVAE, accuracy: float) -> float:
    """The --min-gp that should give this accuracy, said in the log."""
    from imputevae_cli.log import logger

    point = fitted.min_gp_for(accuracy)
    logger.info(
        "--min-gp %.2f should give an accuracy of %.4f and keep %.1f %% of the calls",
        point.min_gp,
        point.accuracy,
        100 * point.kept,
    )
    return point.min_gp


def _load(path: Path, session: Session) -> ImputeVAE:
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.log import logger

    common = session.common
    if common.preset or common.config or common.set_:
        logger.warning("with --model the settings are the checkpoint's: --preset, --config and --set have no effect")
    return ImputeVAE.load(path, common.device)
