"""Whole fits: what each decoder makes of small data, and what a saved model makes of it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import DECODERS, QUICK_PARTS, simulate, simulate_linked, tiny_config

from imputevae_cli import Config, ImputeVAE
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Screen
from imputevae_cli.decoders.copying.decoder import CopyingDecoder
from imputevae_cli.decoders.knn.decoder import KnnDecoder
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.decoders.screening import subset_to_screen
from imputevae_cli.decoders.vae.decoder import FittedVae
from imputevae_cli.ensemble import fit as fitting
from imputevae_cli.runtime.resumable import Journal
from imputevae_cli.runtime.run_folder import RunFolder, identity_of
from imputevae_cli.runtime.stopping import Stopped, StopRequest
from imputevae_cli.scoring.metrics import concordance, log_loss

NAMED = DECODERS[1:]


LARGE = Rules(small_cells=0)
"""As if every file were large: screens come first."""


def fitted(genotypes, decoder, rules=None, **settings):
    return ImputeVAE(tiny_config(model__decoder=decoder, **settings), rules).fit(genotypes)


def well_fitted(genotypes, rules=None, **settings):
    """With `auto`, and enough epochs for the global decoder to be of use."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return ImputeVAE(Config().replace({**QUICK_PARTS, **dotted}), rules).fit(genotypes)


def strangers_of(genotypes):
    """The same calls of samples that no model knows."""
    return dataclasses.replace(genotypes, samples=tuple(f"new{s}" for s in genotypes.samples))


def scores(genotypes, truth, imputed):
    """Log loss and concordance over missing calls, of the imputed genotypes and then of the frequencies."""
    missing = genotypes.calls == MISSING
    table = genotype_frequencies(genotypes.calls, genotypes.n_classes)[-1]
    y, gp = truth[missing].astype(int), imputed.gp[missing]
    plain = np.broadcast_to(table, (*truth.shape, genotypes.n_classes))[missing]
    return log_loss(y, gp), concordance(y, gp.argmax(1)), log_loss(y, plain), concordance(y, plain.argmax(1))


def sound(genotypes, imputed):
    """Probabilities add up to 1 at each missing call, and each missing call is filled."""
    missing = genotypes.calls == MISSING
    some_known = ~missing.all(1)
    gp = imputed.gp[missing]
    assert np.isfinite(gp).all()
    assert gp.sum(1) == pytest.approx(1.0, abs=0.002)  # they are rounded to thousandths
    assert np.array_equal(imputed.calls[~missing], genotypes.calls[~missing])
    assert (imputed.calls[some_known] != MISSING).all()


@pytest.fixture(scope="module")
def linked():
    return simulate_linked()


@pytest.fixture(scope="module", params=DECODERS)
def model(request, linked):
    return fitted(linked[0], request.param)


# --- what `auto` chooses


@pytest.mark.parametrize("ploidy", [1, 2])
def test_auto_keeps_the_haplotypes_of_linked_data(ploidy):
    genotypes, truth = simulate_linked(ploidy=ploidy, seed=2)
    varies = np.flatnonzero((truth != truth[0]).any(0))  # as in a file; calls are hidden at such loci alone
    truth, loci = truth[:, varies], genotypes.loci.take(varies)
    genotypes = dataclasses.replace(genotypes, calls=genotypes.calls[:, varies], loci=loci)
    model = well_fitted(genotypes, copying__iterations=16)
    assert "copying" in model._fitted.ensemble.gate.parts
    assert "copying" in model.parts
    loss, right, plain_loss, plain_right = scores(genotypes, truth, model.transform())
    assert loss < 0.4 * plain_loss
    assert right > plain_right + 0.2
    assert model.expected.model.log_loss == pytest.approx(loss, abs=0.1)
    assert loss < model.expected.model.log_loss + 0.02, "no more was promised than is kept"
    assert model.expected.baseline.log_loss == pytest.approx(plain_loss, abs=0.1)


@pytest.mark.parametrize(("ploidy", "seed"), [(1, 0), (2, 1), (2, 2)])
def test_without_structure_nothing_is_lost(ploidy, seed):
    genotypes, truth = simulate(50, 120, ploidy=ploidy, n_populations=1, popmap=False, seed=seed)
    model = well_fitted(genotypes, train__max_epochs=20)
    expected = model.expected
    assert expected.model.log_loss < expected.baseline.log_loss + 0.02
    loss, _, plain, _ = scores(genotypes, truth, model.transform())
    assert loss < plain + 0.02


def knows_nothing(decoder, task, earlier):
    """The screen of a decoder that knows nothing of the calls."""
    n_cells, n_classes = len(task.validation.truth), task.cohort.ploidy + 1
    gp = np.random.default_rng(0).dirichlet(np.ones(n_classes), n_cells).astype(np.float32)
    return Screen(np.arange(n_cells), gp)


