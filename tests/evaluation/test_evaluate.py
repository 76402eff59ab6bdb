import numpy as np
import pytest
from conftest import simulate, simulate_linked, tiny_config
from vcf_maker import record, vcf, write

from imputevae_cli import ImputeVAE, read_vcf
from imputevae_cli.data.frequencies import locus_means
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.evaluation.baselines import FREQUENCIES, LD_KNNI, MODE, POPULATION_MODE, guess_of_baseline
from imputevae_cli.evaluation.evaluate import draw_rounds, evaluate, guess_of, guess_with_model, round_of
from imputevae_cli.evaluation.guess import Guess
from imputevae_cli.evaluation.score import MODEL
from imputevae_cli.report.findings import findings_of
from imputevae_cli.scoring.metrics import certain, score_cells


def perfect(one) -> Guess:
    return Guess(one.cells.truth.astype(np.int8), certain(one.cells.truth, 3))


@pytest.fixture(scope="module")
def evaluated():
    """Genotypes, one mask, what a tiny model says of it, and the scores."""
    genotypes, _ = simulate(40, 80)
    rounds = draw_rounds(genotypes, "random", 0.1, 1, seed=1)
    guessed, model = guess_with_model(genotypes, rounds, lambda g: ImputeVAE(tiny_config()).fit(g))
    guesses, filled = guessed.guesses, guessed.filled
    return genotypes, rounds, guesses, model, filled, evaluate(genotypes, rounds, guesses, seed=1)


def test_the_model_is_scored_beside_baselines_on_the_same_cells(evaluated):
    genotypes, rounds, guesses, _, _, evaluation = evaluated
    assert [score.method for score in evaluation.methods] == [MODEL, MODE, POPULATION_MODE, FREQUENCIES, LD_KNNI]
    cells, n = rounds[0].cells, len(rounds[0].cells.truth)
    visible = rounds[0].visible(genotypes).calls
    assert (visible[cells.samples, cells.loci] == MISSING).all()
    for score in evaluation.methods:
        assert sum(map(sum, score.confusion)) == n
        assert sum(row["n"] for row in score.strata if row["stratum"] == "maf") == n
        for name, value in score.figures.items():
            if name in score.low and np.isfinite(value):
                assert score.low[name] - 0.05 <= value <= score.high[name] + 0.05
    means = locus_means(visible)[cells.loci]
    expected = score_cells(cells.truth, guesses[0].gp, guesses[0].call, means, cells.loci)
    assert evaluation.methods[0].figures == pytest.approx(
        expected | {name: v for name, v in evaluation.methods[0].figures.items() if name not in expected}
    )


def test_the_model_never_sees_a_hidden_call(evaluated):
    genotypes, rounds, guesses, _, _, _ = evaluated
    cells = rounds[0].cells
    other = genotypes.calls.copy()
    other[cells.samples, cells.loci] = 2 - other[cells.samples, cells.loci]
    again, _ = guess_with_model(genotypes.with_calls(other), rounds, lambda g: ImputeVAE(tiny_config()).fit(g))
    assert np.array_equal(again.guesses[0].gp, guesses[0].gp)


def test_what_the_model_says_of_a_cell_is_what_it_fills_in(evaluated):
    genotypes, rounds, guesses, model, filled, _ = evaluated
    cells = rounds[0].cells
    imputed = model.transform(rounds[0].visible(genotypes))
    assert np.array_equal(imputed.calls, filled)
    assert np.array_equal(guesses[0].call, filled[cells.samples, cells.loci])
    assert guesses[0].gp == pytest.approx(imputed.gp[cells.samples, cells.loci])


def test_loci_that_a_checkpoint_lacks_are_left_missing(evaluated):
    genotypes, rounds, _, _, _, _ = evaluated
    visible = rounds[0].visible(genotypes)
    keep = np.arange(80) % 4 != 0
    part = type(visible)(visible.calls[:, keep], visible.samples, visible.loci.take(keep), 2, visible.populations, None)
    model = ImputeVAE(tiny_config()).fit(part)
    guess = guess_of(model.transform(visible), visible, rounds[0].cells)
    lost = rounds[0].cells.loci % 4 == 0
    assert (guess.call[lost] == MISSING).all()
    assert np.isnan(guess.gp[lost]).all()
    expected = model.transform(part).calls[rounds[0].cells.samples, np.cumsum(keep)[rounds[0].cells.loci] - 1]
    assert np.array_equal(guess.call[~lost], expected[~lost])


