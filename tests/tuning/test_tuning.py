"""A whole study on small data: what trials see, what is searched, how the best is chosen, and what is written when."""

import math
import signal

import numpy as np
import optuna
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, REPOSITORY, TINY, simulate, simulate_linked

from imputevae_cli import ImputeVAE
from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.errors import ConfigError, InputError, TrainingError
from imputevae_cli.runtime.stopping import Stopped, StopRequest
from imputevae_cli.scoring.metrics import METRICS
from imputevae_cli.tuning import data as scoring
from imputevae_cli.tuning import run as runs
from imputevae_cli.tuning import storage
from imputevae_cli.tuning.data import fill_cells, gain_and_noise, hide_for_study, metric_names, part_of, score
from imputevae_cli.tuning.opening import open_storage
from imputevae_cli.tuning.result import DEFAULTS
from imputevae_cli.tuning.space import Space, make_space
from imputevae_cli.tuning.tune import tune

FEW = REPOSITORY / "tests" / "cli" / "few_settings.yaml"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(storage, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(scoring, "RESAMPLES", 20)


@pytest.fixture(scope="module")
def genotypes():
    return simulate(30, 80, missing=0.1)[0]


@pytest.fixture
def tuned(genotypes, tmp_path):
    """A function that runs a small study, by default of two settings of the global decoder, in a file."""

    def study(name="s", trials=4, *, space=None, fixes=(), join=False, stop=None, on=genotypes, **dotted):
        settings = {"tune.n_trials": trials, "tune.sampler_startup": 2, "tune.max_hidden": 400}
        settings |= {key.replace("__", "."): value for key, value in dotted.items()}
        config = Config().replace({**TINY, **settings})
        searched = make_space(space or FEW, fixes, config)
        searched = Space(searched.named, {}, searched.held)  # what the file names, and nothing of the built-in space
        return tune(on, config, searched, open_storage(f"journal:{tmp_path / 'j'}"), name, join=join, stop=stop)

    return study


def of_search(result):
    return [row for row in result.rows if row.stage == "search"]


def alike(rows):
    """What must be the same in the same study: all but the time that it took."""
    return [(r.stage, r.number, r.state, r.label, dict(r.values), dict(r.params)) for r in rows]


# --- the calls that are hidden


@pytest.mark.parametrize("strategy", ["observed", "random", "random_weighted_inv"])
def test_trials_see_neither_the_calls_that_score_them_nor_those_of_the_test(genotypes, strategy):
    data = hide_for_study(genotypes, Config().replace({"sim.sim_strategy": strategy}))
    for cells in (data.score, data.test):
        assert (data.genotypes.calls[cells.samples, cells.loci] == MISSING).all()
        assert np.array_equal(genotypes.calls[cells.samples, cells.loci], cells.truth)
    hidden = {(s, c) for cells in (data.score, data.test) for s, c in zip(cells.samples, cells.loci, strict=True)}
    assert len(hidden) == len(data.score.truth) + len(data.test.truth), "no call is in both"
    assert (data.genotypes.calls != genotypes.calls).sum() == len(hidden)


def test_the_same_calls_are_hidden_whatever_a_trial_sets_and_others_for_another_seed(genotypes):
    same = [hide_for_study(genotypes, Config().replace({"sim.sim_prop": prop})) for prop in (0.05, 0.2)]
    other = hide_for_study(genotypes, Config().replace({"io.seed": 2}))
    assert np.array_equal(same[0].genotypes.calls, same[1].genotypes.calls)
    assert not np.array_equal(same[0].genotypes.calls, other.genotypes.calls)


def test_too_few_calls_are_refused():
    with pytest.raises(InputError, match="known calls"):
        hide_for_study(simulate(10, 30)[0], Config())


def test_a_part_holds_whole_stretches_and_its_own_scored_calls():
    genotypes = simulate(40, 2000, missing=0.1)[0]
    data = hide_for_study(genotypes, Config())
    tune_settings = Config().replace({"tune.cells": 20_000}).tune
    part = part_of(data, tune_settings, 1)
    n_samples, n_loci = part.genotypes.calls.shape
    assert n_samples == 40
    assert 450 < n_loci < 550
    assert len(set(part.genotypes.loci.chrom)) == 4, "stretches are apart"
    where = {pos: i for i, pos in enumerate(genotypes.loci.pos)}
    columns = np.array([where[pos] for pos in part.genotypes.loci.pos])
    assert np.array_equal(part.genotypes.calls, data.genotypes.calls[:, columns])
    assert np.array_equal(genotypes.calls[part.score.samples, columns[part.score.loci]], part.score.truth)
    assert len(part.score.truth) == np.isin(data.score.loci, columns).sum()
    assert part_of(data, Config().tune, 1) is None, "all of it is little enough"


def test_filled_cells_are_those_of_the_imputed_file(genotypes):
    data = hide_for_study(genotypes, Config())
    model = ImputeVAE(Config().replace(TINY)).fit(data.genotypes)
    imputed = model.transform(data.genotypes)
    for cells, gp in zip(
        (data.test, data.score), fill_cells(model, data.genotypes, data.test, data.score), strict=True
    ):
        assert gp == pytest.approx(imputed.gp[cells.samples, cells.loci])


# --- metrics


def test_pg_suis_names_of_metrics_are_known():
    names = ["f1", "accuracy", "pr_macro", "average_precision", "roc_auc", "precision", "recall", "mcc", "jaccard"]
    assert set(metric_names(names)) <= METRICS.keys()
    assert metric_names(["accuracy", "concordance"]) == ("concordance",)


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'log_loss'"):
        metric_names("logloss")
    with pytest.raises(ConfigError, match=r"'speed' is not known; known: .*log_loss"):
        metric_names("speed")


@pytest.mark.parametrize("name", ["log_loss", "concordance"])
def test_a_gain_has_the_sign_of_an_improvement_and_its_noise(genotypes, name):
    data = hide_for_study(genotypes, Config())
    truth = data.test.truth
    good = np.full((len(truth), 3), 0.1, np.float32)
    good[np.arange(len(truth)), truth] = 0.8
    bad = np.full((len(truth), 3), 1 / 3, np.float32)
    gain, noise = gain_and_noise(data.genotypes, data.test, bad, good, name, 1)
    values = [score(data.genotypes, data.test, gp, [name])[name] for gp in (bad, good)]
    assert gain == pytest.approx(abs(values[0] - values[1]))
    assert 0 <= noise < gain
    assert gain_and_noise(data.genotypes, data.test, good, bad, name, 1)[0] == pytest.approx(-gain)


# --- the study


def test_the_first_trial_is_of_the_settings_given_and_scored_as_such(tuned, genotypes):
    result = tuned(trials=3)
    first = of_search(result)[0]
    assert first.label == DEFAULTS
    assert first.params == {"vae.kl_beta": 3.0, "model.latent_dim": 3}
    data = hide_for_study(genotypes, Config().replace({"tune.max_hidden": 400}))
    model = ImputeVAE(Config().replace(TINY)).fit(data.genotypes)
    (gp,) = fill_cells(model, data.genotypes, data.score)
    assert first.values == score(data.genotypes, data.score, gp, ["log_loss"])


def test_one_worker_and_one_seed_give_one_study(tuned):
    once, again, other = tuned("s"), tuned("t"), tuned("u", io__seed=2)
    assert alike(once.rows) == alike(again.rows)
    assert once.test == again.test
    assert [row.params for row in once.rows][2:] != [row.params for row in other.rows][2:]


def test_a_study_that_was_stopped_ends_as_if_it_had_not_been(tuned, tmp_path, monkeypatch):
    whole = tuned("s", 5)
    (tmp_path / "j").unlink()
    stop, fits = StopRequest(), []
    real = ImputeVAE.fit

    def fit(model, *arguments, **settings):
        fits.append(model)
        if len(fits) == 3:
            stop.receive(signal.SIGTERM)
        return real(model, *arguments, **settings)

    monkeypatch.setattr(ImputeVAE, "fit", fit)
    with pytest.raises(Stopped):
        tuned("s", 5, stop=stop)
    assert not stop.deferred
    parted = tuned("s", 5, join=True)
    lost = [row for row in parted.rows if row.state == "failed"]
    assert [(row.number, row.note) for row in lost] == [(2, "stopped")]
    done = [row for row in of_search(parted) if row.state == "complete"]
    assert len(done) == 5
    assert done[2].retry_of == 2
    assert done[2].params == of_search(whole)[2].params
    assert done[2].values == of_search(whole)[2].values


def test_a_study_is_joined_only_where_that_is_meant_and_all_is_the_same(tuned, genotypes):
    tuned("s", 2)
    with pytest.raises(ConfigError, match="--resume"):
        tuned("s", 2)
    for change, said in (
        ({"io__seed": 5}, "seed"),
        ({"tune__metrics": "f1"}, "metrics"),
        ({"vae__draws": 3}, "settings"),
    ):
        with pytest.raises(ConfigError, match=said):
            tuned("s", 2, join=True, **change)
    with pytest.raises(ConfigError, match="genotypes"):
        tuned("s", 2, join=True, on=genotypes.with_calls(genotypes.calls[::-1].copy()))
    with pytest.raises(ConfigError, match="search space"):
        tuned("s", 2, join=True, fixes=["vae.kl_beta=2"])
    assert len(of_search(tuned("s", 3, join=True))) == 3


def test_the_settings_given_are_kept_where_tuning_did_not_win(tuned, tmp_path):
    (tmp_path / "bad.yaml").write_text("train: {l1_penalty: {low: 10, high: 20}}\n")
    result = tuned(trials=3, space=tmp_path / "bad.yaml", train__max_epochs=15, train__learning_rate=1e-2)
    assert result.chosen is None
    assert not result.test.won
    assert result.test.gain == 0
    assert result.config.train.l1_penalty == 0


def test_a_gain_within_the_noise_does_not_win(tuned, monkeypatch):
    monkeypatch.setattr("imputevae_cli.tuning.tune.gain_and_noise", lambda *_: (0.01, 0.006))
    result = tuned(trials=4)
    assert not result.test.won
    assert result.config.vae.kl_beta == 3.0


def test_what_wins_is_written(tuned):
    result = tuned(trials=5, vae__kl_beta=40.0, train__learning_rate=2e-2, train__max_epochs=9)
    assert result.chosen is not None
    best = min((row for row in of_search(result)), key=lambda row: row.values["log_loss"])
    assert result.chosen == best.number
    if result.test.won:
        assert result.config.vae.kl_beta == best.params["vae.kl_beta"]
    assert result.test.gain == pytest.approx(
        result.test.defaults["log_loss"] - result.test.chosen["log_loss"], abs=1e-9
    )


def test_the_best_of_a_part_are_run_on_all_data(tuned, monkeypatch):
    monkeypatch.setattr(scoring, "LEAST_CELLS", 2)
    result = tuned(trials=5, tune__cells=800, tune__finalists=2)
    assert result.on_part == (30, 28)
    whole = [row for row in result.rows if row.stage == "whole"]
    assert whole[0].label == DEFAULTS
    assert len(whole) == 3
    ranked = sorted((r for r in of_search(result) if r.label != DEFAULTS), key=lambda r: r.values["log_loss"])
    assert {row.label for row in whole[1:]} == {f"trial {row.number}" for row in ranked[:2]}
    assert whole[0].values != of_search(result)[0].values


def test_more_trials_after_the_end_bring_new_finalists_and_another_test(tuned, monkeypatch):
    monkeypatch.setattr(scoring, "LEAST_CELLS", 2)
    monkeypatch.setattr(storage, "GRACE_SECONDS", 0.1)
    settings = {"tune__cells": 800, "tune__finalists": 1}
    first = tuned(trials=2, tune__select="1", **settings)
    later = tuned(trials=4, tune__select="3", join=True, **settings)
    on_all = [row.label for row in later.rows if row.stage == "whole" and row.state == "complete"]
    assert on_all == [DEFAULTS, "trial 1", "trial 3"]
    assert (first.chosen, later.chosen) == (1, 3)
    assert first.test.chosen != later.test.chosen
    assert first.test.defaults == later.test.defaults
    assert tuned(trials=4, tune__select="3", join=True, **settings) == later, "nothing is left to do"


def test_several_metrics_give_a_front_and_one_is_picked_from_it(tuned):
    metrics = ["log_loss", "f1"]
    by_f1 = tuned("s", 6, tune__metrics=metrics, tune__select="f1")
    rows = {row.number: row for row in of_search(by_f1)}
    for number, row in rows.items():
        beaten = any(
            other.values["log_loss"] <= row.values["log_loss"]
            and other.values["f1"] >= row.values["f1"]
            and other.values != row.values
            for other in rows.values()
        )
        assert (number in by_f1.front) == (not beaten)
    best = max(by_f1.front, key=lambda number: rows[number].values["f1"])
    assert by_f1.chosen in (best, None)
    assert by_f1.test.metric == "f1"
    by_number = tuned("s", 6, join=True, tune__metrics=metrics, tune__select="2")
    assert by_number.test.metric in metrics
    with pytest.raises(ConfigError, match="mcc"):
        tuned("t", 2, tune__metrics=metrics, tune__select="mcc")


# --- what ends a trial


def test_lack_of_memory_prunes_a_trial(tuned, monkeypatch):
    real = ImputeVAE.fit

    def fit(model, *arguments, **settings):
        if model.config.vae.kl_beta != 3.0:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return real(model, *arguments, **settings)

    monkeypatch.setattr(ImputeVAE, "fit", fit)
    result = tuned(trials=4)
    pruned = [row for row in of_search(result) if row.params["vae.kl_beta"] != 3.0]
    assert pruned
    assert {(row.state, row.note) for row in pruned} == {("pruned", "out of memory")}
    assert all(math.isnan(row.values["log_loss"]) for row in pruned)


@pytest.mark.parametrize("raised", [TrainingError("not finite"), ZeroDivisionError("a bug"), RuntimeError("a shape")])
def test_any_other_error_is_an_error(tuned, monkeypatch, raised):
    def fit(*_, **__):
        raise raised

    monkeypatch.setattr(ImputeVAE, "fit", fit)
    with pytest.raises(type(raised), match=str(raised)):
        tuned(trials=2)


def test_a_study_whose_given_settings_do_not_fit_in_memory_says_so(tuned, monkeypatch):
    def fit(*_, **__):
        raise MemoryError

    monkeypatch.setattr(ImputeVAE, "fit", fit)
    for trials in (1, 3):
        with pytest.raises(TrainingError, match="out of memory"):
            tuned(f"of {trials}", trials)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_trial_that_lags_behind_is_pruned_by_its_epochs(tuned, tmp_path, pruner):
    (tmp_path / "rates.yaml").write_text("train: {learning_rate: {low: 1e-8, high: 1e-1, log: true}}\n")
    result = tuned(
        trials=9, space=tmp_path / "rates.yaml", tune__pruner=pruner, tune__patience=0, train__max_epochs=9,
        tune__sampler_startup=9, train__warmup_epochs=0,
    )  # fmt: skip
    pruned = [row for row in of_search(result) if row.state == "pruned"]
    assert pruned
    assert all("behind the other trials" in row.note for row in pruned)


def test_nothing_is_pruned_by_epochs_where_they_cannot_be_compared(tuned, monkeypatch):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda self: True)
    assert {row.state for row in of_search(tuned(trials=3, tune__metrics="f1"))} == {"complete"}
    states = [row.state for row in of_search(tuned("t", trials=3))]
    assert states == ["complete", "pruned", "pruned"], "but for the first, by which the rest is measured"


