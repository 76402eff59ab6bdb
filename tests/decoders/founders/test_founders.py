"""The founder decoder on simulated mosaics of a few founders, seen through reads."""

import numpy as np
import pytest

from imputevae_cli.decoders.founders.em import Fit
from imputevae_cli.decoders.founders.evidence_blocks import LEAST
from imputevae_cli.decoders.founders.model import FoundersModel
from imputevae_cli.decoders.founders.posterior import FounderPanel, FoundersPosterior
from imputevae_cli.decoders.founders.seeding import Seeds, first_fit
from imputevae_cli.decoders.founders.settings import FoundersSettings
from imputevae_cli.errors import CheckpointError, InputError
from imputevae_cli.runtime.resumable import Stages

N_LOCI = 120
QUICK = FoundersSettings(founders=2, starts=4, iterations=20, inbred=0.8)


def mosaics(rng, founders, n, switch=0.02):
    """int (n, L): haplotypes that change founder now and then; founders (K, L)."""
    at = rng.integers(len(founders), size=n)
    out = np.empty((n, founders.shape[1]), int)
    for t in range(founders.shape[1]):
        new = rng.random(n) < (switch if t not in (0, N_LOCI // 2) else 1.0)
        at = np.where(new, rng.integers(len(founders), size=n), at)
        out[:, t] = founders[at, t]
    return out


def seen(rng, truth, depth, copies, error=0.005):
    """float32 (N, L, copies + 1): likelihoods of Poisson reads of true ALT copies."""
    reads = rng.poisson(depth, truth.shape)
    chance = np.linspace(error, 1 - error, copies + 1)
    alt = rng.binomial(reads, chance[truth])
    logs = alt[..., None] * np.log(chance) + (reads - alt)[..., None] * np.log(1 - chance)
    return np.exp(logs - logs.max(-1, keepdims=True)).astype(np.float32)


def cohort(seed=1, n=60, depth=1.0, copies=2, n_founders=2, same=False):
    """(truth int (N, L), likelihoods) of samples of two chromosomes; `same`: inbred."""
    rng = np.random.default_rng(seed)
    founders = np.random.default_rng(99).integers(0, 2, (n_founders, N_LOCI))
    founders[1] = 1 - founders[0]
    haplotypes = mosaics(rng, founders, n * (1 if same else copies))
    truth = haplotypes * copies if same else haplotypes.reshape(n, copies, N_LOCI).sum(1)
    return truth, seen(rng, truth, depth, copies)


def fit(lik, settings=QUICK, seed=1, **options):
    chrom = np.repeat([0, 1], N_LOCI // 2)
    return FoundersModel(settings, seed).fit(
        lambda start, stop: lik[start:stop], lik.shape, chrom, np.arange(N_LOCI) * 100, lik.shape[2] - 1, **options
    )


def with_own_evidence(posterior, start, stop):
    """Genotype probabilities of loci start..stop, as `gp`, the cells' own evidence included."""
    own = posterior.block(0, len(posterior.paths))[:, start:stop]
    joint = posterior.gp(start, stop) * np.maximum(own, LEAST)
    return joint / joint.sum(2, keepdims=True)


def knowing(lik, posterior, truth):
    """The share of genotypes that the true founders get right, as likely as in the simulation."""
    founders = np.random.default_rng(99).integers(0, 2, N_LOCI)
    theta = np.clip(np.stack([founders, 1 - founders], 1), 1e-3, 1 - 1e-3).astype(np.float32)
    fit = Fit(theta, np.full(2, 0.5, np.float32), np.full((len(lik), 2), 0.5, np.float32), 0.02)
    panel = FounderPanel.of(
        [fit], distance=posterior.panel.distance, frequency=posterior.panel.frequency, ploidy=2, powers=(1.0,),
        inbred=2.0, stray=0.01, own_prior=20.0,
    )  # fmt: skip
    best = panel.for_samples(lambda start, stop: lik[start:stop], len(lik))
    return (with_own_evidence(best, 0, N_LOCI).argmax(2) == truth).mean()


@pytest.fixture(scope="module")
def cross():
    truth, lik = cohort()
    return truth, lik, fit(lik)


def test_a_cross_at_one_read_a_cell_is_filled(cross):
    truth, lik, posterior = cross
    gp = with_own_evidence(posterior, 0, N_LOCI)
    assert gp.dtype == np.float32
    np.testing.assert_allclose(gp.sum(2), 1, atol=1e-5)
    assert (gp.argmax(2) == truth).mean() > knowing(lik, posterior, truth) - 0.025
    sure = gp.max(2)
    assert abs(sure.mean() - (gp.argmax(2) == truth).mean()) < 0.02


def test_certain_calls_stand_and_missing_ones_are_filled():
    truth, _ = cohort(3)
    lik = np.full((*truth.shape, 3), 0.001, np.float32)
    np.put_along_axis(lik, truth[:, :, None], 1.0, 2)
    gone = np.random.default_rng(1).random(truth.shape) < 0.3
    lik[gone] = 1.0
    right = with_own_evidence(fit(lik), 0, N_LOCI).argmax(2) == truth
    assert right[~gone].mean() > 0.999
    assert right[gone].mean() > 0.96


def test_same_seed_same_bytes_at_any_number_of_threads(cross):
    _, lik, posterior = cross
    again = fit(lik, threads=2)
    assert again.doses.tobytes() == posterior.doses.tobytes()
    assert again.panel.theta.tobytes() == posterior.panel.theta.tobytes()
    assert fit(lik, seed=2).panel.theta.tobytes() != posterior.panel.theta.tobytes()


def test_the_state_is_the_whole_posterior(cross):
    _, _, posterior = cross
    again = FoundersPosterior.from_state(posterior.state(), posterior.block)
    assert with_own_evidence(again, 7, 40).tobytes() == with_own_evidence(posterior, 7, 40).tobytes()
    assert again.draw(3, 0, 5).tobytes() == posterior.draw(3, 0, 5).tobytes()
    with pytest.raises(CheckpointError):
        FounderPanel.from_state({"theta": posterior.panel.theta})


def test_new_samples_are_filled_from_the_founders(cross):
    _, _, posterior = cross
    truth, lik = cohort(seed=5, n=21)
    new = posterior.for_samples(lambda start, stop: lik[start:stop], len(lik))
    assert (with_own_evidence(new, 0, N_LOCI).argmax(2) == truth).mean() > knowing(lik, posterior, truth) - 0.015
    alone = posterior.for_samples(lambda start, stop: lik[18:19][start:stop], 1)
    assert alone.doses[0].tobytes() == new.doses[18].tobytes()
    with pytest.raises(InputError, match="loci"):
        posterior.for_samples(lambda start, stop: lik[start:stop, :50], len(lik))


def test_draws_follow_the_posterior_and_the_linkage(cross):
    truth, _, posterior = cross
    some = np.stack([posterior.draw(number, 0, 20) for number in range(40)])
    share = np.stack([(some == g).mean(0) for g in range(3)], 2)
    assert abs(share - with_own_evidence(posterior, 0, N_LOCI)[:20]).mean() < 0.05
    apart = np.random.default_rng(1).random(some.shape)[..., None] > np.cumsum(
        with_own_evidence(posterior, 0, N_LOCI)[:20], 2
    )
    founder = posterior.panel.theta[0, :, 0] > 32767

    def steps(genotypes):
        copies = np.where(founder, genotypes, 2 - genotypes)  # of one founder
        return (np.diff(copies, axis=-1) != 0)[..., : N_LOCI // 2 - 1].mean()

    assert steps(some) < 0.8 * steps(apart.sum(-1))
    assert steps(truth) < steps(some)
    assert (some[:, 4:9] == np.stack([posterior.draw(number, 4, 9) for number in range(40)])).all()


def test_a_fit_that_was_stopped_ends_in_the_same_bytes(cross):
    _, lik, posterior = cross

    class Stopped(Exception):
        pass

    class Notebook(Stages):
        """Remembers one state of one stage, and stops there once."""

        def __init__(self):
            self.points, self.state, self.stage = 0, None, ""

        def run(self, name, make, state_of=None, of_state=None):
            self.stage = name
            return make()

        def resumed(self):
            return self.state[1] if self.state and self.state[0] == self.stage else None

        def safe_point(self, state):
            self.points += 1
            if self.points == 27:
                self.state = (self.stage, state())
                raise Stopped

    notebook = Notebook()
    with pytest.raises(Stopped):
        fit(lik, stages=notebook)
    assert notebook.state[1]["iteration"] == 6
    assert fit(lik, stages=notebook).doses.tobytes() == posterior.doses.tobytes()


def test_haploids():
    truth, lik = cohort(7, copies=1)
    posterior = fit(lik)
    gp = with_own_evidence(posterior, 0, N_LOCI)
    assert gp.shape == (60, N_LOCI, 2)
    assert (gp.argmax(2) == truth).mean() > 0.97
    assert (posterior.draw(0, 0, 60) == truth).mean() > 0.95


def test_inbred_samples_follow_one_path():
    truth, lik = cohort(8, same=True, depth=3)
    posterior = fit(lik)
    assert (posterior.paths == 1).mean() > 0.9
    posterior = fit(lik, inbreeding=np.ones(60))
    assert (posterior.paths == 1).all()
    assert (with_own_evidence(posterior, 0, N_LOCI).argmax(2) == truth).mean() > 0.98
    assert (posterior.draw(0, 0, 60) == truth).mean() > 0.95


def test_named_parents_begin_the_founders():
    _, lik = cohort(9, depth=0.3)
    founders = np.random.default_rng(99).integers(0, 2, (2, N_LOCI))
    founders[1] = 1 - founders[0]
    both = np.concatenate([np.eye(3, dtype=np.float32)[2 * founders], lik])
    posterior = fit(both, FoundersSettings(starts=1, iterations=15), seeds=Seeds(parents=[0, [1]]))
    assert posterior.panel.theta.shape[2] == 2
    assert (posterior.panel.theta[0].T > 32767).astype(int).tolist() == founders.tolist()


def test_founders_begin_like_haplotypes_that_are_known():
    _, lik = cohort(9)
    frequency = np.full(N_LOCI, 0.4, np.float32)
    known = np.random.default_rng(1).choice(np.array([0, 128, 255], np.uint8), (5, N_LOCI))
    seeds = Seeds(n_haplotypes=5, haplotypes=lambda numbers: known[numbers])

    def begun(seeds):
        return first_fit(lambda a, b: lik[a:b], len(lik), frequency, 5, np.random.default_rng(2), seeds).theta.T

    rounded = 128 * (begun(seeds) > 0.45) + 127 * (begun(seeds) > 0.55)
    assert sorted(map(tuple, rounded.tolist())) == sorted(map(tuple, known.tolist()))
    assert np.array_equal(begun(seeds.of_start(1)), begun(None))
    assert np.array_equal(begun(seeds.of_start(2)), begun(seeds))


def test_the_number_of_founders_is_found():
    _, lik = cohort(10, n=100, n_founders=4)
    posterior = fit(lik, FoundersSettings(starts=1, iterations=2))
    assert 2 <= posterior.panel.theta.shape[2] <= 8


def test_polyploids_are_refused():
    with pytest.raises(InputError, match="ploidy 4"):
        fit(np.ones((4, N_LOCI, 5), np.float32))
