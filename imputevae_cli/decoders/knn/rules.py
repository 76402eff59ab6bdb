"""The numbers that decide what the kNN decoder does, by name.

None is a setting that a user should have to turn; a test, or a study of them, passes others to `KnnModel`. The decoder
as a whole is measured in `bench/results/auto.json` (accuracy by itself) and `bench/results/scale.json` (time and
memory); none of the numbers was varied there by itself, and all were chosen by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PanelRules:
    """What the panel makes of the samples' calls.

    link_pseudo: added to each locus's sum of squares, so that two loci that share their one carrier do not count as
    linked. link_samples: at most so many go into the correlations of loci: more cost time and add little.
    link_candidates: at most so many loci are searched for those most correlated with a target. ridges: residual
    variances of the ancestry regressions, relative to the prior variance of an axis's effect; about 1 is what drift
    along the axes predicts, and one of each side lets the votes' network choose. axes: of the ancestry. population:
    prior spread of a population's own shift, beside what the axes explain. minor_alleles, samples: pseudo-counts of the
    minor allele (by ploidy) and of samples in its frequency. shrinkage: samples of the whole that are added to a
    population's.
    """

    link_pseudo: float = 1.0
    link_samples: int = 1000
    link_candidates: int = 20_000
    ridges: tuple[float, ...] = (0.5, 2.0)
    axes: int = 20
    population: float = 0.5
    minor_alleles: float = 0.05
    samples: float = 0.3
    shrinkage: float = 2

    @property
    def n_frequencies(self) -> int:
        """Genotype frequencies that the votes' network is given: of population, of all, and by each ridge."""
        return 2 + len(self.ridges)


Ramps = tuple[tuple[float, float], tuple[float, float]]
"""Of the even heads and of the odd ones, each from the first head on to the last."""


@dataclass(frozen=True)
class AttentionRules:
    """Where the attention starts, and its bounds.

    The start is about where trainings of 500 steps ended that set out from nothing in particular, rounded, on three
    files (90 x 601 and 198 x 7,091 simulated, 197 x 400 of oaks). Even heads rule out,
    odd ones seek the alike.

    log_lengths: of the first and the last head, e to which is 3 and 60 loci. log_near, log_linked: weights of loci
    nearby and of linked ones. powers: that r2 is raised to; power: the least and the most. similarity: weight of the
    overall similarities, first head and last. population: of the same population. log_smoothing: frequencies added to
    the votes. genotype_mix, allele_mix: weights of the heads' votes. opposite: score of opposite homozygotes, of the
    even heads. Of the odd ones, shared_major, shared_minor: of one genotype without and with the minor allele;
    different, difference: of two genotypes, and for each allele between them.
    """

    log_lengths: tuple[float, float] = (1.1, 4.1)
    log_near: Ramps = ((-0.1, 0.5), (0.9, 0.5))
    log_linked: Ramps = ((0.2, 0.2), (-0.3, -0.5))
    powers: Ramps = ((0.8, 0.8), (1.3, 1.5))
    power: tuple[float, float] = (0.3, 4.0)
    similarity: tuple[float, float] = (0.3, 1.5)
    population: float = 0.5
    log_smoothing: Ramps = ((0.3, -1.5), (-0.7, -1.1))
    genotype_mix: Ramps = ((-0.15, 0.1), (0.15, 0.2))
    allele_mix: Ramps = ((-0.1, 0.4), (0.0, 0.3))
    opposite: float = -1.2
    shared_major: float = 0.4
    shared_minor: float = 1.1
    different: float = -0.6
    difference: float = -0.3


@dataclass(frozen=True)
class TrainingRules:
    """How the weights of the votes are trained.

    asked: times that each hidden call is asked for, on average, before others are hidden in its place; set after seeing
    a file of 65 x 133, whose held-out log loss it brought from .411 to .370, and one of 197 x 400 (.293 to .292).
    max_loci: the weights are shared by all loci, so this many, drawn at random, are enough
    to learn them. cells: of a file of more, `stretches` stretches of about so many in all are trained on. warm_up:
    steps in which the learning rate rises; floor: its least share at the end, as the weights of the last steps are
    averaged. max_gradient: to which the norm of a gradient is cut. attention: times the learning rate by which all but
    the network's weights move: they are few, and have further to go.
    """

    asked: float = 15.0
    max_loci: int = 4000
    cells: int = 20_000_000
    stretches: int = 20
    warm_up: int = 20
    floor: float = 0.2
    max_gradient: float = 1.0
    attention: float = 3.0


@dataclass(frozen=True)
class KnnRules:
    """All rules of the kNN decoder."""

    panel: PanelRules = field(default_factory=PanelRules)
    attention: AttentionRules = field(default_factory=AttentionRules)
    training: TrainingRules = field(default_factory=TrainingRules)


DEFAULT = KnnRules()
"""What `KnnModel` follows where it is given no others."""
