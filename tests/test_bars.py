"""Progress: the time that is left, the bars on a terminal and in a notebook, and nothing anywhere else."""

import sys
import types

import numpy as np
import pytest
from conftest import TINY, simulate_linked

from imputevae_cli import Config, ImputeVAE, bars, log
from imputevae_cli.bars import BarProgress, NotebookProgress, Remaining


def test_before_anything_has_run_nothing_is_known_but_what_was_expected():
    assert Remaining([], 0.0).seconds(5.0) is None
    assert Remaining([("writing", 0.0)], 0.0).seconds(5.0) is None
    left = Remaining([("writing", 7.0)], 0.0)
    left.expect([("vae", 20.0), ("knn", 30.0)])
    assert left.seconds(5.0) == 57.0


def test_a_stage_at_work_tells_by_its_own_speed():
    left = Remaining([], 0.0)
    left.expect([("vae", 20.0), ("knn", 30.0)])
    left.begin("vae", 10.0)
    assert left.seconds(14.0) == 16.0 + 30.0  # as was expected
    left.begin_task(12.0)
    left.reach(0.25)
    assert left.seconds(14.0) == 6.0 + 30.0  # a quarter in 2 s


def test_what_was_expected_is_corrected_by_how_stages_went():
    left = Remaining([("writing", 4.0)], 0.0)
    left.expect([("vae", 20.0), ("knn", 30.0)])
    left.begin("vae", 0.0)
    left.end(10.0)  # twice as fast
    assert left.seconds(10.0) == 15.0 + 2.0
    left.begin("knn", 10.0)
    left.end(50.0)
    assert left.seconds(50.0) == 4.0  # 50 s for 50 that were expected
    left.begin("writing", 50.0)
    left.end(51.0)
    assert left.seconds(51.0) is None  # nothing is left


def test_stages_of_which_nothing_was_expected_count_as_the_longest_so_far():
    left = Remaining([], 0.0)
    left.expect([("frequencies", 0.0), ("vae", 0.0), ("knn", 0.0)])
    left.begin("frequencies", 0.0)
    assert left.seconds(1.0) is None
    left.end(1.0)
    left.begin("vae", 1.0)
    left.begin_task(1.0)
    left.reach(0.5)
    assert left.seconds(11.0) == 10.0 + 20.0
    left.end(21.0)
    assert left.seconds(21.0) == 20.0


def test_the_share_that_is_done_never_falls():
    left = Remaining([("a", 10.0)], 0.0)
    assert left.share(10.0) == 0.5
    left.expect([("b", 70.0)])
    assert left.share(20.0) == 0.5
    left.expect([])
    assert left.share(30.0) == 0.75


@pytest.fixture
def data():
    return simulate_linked(20, 60)[0]


def fitted(data, progress):
    return ImputeVAE(Config.from_dict({}).replace(TINY)).fit(data, progress=progress).transform(progress=progress)


class Display:
    """IPython's `display`: keeps what it is given."""

    def __init__(self):
        self.shown, self.n_outputs = [], 0

    def __call__(self, content, raw, display_id):
        assert raw
        self.n_outputs += 1
        self.update(content, raw)
        return self

    def update(self, content, raw):
        self.shown.append(content["text/plain"])


def test_bars_in_a_notebook_change_nothing_of_the_result(data, monkeypatch):
    monkeypatch.setattr(bars, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr("imputevae_cli.ensemble.fit.MOMENT_CELLS", 0)  # costs are looked at
    display = Display()
    progress = NotebookProgress(display)
    seen = []
    expect = progress.expect
    monkeypatch.setattr(progress, "expect", lambda stages: (seen.append(stages()), expect(lambda: seen[-1])))
    shown, quiet = fitted(data, progress), fitted(data, False)
    assert np.array_equal(shown.gp, quiet.gp)
    assert display.n_outputs == 1
    assert "VAE" in display.shown[-1]
    last = next(line for line in display.shown[-1].splitlines() if "overall" in line)
    assert "100 %" in last
    assert "left" not in last
    assert any("left" in text for text in display.shown)
    assert any(seconds > 0 for stages in seen for _, seconds in stages)


def test_a_notebook_has_bars_unless_told_otherwise(data, monkeypatch):
    display = Display()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    fitted(data, False)
    assert display.n_outputs == 0
    fitted(data, None)
    assert display.n_outputs >= 1
    ipython.get_ipython = lambda: types.SimpleNamespace()  # IPython in a terminal
    assert isinstance(log.chosen_progress(True), log.NullProgress)


def test_a_script_has_none(data, capsys):
    fitted(data, None)
    assert capsys.readouterr() == ("", "")


def test_stages_are_asked_for_only_where_they_are_shown():
    def refuse():
        raise AssertionError

    for progress in (log.NullProgress(), log.LogProgress(), BarProgress()):
        progress.expect(refuse)
        with progress.stage("a"), progress.task("b", 1) as task:
            task.advance()


def test_a_run_within_a_run_is_part_of_it(monkeypatch):
    monkeypatch.setattr(bars, "SECONDS_BETWEEN", 0.0)
    display = Display()
    progress = NotebookProgress(display)
    with progress.whole([("writing", 1.0)]):
        with progress.whole():
            progress.expect(lambda: [("vae", 1.0)])
            with progress.stage("vae"), progress.task("training", 2) as task:
                task.advance(2, "loss 0.1")
        with progress.task("writing", 4) as task:
            task.advance(4)
    assert display.n_outputs == 1
    lines = [line.split()[0] for line in display.shown[-1].splitlines()]
    assert lines == ["overall", "training", "writing"]
    with progress.task("reading", 0) as task:
        task.advance(606)
    assert display.n_outputs == 2
    assert "606" in display.shown[-1]


def test_a_run_that_fails_leaves_no_bars_behind():
    progress = BarProgress()
    with pytest.raises(ValueError, match="no"), progress.whole(), progress.stage("vae"):
        raise ValueError("no")
    with progress.whole():
        assert progress._remaining is not None
    assert progress._bars is None
