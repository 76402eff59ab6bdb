"""`imputevae train`: fit a model on a file, save a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from imputevae_cli.cli.options import Common, Input, Popmap, with_common


@with_common
def train(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="MODEL.ivae", help="The checkpoint.", show_default=False)
    ] = None,
    popmap: Popmap = None,
) -> None:
    """Fit a model on INPUT and save it as a checkpoint, for `impute --model`."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_fit

    clock = Stopwatch()
    session = this.start(common)
    from imputevae_cli.io.outputs import check_output

    path = this.output_path(output, session, ".ivae")
    check_output(path, inputs=[p for p in (input, popmap) if p is not None], force=common.force)
    genotypes = this.read(input, popmap, session)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE

    if common.dry_run:
        show_estimate(ImputeVAE(session.config), genotypes)
        return
    model = ImputeVAE(session.config).fit(genotypes, session.progress)
    model.save(path, session.command)
    show_fit(model, genotypes, path, clock, common.quiet)
