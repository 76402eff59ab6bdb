"""Runs that are stopped and taken up again end as those that were left alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import simulate, simulate_linked, tiny_config

from imputevae_cli import ImputeVAE
from imputevae_cli.decoders.copying import rules as copying_rules
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.errors import CheckpointError, OutputError
from imputevae_cli.runtime import resumable as stages_module
from imputevae_cli.runtime.resumable import Journal, Stages
from imputevae_cli.runtime.run_folder import RunFolder, identity_of
from imputevae_cli.runtime.run_manifest import MANIFEST, check_is_ours, write_manifest
from imputevae_cli.runtime.serialise import canonical
from imputevae_cli.runtime.stopping import Stopped, StopRequest

SIGNAL = 15


class Stopping(Journal):
    """A journal of a run that a signal reaches on its way from one safe point to the next."""

    def __init__(self, folder, after=1):
        self.request = StopRequest()
        super().__init__(folder, self.request)
        self.left, self.at, self.at_work = after, [], False

    def run(self, *stage):
        self.at_work = False
        return super().run(*stage)

    def safe_point(self, state):
        self.at_work = False
        super().safe_point(state)
        self.at_work = True
        self.at.append(self._stage)
        self._come_closer()

    def is_due(self):
        if self.at_work and self._stage.startswith("copying"):  # asked at every block of samples
            self._come_closer()
        return super().is_due()

    def _come_closer(self):
        self.left -= 1
        if self.left == 0:
            self.request.receive(SIGNAL)


def folder_of(path, genotypes, config, **more):
    return RunFolder(path / "out.ckpt", identity_of(genotypes, config, **more))


def by_steps(path, genotypes, config, after=1, rules=None):
    """A model fitted by a run that is stopped after so many safe points, and again, until it ends; how often."""
    stopped = 0
    for _ in range(1000):
        journal = Stopping(folder_of(path, genotypes, config), after)
        try:
            return ImputeVAE(config, rules).fit(genotypes, stages=journal), stopped
        except Stopped:
            journal.save()
            stopped += 1
    raise AssertionError("the run does not end")


def same_files(path, one, other):
    one.save(path / "one.ivae")
    other.save(path / "other.ivae")
    return (path / "one.ivae").read_bytes() == (path / "other.ivae").read_bytes()


QUICK = {"knn__steps": 5, "knn__redraws": 2, "train__max_epochs": 2, "copying__iterations": 3}


@pytest.mark.parametrize("small", [True, False], ids=["all parts", "cheap runs first"])
def test_a_fit_that_is_stopped_at_every_safe_point(tmp_path, small):
    rules = Rules() if small else Rules(small_cells=0, screen_cells=5, linked=0.0)
    genotypes, _ = simulate_linked(30, 80)
    config = tiny_config(model__decoder="auto", train__ensemble=2, copying__chains=2, **QUICK)
    alone = ImputeVAE(config, rules).fit(genotypes)
    again, stopped = by_steps(tmp_path, genotypes, config, rules=rules)
    assert stopped > 15
    assert same_files(tmp_path, alone, again)
    assert alone.expected == again.expected
    assert np.array_equal(alone.transform().gp, again.transform().gp)


def test_an_iteration_that_is_stopped_among_its_blocks(tmp_path, monkeypatch):
    small_tasks = replace(copying_rules.DEFAULT, work=copying_rules.WorkSizes(samples_per_sweep=4))
    monkeypatch.setattr(copying_rules, "DEFAULT", small_tasks)
    genotypes, _ = simulate_linked(30, 80)
    config = tiny_config(model__decoder="copying", copying__core=20, copying__halo=5, **QUICK)
    config = config.replace({"copying.trial": True})
    alone = ImputeVAE(config).fit(genotypes)
    again, stopped = by_steps(tmp_path, genotypes, config, after=7)
    assert stopped > 10
    assert same_files(tmp_path, alone, again)


def test_samples_that_the_model_was_not_fitted_on(tmp_path):
    genotypes, _ = simulate_linked(30, 80)
    config = tiny_config(model__decoder="copying", **QUICK)
    model = ImputeVAE(config).fit(genotypes)
    others = replace(genotypes, calls=genotypes.calls[:12, ::-1].copy(), samples=genotypes.samples[:12])
    alone = model.transform(others).gp
    folder = folder_of(tmp_path, others, config)
    with pytest.raises(Stopped):
        model.transform(others, stages=Stopping(folder, 2)).gp  # noqa: B018
    journal = Stopping(folder, 1000)
    assert np.array_equal(model.transform(others, stages=journal).gp, alone)
    assert 0 < len(journal.at) < 4


def test_finished_stages_are_not_run_again(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    journal = Journal(folder, StopRequest())
    assert journal.run("one", lambda: [1, "a", None]) == [1, "a", None]
    assert not folder.is_there, "nothing is written before it is asked for"
    journal.save()
    later = Journal(folder, StopRequest())
    assert later.run("one", lambda: pytest.fail("run again")) == [1, "a", None]
    assert later.run("two", lambda: 2) == 2


def test_a_stage_is_stopped_at_once_before_its_first_safe_point_alone():
    store, request = {}, StopRequest()

    class Memory:
        read, write, delete = store.get, store.__setitem__, lambda name: None

    journal = Journal(Memory, request)

    def work():
        with pytest.raises(Stopped):
            request.receive(SIGNAL)
        request.__init__()
        journal.safe_point(lambda: "start")
        request.receive(SIGNAL)
        assert store == {}, "only noted"
        return "made"

    with pytest.raises(Stopped):
        journal.run("stage", work)
    assert store == {"stage": {"result": "made"}}
    assert not request.deferred


def test_a_second_signal_does_not_wait():
    request = StopRequest()
    request.deferred = True
    request.receive(SIGNAL)
    with pytest.raises(Stopped) as stopped:
        request.receive(10)
    assert stopped.value.number == 10


def test_results_are_saved_when_time_has_passed(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    journal = Journal(folder, StopRequest(), every=1e-9)
    journal.run("one", lambda: 1)
    assert folder.read("one") == {"result": 1}
    journal.run("two", lambda: journal.safe_point(lambda: {"n": 3}))
    assert folder.read("two") == {"result": None}
    assert folder.read("two/at work") is None, "it is of no use any more"
    with pytest.raises(ZeroDivisionError):
        journal.run("three", lambda: (journal.safe_point(lambda: {"n": 3}), 1 / 0))
    assert folder.read("three/at work") == {"state": {"n": 3}}
    later = Journal(folder, StopRequest())
    assert later.run("four", later.resumed) is None
    assert later.run("three", later.resumed) == {"n": 3}


def test_large_results_are_saved_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(stages_module, "LARGE", 100)
    folder = RunFolder(tmp_path / "a.ckpt", {})
    journal = Journal(folder, StopRequest())
    journal.run("small", lambda: torch.zeros(3))
    assert not folder.is_there
    journal.run("large", lambda: {"deep": [torch.zeros(10), torch.zeros(20)]})
    assert sorted(p.name for p in folder.path.iterdir()) == ["large.pt", MANIFEST, "small.pt"]


def test_a_run_that_cannot_be_saved_goes_on(tmp_path, caplog):
    (tmp_path / "a.ckpt").write_text("a file")
    journal = Journal(RunFolder(tmp_path / "a.ckpt", {}), StopRequest(), every=1e-9)
    assert journal.run("one", lambda: 1) == 1
    with pytest.raises(OutputError, match=r"a\.ckpt"):
        journal.save()


def test_the_folder_belongs_to_one_run(tmp_path):
    genotypes, _ = simulate(12, 20)
    config = tiny_config()
    kept = folder_of(tmp_path, genotypes, config)
    kept.write("stage", {"result": 1})
    kept.check()
    folder_of(tmp_path, genotypes, config.replace({"io.n_jobs": 3, "io.verbose": True})).check()
    changed = genotypes.calls.copy()
    changed[3, 4] = (changed[3, 4] + 1) % 3
    for other, words in (
        (folder_of(tmp_path, genotypes, config.replace({"vae.kl_beta": 1.5})), r"vae\.kl_beta was 3\.0, is 1\.5"),
        (folder_of(tmp_path, genotypes.with_calls(changed), config), "the input"),
        (folder_of(tmp_path, genotypes.with_map(np.arange(20.0)), config), "the input"),
        (folder_of(tmp_path, genotypes, config, model=tmp_path / "out.ckpt" / MANIFEST), "--model"),
    ):
        with pytest.raises(CheckpointError, match=words) as error:
            other.check()
        assert "out.ckpt" in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"format": 1, "format_version": 2}'])
def test_a_damaged_manifest(tmp_path, text):
    folder = RunFolder(tmp_path / "a.ckpt", {"software_version": "1"})
    folder.write("stage", {"result": 1})
    (folder.path / MANIFEST).write_text(text)
    with pytest.raises(CheckpointError, match=r"a\.ckpt"):
        folder.check()


def test_a_damaged_stage(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    folder.write("stage", {"result": 1})
    (folder.path / "stage.pt").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"stage\.pt: is damaged"):
        folder.read("stage")


def test_only_what_is_ours_is_removed(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    folder.remove()
    folder.write("stage/inner 1", {"result": torch.arange(3)})
    (folder.path / "notes.txt").write_text("mine")
    folder.remove()
    assert [p.name for p in folder.path.iterdir()] == ["notes.txt"]
    (folder.path / "notes.txt").unlink()
    folder.write("stage", {"result": 1})
    folder.remove()
    assert not folder.path.exists()


def test_the_identity_is_plain(tmp_path):
    genotypes, _ = simulate(12, 20)
    assert json.loads(json.dumps(identity_of(genotypes, tiny_config())))["model"] is None


def test_no_journal_remembers_nothing():
    stages = Stages()
    assert stages.run("stage", lambda: stages.resumed()) is None
    stages.safe_point(lambda: pytest.fail("not asked for"))
    assert not stages.is_due()


def test_the_same_values_make_the_same_file(tmp_path):
    word = "".join(["a", "word"])
    whole = torch.arange(6.0)
    for name, value in {
        "computed": {"x": [word, word], "part": whole[:3], "turned": torch.ones(2, 3).T},
        "loaded": {"x": ["a" + "word", "".join(["aw", "ord"])], "part": torch.arange(3.0), "turned": torch.ones(3, 2)},
    }.items():
        with open(tmp_path / name, "wb") as file:
            torch.save(canonical(value), file)
    assert (tmp_path / "computed").read_bytes() == (tmp_path / "loaded").read_bytes()


def test_any_flipped_bit_of_a_run_folder_is_noticed(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {"software_version": "1"})
    folder.write("stage", {"result": torch.arange(50)})
    rng = np.random.default_rng(1)
    for name in ("stage.pt", MANIFEST):
        file = folder.path / name
        whole = file.read_bytes()
        for place in rng.integers(len(whole), size=60):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.integers(8)
            file.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=r"a\.ckpt"):
                _ = (check_is_ours(folder.path), folder.check(), folder.read("stage"))
        file.write_bytes(whole)
    assert check_is_ours(folder.path)
    assert torch.equal(folder.read("stage")["result"], torch.arange(50))


def test_a_stage_in_the_place_of_another_or_of_another_run_is_noticed(tmp_path):
    one, other = (RunFolder(tmp_path / f"{seed}.ckpt", {"settings": {"io.seed": seed}}) for seed in (1, 2))
    for folder in (one, other):
        folder.write("first", {"result": 1})
        folder.write("second", {"result": 2})
    (one.path / "second.pt").write_bytes((one.path / "first.pt").read_bytes())
    (one.path / "first.pt").write_bytes((other.path / "first.pt").read_bytes())
    for stage in ("first", "second"):
        with pytest.raises(CheckpointError, match=rf"{stage}\.pt: is damaged, or of another run"):
            one.read(stage)


def test_what_the_manifest_does_not_list_is_not_removed(tmp_path):
    folder = RunFolder(tmp_path / "a.ckpt", {})
    folder.write("stage", {"result": 1})
    (folder.path / "weights.pt").write_text("years")
    with pytest.raises(OutputError, match=r"holds 'weights\.pt', which imputevae did not write"):
        check_is_ours(folder.path)
    folder.remove()
    assert [path.name for path in folder.path.iterdir()] == ["weights.pt"]


def test_a_run_of_an_older_build_of_one_version_is_refused(tmp_path):
    folder, run = tmp_path / "a.ckpt", RunFolder(tmp_path / "a.ckpt", {"software_version": "1"})
    folder.mkdir()
    write_manifest(folder, {**run.identity, "format_version": 2}, [])
    with pytest.raises(CheckpointError, match=r"its format is imputevae run 2\); run as before, or start over"):
        run.check()


def test_a_run_folder_of_0_1_is_refused(tmp_path):
    folder = tmp_path / "a.ckpt"
    folder.mkdir()
    (folder / MANIFEST).write_text('{"format": "imputevae run", "format_version": 1}')
    (folder / "stage.pt").write_text("")
    with pytest.raises(CheckpointError, match=r"another version of imputevae; remove .*a\.ckpt to start over"):
        check_is_ours(folder)
