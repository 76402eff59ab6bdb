"""The numbers that decide what the VAE does, by name.

None is a setting that a user should have to turn; a test, or a study of them, passes others. The decoder as a whole is
measured in `bench/results/auto.json` (accuracy by itself) and
`bench/results/scale.json` (time and memory by loci); none of the numbers was varied there by itself, and all were
chosen by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StartRules:
    """Where a model starts.

    input_scale: of the inputs, over the square root of the number of loci. first_weights: spread of the first layer,
    whose inputs are scaled by the number of loci instead, and of the populations' embedding. loadings: spread of the
    decoder's, so small that every locus starts at its genotype frequencies. pseudo_count: samples' worth by which these
    are shrunk towards random mating.
    """

    input_scale: float = 3.0
    first_weights: float = 0.3
    loadings: float = 0.01
    pseudo_count: float = 0.5


@dataclass(frozen=True)
class TrainingRules:
    """least_batches: into which the samples are cut at least, so that few samples still make several steps an epoch.
    cells_at_once: of a batch, that go through the decoder, forward and back; what is held of them is some hundred bytes
    each, and stays in the processor's cache. No result hangs on it but for rounding.
    """

    least_batches: int = 4
    cells_at_once: int = 1 << 14

    def batch_size(self, asked: int, n_samples: int) -> int:
        """Samples in a batch, where the settings ask for so many."""
        return min(asked, max(1, -(-n_samples // self.least_batches)))


@dataclass(frozen=True)
class ReadOffRules:
    """How a long file is trained on some loci and read off at the others.

    most_trained: files with more loci are trained on so many. axes: of the hidden units that loadings are kept along.
    least_spread: an axis along which the hidden units vary less, relative to the first, is left out. steps: Newton's;
    the prior keeps the problem so near to quadratic that more change nothing. intercept_precision: of the prior about
    the log odds of the locus's frequencies. soft_steps: where calls are uncertain, what is not known of them slows the
    steps down. cells_at_once: no result hangs on it but for rounding.
    """

    most_trained: int = 12_800
    axes: int = 20
    least_spread: float = 1e-3
    steps: int = 4
    soft_steps: int = 12
    intercept_precision: float = 1.0
    cells_at_once: int = 1 << 18


@dataclass(frozen=True)
class VaeRules:
    """All rules of the VAE."""

    start: StartRules = field(default_factory=StartRules)
    training: TrainingRules = field(default_factory=TrainingRules)
    read_off: ReadOffRules = field(default_factory=ReadOffRules)


DEFAULT = VaeRules()
"""What is followed where no others are given."""