def test_a_screen_decides_in_larger_files(linked, monkeypatch):
    """Where the haplotypes do all that can be done, the other decoders are not even fitted."""
    genotypes, truth = linked
    monkeypatch.setattr(KnnDecoder, "screen", knows_nothing)
    model = well_fitted(genotypes, Rules(small_cells=0, closely_linked=Rules().linked))
    assert "copying" in model.part_names
    assert set(model.part_names) <= {"copying", "frequencies"}
    assert "knn" not in model._fitted.ensemble.fitted
    assert "vae skipped" in model.parts
    assert "knn skipped: in a cheap run it adds next to nothing to the others" in model.parts
    loss, _, plain, _ = scores(genotypes, truth, model.transform())
    assert loss < 0.4 * plain


def right_by(task, chance, seed):
    """Probabilities of the validation cells that mean what they say: `chance` at a genotype that is right so often."""
    rng = np.random.default_rng(seed)
    truth = task.validation.truth
    said = np.where(rng.random(len(truth)) < chance, truth, (truth + rng.integers(1, 3, len(truth))) % 3)
    return np.where(np.arange(3) == said[:, None], chance, (1 - chance) / 2).astype(np.float32)


@pytest.mark.parametrize(("haplotypes", "screened"), [(0.85, False), (0.98, True)])
def test_nearest_neighbours_are_screened_where_haplotypes_say_much(monkeypatch, haplotypes, screened):
    genotypes, _ = simulate(60, 120, seed=1)
    asked = []
    own = KnnDecoder.screen
    monkeypatch.setattr(KnnDecoder, "screen", lambda *given: (asked.append(1), own(*given))[1])

    def screen(decoder, task, earlier):
        return Screen(np.arange(len(task.validation.truth)), right_by(task, haplotypes, 1))

    monkeypatch.setattr(CopyingDecoder, "screen", screen)
    notes = fitted(genotypes, "auto", LARGE)._fitted.ensemble.notes
    assert notes[0].startswith("vae skipped: on a few stretches haplotypes")
    assert bool(asked) == screened


def test_nearest_neighbours_go_on_from_what_their_screen_learned_in_a_resumed_run_too(monkeypatch, tmp_path):
    genotypes, _ = simulate(60, 120, seed=1)
    config, given, fit = tiny_config(model__decoder="auto", knn__steps=20), [], KnnDecoder.fit

    def screen(decoder, task, earlier):
        return Screen(np.arange(len(task.validation.truth)), right_by(task, 0.98, 1))

    def spied(decoder, task, inputs):
        given.append(inputs.learned)
        if len(given) == 1:
            raise Stopped(15)
        return fit(decoder, task, inputs)

    def run():
        journal = Journal(RunFolder(tmp_path / "out.ckpt", identity_of(genotypes, config)), StopRequest())
        try:
            return ImputeVAE(config, LARGE).fit(genotypes, stages=journal)
        finally:
            journal.save()

    monkeypatch.setattr(CopyingDecoder, "screen", screen)
    monkeypatch.setattr(fitting, "idle_decoders", lambda *_: {})
    monkeypatch.setattr(KnnDecoder, "fit", spied)
    with pytest.raises(Stopped):
        run()
    monkeypatch.setattr(KnnDecoder, "screen", None)  # which is not run again
    model = run()
    assert {"tables", "similarity"} <= given[0].keys()
    assert all(torch.equal(weights, given[1][key]) for key, weights in given[0].items())
    assert model._fitted.ensemble.fitted["knn"].model.settings.steps == round(LARGE.after_screen * 20)


def test_a_screen_leaves_out_haplotypes_that_add_nothing(monkeypatch):
    genotypes, _ = simulate(60, 120, seed=1)
    monkeypatch.setattr(CopyingDecoder, "screen", knows_nothing)
    model = well_fitted(genotypes, LARGE)
    assert "copying" not in model._fitted.ensemble.fitted
    assert "copying skipped" in model.parts
    sound(genotypes, model.transform())


@pytest.mark.parametrize("n_hidden", [5000, 300])
def test_a_subset_is_as_long_as_it_takes_to_hold_hidden_calls(n_hidden):
    calls = np.zeros((100, 20_000), np.int8)
    cells = np.sort(np.random.default_rng(0).choice(calls.size, n_hidden, replace=False))
    cohort = Cohort(calls, np.zeros(20_000, np.int32), np.arange(20_000), 2)
    task = SimpleNamespace(cohort=cohort, validation=HiddenCells.at(cells, calls), config=tiny_config(), rules=Rules())
    samples, loci = subset_to_screen(task)
    assert len(samples) == 100
    assert len(loci) == {5000: 800, 300: 13_332}[n_hidden]
    assert len(task.validation.within(samples, loci)[0]) > 1.5 * Rules().screen_cells


