"""Options, each declared once; a command takes the shared ones as one `Common`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from imputevae_cli.cli.help import FILES, FILLING, MESSAGES, PANEL, RUNNING, SETTINGS, SUBSET
from imputevae_cli.errors import ConfigError

Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT", help="VCF, VCF.gz, BCF, PLINK .bed or Zarr VCF; - reads standard input.", show_default=False
    ),
]
Popmap = Annotated[
    Path | None,
    typer.Option(
        "--popmap", metavar="FILE", help="Two columns: sample, population.", show_default=False, rich_help_panel=FILES
    ),
]
MapFile = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE",
        help="PLINK genetic map; without one, base pairs.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
LatentFile = Annotated[
    Path | None,
    typer.Option(
        "--latent",
        metavar="FILE.tsv",
        help="Write the latent of each sample here; train draws it too.",
        rich_help_panel=FILES,
    ),
]
Likelihoods = Annotated[
    str | None,
    typer.Option(
        "--likelihoods",
        metavar="FIELD",
        help="What stands behind the calls: auto, PL, GL, AD, CATG, GP (holds a prior) or none.",
        rich_help_panel=FILES,
    ),
]
CallRule = Annotated[
    str,
    typer.Option(
        "--call",
        metavar="map|dosage",
        help="GT is the likeliest genotype, or DS rounded, which calls more rare genotypes.",
        rich_help_panel=FILLING,
    ),
]
Parents = Annotated[
    str | None,
    typer.Option(
        "--parents",
        metavar="A,B,...",
        help="Samples or populations that founder haplotypes begin like; for uncertain calls of a cross.",
        show_default=False,
        rich_help_panel=SETTINGS,
    ),
]
Overlap = Annotated[
    int,
    typer.Option(
        "--overlap",
        metavar="LOCI",
        min=0,
        max=10**9,
        help="Loci on either side of --region that the fit uses too.",
        rich_help_panel=SUBSET,
    ),
]
PanelFile = Annotated[
    Path | None,
    typer.Option(
        "--panel",
        metavar="FILE",
        help="Samples known at more loci (VCF, VCF.gz or BCF, phased or not, or a packed panel), which fill INPUT's.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
AddLoci = Annotated[
    bool,
    typer.Option(
        "--add-loci",
        help="--model is a packed panel (`train --as-panel`): fill the loci too that INPUT does not have.",
        rich_help_panel=PANEL,
    ),
]
OVERLAP = 1000
"""Reaches as far as haplotype copying compares samples around a window."""


@dataclasses.dataclass(frozen=True)
class Common:
    """Options of every subcommand. None means: not given."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings in YAML, as --print-config writes them.",
            rich_help_panel=SETTINGS,
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", metavar="NAME", help="fast, balanced (the default) or thorough.", rich_help_panel=SETTINGS
        ),
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting, such as vae.kl_beta=2; repeatable. All keys: --print-config, docs/reference/settings.",
            rich_help_panel=SETTINGS,
        ),
    ] = None
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings as YAML and stop.", rich_help_panel=SETTINGS)
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read, check, estimate memory and time, and stop.", rich_help_panel=RUNNING),
    ] = False
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Same seed, same result.  [default: 1]", rich_help_panel=SETTINGS),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", metavar="N", help="0 (the default): all that the job was given.", rich_help_panel=RUNNING
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="auto, cpu (the default), cuda or mps.", rich_help_panel=RUNNING),
    ] = None
    samples: Annotated[
        str | None, typer.Option("--samples", metavar="A,B,...", help="Keep these samples.", rich_help_panel=SUBSET)
    ] = None
    samples_file: Annotated[
        Path | None,
        typer.Option(
            "--samples-file", metavar="FILE", help="Keep these samples, one per line.", rich_help_panel=SUBSET
        ),
    ] = None
    include_pops: Annotated[
        str | None,
        typer.Option(
            "--include-pops", metavar="A,B,...", help="Keep samples of these populations.", rich_help_panel=SUBSET
        ),
    ] = None
    region: Annotated[
        str | None, typer.Option("--region", metavar="CHR:A-B", help="Keep this region.", rich_help_panel=SUBSET)
    ] = None
    regions_file: Annotated[
        Path | None,
        typer.Option(
            "--regions-file",
            metavar="FILE",
            help="Keep these regions: .bed, or CHR:A-B one per line.",
            rich_help_panel=SUBSET,
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.", rich_help_panel=RUNNING)] = False
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume a stopped run, kept in OUT.ckpt; without one, start from the beginning.",
            rich_help_panel=RUNNING,
        ),
    ] = False
    checkpoint_every: Annotated[
        float,
        typer.Option(
            "--checkpoint-every",
            min=0.0,
            metavar="MINUTES",
            help="How often to save what is done; 0: only when stopped.",
            rich_help_panel=RUNNING,
        ),
    ] = 15.0
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Say more, such as how much each decoder adds.", rich_help_panel=MESSAGES),
    ] = False
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Only warnings and errors.", rich_help_panel=MESSAGES)
    ] = False
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", metavar="FILE", help="Write the log here too.", rich_help_panel=MESSAGES),
    ] = None
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on error.", rich_help_panel=MESSAGES)] = False


def with_common(function: Callable[..., Any]) -> Callable[..., Any]:
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
    def command(**given: Any) -> Any:
        for name, value in given.items():
            _check_value(name, value)
        common = Common(**{field.name: given.pop(field.name) for field in dataclasses.fields(Common)})
        return function(common, **given)

    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]  # any function takes one
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
    del command.__wrapped__  # typer would look through it, at the signature that is not flattened
    return command


def _check_value(name: str, value: Any) -> None:
    """Raise ConfigError for a number that is not finite, and for a text without a letter.

    A shell's variable that is not set leaves an empty text: `--samples "$KEEP"` would keep all samples.
    """
    option = "INPUT" if name == "input" else f"--{name.strip('_').replace('_', '-')}"
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{option} {value}: is not a finite number")
    if any(isinstance(text, str) and not text.strip() for text in (value if isinstance(value, list) else [value])):
        raise ConfigError(f"{option} is empty; give it a value, or leave it out")


def names_of(listed: str | None) -> list[str] | None:
    """The names of an option such as `A,B,...`, or None where it is not given."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
