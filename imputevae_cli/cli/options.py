"""Options, each declared once; a command takes the shared ones as one `Common`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from imputevae_cli.errors import ConfigError

Input = Annotated[
    str | None, typer.Argument(metavar="INPUT", help="VCF, VCF.gz or BCF; - reads standard input.", show_default=False)
]
Popmap = Annotated[
    Path | None, typer.Option("--popmap", metavar="FILE", help="Two columns: sample, population.", show_default=False)
]
MapFile = Annotated[
    Path | None,
    typer.Option("--map", metavar="FILE", help="PLINK genetic map; without one, base pairs.", show_default=False),
]
LatentFile = Annotated[
    Path | None,
    typer.Option("--latent", metavar="FILE.tsv", help="Write the latent of each sample here; train draws it too."),
]
Likelihoods = Annotated[
    str | None,
    typer.Option(
        "--likelihoods",
        metavar="FIELD",
        help="What stands behind the calls: auto, PL, GL, AD, CATG, GP (holds a prior) or none.",
    ),
]
Overlap = Annotated[
    int,
    typer.Option(
        "--overlap", metavar="LOCI", min=0, max=10**9, help="Loci on either side of --region that the fit sees too."
    ),
]
OVERLAP = 1000
"""Reaches as far as the haplotype decoder compares samples around a window."""


@dataclasses.dataclass(frozen=True)
class Common:
    """Options of every subcommand. None means: not given."""

    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML.")] = None
    preset: Annotated[str | None, typer.Option("--preset", help="fast, balanced or thorough.")] = None
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; repeatable.")] = (
        None
    )
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the settings as YAML and stop.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, check, estimate memory and time, and stop.")] = False
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same result.")] = None
    threads: Annotated[int | None, typer.Option("--threads", help="0: all that the job was given.")] = None
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.")] = None
    samples: Annotated[str | None, typer.Option("--samples", metavar="A,B,...", help="Keep these samples.")] = None
    samples_file: Annotated[
        Path | None, typer.Option("--samples-file", metavar="FILE", help="Keep these samples, one a line.")
    ] = None
    include_pops: Annotated[
        str | None, typer.Option("--include-pops", metavar="A,B,...", help="Keep samples of these populations.")
    ] = None
    region: Annotated[str | None, typer.Option("--region", metavar="CHR:A-B", help="Keep this region.")] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a stopped run, kept in OUT.ckpt; without one, start.")
    ] = False
    checkpoint_every: Annotated[
        float,
        typer.Option("--checkpoint-every", min=0.0, metavar="MINUTES", help="Save what is done; 0: when stopped only."),
    ] = 15.0
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only warnings and errors.")] = False
    log_file: Annotated[Path | None, typer.Option("--log-file", metavar="FILE", help="Write the log here too.")] = None
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on error.")] = False


def with_common(function: Callable) -> Callable:
    """Give a command whose first parameter is `common: Common` the options of Common, flattened."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    hints = inspect.get_annotations(Common, eval_str=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(Common)
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

    @functools.wraps(function)
    def command(**given):
        for name, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"--{name.replace('_', '-')} {value}: is not a finite number")
        common = Common(**{field.name: given.pop(field.name) for field in dataclasses.fields(Common)})
        return function(common, **given)

    command.__signature__ = inspect.Signature([*own, *shared])
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
    del command.__wrapped__  # typer would look through it, at the signature that is not flattened
    return command