# --- what is searched


def test_settings_of_parts_that_the_data_do_not_use_are_not_searched(tmp_path, monkeypatch):
    genotypes, _ = simulate_linked(40, 200, seed=3)
    config = Config().replace({**QUICK_VAE, **QUICK_PARTS, "tune.n_trials": 2, "copying.iterations": None})
    where = open_storage(f"journal:{tmp_path / 'j'}")
    result = tune(genotypes, config, make_space(None, (), config), where, "s", join=False)
    parts = {key.split(".")[0] for key in result.searched}
    first = of_search(result)[0]
    assert ("copying" in parts) == ("copying" in first.parts.split(";")[0])
    assert ("knn" in parts) == ("knn" in first.parts.split(";")[0])
    assert "copying" in parts
    assert first.params["copying.iterations"] > 4, "what the rules made of null"


def test_held_settings_hold_in_every_trial_and_in_what_is_written(tuned):
    result = tuned(trials=3, fixes=["vae.kl_beta=1.5"])
    assert list(result.searched) == ["model.latent_dim"]
    assert result.config.vae.kl_beta == 1.5


def test_a_study_of_nothing_is_refused(tuned):
    with pytest.raises(ConfigError, match="nothing to search"):
        tuned(trials=3, fixes=["vae.kl_beta=1.5", "model.latent_dim=3"])


def test_settings_of_trials_on_a_part_alone(tuned, monkeypatch):
    monkeypatch.setattr(scoring, "LEAST_CELLS", 2)
    seen = []
    real = runs.ImputeVAE

    def noted(config):
        seen.append((config.train.max_epochs, config.train.batch_size))
        return real(config)

    monkeypatch.setattr(runs, "ImputeVAE", noted)
    result = tuned(trials=2, tune__cells=800, tune__finalists=1, tune__epochs=2, tune__batch_size=8)
    assert seen[:2] == [(2, 8)] * 2
    assert set(seen[2:]) == {(3, 64)}
    assert result.config.train.max_epochs == 3
