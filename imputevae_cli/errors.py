"""Errors that a user can fix. Each carries the exit code that the command line ends with."""


class ImputeVAEError(Exception):
    """Base of every expected error; its message is one line: what, where, and how to fix it."""

    exit_code = 1


class ConfigError(ImputeVAEError):
    """A setting or an option that is unknown, out of range, or contradicts another."""

    exit_code = 2


class OutputError(ImputeVAEError):
    """An output that cannot be written, or that would overwrite what is there."""

    exit_code = 2


class InputError(ImputeVAEError):
    """A genotype file or popmap that cannot be used as it is."""

    exit_code = 3


class CheckpointError(ImputeVAEError):
    """A checkpoint that is damaged, of another version, or of other loci."""

    exit_code = 4


class Preempted(ImputeVAEError):
    """A run that a signal stopped, and that can be taken up where it was."""

    exit_code = 75


class TrainingError(ImputeVAEError):
    """Training that cannot go on, such as a loss that is not finite."""

    exit_code = 5


class LostToBaselineError(ImputeVAEError):
    """An evaluation in which the model does worse than a baseline, where that is not to pass."""

    exit_code = 6


class PeerLost(TrainingError):
    """Another of the processes that share a fit has ended before it was done."""
