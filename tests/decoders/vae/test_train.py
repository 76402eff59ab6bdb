import dataclasses
import math

import numpy as np
import pytest
import torch
from conftest import simulate, tiny_config

from imputevae_cli.config import Config
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.vae import train as trainer
from imputevae_cli.decoders.vae import train_step as training_step
from imputevae_cli.decoders.vae.network import VaeShape
from imputevae_cli.decoders.vae.rules import TrainingRules
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.train_step import hide_inputs
from imputevae_cli.decoders.vae.training_state import member_from_state, member_state, new_member
from imputevae_cli.errors import TrainingError
from imputevae_cli.runtime.learning_rate import warm_up_then_cosine
from imputevae_cli.runtime.run_options import RunOptions

CPU = torch.device("cpu")


def data_of(popmap=False, n_samples=40, n_loci=80, seed=0):
    _, truth = simulate(n_samples, n_loci, missing=0.0, seed=seed)
    hidden = np.random.default_rng(1).random(truth.shape) < 0.1
    cells = HiddenCells.of(hidden, truth)
    populations = torch.arange(n_samples) % 3 if popmap else None
    calls = torch.from_numpy(np.where(hidden, np.int8(-1), truth))
    return TrainingData(calls, 3, cells, populations, 3 if popmap else 0)


def train(data=None, on_epoch=None, **settings):
    return train_members(data or data_of(), tiny_config(**settings), RunOptions(), on_epoch)


def weights_of(member):
    return member.model.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("popmap", [False, True])
def test_the_loss_falls_and_hidden_calls_are_learned(popmap):
    history = train_members(data_of(popmap), Config(), RunOptions())[0].history
    assert history[-1].training_loss < 0.9 * history[0].training_loss
    assert min(r.validation_loss for r in history) < 0.9 * history[0].validation_loss


def test_every_epoch_is_told():
    seen = []
    members = train(on_epoch=seen.append, train__ensemble=2)
    assert [(r.member, r.epoch) for r in seen] == [(m, e) for m in range(2) for e in range(3)]
    assert [r for m in members for r in m.history] == seen
    assert all(math.isfinite(v) for r in seen for v in dataclasses.astuple(r))


def test_the_seed_decides():
    one, again = train()[0], train()[0]
    assert same(weights_of(one), weights_of(again))
    assert one.history == again.history
    other = train(io__seed=99)[0]
    assert not same(weights_of(one), weights_of(other))


def test_global_randomness_has_no_say():
    torch.manual_seed(1)
    np.random.seed(1)
    one = train()[0]
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(weights_of(one), weights_of(train()[0]))


def test_members_of_an_ensemble_differ_and_the_first_is_that_of_a_single_fit():
    single, pair = train()[0], train(train__ensemble=2)
    assert same(weights_of(single), weights_of(pair[0]))
    assert not same(weights_of(pair[0]), weights_of(pair[1]))


def script_validation(monkeypatch, losses):
    """Make the validation losses of successive epochs these; returns the weights of each epoch as they come."""
    seen = []

    def scripted(member, data, device, ranks):
        seen.append({name: value.clone() for name, value in weights_of(member).items()})
        return losses[len(seen) - 1]

    monkeypatch.setattr(trainer, "validation_loss", scripted)
    return seen


def test_the_best_weights_are_kept(monkeypatch):
    seen = script_validation(monkeypatch, [3.0, 1.0, 2.0, 2.5])
    member = train(train__max_epochs=4)[0]
    assert (member.best_epoch, member.best_loss) == (1, 1.0)
    assert same(weights_of(member), seen[1])
    assert not same(weights_of(member), seen[3])


def test_training_stops_when_nothing_improves(monkeypatch):
    seen = script_validation(monkeypatch, [3.0, 1.0] + [2.0] * 50)
    train(train__max_epochs=50, train__early_stop_gen=4, train__min_epochs=0)
    assert len(seen) == 2 + 4


def test_training_runs_for_min_epochs(monkeypatch):
    seen = script_validation(monkeypatch, [1.0] + [2.0] * 50)
    train(train__max_epochs=50, train__early_stop_gen=2, train__min_epochs=9)
    assert len(seen) == 9


def test_training_ends_at_max_epochs(monkeypatch):
    seen = script_validation(monkeypatch, [5.0 - i for i in range(50)])
    train(train__max_epochs=6, train__early_stop_gen=2, train__min_epochs=40)
    assert len(seen) == 6


