"""`imputevae train`: fit a model on a file, save a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imputevae_cli.cli.help import FILES, PANEL
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
    parents: Parents = None,
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
    as_panel: Annotated[
        bool,
        typer.Option(
            "--as-panel",
            help="Pack INPUT as a reference panel, for `impute --add-loci`; its phase is kept, or found.",
            rich_help_panel=PANEL,
        ),
    ] = False,
) -> None:
    """Fit a model on INPUT and save it as a checkpoint, for `impute --model`."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.finished import check_outputs, command_of_checkpoint
    from imputevae_cli.cli.processes import joined, shared
    from imputevae_cli.cli.signals import run_folder_of
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_fit
    from imputevae_cli.io.paths import Files

    if as_panel:
        from imputevae_cli.cli.panels import train_panel

        of_a_fit = {"--no-panel": no_panel, "--latent": latent, "--map": map_, "--likelihoods": likelihoods}
        if given := [name for name, value in {**of_a_fit, "--parents": parents}.items() if value]:
            raise ConfigError(f"--as-panel packs haplotypes and fits nothing; leave {given[0]} out")
        train_panel(common, input, output, popmap)
        return

    def files(config: Config) -> Files:
        out = this.checkpoint_path(output, config)
        picture = None if latent is None else this.picture_of(latent, config)
        return Files(
            {"INPUT": input, "--popmap": popmap, "--map": map_},
            {"-o": out, "--latent": latent, "the picture of --latent": picture},
            {"the folder of a stopped run": run_folder_of(out)},
        )

    clock = Stopwatch()
    session = this.start(
        common, files, {"io.likelihoods": likelihoods, "founders.parents": names_of(parents)}, shares=True
    )
    path = this.checkpoint_path(output, session.config)
    with joined(session.config, input) as ranks:
        # The first process alone writes
        left = check_outputs(path, session, command_of_checkpoint) is not None if ranks.leads else True
        if not ranks.told(left):
            return
        genotypes = this.read(input, popmap, session, map_, context=overlap)
        this.limit_threads(session)
        from imputevae_cli.imputer import ImputeVAE

        if common.dry_run:
            if ranks.leads:
                show_estimate(ImputeVAE(session.config), genotypes, clock)
            return
        config = _without_panel(session.config) if no_panel else session.config
        with shared(ranks, path, common, genotypes, config) as stages:
            model = ImputeVAE(config).fit(genotypes, progress=session.progress, stages=stages)
            if ranks.leads:
                model.save(path, session.command, panel=not no_panel)
                this.write_latent(latent, model, genotypes, picture=True)
        if ranks.leads:
            show_fit(model, genotypes, path, clock, common.quiet)


def _without_panel(config: Config) -> Config:
    """Settings for a checkpoint that holds no one's calls, with a word on what that costs."""
    from imputevae_cli.log import logger

    if config.model.decoder == "auto":
        logger.warning(
            "--no-panel: only the VAE is fitted, without nearest neighbours, haplotypes and the samples' populations"
        )
        return config.replace({"model.decoder": "vae"})
    return config
