import numpy as np
import pytest

from imputevae_cli.ensemble.gate import Gate, is_idle
from imputevae_cli.ensemble.mixture import HET_FEATURES, RARE_FEATURES, Prior
from imputevae_cli.errors import CheckpointError


def log_loss(gp, truth):
    return -np.log(gp[np.arange(len(truth)), truth]).mean()


def smoothed(scores):
    p = np.exp(scores - scores.max(1, keepdims=True))
    return np.log(p / p.sum(1, keepdims=True))


def around(*columns):
    """Features of cells: these columns, the last of them the rarity; no copies unseen, no excess of heterozygotes."""
    return np.column_stack([*columns, np.zeros((len(columns[0]), 3))])


@pytest.fixture
def cells():
    """Truth, features, and parts: chance frequencies, a good part, one that is noise."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 6000, p=[0.6, 0.3, 0.1])
    evidence = np.eye(3)[truth] * 2 + rng.normal(size=(6000, 3))
    frequencies = np.tile(np.log([0.6, 0.3, 0.1]), (6000, 1))
    parts = {
        "frequencies": frequencies,
        "good": smoothed(frequencies + evidence * 2),
        "noise": smoothed(rng.normal(size=(6000, 3))),
    }
    return parts, truth, around(rng.normal(size=(6000, 2)))


def test_noise_is_dropped_with_its_reason(cells):
    gate = Gate.fit(*cells)
    assert "good" in gate.parts
    assert "noise" not in gate.parts
    assert "noise skipped: adds 0.000" in gate.summary()


def test_shares_add_up_and_the_mixture_loses_to_no_part(cells):
    parts, truth, features = cells
    gate = Gate.fit(parts, truth, features)
    gp = gate.mix(parts, features)
    assert gp.shape == (6000, 3)
    assert gp.sum(1) == pytest.approx(1, abs=1e-5)
    assert sum(gate.shares.values()) == pytest.approx(1)
    assert all(log_loss(gp, truth) < log_loss(np.exp(part), truth) + 0.002 for part in parts.values())


@pytest.mark.parametrize(("share", "idle"), [(0.0, True), (0.02, True), (1.0, False)])
def test_a_part_that_takes_off_little_of_the_loss_is_idle(share, idle):
    """The part knows something of a share of the calls that the other part does not know."""
    rng = np.random.default_rng(2)
    truth = rng.choice(3, 6000)
    known = np.eye(3)[truth] * 1.5
    parts = {"first": smoothed(known + rng.normal(size=(6000, 3)))}
    parts["second"] = smoothed((known + rng.normal(size=(6000, 3))) * (rng.random((6000, 1)) < share))
    assert is_idle("second", parts, truth, around(np.zeros(6000))) == idle


def test_parts_that_know_different_things_are_mixed():
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 6000)
    parts = {name: smoothed(np.eye(3)[truth] * 1.5 + rng.normal(size=(6000, 3))) for name in ("left", "right")}
    gate = Gate.fit(parts, truth, around(np.zeros(6000)))
    assert set(gate.parts) == {"left", "right"}
    assert gate.losses["mixture"] < min(gate.losses["left"], gate.losses["right"]) - 0.05
    assert gate.shares["left"] == pytest.approx(0.5, abs=0.1)


def test_features_decide_whom_to_believe():
    rng = np.random.default_rng(2)
    truth, side = rng.choice(3, 8000), rng.integers(2, size=8000)
    parts = {
        name: smoothed(np.eye(3)[truth] * 4 * (side == here)[:, None] + rng.normal(size=(8000, 3)))
        for here, name in enumerate(("left", "right"))
    }
    gate = Gate.fit(parts, truth, around(side))
    assert "hidden" in gate.parameters
    constant = gate.mix(parts, around(np.full(8000, 0.5)))
    assert log_loss(gate.mix(parts, around(side)), truth) < log_loss(constant, truth) - 0.05


def test_an_overconfident_part_is_cooled(cells):
    parts, truth, features = cells
    sharp = {"good": smoothed(3 * parts["good"])}
    gate = Gate.fit(sharp, truth, features)
    assert log_loss(gate.mix(sharp, features), truth) < log_loss(np.exp(sharp["good"]), truth) - 0.02


@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.0])
def test_the_temperature_mends_a_known_miscalibration(wrong):
    rng = np.random.default_rng(0)
    right = rng.dirichlet([0.8, 0.8, 0.8], 40_000)
    truth = (rng.random((len(right), 1)) > right.cumsum(1)).sum(1).clip(0, 2)
    off = {"good": smoothed(np.log(right.clip(1e-6)) / wrong)}
    gate = Gate.fit(off, truth, around(np.zeros(len(truth))))
    assert "hidden" not in gate.parameters
    assert float(gate.parameters["temperature"].exp()) == pytest.approx(wrong, rel=0.08)
    assert np.abs(gate.mix(off, around(np.zeros(len(truth)))) - right).mean() < 0.02


def test_frequencies_when_nothing_beats_them(cells):
    parts, truth, features = cells
    gate = Gate.fit({"noise": parts["noise"], "frequencies": parts["frequencies"]}, truth, features)
    assert gate.parts == ("frequencies",)


def test_of_few_cells_no_part_that_may_help_is_left_out(cells):
    """With so few nothing is sure, and the weights stay near those expected beforehand."""
    parts, truth, features = cells
    few = {name: part[:40] for name, part in parts.items()}
    prior = Prior(scores={"frequencies": -1.0, "good": 1.0, "noise": -3.0}, score=0.3)
    gate = Gate.fit(few, truth[:40], features[:40], prior=prior)
    assert set(gate.parts) >= {"frequencies", "good"}
    assert gate.shares["good"] > 0.6
    assert log_loss(gate.mix(parts, features), truth) < log_loss(np.exp(parts["frequencies"]), truth) - 0.1


def test_a_bias_of_heterozygotes_mends_what_no_weight_or_temperature_can():
    """Where a feature is high, half of the heterozygotes are promised that come true."""
    rng = np.random.default_rng(4)
    right = rng.dirichlet([4.0, 1.0, 1.0], 20_000)
    truth = (rng.random((len(right), 1)) > right.cumsum(1)).sum(1).clip(0, 2)
    rare = rng.integers(2, size=len(right))
    features = np.column_stack([np.zeros(len(right)), rare, np.zeros((len(right), 2))])
    off = right * np.where(np.arange(3) == 1, np.where(rare, 0.5, 1.0)[:, None], 1.0)
    off = {"good": np.log(off / off.sum(1, keepdims=True))}
    gate = Gate.fit(off, truth, features)
    promised = gate.mix(off, features)[rare == 1, 1].sum()
    assert "het" in gate.parameters
    assert promised == pytest.approx((truth[rare == 1] == 1).sum(), rel=0.06)


@pytest.mark.parametrize("is_inbred", [True, False])
def test_inbreeding_moves_heterozygotes_where_it_tells_of_them(is_inbred):
    """One part gives each sample the same chance of a heterozygote; half of the samples have five times fewer."""
    rng = np.random.default_rng(5)
    truth_of = np.array([[0.46, 0.08, 0.46], [0.3, 0.4, 0.3]]) if is_inbred else np.array([[0.38, 0.24, 0.38]] * 2)
    outbred = rng.integers(2, size=8000)
    truth = (rng.random((8000, 1)) > truth_of[outbred].cumsum(1)).sum(1).clip(0, 2)
    part = {"good": np.tile(np.log([0.38, 0.24, 0.38]), (8000, 1))}
    features = np.column_stack([np.zeros((8000, 3)), np.where(outbred, 0.0, np.log(0.2))])
    gate = Gate.fit(part, truth, features)
    promised = gate.mix(part, features)[:, 1]
    assert len(gate.parameters["het"]) == (HET_FEATURES if is_inbred else RARE_FEATURES)
    expected = truth_of[:, 1]
    assert [promised[outbred == here].mean() for here in (0, 1)] == pytest.approx(expected, abs=0.015)


def test_fitted_to_other_calls_it_keeps_what_it_is_made_of(cells):
    """On these the good part is noise, and is kept, with less confidence."""
    parts, truth, features = cells
    gate = Gate.fit(parts, truth, features)
    shuffled = np.random.default_rng(0).permutation(truth)
    again = gate.fitted_to(parts, shuffled, features)
    assert again.parts == gate.parts
    assert {name: value.shape for name, value in again.parameters.items()} == {
        name: value.shape for name, value in gate.parameters.items()
    }
    believed = gate.mix(parts, features).max(1).mean(), again.mix(parts, features).max(1).mean()
    assert believed[1] < believed[0] - 0.1
    same = gate.fitted_to(parts, truth, features).mix(parts, features)
    assert same == pytest.approx(gate.mix(parts, features), abs=1e-6)


@pytest.mark.parametrize("n_cells", [1, 5, 60])
def test_few_cells(cells, n_cells):
    parts, truth, features = cells
    parts = {name: part[:n_cells] for name, part in parts.items()}
    gp = Gate.fit(parts, truth[:n_cells], features[:n_cells]).mix(parts, features[:n_cells])
    assert np.isfinite(gp).all()


def test_haploid_and_certain_probabilities():
    truth = np.tile([0, 1], 500)
    certain = {"donors": np.log(np.clip(np.eye(2)[truth], 1e-300, 1)), "wrong": np.log(np.eye(2)[1 - truth] + 1e-300)}
    gate = Gate.fit(certain, truth, around(np.zeros(1000)))
    assert gate.parts == ("donors",)
    assert log_loss(gate.mix(certain, around(np.zeros(1000))), truth) < 0.01


def test_same_seed_same_gate_and_state_round_trip(cells):
    parts, truth, features = cells
    first, second = Gate.fit(parts, truth, features, seed=3), Gate.fit(parts, truth, features, seed=3)
    again = Gate.from_state_dict(first.state_dict())
    assert (first.mix(parts, features) == second.mix(parts, features)).all()
    assert (first.mix(parts, features) == again.mix(parts, features)).all()
    assert again.summary() == first.summary()
    with pytest.raises(CheckpointError, match="gate"):
        Gate.from_state_dict({"parts": ["good"]})