def test_haplotypes_are_given_a_chance_where_a_screen_cannot_judge_them():
    genotypes, _ = simulate(60, 120, seed=1)
    notes = fitted(genotypes, "auto", Rules(small_cells=0, screen_cells=10_000))._fitted.ensemble.notes
    assert [note.split(":")[0] for note in notes] == ["vae skipped"]


def test_a_thinned_latent_serves_new_samples_too(linked, tmp_path):
    genotypes, _ = linked
    model = well_fitted(genotypes, Rules(small_cells=0, latent_cells=3000), train__max_epochs=3)
    assert len(model._fitted.ensemble.fitted["vae"].thinned) == 50
    sound(genotypes, model.transform(strangers_of(genotypes)))
    model.save(tmp_path / "m.ivae")
    again = ImputeVAE.load(tmp_path / "m.ivae")
    assert np.array_equal(again.transform(genotypes).gp, model.transform().gp)
    assert again.latent_of(genotypes).mu.shape == (60, 8)


def test_no_epoch_is_run_for_nothing(linked):
    """The parts that were not asked for are not there."""
    for decoder in NAMED:
        ensemble = fitted(linked[0], decoder)._fitted.ensemble
        assert ensemble.gate.parts == (decoder,)
        assert ensemble.fitted.keys() == {"vae", decoder}, "its latent is there in every model"


# --- each decoder


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("decoder", NAMED)
def test_each_decoder_runs(decoder, ploidy):
    genotypes, truth = simulate_linked(40, 120, ploidy=ploidy, seed=3)
    imputed = fitted(genotypes, decoder).transform()
    sound(genotypes, imputed)
    loss, _, plain, _ = scores(genotypes, truth, imputed)
    assert loss < (plain + 0.05 if decoder == "vae" else 0.8 * plain)