def test_baselines_say_what_they_are_called_after():
    genotypes, _ = simulate(40, 60, seed=3)
    (one,) = draw_rounds(genotypes, "random", 0.1, 1, seed=1)
    visible, cells = one.visible(genotypes), one.cells

    def commonest(calls):
        return np.bincount(calls[calls >= 0], minlength=3).argmax()

    mode, _ = guess_of_baseline(MODE, visible, cells, 1)
    own, _ = guess_of_baseline(POPULATION_MODE, visible, cells, 1)
    shares, _ = guess_of_baseline(FREQUENCIES, visible, cells, 1)
    for k in range(0, len(cells.truth), 7):
        column = visible.calls[:, cells.loci[k]]
        there = genotypes.populations == genotypes.populations[cells.samples[k]]
        assert mode.call[k] == commonest(column)
        best = np.bincount(column[there & (column >= 0)], minlength=3)
        assert best[own.call[k]] == best.max()
        counted = best / max(best.sum(), 1)
        assert shares.gp[k] == pytest.approx(counted, abs=2 / max(best.sum(), 1))


def test_repeats_give_means_and_a_spread():
    genotypes, _ = simulate(30, 60, seed=4)
    rounds = draw_rounds(genotypes, "random", 0.1, 3, seed=1)
    assert not np.array_equal(rounds[0].cells.loci, rounds[1].cells.loci)
    guesses = []
    for one in rounds:
        call = np.where(np.arange(len(one.cells.truth)) % (3 + len(guesses)) == 0, 0, one.cells.truth)
        guesses.append(Guess(call.astype(np.int8), certain(call, 3)))
    score = evaluate(genotypes, rounds, guesses, seed=1).methods[0]
    each = [(guess.call == one.cells.truth).mean() for guess, one in zip(guesses, rounds, strict=True)]
    assert score.figures["concordance"] == pytest.approx(np.mean(each))
    assert score.spread["concordance"] == pytest.approx(np.std(each, ddof=1))


def test_the_same_seed_draws_the_same_rounds():
    genotypes, _ = simulate(30, 60)
    for strategy in ("observed", "dropout", "nonrandom"):
        one, again = (draw_rounds(genotypes, strategy, 0.1, 1, seed=7)[0].cells for _ in range(2))
        assert np.array_equal(one.loci, again.loci)
        assert np.array_equal(one.samples, again.samples)
    assert not np.array_equal(one.loci, draw_rounds(genotypes, strategy, 0.1, 1, seed=8)[0].cells.loci)


def test_the_verdict_says_first_what_beats_the_model():
    genotypes, _ = simulate_linked(50, 80, missing=0.1)
    rounds = draw_rounds(genotypes, "random", 0.1, 1, seed=1)
    truth = rounds[0].cells.truth
    bad = np.full((len(truth), 3), 1 / 3, np.float32)
    lost = findings_of(evaluate(genotypes, rounds, [Guess(np.zeros(len(truth), np.int8), bad)], seed=1))
    assert {loss.metric for loss in lost.losses} == {"log_loss", "nrd"}
    assert all(loss.model > loss.baseline for loss in lost.losses)
    assert lost.sentences[0].startswith("The model loses to ")
    won = findings_of(evaluate(genotypes, rounds, [perfect(rounds[0])], seed=1))
    assert won.losses == ()
    assert "no worse than any baseline" in won.sentences[0]


def test_a_half_call_does_not_make_the_other_calls_uncertain(tmp_path):
    """They are the truth, and scored as such; where reads leave calls open, their likelihoods come with the cells."""
    half = vcf(record("0/0 0/1 ./1 0/0", pos=100), record("0/1 0/0 1/1 0/1", pos=200), samples="abcd")
    genotypes = read_vcf(write(tmp_path / "half.vcf", half))
    assert genotypes.evidence is not None
    hidden = np.eye(4, 2, dtype=bool)
    assert round_of(hidden, genotypes).cells.likelihoods is None
    reads = [record("0/0:0,3,30 0/1:15,0,15 0/0:0,3,30 ./.:0,0,0", pos=pos, fmt="GT:PL") for pos in (100, 200)]
    genotypes = read_vcf(write(tmp_path / "reads.vcf", vcf(*reads, samples="abcd")), likelihoods="PL")
    one = round_of(hidden, genotypes)
    assert one.cells.likelihoods == pytest.approx(np.array([[1, 10**-0.3, 1e-3], [10**-1.5, 1, 10**-1.5]]), rel=1e-4)
    assert (one.visible(genotypes).evidence.of_cells(one.cells.samples, one.cells.loci) == 1).all()
