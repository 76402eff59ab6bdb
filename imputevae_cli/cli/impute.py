"""`imputevae impute`: fill the missing calls of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    with_common,
)

if TYPE_CHECKING:
    from imputevae_cli.config import Config


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
    from imputevae_cli.cli.outputs import Outputs
    from imputevae_cli.cli.session import output_path

    def outputs_of(config: Config) -> Outputs:
        paths = output or [output_path(None, config, ".vcf.gz")]
        return Outputs.of(paths, output_type, draws, phylip_names, report)

    if panel is not None or add_loci or only_panel_loci:
        from imputevae_cli.cli.panels import PanelRun, impute_from_panel
        from imputevae_cli.panels.filled_loci import Calling

        idle: dict[str, object] = {"--parents": parents, "--latent": latent, "--target-accuracy": target_accuracy}
        from_panel = PanelRun(input, panel, model, popmap, map_, likelihoods, idle, only_panel_loci)
        impute_from_panel(common, from_panel, outputs_of, Calling(min_gp, phased, refine, call))
        return
    from imputevae_cli.cli.impute_cohort import CohortRun, impute_cohort

    run = CohortRun(
        input=input,
        model=model,
        popmap=popmap,
        map=map_,
        likelihoods=likelihoods,
        parents=parents,
        overlap=overlap,
        latent=latent,
        min_gp=min_gp,
        target_accuracy=target_accuracy,
        phased=phased,
        refine=refine,
        call=call,
    )
    impute_cohort(common, run, outputs_of)
