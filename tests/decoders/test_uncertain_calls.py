"""What the decoders that take part where calls are uncertain must do there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import QUICK_VAE, simulate, simulate_linked

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import FIRST_FREE, FLAT, Evidence, special_table
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, posterior
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Context, Effort, Inputs, Setting, Task
from imputevae_cli.decoders.knn.model import KnnModel
from imputevae_cli.decoders.knn.panel import Panel
from imputevae_cli.decoders.knn.settings import KnnSettings
from imputevae_cli.decoders.knn.varying_loci import given_that_it_varies
from imputevae_cli.decoders.vae import rules as vae_rules
from imputevae_cli.decoders.vae import untrained_loci as wide
from imputevae_cli.decoders.vae.loss import Objective, focal_loss
from imputevae_cli.decoders.vae.network import effects_of
from imputevae_cli.decoders.vae.soft_calls import SoftCalls
from imputevae_cli.log import NullProgress
from imputevae_cli.runtime.serialise import canonical
from imputevae_cli.scoring.likelihood_score import likelihood_loss

SETTINGS = {**QUICK_VAE, "train.max_epochs": 60, "model.hidden_units": 32, "train.decoder_l2": 5.0, "knn.steps": 60}
CONFIG = Config().replace(SETTINGS)
DEVICE = torch.device("cpu")
NAMES = ("vae", "knn")
DEPTH = 2.0


def reads_of(truth, seed=0, depth=DEPTH, error=0.01):
    """Evidence of reads at Poisson depth, and the calls that they favour, int8."""
    rng = np.random.default_rng(seed)
    n_reads = np.minimum(rng.poisson(depth, truth.shape), 7)
    chance = np.array([error, 0.5, 1 - error])
    n_alt = rng.binomial(n_reads, chance[truth])
    pairs = np.stack([n_reads.ravel(), n_alt.ravel()], 1)
    kinds, rows = np.unique(pairs, axis=0, return_inverse=True)
    table = chance ** kinds[:, 1:] * (1 - chance) ** (kinds[:, :1] - kinds[:, 1:])
    table /= table.max(1, keepdims=True)
    codes = np.where(n_reads > 0, rows.reshape(truth.shape) + FIRST_FREE, FLAT).astype(np.uint16)
    evidence = Evidence(codes, np.concatenate([special_table(2), table.astype(np.float32)]))
    return evidence, np.where(n_reads > 0, table.argmax(1)[rows].reshape(truth.shape), -1).astype(np.int8)


def task_of(name, n_samples=60, seed=0):
    """A task of low-depth calls with what a decoder can see, populations or linked loci; and the truth behind them."""
    simulated = {"vae": simulate, "knn": simulate_linked}[name]
    genotypes, truth = simulated(n_samples, 120, seed=seed)
    evidence, calls = reads_of(truth, seed)
    loci = genotypes.loci
    cohort = Cohort(calls, loci.chrom_codes, loci.positions, 2, evidence=evidence)
    known = np.flatnonzero(calls.ravel() >= 0)
    cells = np.sort(np.random.default_rng(1).choice(known, 600, replace=False))
    validation, test = (HiddenCells.at(some, calls, evidence) for some in (cells[::2], cells[1::2]))
    return Task(cohort, validation, test, CONFIG, DEVICE, NullProgress(), 1), truth


def before(name, task):
    return {"vae": registry.get("vae").fit(task, Inputs({}, Effort.CHEAP))} if name == "knn" else {}


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    """(name, task, truth, what was fitted before, the fitted decoder, what it says of held-out cells)."""
    task, truth = task_of(request.param)
    with task.holding_out():
        earlier = before(request.param, task)
        fitted = registry.get(request.param).fit(task, Inputs(earlier))
        said = fitted.gp_of(task.hidden)
    return request.param, task, truth, earlier, fitted.on_all_calls(task, Inputs(earlier)), said


def context_of(case):
    name, _, _, earlier, fitted, _ = case
    return Context(CONFIG, {**earlier, name: fitted})


def test_it_takes_part(case):
    assert registry.get(case[0]).role.on_evidence == "also"


def test_held_out_cells_are_guessed_better_than_by_frequencies(case):
    _, task, _, _, _, said = case
    with task.holding_out():
        plain = evidence_frequencies(task.cohort.evidence)[-1][task.hidden.loci]
    assert said.sum(1) == pytest.approx(1, abs=1e-4)
    likelihoods = task.hidden.likelihoods
    assert likelihood_loss(said, likelihoods) < 0.97 * likelihood_loss(plain, likelihoods)


def test_uncertain_calls_that_show_are_guessed_from_the_others(case):
    _, task, truth, _, fitted, _ = case
    cohort = task.cohort
    gp = fitted.for_cohort(context_of(case)).gp(0, cohort.n_loci)
    uncertain = cohort.evidence.uncertain(slice(None), 0, cohort.n_loci)
    shown = uncertain & (cohort.calls >= 0)
    assert shown.mean() > 0.3
    assert gp[uncertain].sum(1) == pytest.approx(1, abs=1e-4)
    assert gp[shown].max(1).mean() < 0.95
    likelihoods = cohort.evidence.block(slice(None), 0, cohort.n_loci)
    plain = np.broadcast_to(evidence_frequencies(cohort.evidence)[-1], gp.shape)
    right = [np.take_along_axis(posterior(p, likelihoods), truth[..., None].astype(int), 2) for p in (gp, plain)]
    mixed, alone = (-np.log(np.maximum(p[shown], 1e-6)).mean() for p in right)
    assert mixed < 0.97 * alone


def test_state_and_new_samples(case):
    name, task, _, earlier, fitted, _ = case
    state = canonical(fitted.state())
    again = registry.get(name).from_state(state, Setting(task.cohort, task.hidden, CONFIG, DEVICE))
    uncertain = task.cohort.evidence.uncertain(slice(None), 0, 120)
    one, two = (
        each.for_cohort(Context(CONFIG, {**earlier, name: each})).gp(0, 120)[uncertain] for each in (fitted, again)
    )
    assert np.array_equal(one, two)
    new = task_of(name)[0].cohort
    some = replace(new, calls=new.calls[:6].copy(), evidence=new.evidence.subset(np.arange(6), np.arange(120)))
    gp = fitted.for_samples(some, context_of(case)).gp(0, 120)
    assert gp[uncertain[:6]].sum(1) == pytest.approx(1, abs=1e-4)
    assert gp[(some.calls >= 0) & uncertain[:6]].max(1).mean() < 0.97
    certain = some.with_calls(some.calls)
    gp = fitted.for_samples(certain, context_of(case)).gp(0, 120)
    assert gp[some.calls < 0].sum(1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes(name):
    said = []
    for _ in range(2):
        task, _ = task_of(name, n_samples=20)
        short = CONFIG.replace({"train.max_epochs": 2, "knn.steps": 5})
        task = replace(task, config=short)
        with task.holding_out():
            said.append(registry.get(name).fit(task, Inputs(before(name, task))).gp_of(task.hidden))
    assert np.array_equal(*said)


# --- where the evidence is certain, all is as it is with calls


@pytest.fixture
def certain():
    """Calls with missing ones, int8 (12, 30), and their evidence, which knows no error."""
    rng = np.random.default_rng(0)
    calls = rng.choice(np.array([-1, 0, 1, 2], np.int8), (12, 30))
    return calls, Evidence.certain(calls)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weighs", [False, True])
def test_the_loss_of_certain_evidence_is_that_of_calls(certain, gamma, weighs):
    calls, soft = torch.from_numpy(certain[0]), SoftCalls.of(certain[1])
    weights = torch.tensor([0.5, 1.0, 1.5]) if weighs else torch.ones(3)
    soft = soft.with_best(torch.full((30, 3), 1 / 3)) if weighs else soft
    logits = torch.randn(3, 12, 30, generator=torch.Generator().manual_seed(1))
    losses, slopes = zip(*(focal_loss(logits, each, weights, gamma) for each in (calls, soft)), strict=True)
    assert torch.allclose(*losses, atol=1e-6)
    assert torch.allclose(*slopes, atol=1e-6)
    assert torch.allclose(*(Objective.of(each, weights, gamma, 1.0).weights for each in (calls, soft)))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weighs", [False, True])
def test_the_slope_of_the_loss_of_evidence_is_that_of_autograd(gamma, weighs):
    rng = np.random.default_rng(3)
    table = np.concatenate([np.ones((1, 3)), rng.random((20, 3))]).astype(np.float32)
    table /= table.max(1, keepdims=True)
    soft = SoftCalls.of(Evidence(rng.integers(0, 21, (12, 30)).astype(np.uint16), table))
    soft = soft.with_best(torch.full((30, 3), 1 / 3)) if weighs else soft
    logits = torch.randn(3, 12, 30, generator=torch.Generator().manual_seed(1)).requires_grad_()
    losses, slope = focal_loss(logits, soft, torch.tensor([0.5, 1.0, 1.5]), gamma)
    assert torch.allclose(slope, torch.autograd.grad(losses.sum(), logits)[0], atol=1e-5)
    assert not slope[:, ~soft.known].any()


def test_certain_evidence_is_read_as_calls(certain):
    calls, evidence = certain
    soft = SoftCalls.of(evidence)
    dosage, certainty = soft.dosage(torch.full((30, 3), 1 / 3))
    known = torch.from_numpy(calls >= 0)
    assert torch.allclose(dosage[known], torch.from_numpy(calls[calls >= 0]).float(), atol=1e-5)
    assert torch.allclose(certainty, known.float(), atol=1e-4)
    hidden = torch.zeros(12, 30, dtype=torch.bool)
    hidden[3] = True
    assert not soft.without(hidden).known[3].any()


def test_certain_evidence_votes_as_calls(certain):
    calls, evidence = certain
    cohort = Cohort(calls, np.zeros(30, np.int32), np.arange(30), 2)
    settings, loci = KnnSettings(window=3, linked=4), torch.arange(30)
    tables = []
    for one in (cohort, replace(cohort, evidence=evidence)):
        panel = Panel(one, settings, np.random.default_rng(0))
        turned = panel.flipped[:, None, None]
        tables.append(torch.where(turned, panel.votes.tables(loci).flip(1), panel.votes.tables(loci)))
        assert torch.equal(panel.votes.counts(), panel.counts)
    assert torch.allclose(*tables)


def test_loadings_are_read_off_where_the_slope_is_zero():
    rng = torch.Generator().manual_seed(0)
    inputs = torch.cat([torch.randn(80, 3, generator=rng), torch.ones(80, 1)], 1)
    truth = torch.randint(0, 3, (80, 6), generator=rng).numpy()
    soft, effects = SoftCalls.of(reads_of(truth)[0]), torch.tensor(effects_of(3))
    precision = torch.tensor([20.0, 20.0, 20.0, 1.0])
    steps = wide.ReadOffRules().soft_steps
    weights = wide._weights(inputs, soft, effects, precision, steps).requires_grad_(True)
    start = wide._at_frequencies(soft, effects, 4)
    wide._penalised(inputs, weights, start, effects, wide._Uncertain(soft), precision).sum().backward()
    assert weights.grad.abs().max() < 0.5


# --- nobody votes for himself


def test_a_sample_does_not_vote_for_itself():
    """What is said of a call that shows does not hang on that call, but for what it adds to sums over all samples."""
    truth = np.random.default_rng(0).binomial(2, 0.5, (40, 60)).astype(np.int8)
    evidence, calls = reads_of(truth, depth=3.0)
    cohort = Cohort(calls, np.zeros(60, np.int32), np.arange(60), 2, evidence=evidence)
    model = KnnModel(KnnSettings(steps=30, heads=2, hidden=8), seed=1).fit(cohort)
    gp = model.gp(0, 60)
    shown = (calls >= 0) & evidence.uncertain(slice(None), 0, 60)
    favoured = np.take_along_axis(gp, np.maximum(calls, 0)[..., None].astype(int), 2)[..., 0]
    expected = np.take_along_axis(gp.mean(0), np.maximum(calls, 0).T.astype(int), 1).T
    assert abs((favoured - expected)[shown].mean()) < 0.03  # without structure, its own call tells nothing


def test_where_no_other_carries_an_allele_the_one_that_seems_to_may():
    """One carrier among thirty: the others' word that it is none counts for less; a common allele is left alone."""
    gp = np.broadcast_to(np.float32([0.999, 0.001, 0.0]), (30, 3, 3)).copy()
    gp[:, 1] = [0.3, 0.5, 0.2]
    calls = np.zeros((30, 3), np.int8)
    calls[0, :2] = 1
    likelihoods = np.where(calls[..., None] == 1, np.float32([0.05, 1, 0.05]), np.float32([1, 0.1, 0.01]))
    out = given_that_it_varies(gp, likelihoods.astype(np.float32), calls)
    assert out.sum(2) == pytest.approx(1, abs=1e-5)
    assert out[0, 0, 1] > 0.2  # the others are likely none, so that it is this one
    assert out[1:, 0, 1] == pytest.approx(0.001 / (0.001 + 0.0224), rel=0.1)  # the first may be it: 2 %
    assert out[:, 1] == pytest.approx(gp[:, 1], abs=0.01)
    assert out[:, 2] == pytest.approx(gp[:, 2])  # no call says that it varies


def test_a_long_file_is_read_off_from_evidence(monkeypatch):
    rules = vae_rules.VaeRules(read_off=vae_rules.ReadOffRules(most_trained=60))
    monkeypatch.setattr(vae_rules, "DEFAULT", rules)
    task, _ = task_of("vae")
    with task.holding_out():
        fitted = registry.get("vae").fit(task, Inputs({}))
        said, plain = fitted.gp_of(task.hidden), evidence_frequencies(task.cohort.evidence)[-1][task.hidden.loci]
    (member,) = fitted.members
    assert member.model.shape.n_loci == 60
    off = ~np.isin(task.hidden.loci, fitted.thinned)
    likelihoods = task.hidden.likelihoods[off]
    assert off.sum() > 200
    assert likelihood_loss(said[off], likelihoods) < 0.97 * likelihood_loss(plain[off], likelihoods)
    again = registry.get("vae").from_state(canonical(fitted.state()), Setting(task.cohort, task.hidden, CONFIG, DEVICE))
    assert np.array_equal(*(one.for_cohort(Context(CONFIG, {})).gp(0, 120) for one in (fitted, again)))
