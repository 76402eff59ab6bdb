"""`imputevae train`: fit a model on a file, save a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imputevae_cli.cli.help import FILES
from imputevae_cli.cli.options import (
    OVERLAP,
    Common,
    Input,
    LatentFile,
    Likelihoods,
    MapFile,
    Overlap,
    Popmap,
    with_common,
)

if TYPE_CHECKING:
    from imputevae_cli.config import Config


@with_common
def train(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="MODEL.ivae", help="The checkpoint.", show_default=False, rich_help_panel=FILES
        ),
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    likelihoods: Likelihoods = None,
    overlap: Overlap = OVERLAP,
    latent: LatentFile = None,
    no_panel: Annotated[
        bool,
        typer.Option(
            "--no-panel",
            help="Keep the samples' calls out of the checkpoint: only the VAE is fitted.",
            rich_help_panel=FILES,
        ),
    ] = False,
) -> None:
    """Fit a model on INPUT and save it as a checkpoint, for `impute --model`."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.processes import joined, shared
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_fit

    clock = Stopwatch()
    session = this.start(common, {"io.likelihoods": likelihoods}, shares=True)
    path = this.output_path(output, session, ".ivae")
    with joined(session.config, input) as ranks:
        if ranks.leads:  # it alone writes
            _check_outputs(path, latent, [p for p in (input, popmap, map_) if p is not None], common)
        genotypes = this.read(input, popmap, session, map_, context=overlap)
        this.limit_threads(session)
        from imputevae_cli.imputer import ImputeVAE

        if common.dry_run:
            if ranks.leads:
                show_estimate(ImputeVAE(session.config), genotypes, clock)
            return
        config = _without_panel(session.config) if no_panel else session.config
        with shared(ranks, path, common, genotypes, config) as stages:
            model = ImputeVAE(config).fit(genotypes, session.progress, stages=stages)
            if ranks.leads:
                model.save(path, session.command, panel=not no_panel)
                this.write_latent(latent, model, genotypes, picture=True)
        if ranks.leads:
            show_fit(model, genotypes, path, clock, common.quiet)


def _check_outputs(path: str, latent: Path | None, inputs: list[str | Path], common: Common) -> None:
    from imputevae_cli.cli.signals import check_run_folder
    from imputevae_cli.io.outputs import check_output

    force = check_run_folder(path, common) or common.force
    check_output(path, inputs=inputs, force=force)
    if latent is not None:
        check_output(latent, inputs=inputs, force=force)


def _without_panel(config: Config) -> Config:
    """Settings for a checkpoint that holds no one's calls, with a word on what that costs."""
    from imputevae_cli.log import logger

    if config.model.decoder == "auto":
        logger.warning(
            "--no-panel: only the VAE is fitted, without nearest neighbours, haplotypes and the samples' populations"
        )
        return config.replace({"model.decoder": "vae"})
    return config
