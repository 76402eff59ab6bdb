"""The command `imputevae`: subcommands, and one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer

from imputevae_cli.cli import signals
from imputevae_cli.cli.causes import describe
from imputevae_cli.cli.evaluate import evaluate
from imputevae_cli.cli.help import EXAMPLES, SUMMARIES, SectionedCommand
from imputevae_cli.cli.hints import beagle_argument
from imputevae_cli.cli.impute import impute
from imputevae_cli.cli.train import train
from imputevae_cli.cli.tune import tune
from imputevae_cli.errors import ConfigError
from imputevae_cli.log import shown
from imputevae_cli.passwords import hide_passwords
from imputevae_cli.runtime.stopping import Stopped

app = typer.Typer(
    name="imputevae",
    help="Fill in missing SNP genotypes. `imputevae COMMAND --help` shows a command's options and an example.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a bug, 2 usage, settings or output, 3 input, 4 checkpoint, 5 training failed, "
    "6 the model lost to a baseline and --strict was given, 75 stopped with a checkpoint saved (run again with "
    "--resume), 128 and the number of the signal (130 for Ctrl-C, 143 for SIGTERM) interrupted with nothing saved.",
)
for command in (impute, train, evaluate, tune):
    name = command.__name__
    app.command(cls=SectionedCommand, no_args_is_help=True, short_help=SUMMARIES[name], epilog=EXAMPLES[name])(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from imputevae_cli import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Entry point: run a subcommand and end with its exit code."""
    signals.listen()
    debug = "--debug" in sys.argv
    try:
        _check_arguments()
        sys.exit(app(standalone_mode=False) or 0)
    except BrokenPipeError:  # whoever read what is printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (Stopped, Exception) as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # of typer, which has a copy of click's or click itself
            usage: Any = error
            usage.show()
            sys.exit(usage.exit_code)
        _fail(*describe(error), debug)


def _check_arguments() -> None:
    """Raise ConfigError for an argument that is no text, which could not be written into what records the command, and
    for one that is written as Beagle takes them."""
    for word in sys.argv[1:]:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise ConfigError(f"{shown}: is not UTF-8; rename the file, or give the name in UTF-8") from None
    foreign = beagle_argument(sys.argv[1:])
    if foreign is not None and not os.path.exists(foreign):
        raise ConfigError(
            f"{foreign}: is an argument of Beagle; write imputevae impute cohort.vcf.gz -o imputed.vcf.gz"
        )


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        print(hide_passwords(traceback.format_exc()), end="", file=sys.stderr)
    print(f"imputevae: error: {shown(message)}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    run()
