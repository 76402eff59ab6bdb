"""The command `imputevae`, also as `python -m imputevae_cli`."""

import signal
import sys

from imputevae_cli.cli.allocator import settle_allocator
from imputevae_cli.cli.streams import forgive_standard_error, open_closed_streams

QUICK = {"-h", "--help", "--version"}


def main() -> None:
    """Entry point: see `cli.main.run`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `run` listens: no traceback of an import that Ctrl-C ended
    open_closed_streams()
    if not QUICK.intersection(sys.argv):
        settle_allocator()
    forgive_standard_error()
    from imputevae_cli.cli.main import run

    run()


if __name__ == "__main__":
    main()