AWKWARD = {
    "one contig per locus": lambda g: dataclasses.replace(
        g, loci=dataclasses.replace(g.loci, chrom=np.array([f"c{i:03d}" for i in range(g.n_loci)], object))
    ),
    "one population": lambda g: dataclasses.replace(g, populations=np.array(["a"] * g.n_samples, object)),
    "20 samples": lambda g: g,
    "90 % missing": lambda g: g.with_calls(
        np.where(np.random.default_rng(0).random(g.calls.shape) < 0.875, np.int8(MISSING), g.calls)
    ),
    "nothing missing": lambda g: g.with_calls(np.maximum(g.calls, 0)),
    "a locus without calls": lambda g: g.with_calls(np.where(np.arange(g.n_loci) == 7, np.int8(MISSING), g.calls)),
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("decoder", DECODERS)
def test_awkward_data(decoder, case):
    genotypes, _ = simulate_linked(*((20, 80) if case == "20 samples" else (40, 100)), seed=4)
    genotypes = AWKWARD[case](genotypes)
    sound(genotypes, fitted(genotypes, decoder).transform())


# --- a saved model


def test_a_loaded_model_fills_as_the_fitted_one_does(model, linked, tmp_path):
    genotypes, _ = linked
    model.save(tmp_path / "m.ivae")
    again = ImputeVAE.load(tmp_path / "m.ivae")
    assert np.array_equal(again.transform(genotypes).gp, model.transform().gp)
    assert np.array_equal(again.transform(genotypes).calls, model.transform().calls)
    new = strangers_of(genotypes.with_calls(simulate_linked(seed=5)[0].calls))
    assert np.array_equal(again.transform(new).gp, model.transform(new).gp)
    assert again.parts == model.parts
    assert again.expected == model.expected


@pytest.mark.parametrize("hidden", [100, 2000])
def test_haplotypes_of_few_and_of_many_hidden_calls(linked, tmp_path, hidden):
    """Where few calls were hidden the fit itself is kept; where many, one of all known calls."""
    genotypes, truth = linked
    model = fitted(genotypes, "copying", sim__max_hidden=hidden)
    kept = model._fitted.ensemble.fitted["copying"].posterior
    assert len(kept.hidden.truth) == (0 if hidden == 2000 else model.mask.hidden.sum())
    assert np.array_equal(kept.calls, genotypes.calls)
    loss, _, plain, _ = scores(genotypes, truth, model.transform())
    assert loss < 0.5 * plain
    model.save(tmp_path / "m.ivae")
    assert np.array_equal(ImputeVAE.load(tmp_path / "m.ivae").transform(genotypes).gp, model.transform().gp)


# --- the global decoder as one more state of the haplotypes


@pytest.mark.parametrize("decoder", ["auto", "copying"])
@pytest.mark.parametrize("share", [0.2, None])
def test_the_global_state(decoder, share, tmp_path):
    genotypes, truth = simulate_linked(40, 120, seed=3)
    model = fitted(genotypes, decoder, copying__global_share=share)
    imputed = model.transform()
    sound(genotypes, imputed)
    loss, _, plain, _ = scores(genotypes, truth, imputed)
    assert loss < 0.8 * plain
    haplotypes = model._fitted.ensemble.fitted["copying"].posterior
    assert len(haplotypes.packed) == 2 * genotypes.n_samples
    assert haplotypes.schedule.global_share == (share if share else pytest.approx(0.0))
    model.save(tmp_path / "m.ivae")
    again = ImputeVAE.load(tmp_path / "m.ivae")
    assert np.array_equal(again.transform(genotypes).gp, imputed.gp)
    sound(genotypes, again.transform(strangers_of(genotypes)))


@pytest.mark.parametrize("right", [True, False])
def test_hidden_calls_choose_the_share_of_the_global_state(right, monkeypatch):
    """Where loci are not linked, haplotypes gain from rows that are right; those that are wrong are not taken in."""
    truth = 2 * np.random.default_rng(2).integers(0, 2, (40, 120)).astype(np.int8)
    genotypes, _ = simulate_linked(40, 120, seed=3)
    genotypes = genotypes.with_calls(np.where(genotypes.calls == MISSING, np.int8(MISSING), truth))
    rows = np.where((truth > 0) == right, 255, 0).astype(np.uint8)
    monkeypatch.setattr(FittedVae, "allele_chances", lambda _: rows)
    model = fitted(genotypes, "copying", copying__global_share=None)
    assert (model._fitted.ensemble.fitted["copying"].posterior.schedule.global_share > 0) == right
    assert (scores(genotypes, truth, model.transform())[1] > 0.9) == right


def test_auto_says_where_it_does_without_the_global_state(linked):
    model = well_fitted(linked[0], LARGE, copying__global_share=0.2)
    assert "vae" not in model.part_names
    assert any("without the global state" in note for note in model._fitted.ensemble.notes)


# --- new samples


@pytest.fixture(scope="module")
def split():
    """40 samples to fit, and 20 of the same founders to fill: (fit, new, truth of the new)."""
    genotypes, truth = simulate_linked(seed=6)

    def rows(part, prefix):
        names = tuple(f"{prefix}{i}" for i in range(len(genotypes.calls[part])))
        return dataclasses.replace(genotypes, calls=genotypes.calls[part], samples=names)

    return rows(slice(0, 40), "s"), rows(slice(40, 60), "new"), truth[40:]


@pytest.fixture(scope="module", params=DECODERS)
def model_of_split(request, split):
    return request.param, fitted(split[0], request.param)


def test_new_samples_are_filled(model_of_split, split):
    decoder, model = model_of_split
    _, new, truth = split
    imputed = model.transform(new)
    sound(new, imputed)
    loss, _, plain, _ = scores(new, truth, imputed)
    assert loss < (plain + 0.05 if decoder == "vae" else 0.8 * plain)


def test_new_samples_at_swapped_loci(model_of_split, split):
    _, model = model_of_split
    _, new, _ = split
    loci, swap = new.loci, np.arange(200) % 3 == 0
    swapped = dataclasses.replace(loci, ref=np.where(swap, loci.alt, loci.ref), alt=np.where(swap, loci.ref, loci.alt))
    calls = np.where((new.calls != MISSING) & swap, 2 - new.calls, new.calls).astype(np.int8)
    gp = model.transform(dataclasses.replace(new, calls=calls, loci=swapped)).gp.copy()
    gp[:, swap] = gp[:, swap, ::-1]
    assert gp == pytest.approx(model.transform(new).gp, abs=0.0011)


def test_new_samples_at_some_loci(model_of_split, split):
    """Of the loci that the file lacks the model sees no call; the others are filled in the order of the file."""
    decoder, model = model_of_split
    _, new, truth = split
    kept = np.flatnonzero(np.arange(200) % 5 != 2)
    part = dataclasses.replace(new, calls=new.calls[:, kept], loci=new.loci.take(kept))
    imputed = model.transform(part)
    assert imputed.gp.shape == (20, len(kept), 3)
    sound(part, imputed)
    loss, _, plain, _ = scores(part, truth[:, kept], imputed)
    assert loss < (plain + 0.05 if decoder == "vae" else 0.85 * plain)
    blank = np.full_like(new.calls, MISSING)
    blank[:, kept] = part.calls
    whole = model.transform(new.with_calls(blank)).gp[:, kept]
    assert imputed.gp == pytest.approx(whole, abs=0.0011)
