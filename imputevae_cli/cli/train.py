"""`imputevae train`: fit a model on a file, save a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from imputevae_cli.cli.options import Common, Input, LatentFile, MapFile, Popmap, with_common


@with_common
def train(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="MODEL.ivae", help="The checkpoint.", show_default=False)
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    latent: LatentFile = None,
) -> None:
    """Fit a model on INPUT and save it as a checkpoint, for `impute --model`."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_fit

    clock = Stopwatch()
    session = this.start(common)
    from imputevae_cli.io.outputs import check_output

    path = this.output_path(output, session, ".ivae")
    inputs = [p for p in (input, popmap, map_) if p is not None]
    check_output(path, inputs=inputs, force=common.force)
    if latent is not None:
        check_output(latent, inputs=inputs, force=common.force)
    genotypes = this.read(input, popmap, session, map_)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE

    if common.dry_run:
        show_estimate(ImputeVAE(session.config), genotypes)
        return
    model = ImputeVAE(session.config).fit(genotypes, session.progress)
    model.save(path, session.command)
    this.write_latent(latent, model, genotypes, picture=True)
    show_fit(model, genotypes, path, clock, common.quiet)
