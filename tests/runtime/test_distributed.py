"""Fits that several processes share: what they make is what one process makes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import (
    QUICK_PARTS,
    QUICK_VAE,
    TINY_FLAGS,
    _exit_code,
    environment,
    flags_of,
    imputevae,
    simulate_linked,
    tiny_config,
    vcf_of,
)
from test_cli import names, refused
from test_loss import latent_of
from test_train import data_of
from vcf_maker import write

from imputevae_cli import imputer
from imputevae_cli.cli import session
from imputevae_cli.cli.processes import OWN_VARIABLES, process_count
from imputevae_cli.config import Config
from imputevae_cli.decoders.copying import rules as copying_rules
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.decoders.vae.loss import Objective
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.runtime.processes import Ranks
from imputevae_cli.runtime.random_draws import Draws
from imputevae_cli.runtime.resumable import Journal, Stages
from imputevae_cli.runtime.resumable_distributed import SharedStages
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.runtime.stopping import StopRequest
from imputevae_cli.runtime.torch_processes import Group

SECONDS = 60
CLOSE = 1e-5
"""How far weights and log losses of the global part may be from those of one process, on data this small."""


@dataclass
class Ended:
    """One of several processes that ran; stderr as text."""

    returncode: int
    stderr: str


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def side_by_side(n, work) -> list[Ended]:
    """work(rank) in n copies of this process, with the environment that torchrun would give them; none is left."""
    port, children = free_port(), []
    with tempfile.TemporaryDirectory() as folder:
        errors = [Path(folder, str(rank)) for rank in range(n)]
        for rank in range(n):
            child = os.fork()
            if child == 0:
                signal.alarm(SECONDS)  # ends it, whatever it waits for
                own = (rank, n, "127.0.0.1", port)
                os.environ.update({name: str(value) for name, value in zip(OWN_VARIABLES, own, strict=True)})
                os.dup2(os.open(errors[rank], os.O_WRONLY | os.O_CREAT), 2)
                sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
                os._exit(_exit_code(partial(_worked, work, rank)))
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        return [Ended(code, file.read_text()) for code, file in zip(codes, errors, strict=True)]


def _worked(work, rank):
    work(rank)
    sys.exit(0)


def shared(n, *arguments, before=lambda rank: None) -> list[Ended]:
    """The command line, shared by n processes, each of which first does `before(rank)`."""
    import imputevae_cli.imputer  # noqa: F401, so that the copies have it
    from imputevae_cli.cli.main import run

    def work(rank):
        before(rank)
        sys.argv = ["imputevae", *map(str, arguments)]
        run()

    return side_by_side(n, work)


def all_well(ended) -> None:
    assert [process.returncode for process in ended] == [0] * len(ended), "\n".join(p.stderr for p in ended)


def one_of(rank, size) -> Ranks:
    ranks = Ranks()
    ranks.rank, ranks.size = rank, size
    return ranks


def load(path) -> dict:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """A VCF in which neighbouring loci are linked."""
    path = tmp_path_factory.mktemp("linked") / "in.vcf"
    write(path, vcf_of(simulate_linked(30, 80)[0]))
    return path


@pytest.mark.parametrize(("n", "size"), [(10, 3), (2, 5), (0, 2), (64, 1)])
def test_parts_make_the_whole(n, size):
    every = [one_of(rank, size) for rank in range(size)]
    rows = np.arange(n)
    assert np.array_equal(np.concatenate([rows[ranks.part(n)] for ranks in every]), rows)
    assert sorted(i for ranks in every for i in ranks.mine(rows)) == rows.tolist()
    sizes = [len(rows[ranks.part(n)]) for ranks in every]
    assert max(sizes) - min(sizes) <= 1


def test_processes_that_draw_for_different_rows_stay_in_step():
    whole, *parts = (
        Draws(torch.Generator().manual_seed(3), 7, rows) for rows in (slice(None), slice(0, 3), slice(3, 7))
    )
    for draw in (Draws.uniform, Draws.normal, Draws.uniform):
        assert torch.equal(draw(whole, 5), torch.cat([draw(part, 5) for part in parts]))


def test_the_losses_of_parts_sum_to_that_of_the_batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((3, 8, 20), generator=generator)
    calls = torch.randint(-1, 3, (8, 20), generator=generator, dtype=torch.int8)
    latent, weights = latent_of(), torch.tensor([0.5, 1.0, 3.0])
    objective = Objective.of(calls, weights, 1.0, 2.0)

    def total(rows):
        reconstruction, _ = objective.reconstruction(logits[:, rows], calls[rows])
        return float(objective.mean(reconstruction, latent.kl()[rows]))

    parts = [total(rows) for rows in (slice(0, 3), slice(3, 8), slice(8, 8))]
    assert sum(parts) == pytest.approx(total(slice(None)), rel=1e-5)


def test_what_processes_tell_each_other():
    strange = np.array([-0.0, np.nan, 1e-40, -np.inf, 3.5, 7.0], np.float32)

    def work(rank):
        ranks = Group(rank, 3)
        one, two = torch.full((2, 2), float(rank)), torch.tensor(1.0)
        ranks.add(one, two)
        assert torch.equal(one, torch.full((2, 2), 3.0))
        assert float(two) == 3.0
        counts = np.array([[40_000 * (rank == 1), rank], [255, 256]], np.uint16)
        ranks.add_counts(counts)
        assert counts.tolist() == [[40_000, 3], [765, 768]]
        wide, done = np.zeros((4, 9), np.float32), np.zeros(5, bool)
        done[rank] = True
        wide[0, 2 + 2 * rank : 4 + 2 * rank] = strange[2 * rank : 2 * rank + 2]
        for _ in range(2):  # what has been merged may be merged again
            ranks.merge(wide[:, 2:8], done, wide[:0])
        assert wide[0, 2:8].tobytes() == strange.tobytes()
        assert not wide[1:].any()
        assert done.tolist() == [True] * 3 + [False] * 2
        assert ranks.greatest(rank, -rank) == (2, 0)
        state = {"doses": torch.arange(4).to(torch.uint16), 3: [("a", None, 0.5)]}
        told = ranks.told(state if rank == 0 else None)
        assert told["doses"].tolist() == [0, 1, 2, 3]
        assert told[3] == [("a", None, 0.5)]
        ranks.leave()

    all_well(side_by_side(3, work))


def test_the_first_process_decides_and_the_others_follow():
    class Memory(dict):
        read, write = dict.get, dict.__setitem__

        def delete(self, name):
            self.pop(name, None)

    def work(rank):
        ranks, store = Group(rank, 2), Memory({"outer/old": {"result": [5, rank]}})
        stop = StopRequest()
        stages = SharedStages(ranks, Journal(store, stop) if rank == 0 else Stages(), stop)
        made = []

        def make(name, value):
            made.append(name)
            return value

        def outer():
            assert stages.ranks is ranks
            assert stages.run_together("old", lambda: pytest.fail("is remembered")) == [5, 0]
            assert stages.run("own", alone) == "first"
            return stages.run_together("new", lambda: make("new", 7))

        def alone():
            assert stages.ranks.size == 1
            return stages.run_together("inner", lambda: make("inner", "first" if rank == 0 else "second"))

        assert stages.run_together("outer", outer) == 7
        assert made == (["inner", "new"] if rank == 0 else ["new"])
        ranks.leave()

    all_well(side_by_side(2, work))


def test_torchrun_gives_the_bytes_of_one_process(linked, tmp_path):
    arguments = ["train", linked, "-o", "m.ivae", "--threads", 1, "-q", "--latent", "latent.tsv"]
    arguments += flags_of(QUICK_VAE | QUICK_PARTS | {"model.decoder": "copying", "copying.trial": True})
    arguments += flags_of({"copying.core": 20, "copying.halo": 5, "sim.sim_prop": 0.2})
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert imputevae(*arguments, cwd=one).returncode == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    launcher += ["--master-port", str(free_port()), "-m", "imputevae_cli"]
    process = subprocess.Popen(
        [*launcher, *map(str, arguments)], cwd=two, env=environment(), stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # the launcher ends its processes
            process.wait(SECONDS)
    assert process.returncode == 0, errors.decode()
    assert names(two) == names(one) == ["latent.pdf", "latent.tsv", "m.ivae"]
    for name in ("m.ivae", "latent.tsv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_all_parts_are_those_of_one_process(cohort, tmp_path, monkeypatch):
    screened = Rules(small_cells=0, screen_cells=5, linked=0.0)
    monkeypatch.setattr(imputer, "Rules", lambda: screened)
    arguments = ["train", cohort / "in.vcf", "--popmap", cohort / "pops.popmap", "--threads", 1]
    arguments += flags_of(QUICK_VAE | QUICK_PARTS | {"sim.sim_prop": 0.2, "train.ensemble": 2})
    assert imputevae(*arguments, "-o", tmp_path / "one.ivae").returncode == 0
    first, second = shared(2, *arguments, "-o", tmp_path / "two.ivae")
    all_well([first, second])
    assert "Trained" in first.stderr
    assert second.stderr == ""
    one, two = (load(tmp_path / name)["ensemble"] for name in ("one.ivae", "two.ivae"))
    assert one["notes"] == two["notes"]
    assert one["gate"]["parts"] == two["gate"]["parts"]
    same = {
        name: torch.equal(value, two["decoders"]["vae"]["encoder"]["weights"][name])
        for name, value in one["decoders"]["vae"]["encoder"]["weights"].items()
    }
    assert all(same.values()), "the latent is fitted in passing, by the first process"


@pytest.mark.parametrize("settings", [{}, {"train.l1_penalty": 0.1, "train.gamma": 1.0, "train.weights_power": 0.5}])
def test_the_global_part_is_close_to_that_of_one_process(cohort, tmp_path, settings):
    arguments = ["train", cohort / "in.vcf", "--popmap", cohort / "pops.popmap", "--threads", 1, "-q"]
    arguments += [*TINY_FLAGS, *flags_of({"train.max_epochs": 12, "train.ensemble": 2, **settings})]
    assert imputevae(*arguments, "-o", tmp_path / "one.ivae").returncode == 0
    all_well(shared(3, *arguments, "-o", tmp_path / "three.ivae"))
    one, three = (load(tmp_path / name) for name in ("one.ivae", "three.ivae"))
    assert one["expected"]["model"]["log_loss"] == pytest.approx(three["expected"]["model"]["log_loss"], abs=CLOSE)
    members = [
        [model["ensemble"]["decoders"]["vae"]["encoder"], *model["ensemble"]["decoders"]["vae"]["members"]]
        for model in (one, three)
    ]
    assert len(members[0]) == 2
    for mine, theirs in zip(*members, strict=True):
        assert mine["best_epoch"] == theirs["best_epoch"]
        for before, after in zip(mine["history"], theirs["history"], strict=True):
            assert before == pytest.approx(after, rel=CLOSE)
        for name, weights in mine["weights"].items():
            assert torch.allclose(weights, theirs["weights"][name], rtol=CLOSE, atol=CLOSE), name


def stop_in(rank_that_stops, iteration):
    """A step that has one of the processes get a signal in the midst of an iteration of a chain."""

    def before(rank):
        read = Chain._read

        def stopped_read(chain, *task):
            if rank == rank_that_stops and chain.iteration == iteration:
                os.kill(os.getpid(), signal.SIGTERM)
            return read(chain, *task)

        Chain._read = stopped_read

    return before


@pytest.mark.parametrize(("stopped", "again"), [(0, 3), (1, 1)])
def test_a_signal_to_any_stops_all_and_any_number_can_go_on(linked, tmp_path, monkeypatch, stopped, again):
    small_tasks = replace(copying_rules.DEFAULT, work=copying_rules.WorkSizes(samples_per_sweep=4))
    monkeypatch.setattr(copying_rules, "DEFAULT", small_tasks)
    out = tmp_path / "m.ivae"
    arguments = ["train", linked, "-o", out, "--threads", 1, "--resume", *TINY_FLAGS, "--set", "copying.chains=2"]
    arguments += flags_of({"model.decoder": "copying", "copying.core": 20, "copying.halo": 5})
    first, second = shared(2, *arguments, before=stop_in(stopped, 2))
    assert (first.returncode, second.returncode) == (75, 75), first.stderr + second.stderr
    assert "m.ivae.ckpt holds what was done" in first.stderr
    assert second.stderr == ""
    assert names(tmp_path) == ["m.ivae.ckpt"]
    assert "copying.at-work.pt" in names(tmp_path / "m.ivae.ckpt")
    all_well(shared(again, *arguments))
    resumed = out.read_bytes()
    out.unlink()
    assert imputevae(*arguments).returncode == 0
    assert out.read_bytes() == resumed


def test_where_one_process_dies_all_end_and_nothing_is_written(linked, tmp_path):
    def before(rank):
        if rank == 1:
            Chain.iterate = lambda *_: os._exit(9)

    arguments = ["train", linked, "-o", tmp_path / "m.ivae", "-q", *TINY_FLAGS, "--set", "model.decoder=copying"]
    begun = time.monotonic()
    first, second, third = shared(3, *arguments, before=before)
    assert (first.returncode, second.returncode, third.returncode) == (5, 9, 5)
    assert "another process of this run has ended" in first.stderr
    assert third.stderr == ""
    assert not (tmp_path / "m.ivae").exists()
    assert time.monotonic() - begun < SECONDS


def test_an_output_that_is_there_ends_all(cohort, tmp_path):
    (tmp_path / "m.ivae").write_text("mine")
    first, second = shared(2, "train", cohort / "in.vcf", "-o", tmp_path / "m.ivae", "-q", *TINY_FLAGS)
    assert (first.returncode, second.returncode) == (2, 5)
    assert "exists already" in first.stderr
    assert (tmp_path / "m.ivae").read_text() == "mine"


@pytest.fixture
def launched(monkeypatch):
    """The environment of the second of two processes."""
    for name, value in zip(OWN_VARIABLES, ("1", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("command", ["impute", "evaluate", "tune"])
def test_other_commands_are_for_one_process(launched, cohort, tmp_path, command):
    refused(imputevae(command, cohort / "in.vcf", "-o", tmp_path / "o.vcf"), 2, "torchrun", "train")
    assert names(tmp_path) == []


def test_standard_input_cannot_be_shared(launched, tmp_path):
    refused(imputevae("train", "-", "-o", tmp_path / "m.ivae"), 2, "standard input")


def test_only_a_launcher_makes_processes_share(launched):
    assert process_count() == 2
    launched.delenv("MASTER_ADDR")
    assert process_count() == 1, "as under srun, which gives each task a number too"


def test_processes_of_one_machine_share_its_threads(launched):
    launched.setenv("SLURM_CPUS_PER_TASK", "7")
    assert session.allotted_threads() == 7
    launched.setenv("LOCAL_WORLD_SIZE", "2")
    assert session.allotted_threads() == 3
    launched.setenv("LOCAL_WORLD_SIZE", "20")
    assert session.allotted_threads() == 1


def test_products_in_bf16_learn_the_same():
    data = data_of(popmap=True)
    exact, rounded = (
        train_members(data, Config().replace({"train.precision": name}), RunOptions())[0]
        for name in ("float32", "bf16")
    )
    assert rounded.best_loss == pytest.approx(exact.best_loss, abs=1e-3)
    assert rounded.best_loss != exact.best_loss
    assert {value.dtype for value in rounded.model.state_dict().values()} == {torch.float32}
    assert tiny_config().train.precision == "float32"
