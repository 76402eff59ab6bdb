"""What every decoder of the registry must do, whatever it is."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import QUICK_PARTS, QUICK_VAE, simulate_linked

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Context, Effort, Inputs, Setting, Task
from imputevae_cli.log import NullProgress
from imputevae_cli.runtime.resumable import Journal, Stages
from imputevae_cli.runtime.serialise import canonical
from imputevae_cli.runtime.stopping import Stopped, StopRequest

CONFIG = Config().replace({**QUICK_VAE, **QUICK_PARTS})
DEVICE = torch.device("cpu")
SIGNAL = 15


def task_of(stages=None, seed=3):
    genotypes, _ = simulate_linked(30, 80, seed=seed)
    calls = genotypes.calls.copy()
    known = np.flatnonzero(calls.ravel() != MISSING)
    cells = np.sort(np.random.default_rng(1).choice(known, 240, replace=False))
    loci = genotypes.loci
    cohort = Cohort(calls, loci.chrom_codes, loci.positions, genotypes.ploidy)
    validation, test = (HiddenCells.at(some, calls) for some in (cells[::2], cells[1::2]))
    return Task(cohort, validation, test, CONFIG, DEVICE, NullProgress(), 1, None, stages or Stages())


def fitted_before(name, task):
    """The decoders that this one depends on, fitted cheaply."""
    before = {}
    for other in registry.get(name).depends_on:
        inputs = Inputs(fitted_before(other, task), Effort.CHEAP)
        before[other] = registry.get(other).fit(task, inputs)
    return before


def fit(name, task, before=None):
    inputs = Inputs(fitted_before(name, task) if before is None else before)
    return registry.get(name).fit(task, inputs)


def context_of(name, fitted, before):
    return Context(CONFIG, {**before, name: fitted})


@pytest.fixture(scope="module", params=registry.names())
def case(request):
    """(name, task, what it depends on, what it says of all held-out cells, the fitted decoder)."""
    task = task_of()
    with task.hidden.hidden_in(task.cohort.calls):
        before = fitted_before(request.param, task)
        fitted = fit(request.param, task, before)
        said = fitted.gp_of(task.hidden)
        posterior = fitted.for_cohort(context_of(request.param, fitted, before)).gp(0, task.cohort.n_loci)
    return request.param, task, before, fitted, said, posterior


def test_it_says_what_it_is(case):
    name = case[0]
    decoder = registry.get(name)
    assert decoder.name == name
    assert decoder.title
    assert all(other in registry.names()[: registry.names().index(name)] for other in decoder.depends_on)
    for key in decoder.search_space:
        assert key.split(".")[0] in decoder.sections
        Config().get(key)
    assert decoder.needs_in_full(CONFIG) == ()


def test_probabilities_are_sound_and_the_same_cell_by_cell(case):
    _, task, _, _, said, posterior = case
    hidden = task.hidden
    assert said.shape == (240, 3)
    assert said.sum(1) == pytest.approx(1, abs=1e-3)
    assert (said >= 0).all()
    assert posterior[hidden.samples, hidden.loci] == pytest.approx(said, abs=2e-5)


def test_new_samples_are_filled_from_their_own_calls(case):
    name, task, before, fitted, *_ = case
    fitted = fitted.on_all_calls(task, Inputs(before))
    new = task_of(seed=4).cohort
    some = new.with_calls(new.calls[:6].copy())
    context = context_of(name, fitted, before)
    gp = fitted.for_samples(some, context).gp(0, 80)
    assert gp.shape == (6, 80, 3)
    missing = some.calls == MISSING
    assert gp[missing].sum(1) == pytest.approx(1, abs=1e-3)
    turned = some.with_calls(np.ascontiguousarray(some.calls[::-1]))
    assert fitted.for_samples(turned, context).gp(0, 80)[::-1][missing] == pytest.approx(gp[missing], abs=1e-5)


def test_its_state_is_plain_and_gives_it_back(case):
    name, task, before, fitted, *_ = case
    fitted = fitted.on_all_calls(task, Inputs(before))
    state = canonical(fitted.state())
    again = registry.get(name).from_state(state, Setting(task.cohort, task.hidden, CONFIG, DEVICE))
    one, two = (each.for_cohort(context_of(name, each, before)).gp(10, 50) for each in (fitted, again))
    missing = task.cohort.calls[:, 10:50] == MISSING
    assert np.array_equal(one[missing], two[missing])


def test_the_same_seed_gives_the_same_bytes(case):
    name, *_, said, _ = case
    task = task_of()
    with task.hidden.hidden_in(task.cohort.calls):
        assert np.array_equal(fit(name, task).gp_of(task.hidden), said)


class Memory(dict):
    """A store in memory."""

    def read(self, name):
        return self.get(name)

    def write(self, name, content):
        self[name] = content

    def delete(self, name):
        self.pop(name, None)


class Stopping(Journal):
    """A journal that asks for a stop at every safe point after those of the run before."""

    def __init__(self, store, after):
        self.request, self.left = StopRequest(), after
        super().__init__(store, self.request)

    def safe_point(self, state):
        self.left -= 1
        if self.left == 0:
            self.request.deferred = True
            self.request.receive(SIGNAL)
        super().safe_point(state)


def test_a_fit_that_is_stopped_at_every_safe_point_ends_in_the_same_bytes(case):
    name, _, _, _, said, _ = case
    store, stopped = Memory(), 0
    while True:
        journal = Stopping(store, 3)
        task = task_of(journal)
        try:
            with task.hidden.hidden_in(task.cohort.calls):
                again = fit(name, task).gp_of(task.hidden)
            break
        except Stopped:
            journal.save()
            stopped += 1
    assert np.array_equal(again, said)
    assert stopped > 2 or name == "frequencies"


def test_its_cost_is_near_what_it_takes(case):
    name, task, before, *_ = case
    with task.hidden.hidden_in(task.cohort.calls):
        cost = registry.get(name).cost(task, Inputs(before))
        started = time.process_time()
        fitted = fit(name, task, before)
        fitted.gp_of(task.hidden)
        fitted.for_cohort(context_of(name, fitted, before)).gp(0, 80)
        took = time.process_time() - started
    assert cost.bytes >= 0
    assert cost.seconds <= 10 * took + 3, "far more was promised than it takes; on data this small little can be said"
    assert took <= 10 * cost.seconds + 3


def test_nothing_is_left_hidden(case):
    task = case[1]
    assert (task.cohort.calls[task.hidden.samples, task.hidden.loci] == task.hidden.truth).all()
    assert replace(task, threads=2).hidden.truth.tolist() == task.hidden.truth.tolist()
