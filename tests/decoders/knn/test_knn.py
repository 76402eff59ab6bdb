import io

import msgspec
import numpy as np
import pytest
import torch

from imputevae_cli.config import KnnSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.decoders.knn.attention import Ballot
from imputevae_cli.decoders.knn.model import KnnModel
from imputevae_cli.decoders.knn.panel import Panel
from imputevae_cli.decoders.knn.rules import AttentionRules, KnnRules, PanelRules, TrainingRules
from imputevae_cli.decoders.knn.train_examples import Drawing, Examples, training_cohort
from imputevae_cli.errors import CheckpointError, TrainingError
from imputevae_cli.runtime.run_options import RunOptions

QUICK = KnnSettings(heads=4, hidden=16, steps=30, batch_loci=16, redraws=1)
CHROMOSOMES = np.repeat(np.arange(15), 4).astype(np.int32)
POPULATIONS = np.repeat([0, 1], 20)


def linked_calls(seed=0, ploidy=2, n_samples=40, missing=0.2):
    """Two populations; the four loci of a chromosome carry one genotype. -> (truth, calls) int8 (samples, 60)."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.9, (2, 15))[np.arange(n_samples) % 40 // 20]
    truth = rng.binomial(ploidy, frequency).astype(np.int8)[:, CHROMOSOMES]
    return truth, np.where(rng.random(truth.shape) < missing, -1, truth).astype(np.int8)


def fitted(calls, ploidy=2, settings=QUICK, chromosomes=CHROMOSOMES, **options):
    populations = options.pop("populations", None)
    return KnnModel(settings, seed=1).fit(cohort_of(calls, chromosomes, ploidy, populations), **options)


def cohort_of(calls, chromosomes=CHROMOSOMES, ploidy=2, populations=None):
    """populations: -1 for a sample of none."""
    positions = np.arange(calls.shape[1], dtype=np.int64)
    if populations is not None:
        populations = np.where(populations < 0, 2, populations)
    return Cohort(calls, chromosomes, positions, ploidy, populations, 2)


def panel_of(calls, chromosomes=CHROMOSOMES, populations=POPULATIONS, hidden=None, **settings):
    settings = KnnSettings(**{"window": 3, "linked": 4, "max_donors": 99, **settings})
    return Panel(cohort_of(calls, chromosomes, 2, populations), settings, np.random.default_rng(0), hidden)


def loss_at(gp, truth, cells):
    return -np.log(np.take_along_axis(gp, truth[..., None].astype(int), 2)[cells]).mean()


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("populations", [None, POPULATIONS])
def test_it_learns_from_linked_loci(ploidy, populations):
    truth, calls = linked_calls(ploidy=ploidy)
    gp = fitted(calls, ploidy, populations=populations).gp(0, 60)
    assert gp.shape == (40, 60, ploidy + 1)
    assert gp.dtype == np.float32
    assert gp.sum(-1) == pytest.approx(1, abs=1e-5)
    missing = calls < 0
    assert (gp[~missing] == np.eye(ploidy + 1)[calls[~missing]]).all()
    frequencies = np.stack([np.stack([(calls == c).sum(0) + 0.5 for c in range(ploidy + 1)], -1)] * 40)
    by_chance = loss_at(frequencies / frequencies.sum(-1, keepdims=True), truth, missing)
    assert loss_at(gp, truth, missing) < 0.7 * by_chance


def test_one_seed_gives_the_same_numbers_at_any_threads_and_blocks():
    _, calls = linked_calls()
    one = fitted(calls, options=RunOptions(1)).gp(0, 60)
    three = fitted(calls, options=RunOptions(3))
    assert (three.gp(0, 60) == one).all()
    assert np.concatenate([three.gp(0, 7), three.gp(7, 60)], 1) == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("latent", [False, True])
def test_a_fit_begins_at_the_weights_that_it_is_given(latent):
    _, calls = linked_calls()
    similarity = np.eye(40, dtype=np.float32) if latent else None
    start = fitted(calls).state_dict()["weights"]
    still = msgspec.structs.replace(QUICK, steps=1, learning_rate=1e-9)
    began = fitted(calls, settings=still, similarity=similarity, options=RunOptions(), start=start)
    for name, weights in began.state_dict()["weights"].items():
        known = weights[:, :4] if name == "similarity" else weights
        assert torch.allclose(known, start[name], atol=1e-6)
    assert began.state_dict()["weights"]["similarity"].shape[1] == 4 + latent


def test_cells_equal_the_whole():
    _, calls = linked_calls()
    decoder = fitted(calls)
    loci, samples = np.nonzero((calls < 0).T)
    cells = decoder.cells(samples[::3], loci[::3])
    assert cells == pytest.approx(decoder.gp(0, 60)[samples[::3], loci[::3]], abs=1e-6)
    assert decoder.cells(samples[:0], loci[:0]).shape == (0, 3)


def test_swapping_the_alleles_mirrors_the_probabilities():
    _, calls = linked_calls()
    decoder = fitted(calls)
    flipped = np.where(calls < 0, -1, 2 - calls).astype(np.int8)
    gp = decoder.gp(0, 60)
    decoder.use_neighbours(cohort_of(flipped))
    difference = np.abs(decoder.gp(0, 60)[..., ::-1] - gp)
    assert (difference < 0.02).mean() > 0.99  # at a frequency of one half the minor allele is a matter of chance


def test_a_hidden_call_leaks_nowhere():
    _, calls = linked_calls(missing=0.1)
    sample, locus = 3, np.flatnonzero(calls[3] >= 0)[10]
    hidden = np.array([sample * calls.shape[1] + locus])
    model = fitted(calls)._votes
    answers = []
    for call in range(3):
        calls[sample, locus] = call
        panel = panel_of(calls, hidden=hidden)
        queries, target, asked = panel.members(None), torch.tensor([locus]), torch.tensor([sample])
        ballot = Ballot(panel.samples(queries), target, panel.context(target), torch.tensor([0]), asked)
        votes, effective = model.poll(ballot)
        told = (part[:, 0] for part in panel.frequencies(queries, target, asked[None]))
        answers.append(model.logits(votes, effective, *told))
    assert torch.allclose(answers[0], answers[1], atol=1e-6)
    assert torch.allclose(answers[0], answers[2], atol=1e-6)


def test_the_only_carrier_of_an_allele_is_not_asked_for():
    calls = np.zeros((10, 4), np.int8)
    calls[2, 1] = 1
    calls[3:6, 2] = 1
    hidden = np.arange(calls.size)
    panel = panel_of(calls, np.zeros(4, np.int32), None, window=2, linked=2)
    examples = Examples(panel, hidden, None, np.random.default_rng(0))
    asked = set(zip(examples.samples.tolist(), examples.at.tolist(), strict=True))
    assert (2, 1) not in asked
    assert {(3, 2), (4, 2), (5, 2)} <= asked


def test_new_samples_are_filled_by_the_training_samples():
    _, calls = linked_calls()
    decoder = fitted(calls, populations=POPULATIONS)
    fresh_truth, fresh = linked_calls(seed=0, n_samples=80, missing=0.3)
    fresh_truth, fresh = fresh_truth[40:], fresh[40:]
    gp = decoder.new_samples(cohort_of(fresh, populations=POPULATIONS)).gp(0, 60)
    assert gp.shape == (40, 60, 3)
    assert (gp[fresh >= 0] == np.eye(3)[fresh[fresh >= 0]]).all()
    assert np.isfinite(decoder.new_samples(cohort_of(fresh[:1])).gp(0, 60)).all()
    frequencies = np.stack([np.stack([(calls == c).sum(0) + 0.5 for c in range(3)], -1)] * 40)
    by_chance = loss_at(frequencies / frequencies.sum(-1, keepdims=True), fresh_truth, fresh < 0)
    assert loss_at(gp, fresh_truth, fresh < 0) < by_chance


def test_state_round_trip():
    _, calls = linked_calls()
    similarity = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    decoder = fitted(calls, populations=POPULATIONS, similarity=similarity)
    file = io.BytesIO()
    torch.save(decoder.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = KnnModel.from_state_dict(state)
    again.use_neighbours(cohort_of(calls, populations=POPULATIONS), similarity=similarity)
    assert (again.gp(0, 60) == decoder.gp(0, 60)).all()
    del state["weights"]
    with pytest.raises(CheckpointError, match="kNN decoder"):
        KnnModel.from_state_dict(state)


@pytest.mark.parametrize(
    "case", ["two samples", "two loci", "no call at a locus", "no call of a sample", "nothing missing", "90 % missing",
             "no linked loci", "one locus a contig", "few neighbours", "no population known", "one population"]
)  # fmt: skip
def test_awkward_data(case):
    _, calls = linked_calls(missing=0.9 if case == "90 % missing" else 0.2)
    chromosomes, settings, populations = CHROMOSOMES, QUICK, None
    if case == "two samples":
        calls = calls[:2]
    elif case == "two loci":
        calls, chromosomes = calls[:, :2], chromosomes[:2]
    elif case == "no call at a locus":
        calls[:, 5] = -1
    elif case == "no call of a sample":
        calls[5] = -1
    elif case == "nothing missing":
        calls = np.abs(calls)
    elif case == "no linked loci":
        settings = KnnSettings(heads=2, hidden=8, steps=5, linked=0)
    elif case == "one locus a contig":
        chromosomes = np.arange(60, dtype=np.int32)
    elif case == "few neighbours":
        settings = KnnSettings(heads=2, hidden=8, steps=5, max_donors=7)
    elif case == "no population known":
        populations = np.full(40, -1)
    elif case == "one population":
        populations = np.zeros(40, int)
    gp = fitted(calls, settings=settings, chromosomes=chromosomes, populations=populations).gp(0, calls.shape[1])
    assert gp.shape == (*calls.shape, 3)
    assert gp.sum(-1) == pytest.approx(1, abs=1e-5)


# --- the rules, on either side of their thresholds


@pytest.mark.parametrize(("cells", "n_loci"), [(40 * 60, 60), (40 * 60 - 1, 60 // 20 * 20 - 20)])
def test_a_long_file_is_trained_on_in_stretches(cells, n_loci):
    cohort = cohort_of(linked_calls()[1])
    part = training_cohort(cohort, TrainingRules(cells=cells))
    assert part.n_loci == n_loci
    assert (part is cohort) is (n_loci == 60)
    assert TrainingRules().cells == 20_000_000


@pytest.mark.parametrize(("most", "n_loci"), [(60, 60), (59, 59)])
def test_so_many_loci_are_trained_on_at_most(most, n_loci):
    calls = linked_calls(missing=0.1)[1]
    hidden = np.flatnonzero(calls.ravel() >= 0)[::7]
    panel = panel_of(calls, hidden=hidden)
    rules = TrainingRules(max_loci=most)
    assert len(Examples(panel, hidden, None, np.random.default_rng(0), rules).loci) == n_loci


@pytest.mark.parametrize(("most", "n_samples"), [(40, 40), (39, 39)])
def test_links_are_taken_of_so_many_samples_and_loci_at_most(most, n_samples):
    rules = PanelRules(link_samples=most, link_candidates=most)
    panel = Panel(cohort_of(linked_calls()[1]), KnnSettings(), np.random.default_rng(0), rules=rules)
    assert (len(panel.link_samples), len(panel.link_candidates)) == (n_samples, most)
    assert (PanelRules().link_samples, PanelRules().link_candidates) == (1000, 20_000)


@pytest.mark.parametrize("asked", [1e9, 4.0])
def test_in_a_small_file_other_calls_are_hidden_before_they_are_known_by_heart(monkeypatch, asked):
    """16 loci and 8 queries a step are 128 calls; about 200 are hidden at a time."""
    drawn = []
    anew = Drawing.anew
    monkeypatch.setattr(Drawing, "anew", lambda drawing: (anew(drawing), drawn.append(len(drawing.examples.samples))))
    settings = KnnSettings(heads=2, hidden=8, steps=20, batch_loci=16, queries_per_locus=8, redraws=1)
    KnnModel(settings, 1, KnnRules(training=TrainingRules(asked=asked))).fit(cohort_of(linked_calls()[1]))
    least = 20 * 128 / (asked * np.mean(drawn))
    assert len(drawn) == (1 if asked > 1e6 else pytest.approx(least, abs=1.5))


def test_the_attention_moves_faster_than_the_network_by_a_rule():
    cohort, settings = cohort_of(linked_calls()[1]), KnnSettings(heads=2, hidden=8, steps=1, averaged_steps=1)
    start = KnnModel(settings, 1)._make_votes(3, False).state_dict()

    def moved(times):
        rules = KnnRules(training=TrainingRules(attention=times))
        end = KnnModel(settings, 1, rules).fit(cohort).state_dict()["weights"]
        return {name: end[name] - start[name] for name in start}

    slow, fast = moved(1.0), moved(4.0)
    for name, step in slow.items():
        times = 1.0 if name.startswith("correction") else 4.0
        assert torch.allclose(fast[name], times * step, atol=1e-6), name
        assert step.abs().sum() > 0


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("heads", [1, 2, 5])
def test_even_heads_start_by_ruling_out_and_odd_ones_by_seeking_the_alike(heads, n_classes):
    votes = KnnModel(KnnSettings(heads=heads), 1)._make_votes(n_classes, False)
    rules = AttentionRules()
    assert votes.log_near[0].item() == pytest.approx(rules.log_near[0][0])
    for head, table in enumerate(votes.tables.detach()):
        if head % 2:
            assert (table.diagonal() > 0).all()
            assert (table[~torch.eye(n_classes, dtype=bool)] < 0).all()
        else:
            assert torch.nonzero(table).tolist() == [[0, n_classes - 1], [n_classes - 1, 0]]
    if heads % 2 == 0:
        assert votes.log_near[-1].item() == pytest.approx(rules.log_near[1][1])
    assert (votes.genotype_mix[heads:] == 0).all()


def test_a_ridge_more_is_a_frequency_more():
    rules = KnnRules(panel=PanelRules(ridges=(0.5, 1.0, 2.0)))
    model = KnnModel(QUICK, 1, rules).fit(cohort_of(linked_calls()[1]))
    assert model.gp(0, 60).sum(-1) == pytest.approx(1, abs=1e-5)
    assert len(model._votes.genotype_mix) == QUICK.heads + 5


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(TrainingError, match="not finite; try a lower learning rate"):
        fitted(linked_calls()[1], settings=KnnSettings(heads=2, hidden=8, steps=40, learning_rate=1e30))


def test_it_says_that_it_stays_on_the_cpu(caplog):
    with caplog.at_level("INFO", "imputevae"):
        fitted(linked_calls()[1], options=RunOptions(device=torch.device("cuda")))
    assert "nearest neighbours are computed on the CPU" in caplog.text
