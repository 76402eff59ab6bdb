"""`python -m imputevae_cli` is the command `imputevae`."""

from imputevae_cli.cli.main import run

run()
