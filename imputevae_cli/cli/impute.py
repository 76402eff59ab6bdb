"""`imputevae impute`: fill the missing calls of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imputevae_cli.cli.help import FILES, FILLING
from imputevae_cli.cli.options import (
    OVERLAP,
    Common,
    Input,
    LatentFile,
    Likelihoods,
    MapFile,
    Overlap,
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
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help=".vcf .vcf.gz .bcf .phy, or -.",
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
        typer.Option("--output-type", metavar="v|z|b|p", help="VCF, VCF.gz, BCF, PHYLIP.", rich_help_panel=FILES),
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
    latent: LatentFile = None,
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
    from imputevae_cli.cli.signals import resumable, run_folder_of
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_imputation, writing_seconds
    from imputevae_cli.io.paths import Files, with_indexes

    def files(config: Config) -> Files:
        out = this.output_path(output, config, ".vcf.gz")
        drawn: dict[str, Any] = {}
        for number in range(1, draws + 1):
            drawn |= with_indexes(f"draw {number}", drawn_path(out, number), output_type)
        return Files(
            {"INPUT": input, "--popmap": popmap, "--model": model, "--map": map_},
            {**with_indexes("-o", out, output_type), **drawn, "--latent": latent},
            {"the folder of a stopped run": run_folder_of(out)},
        )

    clock = Stopwatch()
    session = this.start(common, files, {"io.likelihoods": likelihoods, "founders.parents": names_of(parents)})
    from imputevae_cli.io.outputs import output_type_of
    from imputevae_cli.io.phylip import check_name_style
    from imputevae_cli.io.phylip import phylip_names as check_names
    from imputevae_cli.io.vcf_writer import WriteSummary

    path = this.output_path(output, session.config, ".vcf.gz")
    kind = output_type_of(path, output_type)
    check_name_style(phylip_names)
    if draws and (kind == "p" or str(path) == "-"):
        raise ConfigError("--draws writes VCF or BCF files beside OUT; give -o with such an ending")
    if target_accuracy is not None and min_gp:
        raise ConfigError("give --min-gp or --target-accuracy, not both")
    force = _check_outputs(path, kind, session)
    if force is None:
        return
    fitted = _load(model, session) if model else None
    # A model reads all of the file, so that samples are known, or encoded, by all of their calls whatever the region
    genotypes = this.read(input, popmap, session, map_, context=None if model else overlap)
    if kind == "p":
        check_names(genotypes.samples, phylip_names)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE

    if common.dry_run:
        show_estimate(fitted or ImputeVAE(session.config), genotypes, clock)
        return
    ends = [("writing", writing_seconds(genotypes))]
    with session.progress.whole(ends), resumable(path, common, genotypes, (fitted or session).config, model) as stages:
        fitted = fitted or ImputeVAE(session.config).fit(genotypes, session.progress, stages=stages)
        if target_accuracy is not None:
            min_gp = _threshold(fitted, target_accuracy)
        imputed = fitted.transform(
            genotypes, min_gp=min_gp, phased=phased, refine=refine, progress=session.progress, stages=stages
        )
        written = WriteSummary()
        if kind == "p":
            imputed.write_phylip(path, names=phylip_names, force=force)
            written.refined = imputed.n_refined
        else:
            settings: dict[str, Any] = {
                "command": session.command,
                "threads": session.threads,
                "progress": session.progress,
            }
            written = imputed.write_vcf(path, kind, force=force, **settings)
            for number in range(1, draws + 1):
                imputed.draw(number).write_vcf(drawn_path(path, number), kind, force=force, **settings)
        this.write_latent(latent, fitted, genotypes)
    show_imputation(fitted, imputed, path, clock, common.quiet, written)


def drawn_path(path: str | Path, number: int) -> str:
    """Where draw `number` goes: OUT.draw1.vcf.gz beside OUT.vcf.gz."""
    text = str(path)
    ending = next((e for e in (".vcf.gz", ".vcf", ".bcf") if text.lower().endswith(e)), "")
    stem = text[: len(text) - len(ending)] if ending else text
    return f"{stem}.draw{number}{text[len(stem) :]}"


def _check_outputs(path: str, kind: str, session: Session) -> bool | None:
    """See `check_outputs`; the index that a run which was killed did not come to make is made."""
    from imputevae_cli.cli.finished import check_outputs, command_of_phylip, command_of_vcf
    from imputevae_cli.io.vcf_index import index_again

    force = check_outputs(path, session, command_of_phylip if kind == "p" else command_of_vcf)
    if force is None:
        index_again(path, kind)
    return force


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