def test_a_loss_that_is_not_finite_is_an_error():
    # AdamW's first steps are as long as the rate: logits overflow
    with pytest.raises(TrainingError, match=r"not finite at epoch \d+; lower train\.learning_rate") as error:
        train(train__learning_rate=1e30, train__warmup_epochs=0, train__max_epochs=20)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_gradients_are_those_of_the_whole_batch(gamma):
    """What goes through the decoder some loci at a time, against autograd on all of them."""
    data = data_of()
    member = train(data, train__max_epochs=1)[0]
    model, calls = member.model, data.calls[:9]
    z = torch.randn((9, tiny_config().model.latent_dim), generator=torch.Generator().manual_seed(0))
    hidden = model.hidden(z)
    objective = training_step.Objective.of(calls, torch.tensor([0.5, 1.0, 3.0]), gamma, 2.0)
    penalty = training_step.Penalty(0.3, 0.02)
    whole = hidden.detach().requires_grad_()
    reconstruction, _ = objective.reconstruction(model.logits(whole, model.loadings, model.intercepts), calls)
    per_locus = [model.loadings, model.intercepts]
    loss = objective.mean(reconstruction) + penalty.loadings_l2 * model.loadings.square().sum()
    expected = torch.autograd.grad(loss + penalty.l1 * sum(p.abs().sum() for p in per_locus), [whole, *per_locus])
    nats, slope = training_step.decode_backward(
        model, hidden, calls, objective, penalty, training_step.Decoding(cells_at_once=9 * 33)
    )
    assert torch.allclose(nats, reconstruction.detach(), rtol=1e-5)
    for found, wanted in zip([slope, *(p.grad for p in per_locus)], expected, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "n_samples", "expected"), [(64, 256, 64), (64, 255, 64), (64, 252, 63), (64, 3, 1), (64, 1, 1), (2, 9, 2)]
)
def test_few_samples_still_make_four_batches(asked, n_samples, expected):
    assert TrainingRules().batch_size(asked, n_samples) == expected


def test_the_learning_rate_of_each_epoch_is_used():
    history = train(train__learning_rate=0.01, train__max_epochs=5, train__warmup_epochs=1)[0].history
    assert [r.learning_rate for r in history] == pytest.approx([0.01 * warm_up_then_cosine(e, 5, 2) for e in range(5)])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.3, 0.3), (0.1, 0.6), (1.0, 1.0)])
def test_inputs_are_hidden_in_the_shares_asked_for(low, high):
    calls = torch.ones((400, 1000), dtype=torch.int8)
    hidden = (hide_inputs(calls, low, high, torch.Generator().manual_seed(0)) == -1).float().mean(1)
    assert float(hidden.mean()) == pytest.approx((low + high) / 2, abs=0.02)
    assert float(hidden.min()) > low - 0.08
    assert float(hidden.max()) < high + 0.08
    if high - low > 0.1:
        assert float(hidden.std()) == pytest.approx((high - low) / 12**0.5, abs=0.03)
    assert (calls == 1).all()


def test_hidden_inputs_stay_hidden_and_the_others_stay():
    calls = torch.randint(-1, 3, (50, 60), dtype=torch.int8, generator=torch.Generator().manual_seed(2))
    visible = hide_inputs(calls, 0.2, 0.5, torch.Generator().manual_seed(3))
    assert ((visible == calls) | (visible == -1)).all()


def test_schedules_rise_from_nought():
    flat = train(vae__kl_beta=5.0, train__max_epochs=4)[0]
    ramped = train(vae__kl_beta=5.0, vae__kl_beta_schedule=True, train__max_epochs=4)[0]
    assert ramped.history[0].kl > flat.history[0].kl
    assert training_step._ramp(True, 0, 10) == 0.0
    assert training_step._ramp(True, 5, 10) == training_step._ramp(True, 9, 10) == 1.0
    assert training_step._ramp(False, 0, 10) == 1.0


def test_penalties_shrink_the_weights():
    plain = train(train__max_epochs=10, train__decoder_l2=0.0)[0].model
    ridge = train(train__max_epochs=10, train__decoder_l2=1e4)[0].model
    lasso = train(train__max_epochs=10, train__decoder_l2=0.0, train__l1_penalty=1.0)[0].model
    assert ridge.loadings.square().sum() < 0.5 * plain.loadings.square().sum()
    assert lasso.encoder.layers[0].weight.abs().sum() < plain.encoder.layers[0].weight.abs().sum()


def test_state_round_trip():
    config, data = tiny_config(), data_of(popmap=True)
    member = new_member(0, data, config, CPU)
    trainer._run_epoch(member, data, config, RunOptions())
    state = member_state(member)
    back = member_from_state(state, data.calls.shape[1], 3, 3, config, CPU)
    assert same(weights_of(member), weights_of(back))
    assert back.history == member.history
    assert torch.equal(back.generator.get_state(), member.generator.get_state())
    assert back.model.shape == VaeShape(data.calls.shape[1], 3, 3)
    first, second = member.optimizer.state_dict(), back.optimizer.state_dict()
    assert first["lr"] == second["lr"]
    assert first["moments"]
    assert all(
        same(dict(enumerate(first["moments"][i])), dict(enumerate(second["moments"][i]))) for i in first["moments"]
    )
