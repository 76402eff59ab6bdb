"""The rules of the copying decoder on either side of their thresholds."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.decoders.copying import calibration, choose_schedule, inbreeding
from imputevae_cli.decoders.copying.copying_prior import correlations, fit_steepness
from imputevae_cli.decoders.copying.inputs import ChainInputs, CopyingGuides
from imputevae_cli.decoders.copying.kernel_choice import CompiledKernel
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.rules import (
    CalibrationRules,
    ChoiceRules,
    CopyingRules,
    InbreedingRules,
    PriorRules,
    RefitRules,
    SizeRules,
    SwitchRules,
    TrialRules,
    WindowRules,
)
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.decoders.copying.windows import core_for, relative_distances
from imputevae_cli.runtime.resumable import Stages


def some_calls(n=30, n_loci=120, seed=0, missing=0.2):
    rng = np.random.default_rng(seed)
    founders = rng.random((6, n_loci)) < 0.4
    calls = (founders[rng.integers(6, size=n)] + founders[rng.integers(6, size=n)].astype(int)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    return calls


def some_cohort(**given):
    calls = some_calls(**given)
    n_loci = calls.shape[1]
    return Cohort(calls, np.zeros(n_loci, np.int32), np.arange(n_loci, dtype=np.int64) * 1000, 2)


@pytest.mark.parametrize(
    ("n_samples", "chains", "core", "pieces"),
    [(1, 4, 256, 4), (150, 4, 256, 4), (151, 3, 512, 4), (700, 3, 512, 4), (701, 1, 1500, 8),
     (9000, 1, 1500, 8)],
)  # fmt: skip
def test_the_schedule_changes_behind_150_and_700_samples(n_samples, chains, core, pieces):
    schedule = SizeRules().schedule_for(n_samples)
    assert (schedule.chains, schedule.core, schedule.pieces) == (chains, core, pieces)


def at_every(step, dtype=np.int64, chromosomes=1, missing=0.0):
    """100 samples at 1000 loci, `step` apart, in chromosomes that all begin at the same place."""
    calls = np.zeros((100, 1000), np.int8)
    calls[:, : int(1000 * missing)] = -1
    codes = np.repeat(np.arange(chromosomes, dtype=np.int32), 1000 // chromosomes)
    return Cohort(calls, codes, (np.arange(1000) % (1000 // chromosomes) * step).astype(dtype), 2)


@pytest.mark.parametrize(
    ("cohort", "core"),
    [(at_every(40_000), 150), (at_every(0.04, np.float64), 150), (at_every(40_000, chromosomes=2), 150),
     (at_every(100_000), 80), (at_every(100_000, missing=0.5), 320), (at_every(100_000, missing=1.0), 512),
     (at_every(100_000, chromosomes=5), 80), (at_every(100_000, chromosomes=10), 512), (at_every(1000), 512),
     (at_every(0), 512)],
)  # fmt: skip
def test_windows_are_as_long_as_what_near_relatives_share(cohort, core):
    """Of 100 samples that is 6 cM; two have 80 known calls in common at least, and there are 512 loci at most."""
    assert core_for(cohort, 512, WindowRules(shared=0.6, compared=80)) == core


def test_windows_are_longer_in_proportion_to_the_root_of_the_number_of_samples():
    cohort = at_every(40_000)
    quarter = cohort.subset(np.arange(25), np.arange(1000))
    rules = WindowRules(shared=2.0, compared=1)
    assert core_for(cohort, 2000, rules) == 2 * core_for(quarter, 2000, rules) == 500


def test_the_schedule_has_windows_by_the_rule_unless_the_user_gives_their_length():
    cohort = at_every(100_000)
    with ThreadPoolExecutor(1) as pool:
        rule, own = (
            CopyingModel(CopyingSettings(trial=False, core=core)).schedule_for(ChainInputs(cohort), pool)
            for core in (None, 400)
        )
    of_small = SizeRules().of_small  # 256 loci, a halo of 64
    assert (rule.core, rule.halo, rule.scales) == (60, 15, (35, 94))
    assert own == replace(of_small, core=400)


@pytest.mark.parametrize(("n_hidden", "asked"), [(24, False), (25, True)])
def test_a_fortieth_of_the_known_calls_asks_for_a_refit(n_hidden, asked):
    assert CopyingRules().asks_for_refit(n_hidden, 1000) is asked


def tried(rules, cohort):
    """The schedule after a trial by these rules, and the names of the stages that it ran."""

    class Named(Stages):
        names = ()

        def run_together(self, name, make, *rest):
            self.names += (name,)
            return make()

    stages, before = Named(), Schedule(core=64, halo=16, donors=8)
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(ChainInputs(cohort), 1, pool, CompiledKernel(), CopyingRules(trial=rules))
        return trial, choose_schedule.by_trial(trial, before, stages), stages.names


def test_too_few_hidden_calls_try_nothing():
    cohort = some_cohort()
    n_hidden = int(tried(TrialRules(), cohort)[0].hidden.sum())
    enough, too_few = (tried(TrialRules(least_hidden=n), cohort)[2] for n in (n_hidden, n_hidden + 1))
    assert enough[:3] == ("trial 0", "trial 1", "trial 2")
    assert too_few == ()


def test_a_trial_takes_some_samples_and_loci():
    trial, _, _ = tried(TrialRules(samples=10, cells=600), some_cohort())
    assert trial.truth.shape == (10, 60)
    assert TrialRules().samples == 500
    assert TrialRules().cells == 200_000


@pytest.mark.parametrize(("n_wrong", "tried"), [(401, False), (400, True)])
def test_no_warm_start_where_cooling_is_needed(monkeypatch, n_wrong, tried):
    rates = set()

    def outcome(self, schedule, ranks):
        rates.add(schedule.start_rate)
        return choose_schedule.Outcome(np.arange(1000) < (400 if schedule.cooling else n_wrong), 0.001)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        inputs, rules = ChainInputs(some_cohort(n_loci=1200)), TrialRules(standard_errors=0.5)
        trial = choose_schedule.Trial.of(inputs, 1, pool, CompiledKernel(), CopyingRules(trial=rules))
        choose_schedule.by_trial(trial, Schedule(core=512, cooling=0.6), Stages())
    assert (rules.warm_start_rate in rates) is tried


@pytest.mark.parametrize(("first", "tried_on_both"), [(401, False), (400, True)])
def test_a_schedule_that_is_worse_on_the_first_stretch_is_not_tried_on_the_second(monkeypatch, first, tried_on_both):
    runs = []

    def outcome(self, schedule, ranks):
        is_warm = schedule.start_rate == TrialRules().warm_start_rate
        runs.append((is_warm, self.inputs.cohort.n_loci))
        n_wrong = first if is_warm else 400
        return choose_schedule.Outcome(np.arange(1000) < n_wrong, 0.001)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        inputs = ChainInputs(some_cohort(n_loci=120))
        trial = choose_schedule.Trial.of(inputs, 1, pool, CompiledKernel(), CopyingRules())
        choose_schedule.by_trial(trial, Schedule(core=512), Stages())
    assert runs[:2] == [(False, 60), (False, 60)]
    assert sum(is_warm for is_warm, _ in runs) == 1 + tried_on_both


@pytest.mark.parametrize(("n_wrong", "n_stretches"), [(401, 1), (400, 2)])
def test_the_first_schedule_is_tried_on_the_second_stretch_only_where_another_does_as_well(
    monkeypatch, n_wrong, n_stretches
):
    first, firsts_runs = Schedule(core=512, cooling=0.6), []

    def outcome(self, schedule, ranks):
        is_first = schedule.cooling == first.cooling
        firsts_runs.extend([self.inputs.cohort.positions[0]] if is_first else [])
        return choose_schedule.Outcome(np.arange(1000) < (400 if is_first else n_wrong), 0.001)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(ChainInputs(some_cohort()), 1, pool, CompiledKernel(), CopyingRules())
        assert choose_schedule.by_trial(trial, first, Stages()).cooling == first.cooling
    assert len(firsts_runs) == len(set(firsts_runs)) == n_stretches


def test_a_better_schedule_has_to_be_better_by_a_standard_error():
    """Where errors have to halve many times over, nothing is taken; where any gain will do, something may be."""
    cohort = some_cohort(seed=3)
    _, kept, _ = tried(TrialRules(standard_errors=1e6), cohort)
    assert kept == Schedule(core=64, halo=16, donors=8) or kept.donors == 16


@pytest.mark.parametrize(
    ("cooling", "rate", "donors", "core", "chains"),
    [(None, 0.014, 48, 512, 4), (None, 0.0141, 96, 256, 3), (0.6, 0.5, 48, 512, 4)],
)
def test_sparse_loci_get_more_donors(monkeypatch, cooling, rate, donors, core, chains):
    found = found_by_equals(monkeypatch, Schedule(core=512, cooling=cooling, chains=4), rate, inbred=False)[0]
    assert (found.donors, found.core, found.chains) == (donors, core, chains)


@pytest.mark.parametrize(("n_wrong", "floors"), [(400, {0.0, 0.1}), (399, {0.0, 0.1, 0.25})])
def test_a_higher_rate_floor_is_tried_for_lines_where_a_lower_one_is_better(monkeypatch, n_wrong, floors):
    tried = set()

    def outcome(self, schedule, ranks):
        tried.add(schedule.rate_floor)
        return choose_schedule.Outcome(np.arange(1000) < (n_wrong if schedule.rate_floor else 400), 0.001)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(ChainInputs(some_cohort()), 1, pool, CompiledKernel(), CopyingRules())
        choose_schedule.by_trial(replace(trial, inbred=True), Schedule(core=64), Stages())
    assert tried == floors


@pytest.mark.parametrize(
    ("n_samples", "rate", "donors", "chains"),
    [(151, 0.0141, 96, 1), (150, 0.0141, 48, 1), (151, 0.014, 48, 4)],
)
def test_lines_are_not_cooled(monkeypatch, n_samples, rate, donors, chains):
    before = Schedule(core=512, cooling=0.6, chains=4, iterations=13, burn_in=7)
    found, tried = found_by_equals(monkeypatch, before, rate, inbred=True, n_samples=n_samples)
    assert {schedule.cooling for schedule in tried} == {None}
    assert {schedule.rate_floor for schedule in tried} == {0.0, 0.1}
    assert not any(schedule.relatedness for schedule in tried)  # no similarity was given
    assert (found.cooling, found.iterations, found.burn_in) == (None, 16, 8)
    assert (found.donors, found.core, found.chains) == (donors, 512, chains)


def test_lines_copy_by_relatedness_where_their_similarity_is_known():
    inputs = CopyingModel()._inputs_of(some_cohort(), CopyingGuides())
    rules = CopyingRules(trial=TrialRules(least_hidden=10**9))
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(inputs, 1, pool, CompiledKernel(), rules)
        for inbred in (True, False):
            found = choose_schedule.by_trial(replace(trial, inbred=inbred), Schedule(core=64), Stages())
            assert found.relatedness is inbred


def test_lines_are_not_cooled_where_nothing_is_tried():
    rules = CopyingRules(trial=TrialRules(least_hidden=10**9))
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(ChainInputs(some_cohort()), 1, pool, CompiledKernel(), rules)
        for inbred, cooling in ((True, None), (False, 0.6)):
            found = choose_schedule.by_trial(replace(trial, inbred=inbred), Schedule(core=64, cooling=0.6), Stages())
            assert found.cooling == cooling


def found_by_equals(monkeypatch, before, rate, inbred, n_samples=151):
    """What a trial finds in which all schedules do the same, switching at this rate, and the schedules it ran."""
    tried = []

    def outcome(self, schedule, ranks):
        tried.append(schedule)
        return choose_schedule.Outcome(np.zeros(1000, bool), rate)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        trial = choose_schedule.Trial.of(ChainInputs(some_cohort()), 1, pool, CompiledKernel(), CopyingRules())
        trial = replace(trial, inbred=inbred, n_samples=n_samples)
        return choose_schedule.by_trial(trial, before, Stages()), tried


def test_windows_that_are_short_already_stay_so_where_loci_are_far_apart():
    before = Schedule(core=128, halo=24, scales=(75, 150))
    schedule = choose_schedule.for_sparse_loci(before, TrialRules())
    assert (schedule.core, schedule.halo, schedule.scales) == (128, 24, (75, 150))


@pytest.mark.parametrize(
    ("n_samples", "n_wrong", "chosen"),
    [(151, 500, (0.6, 2, 60, 8)), (151, 400, (0.7, 3, 40, 4)), (151, 300, (None, 3, 40, 4)),
     (150, 500, (0.75, 4, 48, 4)), (700, 500, (0.6, 2, 60, 8)), (701, 500, (0.7, 1, 64, 16)),
     (701, 400, (0.7, 1, 48, 8)), (701, 300, (None, 1, 48, 8))],
)  # fmt: skip
def test_where_cooling_is_needed_more_than_150_samples_have_more_donors(monkeypatch, n_samples, n_wrong, chosen):
    def outcome(self, schedule, ranks):
        return choose_schedule.Outcome(np.arange(1000) < (n_wrong if schedule.cooling is None else 400), 0.001)

    monkeypatch.setattr(choose_schedule.Trial, "outcome", outcome)
    with ThreadPoolExecutor(1) as pool:
        inputs = ChainInputs(some_cohort(n=n_samples))
        trial = choose_schedule.Trial.of(inputs, 1, pool, CompiledKernel(), CopyingRules())
        found = choose_schedule.by_trial(trial, SizeRules().schedule_for(n_samples), Stages())
    assert (found.cooling, found.chains, found.donors, found.pieces) == chosen


def test_a_cohort_is_inbred_above_the_median():
    cohort = some_cohort()
    f = float(np.median(inbreeding.coefficients(cohort.calls, 2)))
    with ThreadPoolExecutor(1) as pool:
        for mostly, inbred in ((f, False), (np.nextafter(f, -1), True)):
            rules = CopyingRules(inbreeding=InbreedingRules(mostly=mostly))
            trial = choose_schedule.Trial.of(ChainInputs(cohort), 1, pool, CompiledKernel(), rules)
            assert trial.inbred is inbred


@pytest.mark.parametrize(("least", "paths"), [(0.3, 1), (1.0, 2)])
def test_samples_above_the_least_inbreeding_may_follow_one_path(least, paths):
    calls = np.random.default_rng(0).binomial(2, 0.5, (20, 200)).astype(np.int8)
    calls[0] = np.where(calls[0] == 1, 2, calls[0])  # a line: F is 1
    distances = np.r_[0.0, np.ones(199)]
    found = inbreeding.by_descent(calls, distances, 2, rules=InbreedingRules(least=least))
    assert inbreeding.paths(found, np.array([[0, 0, 200, 200]]), len(calls), 2)[0, 0] == paths


@pytest.mark.parametrize(("n_cells", "few"), [(99, True), (100, False)])
def test_under_100_cells_fit_no_calibration(n_cells, few):
    gp = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (n_cells, 1))
    fitted = calibration.fit(gp, gp, np.zeros(n_cells, np.int8))
    assert (fitted == calibration.Calibration(blend=0.01)) is few


def test_calls_hidden_to_calibrate_on_are_a_share_up_to_a_most():
    calls = some_calls(n=50, n_loci=1000, missing=0.0)
    cohort = Cohort(calls, np.zeros(1000, np.int32), np.arange(1000), 2)
    few = CopyingRules(calibration=CalibrationRules(max_hidden=100))
    for rules, expected in ((CopyingRules(), 500), (few, 100)):
        hidden = CopyingModel(rules=rules)._choose_hidden(cohort, np.random.default_rng(0))
        assert 0.7 * expected < len(hidden.truth) < 1.3 * expected


@pytest.mark.parametrize(("max_samples", "compared"), [(30, True), (29, False)])
def test_similarities_are_taken_of_few_samples_alone(max_samples, compared):
    model = CopyingModel(rules=CopyingRules(prior=PriorRules(max_samples=max_samples)))
    inputs = model._inputs_of(some_cohort(n=30), CopyingGuides())
    assert (inputs.similarity is not None) is compared
    assert PriorRules().max_samples == 3000


def test_similarities_are_taken_over_some_loci():
    calls = some_calls(n_loci=121)
    np.testing.assert_array_equal(correlations(calls, 2, PriorRules(max_loci=61)), correlations(calls[:, ::2], 2))
    np.testing.assert_array_equal(correlations(calls, 2, PriorRules(max_loci=121)), correlations(calls, 2))


def test_steepness_ends_at_its_bound():
    similarity = np.array([[0.0, 1.0]])
    assert fit_steepness(similarity, np.array([[0.0, 1.0]])) == pytest.approx(30, abs=0.01)
    assert fit_steepness(similarity, np.array([[1.0, 0.0]])) == pytest.approx(0, abs=0.01)
    assert fit_steepness(similarity, np.array([[0.0, 1.0]]), PriorRules(max_steepness=3)) == pytest.approx(3, abs=0.01)


def test_distances_and_switch_rates_are_bounded():
    positions = np.r_[0, 1, np.arange(2, 500) * 1000, 10**9]
    distances = relative_distances(np.zeros(500, np.int32), positions[:500])
    assert distances[1] == 0.02
    wide = relative_distances(np.zeros(500, np.int32), positions[:500], SwitchRules(least_distance=0.0))
    assert 0 < wide[1] < 0.02
    chain = Chain(ChainInputs(some_cohort()), Schedule(core=64, halo=16, donors=8), 1)
    chain._update_switch(np.full(120, 1e6))
    assert chain.switch[1:].max() == np.float32(0.9)
    chain._update_switch(np.zeros(120))
    assert chain.rate == 1e-6


@pytest.mark.parametrize(("beyond", "in_order"), [(1, True), (0, False)])
def test_later_choices_of_many_haplotypes_go_by_order(beyond, in_order):
    inputs, schedule = ChainInputs(some_cohort(n=30)), Schedule(core=64, halo=16, donors=8)
    n_rows = int(Chain(inputs, schedule, 1).paths[0].sum())
    choice = ChoiceRules(most_compared=n_rows - beyond, max_candidates=20)
    chain = Chain(inputs, schedule, 1, rules=CopyingRules(choice=choice))
    assert len(chain._packed(0, 1).candidates.rows) == 20  # the first choice draws
    chain.iteration = 2
    packed = chain._packed(0, 1)
    assert (len(packed.order.order) > 0) is in_order
    assert len(packed.candidates.rows) == (n_rows if in_order else 20)


def test_the_defaults_are_what_they_were():
    rules = CopyingRules()
    assert (rules.choice.max_candidates, rules.choice.most_compared, rules.beside) == (2000, 1000, 2)
    assert replace(rules, refit=RefitRules(share=1.0)) != rules
