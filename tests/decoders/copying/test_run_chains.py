"""The chains of a fit, and how they go on when the calls that were held out are put back."""

from dataclasses import replace

import numpy as np
import pytest
from test_copying import cohort

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.copying.rules import CopyingRules, RefitRules
from imputevae_cli.decoders.copying.run_chains import refit_span, whole_span
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.run_options import RunOptions

QUICK = CopyingSettings(iterations=6, burn_in=3, chains=2, donors=16, core=64, halo=24, trial=False)
IN_THE_SECOND = 6
"""A safe point in the second chain of a refit of QUICK, whose chains have four each."""


class Stopped(Exception):
    pass


class Interrupted(Stages):
    """Stops once, at a safe point, and goes on from there the next time."""

    def __init__(self, at):
        self.at, self.points, self.state = at, 0, None

    def resumed(self):
        return self.state

    def safe_point(self, state):
        self.points += 1
        if self.points == self.at:
            self.state = copied(state())
            raise Stopped


def copied(state):
    """A state as a file would hold it, apart from the arrays that the chain goes on to change."""
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [copied(value) for value in state]
    return state.clone() if hasattr(state, "clone") else state


@pytest.fixture(scope="module", params=[2, 1])
def halves(request):
    """(truth, calls with a tenth held out, that tenth, the rest of a cohort): what a fit and its refit are given."""
    ploidy = request.param
    truth, calls, chrom, pos = cohort(5, ploidy=ploidy)
    where = (np.random.default_rng(0).random(calls.shape) < 0.1) & (calls >= 0)
    return truth, HiddenCells.of(where, calls), Cohort(calls, chrom, pos, ploidy)


def visible_fit(halves, rules=None, **options):
    _, hidden, everything = halves
    with hidden.hidden_in(everything.calls):
        fit = CopyingModel(QUICK, rules=rules).fit(everything, hidden=hidden, options=RunOptions(**options))
        return fit.calibrated(hidden)


def refit(halves, earlier, rules=None, **options):
    return CopyingModel(QUICK, rules=rules).go_on(halves[2], earlier, options=RunOptions(**options))


def same(one, other):
    assert one.doses.tobytes() == other.doses.tobytes()
    assert one.packed.tobytes() == other.packed.tobytes()
    assert one.switch.tobytes() == other.switch.tobytes()


def test_a_refit_begins_again_where_the_chains_were_warm():
    schedule, rules = Schedule(16, 7), RefitRules(reheated=3, kept_share=0.5)
    assert whole_span(schedule) == (0, 7, 16)
    assert refit_span(schedule, rules) == (4, 7, 12)
    assert refit_span(replace(schedule, burn_in=0, iterations=1), rules) == (1, 1, 2)


def test_a_refit_knows_the_calls_that_were_held_out(halves):
    truth, hidden, everything = halves
    earlier = visible_fit(halves)
    again = refit(halves, earlier)
    assert len(again.doses) == (everything.calls < 0).sum()
    assert len(earlier.doses) == len(again.doses) + len(hidden.truth)
    known = everything.calls >= 0
    given = np.take_along_axis(again.shown_gp(0, 240), np.maximum(truth, 0)[..., None], 2)[..., 0]
    assert (given[known] == 1).all()
    assert (given[~known] > 0.5).mean() > 0.9
    assert again.calibration == earlier.calibration
    assert again.schedule == earlier.schedule
    assert again.ends is None


def test_a_refit_goes_on_from_the_haplotypes_of_every_chain(halves):
    earlier = visible_fit(halves)
    assert earlier.ends.shape == (1, *earlier.packed.shape)
    assert (earlier.ends[0] != earlier.packed).any()
    elsewhere = refit(halves, replace(earlier, ends=np.zeros_like(earlier.ends)))
    assert refit(halves, earlier).doses.tobytes() != elsewhere.doses.tobytes()


def test_what_was_said_before_has_its_share(halves):
    earlier = visible_fit(halves)
    alone, all_of_it, half = (
        refit(halves, earlier, CopyingRules(refit=RefitRules(earlier_share=share))) for share in (0.0, 1.0, 0.5)
    )
    mean = (alone.doses.astype(np.float64) + all_of_it.doses) / 2
    np.testing.assert_allclose(half.doses, mean, atol=1)
    shown = halves[2].calls.copy()
    halves[1].hide(shown)
    still_missing = halves[2].calls[shown < 0] < 0
    np.testing.assert_array_equal(all_of_it.doses, earlier.doses[still_missing])


def test_a_refit_is_the_same_at_any_number_of_threads(halves):
    earlier = visible_fit(halves)
    same(refit(halves, earlier), refit(halves, earlier, threads=3))


@pytest.mark.parametrize("at", [2, IN_THE_SECOND, 11])
def test_fits_that_were_stopped_end_as_if_they_were_not(halves, at):
    stages, earlier = Interrupted(at), visible_fit(halves)
    with pytest.raises(Stopped):
        visible_fit(halves, stages=stages)
    resumed = visible_fit(halves, stages=stages)
    same(resumed, earlier)
    assert resumed.ends.tobytes() == earlier.ends.tobytes()
    stages = Interrupted(min(at, IN_THE_SECOND))
    with pytest.raises(Stopped):
        refit(halves, earlier, stages=stages)
    same(refit(halves, earlier, stages=stages), refit(halves, earlier))


def test_a_stored_fit_can_go_on(halves):
    _, hidden, everything = halves
    earlier = visible_fit(halves)
    stored = HaplotypePosterior.from_state(earlier.state(), everything.calls, hidden)
    same(refit(halves, stored), refit(halves, earlier))


@pytest.mark.parametrize(("share", "asked"), [(0.05, True), (0.2, False)])
def test_ends_are_kept_where_a_refit_follows_alone(halves, share, asked):
    fit = visible_fit(halves, CopyingRules(refit=RefitRules(share=share)))
    assert (fit.ends is not None) is asked
