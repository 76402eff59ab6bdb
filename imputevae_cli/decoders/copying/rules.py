"""The numbers that decide what the copying decoder does, by name: thresholds, and what is done on either side of them.

None is a setting that a user should have to turn; a test, or a study of them, passes others to `CopyingModel`. Each
class says where its numbers come from. The whole of them is measured together in `bench/results/ld.json` (accuracy and
time on linked cases), `bench/results/auto.json` (each decoder by itself) and `bench/results/cost.json` (time by
samples and loci); a number that was not varied there by itself is said to be chosen by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from imputevae_cli.decoders.copying.schedule import Schedule

SMALL = Schedule(16, 7, 4, core=256, halo=64, scales=(150, 400), start_rate=0.2, cooling=0.75, refresh=1)
MEDIUM = Schedule(13, 7, 3, donors=40, core=512, halo=96, scales=(300, 600), start_rate=0.1, cooling=0.7)
MEDIUM_LONG = replace(MEDIUM, chains=2, donors=60, pieces=8, cooling=0.6)
LARGE = Schedule(13, 8, 1, core=1500, halo=150, pieces=8, scales=(300, 600, 1200), start_rate=0.05, cooling=0.7)
LARGE_LONG = replace(LARGE, donors=64, pieces=16)
UNCERTAIN = Schedule(40, 20, 3, donors=64, core=256, halo=96, start_rate=0.2, cooling=0.85, refresh=1)
UNCERTAIN_LARGE = replace(UNCERTAIN, chains=1, refresh=2)


@dataclass(frozen=True)
class SizeRules:
    """The schedule by the number of samples, before the trial: small cohorts get more chains and cool more slowly.

    small, medium: the most samples of these classes. of_uncertain, of_uncertain_large: where calls are uncertain,
    up to `medium` samples and above: alleles are drawn, so that chains cool slowly and differ. of_medium_long,
    of_large_long: whose chains, donors, pieces and cooling `of_medium` and `of_large` take where what is copied is
    long: more donors, compared over shorter stretches, leave fewer phases wrong, and colder chains of some hundred
    samples find who shares a rare allele with a sample.
    `bench/results/schedules.json` varies chains, donors and cooling of those where calls are certain; the rest was
    chosen by hand on cases such as those of `bench/results/ld.json`.
    """

    small: int = 150
    medium: int = 700
    of_small: Schedule = SMALL
    of_medium: Schedule = MEDIUM
    of_medium_long: Schedule = MEDIUM_LONG
    of_large: Schedule = LARGE
    of_large_long: Schedule = LARGE_LONG
    of_uncertain: Schedule = UNCERTAIN
    of_uncertain_large: Schedule = UNCERTAIN_LARGE

    def schedule_for(self, n_samples: int, is_uncertain: bool = False) -> Schedule:
        """The schedule for so many samples. is_uncertain: whether their calls are."""
        if is_uncertain:
            return self.of_uncertain if n_samples <= self.medium else self.of_uncertain_large
        if n_samples <= self.small:
            return self.of_small
        return self.of_medium if n_samples <= self.medium else self.of_large

    def where_long(self, schedule: Schedule, n_samples: int) -> Schedule:
        """The schedule for so many samples where what is copied is long, as a trial has found."""
        if n_samples <= self.small:
            return schedule
        long = self.of_medium_long if n_samples <= self.medium else self.of_large_long
        return replace(schedule, chains=long.chains, donors=long.donors, pieces=long.pieces, cooling=long.cooling)


@dataclass(frozen=True)
class WindowRules:
    """How many loci windows have, at most the schedule's own number: those that a sample shares with its nearest
    relatives, as donors are the same over a whole window.

    shared: centimorgans that one of N samples shares so, over the square root of N: the more samples, the nearer the
    nearest. compared: at so many loci of a window the calls of two samples have to be known, as fewer do not tell which
    haplotypes are alike. Chosen on simulations of `bench/windows.py` (seeds 21 and 22; 60, 200 and 600 samples at 15
    loci per centimorgan) and `bench/make_cases.py` (half-sibs, crosses and lines; seeds 21 to 25).
    `bench/results/windows.json` has the loss over the length at four densities of loci.
    """

    shared: float = 0.6
    compared: int = 60


@dataclass(frozen=True)
class TrialRules:
    """The trial of a few schedules on a part of the data. No measurement; chosen by hand.

    cells, samples: the size of the part. hidden: share of its known calls that are hidden; under `least_hidden` of them
    nothing is tried. iterations, burn_in: of the one chain of each trial. standard_errors: by so many, of the
    difference on the same calls, a schedule has to be better; where one without cooling is worse by as many, no warm
    start is tried. plain_iterations, plain_burn_in: of chains without cooling, as those of lines are. warm_start_rate:
    what is tried of outbred samples; and, without cooling, `more_donors` times the donors. rate_floors: what is tried
    of lines. No other error rate is: a short trial took one that cost half-sibs a tenth more errors, and gained
    sequences of 300 samples .0003 of NRD. sparse: switches per mean distance above which loci are far apart: then
    outbred cohorts follow the rest of the `sparse_` numbers, and lines run one chain, with `more_donors` times the
    donors where there are more than `SizeRules.small` of them: of 84 simulated lines twice the donors got 7 to 13 %
    more calls wrong, of 281 of maize 1 % fewer.
    """

    cells: int = 200_000
    samples: int = 500
    hidden: float = 0.1
    least_hidden: int = 200
    iterations: int = 14
    burn_in: int = 7
    standard_errors: float = 1.0
    plain_iterations: int = 16
    plain_burn_in: int = 8
    warm_start_rate: float = 0.05
    rate_floors: tuple[float, ...] = (0.1, 0.25)
    sparse: float = 0.014
    more_donors: int = 2
    sparse_core: int = 256
    sparse_halo: int = 64
    sparse_scales: tuple[int, ...] = (100, 250)
    sparse_donors: int = 96
    sparse_start_rate: float = 0.1
    sparse_refresh: int = 2
    sparse_iterations: int = 40
    sparse_burn_in: int = 14
    sparse_chains: int = 3


@dataclass(frozen=True)
class InbreedingRules:
    """Where a sample's two haplotypes are one. No measurement; chosen by hand, checked on the maize lines of
    `bench/results/ld.json`.

    least: samples of a lower F are outbred everywhere, where the cohort is not one of lines. fewest, most: the share of
    a sample's loci that is homozygous by descent at least and at most. residual: heterozygosity left there, as a share
    of the expected, at the start. start_rate, least_rate: changes of state per mean distance between loci, at the start
    and at least. steps: of expectation-maximisation. mostly: a cohort whose median F is above is one of lines; two
    species beside each other come to .5.
    """

    least: float = 0.8
    fewest: float = 0.01
    most: float = 0.99
    residual: float = 0.05
    start_rate: float = 0.02
    least_rate: float = 1e-4
    steps: int = 6
    mostly: float = 0.7


@dataclass(frozen=True)
class PriorRules:
    """The copying prior that grows with the similarity of samples. No measurement; chosen by hand.

    max_samples: above it the N x N matrix costs more than it tells. max_loci: that similarities are taken over.
    least_variance: added to p(1 - p), so that rare alleles do not outweigh the rest. max_steepness, bisections: of the
    prior's slope.
    """

    max_samples: int = 3000
    max_loci: int = 5000
    least_variance: float = 0.02
    max_steepness: float = 30.0
    bisections: int = 12


@dataclass(frozen=True)
class CalibrationRules:
    """How probabilities are calibrated on hidden calls. No measurement; chosen by hand.

    hidden_share, max_hidden: known calls that are hidden to calibrate on, where the caller hides none. least_cells:
    under so many the temperature stays 1 and `blend_of_few` is blended in. temperatures: lowest, highest and number of
    the first grid; blends: tried with each; refined: factors by which both are refined.
    """

    hidden_share: float = 0.01
    max_hidden: int = 20_000
    least_cells: int = 100
    blend_of_few: float = 0.01
    temperatures: tuple[float, float, int] = (0.6, 2.5, 12)
    blends: tuple[float, ...] = (0.0, 0.003, 0.01, 0.03, 0.1)
    refined_temperatures: tuple[float, float, int] = (0.9, 1.1, 9)
    refined_blends: tuple[float, ...] = (0.6, 0.8, 1.0, 1.3, 1.7)


@dataclass(frozen=True)
class ChoiceRules:
    """Which haplotypes are compared where donors are chosen; `bench/results/cost.json` has the time at 100 to 2,000
    samples that they were chosen for.

    max_candidates: haplotypes compared with each at the first choice. most_compared: of more haplotypes, later choices
    compare those alone that stand near in order.
    """

    max_candidates: int = 2000
    most_compared: int = 1000


@dataclass(frozen=True)
class SwitchRules:
    """Bounds of the switch probabilities, and of the distances between loci, relative to the mean, that they follow.

    No measurement; chosen by hand.
    """

    least: float = 1e-6
    most: float = 0.9
    least_rate: float = 1e-6
    least_distance: float = 0.02
    most_distance: float = 50.0


@dataclass(frozen=True)
class WorkSizes:
    """How the work is cut into pieces. No result hangs on it, but time and memory do (`bench/results/scale.json`).

    samples_per_sweep, samples_per_choice: of a task of a thread. packed_bytes: haplotypes of so many windows are packed
    at once. chunk_bytes: new haplotypes that wait beside the old ones, twice.
    """

    samples_per_sweep: int = 64
    samples_per_choice: int = 64
    packed_bytes: int = 8 << 20
    chunk_bytes: int = 6 << 20


@dataclass(frozen=True)
class RefitRules:
    """How chains go on once the calls that were held out are put back; `bench/results/schedules.json` has the loss over
    these numbers.

    share: where a greater share of the known calls was hidden, they do. reheated: so many iterations before the end of
    burn-in they begin again. kept_share: of the iterations that whole chains average, they do. earlier_share:
    the weight of what the chains said before, in the probabilities.
    """

    share: float = 0.025
    reheated: int = 3
    kept_share: float = 2 / 3
    earlier_share: float = 0.2


@dataclass(frozen=True)
class CopyingRules:
    """All rules of the copying decoder.

    beside: windows on either side of a region that are read too, as far as donors
    are compared.
    """

    size: SizeRules = field(default_factory=SizeRules)
    window: WindowRules = field(default_factory=WindowRules)
    trial: TrialRules = field(default_factory=TrialRules)
    inbreeding: InbreedingRules = field(default_factory=InbreedingRules)
    prior: PriorRules = field(default_factory=PriorRules)
    calibration: CalibrationRules = field(default_factory=CalibrationRules)
    choice: ChoiceRules = field(default_factory=ChoiceRules)
    switch: SwitchRules = field(default_factory=SwitchRules)
    work: WorkSizes = field(default_factory=WorkSizes)
    refit: RefitRules = field(default_factory=RefitRules)
    beside: int = 2

    def asks_for_refit(self, n_hidden: int, n_known: int) -> bool:
        """Whether so many of the known calls were hidden that a fit with all of them tells more."""
        return n_hidden >= self.refit.share * n_known


DEFAULT = CopyingRules()
"""What `CopyingModel` follows where it is given no others."""
