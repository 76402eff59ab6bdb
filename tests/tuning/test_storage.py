"""Studies that workers share: every trial run once, whoever dies on the way.

Databases that are served can be tried too: name their URLs, parted by blanks, in IMPUTEVAE_TEST_DATABASES. A study
named `shared` is deleted there.
"""

import contextlib
import multiprocessing
import os
import signal
import time

import optuna
import pytest
from optuna.trial import TrialState

from imputevae_cli.passwords import hide_passwords
from imputevae_cli.runtime.stopping import Stopped, StopRequest
from imputevae_cli.tuning import storage as shared
from imputevae_cli.tuning.opening import open_storage
from imputevae_cli.tuning.storage import LABEL, NOTE, RETRY_OF, NumberedTpe, Queued, Worker, queue

N_TRIALS = 16
SERVED = os.environ.get("IMPUTEVAE_TEST_DATABASES", "").split()
FIRST = [Queued("first", {"x": 0.5})]


def a_study(where, seed=1, name="shared"):
    """The study of this name, made with its first trial where it is not there."""
    settings = {"storage": open_storage(where), "study_name": name, "sampler": NumberedTpe(seed, 4)}
    try:
        study = optuna.create_study(**settings)
    except optuna.exceptions.DuplicatedStudyError:
        return optuna.load_study(**settings)
    queue(study, FIRST)
    return study


def parabola(trial):
    return [(trial.suggest_float("x", 0, 1) - 0.3) ** 2]


def run(study, budget, run_trial=parabola, **settings):
    settings = {"stop": StopRequest(), "stale_after": 60.0, **settings}
    Worker(study, budget, FIRST, **settings).run(run_trial, lambda: None)


def states(study):
    return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(shared, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(shared, "GRACE_SECONDS", 0.5)


@pytest.fixture(params=["journal", "sqlite", *SERVED], ids=hide_passwords)
def where(request, tmp_path):
    path = tmp_path / "study"
    if request.param in SERVED:
        with contextlib.suppress(KeyError):
            optuna.delete_study(study_name="shared", storage=open_storage(request.param))
        return request.param
    return f"journal:{path}" if request.param == "journal" else f"sqlite:///{path}"


def test_a_worker_runs_as_many_trials_as_asked_for_the_queued_ones_first(where):
    study = a_study(where)
    run(study, 6)
    assert states(study) == [TrialState.COMPLETE] * 6
    assert study.trials[0].params == {"x": 0.5}
    run(study, 6)
    assert len(study.trials) == 6, "nothing is left to do"
    run(study, 8)
    assert len(study.trials) == 8


def test_draws_depend_on_the_seed_and_on_the_number_alone(tmp_path):
    whole, parted, other = (a_study(f"journal:{tmp_path / n}", seed) for n, seed in (("a", 1), ("b", 1), ("c", 2)))
    run(whole, 10)
    for budget in (3, 7, 10):  # each time with a new sampler, as after a stop
        run(a_study(f"journal:{tmp_path / 'b'}", 1), budget)
    run(other, 10)
    assert [t.params for t in whole.trials] == [t.params for t in parted.trials]
    assert [t.params for t in whole.trials][1:] != [t.params for t in other.trials][1:]


def _work(where, patience, gate, doomed):
    """A worker in a process of its own. doomed: an event that it sets in its first trial, and then it hangs."""
    shared.POLL_SECONDS, shared.GRACE_SECONDS = 0.02, 5.0

    def slow_parabola(trial):
        values = parabola(trial)
        if doomed is not None:
            doomed.set()
            time.sleep(600)
        time.sleep(0.05)
        return values

    gate.wait()
    run(a_study(where), N_TRIALS, slow_parabola, stale_after=patience)
    os._exit(0)


@pytest.mark.parametrize("where", ["journal", *SERVED], indirect=True, ids=hide_passwords)
def test_four_workers_share_a_study_and_one_is_killed(where):
    fork = multiprocessing.get_context("fork")
    gate, doomed = fork.Event(), fork.Event()
    # The doomed one gives signs of life so rarely that it is not killed while it holds the journal's lock
    lost = fork.Process(target=_work, args=(where, 6000.0, gate, doomed))
    others = [fork.Process(target=_work, args=(where, 4.0, gate, None)) for _ in range(3)]
    for worker in (lost, *others):
        worker.start()
    gate.set()
    assert doomed.wait(60)
    os.kill(lost.pid, signal.SIGKILL)
    for worker in (lost, *others):
        worker.join(60)
    assert [worker.exitcode for worker in others] == [0, 0, 0]
    trials = a_study(where).trials
    done = [t for t in trials if t.state == TrialState.COMPLETE]
    failed = [t for t in trials if t.state == TrialState.FAIL]
    assert len(done) == N_TRIALS
    assert len(done) + len(failed) == len(trials), "nothing is left running or waiting"
    retries = [t for t in trials if RETRY_OF in t.user_attrs]
    assert len(retries) == 1, "the lost trial is run again, once"
    again = trials[retries[0].user_attrs[RETRY_OF]]
    assert again.state == TrialState.FAIL
    assert again.params == retries[0].params
    assert all(t.user_attrs[NOTE] == "one too many" for t in failed if t.number != again.number)
    drawn = [t.params["x"] for t in done]
    assert len(set(drawn)) == N_TRIALS, "none was run twice"


def let_another_ask_first(where):
    """Another worker takes a trial just before the next one asks for its own."""

    def late(self, *arguments, **settings):
        monkey.undo()
        optuna.load_study(study_name="shared", storage=open_storage(where)).ask()
        return ask(self, *arguments, **settings)

    ask = optuna.Study.ask
    monkey = pytest.MonkeyPatch()
    monkey.setattr(optuna.Study, "ask", late)


def test_of_two_that_go_for_the_last_place_one_gives_way(where):
    study = a_study(where)
    run(study, 2)

    let_another_ask_first(where)  # which takes the last place
    worker = Worker(study, 3, FIRST, stop=StopRequest(), stale_after=60.0)
    assert worker._claim() is None
    assert states(study)[2:] == [TrialState.RUNNING, TrialState.FAIL]
    assert study.trials[3].user_attrs[NOTE] == "one too many"


def test_a_new_trial_is_not_drawn_because_another_took_the_last_of_the_queue(where):
    study = a_study(where)

    let_another_ask_first(where)  # which takes it
    worker = Worker(study, 3, FIRST, stop=StopRequest(), stale_after=60.0, may_draw=lambda: False)
    assert worker._claim() is None
    assert states(study) == [TrialState.RUNNING, TrialState.FAIL]


def test_a_silent_trial_is_failed_and_run_again_with_its_settings(where):
    study = a_study(where)
    run(study, 2)
    silent = study.ask()
    x = silent.suggest_float("x", 0, 1)
    run(study, 4, stale_after=0.3)
    assert states(study).count(TrialState.COMPLETE) == 4
    assert study.trials[silent.number].state == TrialState.FAIL
    (again,) = [t for t in study.trials if t.user_attrs.get(RETRY_OF) == silent.number]
    assert again.params == {"x": x}


def test_a_trial_that_gives_signs_of_life_is_left_alone(where):
    study = a_study(where)

    def slow(trial):
        time.sleep(1.0)
        return parabola(trial)

    watching = Worker(study, 1, FIRST, stop=StopRequest(), stale_after=0.5)

    def look():
        watching._fail_stale()

    with shared._heartbeat(trial := study.ask(), 0.1):
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            look()
            time.sleep(0.05)
    assert study.trials[trial.number].state == TrialState.RUNNING


def test_the_result_of_a_trial_that_was_given_up_is_dropped(where):
    study = a_study(where)

    def given_up_meanwhile(trial):
        if trial.number == 1:
            a_study(where).tell(trial.number, state=TrialState.FAIL)
        return parabola(trial)

    run(study, 3, given_up_meanwhile)
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]


