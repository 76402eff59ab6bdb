import signal

import pytest

from imputevae_cli.cli.causes import describe
from imputevae_cli.errors import InputError, Preempted
from imputevae_cli.runtime.stopping import Stopped


def test_a_signal_is_told_though_it_came_while_a_class_was_made():
    """Python wraps what is raised in `__set_name__`."""

    class Interrupted:
        def __set_name__(self, owner, name):
            raise Stopped(signal.SIGTERM)

    with pytest.raises((Stopped, RuntimeError)) as error:
        type("Made", (), {"field": Interrupted()})
    assert describe(error.value) == ("terminated; nothing was written", 143)


def test_what_a_stopped_run_kept_is_told():
    with pytest.raises(Preempted) as error:
        raise Preempted("kept") from Stopped(signal.SIGTERM)
    assert describe(error.value) == ("kept", 75)


def test_expected_errors_and_bugs():
    assert describe(InputError("x.vcf: no")) == ("x.vcf: no", 3)
    assert describe(ZeroDivisionError("why")) == (
        "a bug: ZeroDivisionError: why; run again with --debug and report it", 1
    )  # fmt: skip
