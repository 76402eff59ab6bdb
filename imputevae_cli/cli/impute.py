"""`imputevae impute`: fill the missing calls of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imputevae_cli.cli.options import Common, Input, Popmap, with_common

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.imputer import ImputeVAE


@with_common
def impute(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT", help=".vcf .vcf.gz .bcf .phy, or -.", show_default=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="MODEL.ivae", help="A checkpoint; without one, fits in place."),
    ] = None,
    popmap: Popmap = None,
    output_type: Annotated[
        str | None, typer.Option("--output-type", metavar="v|z|b|p", help="VCF, VCF.gz, BCF, PHYLIP.")
    ] = None,
    min_gp: Annotated[
        float, typer.Option("--min-gp", min=0.0, max=1.0, help="Fill no call whose best GP is under this.")
    ] = 0.0,
    phylip_names: Annotated[
        str, typer.Option("--phylip-names", metavar="relaxed|strict", help="strict cuts names to 10 characters.")
    ] = "relaxed",
) -> None:
    """Fill the missing calls of INPUT; every known call stays as it is."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_estimate, show_imputation

    clock = Stopwatch()
    session = this.start(common)
    from imputevae_cli.io.outputs import check_output, output_type_of
    from imputevae_cli.io.phylip import check_name_style

    path = this.output_path(output, session, ".vcf.gz")
    kind = output_type_of(path, output_type)
    check_name_style(phylip_names)
    check_output(path, inputs=[p for p in (input, popmap, model) if p is not None], force=common.force)
    fitted = _load(model, session) if model else None
    genotypes = this.read(input, popmap, session)
    if kind == "p":
        from imputevae_cli.io.phylip import phylip_names as check_names

        check_names(genotypes.samples, phylip_names)
    this.limit_threads(session)
    from imputevae_cli.imputer import ImputeVAE

    if common.dry_run:
        show_estimate(fitted or ImputeVAE(session.config), genotypes)
        return
    fitted = fitted or ImputeVAE(session.config).fit(genotypes, session.progress)
    imputed = fitted.transform(genotypes, min_gp=min_gp, progress=session.progress)
    if kind == "p":
        imputed.write_phylip(path, names=phylip_names, force=common.force)
    else:
        imputed.write_vcf(
            path,
            kind,
            force=common.force,
            command=session.command,
            threads=session.threads,
            progress=session.progress,
        )
    show_imputation(fitted, imputed, path, clock, common.quiet)


def _load(path: Path, session: Session) -> ImputeVAE:
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.log import logger

    common = session.common
    if common.preset or common.config or common.set_:
        logger.warning("with --model the settings are the checkpoint's: --preset, --config and --set have no effect")
    return ImputeVAE.load(path, common.device)
