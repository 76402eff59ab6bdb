"""The command `imputevae`, also as `python -m imputevae_cli`."""

import sys

from imputevae_cli.cli.allocator import without_caches

QUICK = {"-h", "--help", "--version"}


def main() -> None:
    """Entry point: see `cli.main.run`."""
    if not QUICK.intersection(sys.argv):
        without_caches()
    from imputevae_cli.cli.main import run

    run()


if __name__ == "__main__":
    main()