def test_an_error_ends_the_worker_and_is_noted(where):
    study = a_study(where)

    def broken(trial):
        parabola(trial)
        raise ZeroDivisionError("no way")

    with pytest.raises(ZeroDivisionError):
        run(study, 3, broken)
    assert states(study) == [TrialState.FAIL]
    assert study.trials[0].user_attrs[NOTE] == "ZeroDivisionError: no way"


def test_a_stopped_trial_is_given_back_and_run_first_afterwards(where):
    study, stop = a_study(where), StopRequest()

    def stopped(trial):
        values = parabola(trial)
        if trial.number == 2:
            stop.receive(signal.SIGTERM)
        return values

    with pytest.raises(Stopped):
        run(study, 4, stopped, stop=stop)
    assert states(study) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]
    run(study, 4)
    assert states(study).count(TrialState.COMPLETE) == 4
    assert study.trials[3].params == study.trials[2].params
    assert study.trials[0].user_attrs[LABEL] == "first"


def test_no_trial_begins_after_the_deadline(where):
    study = a_study(where)
    run(study, 5, deadline=time.monotonic() - 1)
    assert states(study) == [TrialState.WAITING]


def test_first_trials_that_a_killed_maker_left_out_are_added(where, monkeypatch):
    monkeypatch.setattr(shared, "GRACE_SECONDS", 0.1)
    study = optuna.create_study(storage=open_storage(where), study_name="shared")
    run(study, 2, may_draw=lambda: bool(study.trials))
    assert study.trials[0].user_attrs[LABEL] == "first"
    assert states(study) == [TrialState.COMPLETE] * 2


def test_a_lost_trial_that_a_killed_watcher_left_is_run_again(where, monkeypatch):
    monkeypatch.setattr(shared, "GRACE_SECONDS", 0.1)
    study = a_study(where)
    run(study, 2)
    silent = study.ask()
    x = silent.suggest_float("x", 0, 1)
    study.tell(silent, state=TrialState.FAIL)  # and here the watcher was killed
    run(study, 3)
    assert states(study) == [TrialState.COMPLETE] * 2 + [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[3].params == {"x": x}
