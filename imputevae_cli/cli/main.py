"""The command `imputevae`: subcommands, and one place where errors become a line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imputevae_cli.cli import signals
from imputevae_cli.cli.evaluate import evaluate
from imputevae_cli.cli.help import EXAMPLES, SectionedCommand
from imputevae_cli.cli.impute import impute
from imputevae_cli.cli.train import train
from imputevae_cli.cli.tune import tune
from imputevae_cli.errors import ImputeVAEError, brief
from imputevae_cli.runtime.stopping import Stopped

EXIT_BUG = 1

app = typer.Typer(
    name="imputevae",
    help="Fill in missing SNP genotypes. `imputevae COMMAND --help` shows a command's options and an example.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a bug, 2 usage, settings or output, 3 input, 4 checkpoint, 5 training failed, "
    "6 the model lost to a baseline and --strict was given, 75 stopped with a checkpoint saved (run again with "
    "--resume), 130, 138 and 143 interrupted with nothing saved.",
)
for command in (impute, train, evaluate, tune):
    app.command(cls=SectionedCommand, no_args_is_help=True, epilog=EXAMPLES[command.__name__])(command)


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
        app()
    except ImputeVAEError as error:
        _fail(str(error), error.exit_code, debug)
    except Stopped as stopped:
        _fail(f"{signals.STOPPED_BY[stopped.number]}; nothing was written", 128 + stopped.number, debug)
    except MemoryError:
        _fail("out of memory; give fewer samples or loci at a time (--region)", EXIT_BUG, debug)
    except Exception as error:
        text = brief(str(error), 300)
        _fail(f"a bug: {type(error).__name__}: {text}; run again with --debug and report it", EXIT_BUG, debug)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"imputevae: error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    run()
