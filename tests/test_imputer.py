import dataclasses

import numpy as np
import pytest
import torch
from conftest import DECODERS, QUICK_PARTS, simulate, tiny_config, vcf_of
from vcf_maker import write

from imputevae_cli import Config, ImputeVAE, read_vcf
from imputevae_cli.data.frequencies import genotype_frequencies
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.vae import decoder as vae_decoder
from imputevae_cli.errors import CheckpointError, ConfigError, InputError, TrainingError
from imputevae_cli.runtime.checkpoint import KEYS, save_plain
from imputevae_cli.scoring.metrics import concordance, log_loss


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "dosage")
        for name in ("calls", "gp", "dosage", "imputed")
    )


def fitted(genotypes, **settings):
    return ImputeVAE(tiny_config(**settings)).fit(genotypes)


@pytest.fixture(scope="module")
def genotypes():
    return simulate(24, 60)[0]


@pytest.fixture(scope="module")
def model(genotypes):
    return fitted(genotypes, train__ensemble=2)


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "m.ivae", "imputevae train x")
    return tmp_path / "m.ivae"


def test_parents_that_the_file_lacks_are_refused_though_no_founders_are_fitted(genotypes):
    with pytest.raises(ConfigError, match="'nobody' is no sample of the file"):
        fitted(genotypes, founders__parents=["nobody"])


def test_refining_certain_calls_is_warned_of(model, caplog):
    model.transform(refine=True)
    assert "refine has no effect" in caplog.text


def test_missing_calls_are_filled_and_known_ones_stay(model, genotypes):
    imputed = model.transform()
    known = genotypes.calls != MISSING
    assert np.array_equal(imputed.calls[known], genotypes.calls[known])
    assert (imputed.calls != MISSING).all()
    assert np.array_equal(imputed.calls, imputed.gp.argmax(2))


def test_filling_twice_gives_the_same(model, genotypes):
    assert same(model.transform(), model.transform())
    assert same(model.transform(), model.transform(genotypes))


@pytest.mark.parametrize("decoder", ["vae", "knn", "copying"])
def test_the_seed_decides(genotypes, decoder):
    one, again, other = (fitted(genotypes, model__decoder=decoder, io__seed=seed).transform() for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def test_save_and_load(model, genotypes, saved):
    loaded = ImputeVAE.load(saved)
    assert same(loaded.transform(genotypes), model.transform())
    assert loaded.config == model.config
    assert loaded.expected == model.expected
    assert loaded.history == model.history
    for name in ("hidden", "validation"):
        assert np.array_equal(getattr(loaded.mask, name), getattr(model.mask, name))
    loaded.save(saved, "again")
    assert same(ImputeVAE.load(saved).transform(genotypes), model.transform())


def test_a_checkpoint_says_what_made_it(saved):
    content = torch.load(saved, weights_only=True)
    assert content.keys() == KEYS
    assert content["command"] == "imputevae train x"
    assert content["samples"][:2] == ["s00", "s01"]


def test_a_loaded_model_has_no_genotypes_of_its_own(saved):
    with pytest.raises(InputError, match="give those to fill"):
        ImputeVAE.load(saved).transform()


def test_a_model_that_is_not_fitted():
    with pytest.raises(CheckpointError, match="not fitted"):
        ImputeVAE().transform(simulate(5, 5)[0])


def test_a_loaded_model_remembers_the_populations_of_its_samples(model, genotypes, saved):
    nameless = dataclasses.replace(genotypes, populations=None)
    strangers = dataclasses.replace(nameless, samples=tuple(f"x{i}" for i in range(24)))
    loaded = ImputeVAE.load(saved)
    assert same(loaded.transform(nameless), model.transform())
    assert not same(loaded.transform(strangers), model.transform())


def test_populations_that_the_model_does_not_know(model, genotypes):
    nameless = dataclasses.replace(genotypes, populations=None, samples=tuple(f"x{i}" for i in range(24)))
    strange = dataclasses.replace(nameless, populations=np.array(["elsewhere"] * 24, object))
    assert same(model.transform(strange), model.transform(nameless))


def rows_of(genotypes, rows):
    """Some samples, under names that no model knows."""
    samples = tuple(f"new{name}" for name in genotypes.samples[rows])
    return dataclasses.replace(
        genotypes, calls=genotypes.calls[rows], samples=samples, populations=genotypes.populations[rows]
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_other_samples_are_filled_one_by_one(decoder, genotypes):
    """What a sample gets hangs neither on its place nor on which others are in the file."""
    model = fitted(genotypes, model__decoder=decoder)
    others = dataclasses.replace(genotypes, calls=simulate(24, 60, seed=9)[0].calls)
    whole = model.transform(rows_of(others, slice(0, 24))).gp
    for rows in (slice(0, 6), slice(3, 9), slice(5, 6)):
        assert model.transform(rows_of(others, rows)).gp == pytest.approx(whole[rows], abs=0.0021)


def test_the_global_decoder_fills_samples_of_the_fit_and_their_copies_alike(genotypes):
    model = fitted(genotypes, vae__draws=0, model__decoder="vae")
    part = rows_of(genotypes, slice(3, 9))
    assert model.transform(part).gp == pytest.approx(model.transform().gp[3:9], abs=0.0021)


def test_exchanged_alleles_are_filled_in_the_coding_of_the_file(model, genotypes):
    loci = genotypes.loci
    swap = np.arange(60) % 3 == 0
    other = dataclasses.replace(loci, ref=np.where(swap, loci.alt, loci.ref), alt=np.where(swap, loci.ref, loci.alt))
    mirrored = np.where((genotypes.calls != MISSING) & swap, 2 - genotypes.calls, genotypes.calls).astype(np.int8)
    exchanged = model.transform(dataclasses.replace(genotypes, calls=mirrored, loci=other)).gp.copy()
    exchanged[:, swap] = exchanged[:, swap, ::-1]
    assert exchanged == pytest.approx(model.transform().gp, abs=0.0011)


def test_other_loci_are_refused_and_unknown_ones_left_out(model, genotypes, caplog):
    loci = genotypes.loci
    shifted = dataclasses.replace(loci, pos=loci.pos + 1)
    with pytest.raises(CheckpointError, match="knows 0 of the 60 loci"):
        model.transform(dataclasses.replace(genotypes, loci=shifted))
    pos = loci.pos.copy()
    pos[:5] += 1
    with caplog.at_level("WARNING", "imputevae"):
        some = model.transform(dataclasses.replace(genotypes, loci=dataclasses.replace(loci, pos=pos)))
    assert some.genotypes.n_loci == 55


def test_min_gp(model):
    strict, free = model.transform(min_gp=0.7), model.transform()
    assert 0 < strict.n_imputed < free.n_imputed
    assert (strict.gp[strict.imputed].max(1) >= 0.6995).all()
    assert np.array_equal(strict.gp, free.gp)


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("popmap", [False, True])
@pytest.mark.parametrize("n_populations", [1, 3])
def test_every_kind_of_input(ploidy, popmap, n_populations, tmp_path):
    genotypes, _ = simulate(20, 50, ploidy=ploidy, popmap=popmap, n_populations=n_populations)
    model = fitted(genotypes)
    imputed = model.transform()
    assert imputed.gp.shape == (20, 50, ploidy + 1)
    assert imputed.calls.min() >= 0
    assert imputed.calls.max() <= ploidy
    model.save(tmp_path / "m.ivae")
    assert same(ImputeVAE.load(tmp_path / "m.ivae").transform(genotypes), imputed)


def test_a_sample_and_a_locus_without_calls(genotypes):
    calls = genotypes.calls.copy()
    calls[5] = MISSING
    imputed = fitted(genotypes.with_calls(calls)).transform()
    assert (imputed.calls[5] == MISSING).all()
    assert (np.delete(imputed.calls, 5, 0) != MISSING).all()


def test_nothing_missing(genotypes):
    _, truth = simulate(24, 60)
    imputed = fitted(genotypes.with_calls(truth)).transform()
    assert np.array_equal(imputed.calls, truth)
    assert imputed.n_imputed == imputed.n_missing == 0


@pytest.mark.parametrize("ploidy", [1, 2])
def test_it_beats_frequencies_by_far_where_there_is_structure(ploidy):
    """Three populations, no popmap: z has to find them. Scored on missing calls whose truth is known."""
    genotypes, truth = simulate(90, 300, ploidy=ploidy, missing=0.25, seed=4, popmap=False)
    imputed = ImputeVAE(Config().replace({"model.decoder": "vae"})).fit(genotypes).transform()
    missing = genotypes.calls == MISSING
    frequencies = genotype_frequencies(genotypes.calls, ploidy + 1)[-1]
    baseline = np.broadcast_to(frequencies, (*truth.shape, ploidy + 1))[missing]
    y, gp = truth[missing].astype(int), imputed.gp[missing]
    assert log_loss(y, gp) < 0.8 * log_loss(y, baseline)
    assert concordance(y, gp.argmax(1)) > concordance(y, baseline.argmax(1)) + 0.08


def test_the_expected_accuracy_is_what_the_missing_calls_show():
    genotypes, truth = simulate(90, 300, missing=0.25, seed=5)
    model = ImputeVAE(Config().replace(QUICK_PARTS)).fit(genotypes)
    missing = genotypes.calls == MISSING
    gp, y = model.transform().gp[missing], truth[missing].astype(int)
    expected = model.expected.model
    assert expected.n > 500
    assert concordance(y, gp.argmax(1)) == pytest.approx(expected.concordance, abs=0.04)
    assert log_loss(y, gp) == pytest.approx(expected.log_loss, abs=0.08)


def test_the_mask_is_of_known_calls_and_of_the_size_asked_for(model, genotypes):
    known = genotypes.calls != MISSING
    assert not (model.mask.hidden & ~known).any()
    wanted = 0.1 * known.sum()
    assert 0 < model.mask.hidden.sum() < wanted + 4 * np.sqrt(wanted)  # each call is drawn by itself
    assert 0 < fitted(genotypes, sim__sim_strategy="random").mask.hidden.sum() <= round(wanted)


def test_settings_are_checked():
    config = Config()
    config.vae.kl_beta = -1.0
    with pytest.raises(ConfigError, match=r"vae\.kl_beta"):
        ImputeVAE(config)
    model = ImputeVAE()
    model.config.vae.kl_beta = -1.0
    with pytest.raises(ConfigError, match=r"vae\.kl_beta"):
        model.fit(simulate()[0])


def test_ploidy_that_the_settings_deny(genotypes):
    with pytest.raises(InputError, match=r"ploidy is 2, io\.ploidy says 1"):
        fitted(genotypes, io__ploidy=1)


def test_a_checkpoint_that_does_not_hold_together(saved):
    content = torch.load(saved, weights_only=True)
    content["loci"]["chrom"].append("9")
    save_plain(saved, content)
    with pytest.raises(CheckpointError, match=r"m\.ivae: does not hold together"):
        ImputeVAE.load(saved)


@pytest.mark.parametrize("entry", sorted(KEYS - {"format", "format_version", "command", "software_version"}))
def test_a_checkpoint_with_a_strange_entry_is_a_checkpoint_error(saved, entry):
    content = torch.load(saved, weights_only=True)
    content[entry] = "strange"
    save_plain(saved, content)
    with pytest.raises(CheckpointError, match=r"m\.ivae") as error:
        ImputeVAE.load(saved)
    assert "\n" not in str(error.value)


def test_the_genotypes_are_left_alone(genotypes):
    before = genotypes.calls.copy()
    fitted(genotypes).transform().calls  # noqa: B018
    assert np.array_equal(genotypes.calls, before)


def test_epochs_are_told(genotypes):
    seen = []
    model = ImputeVAE(tiny_config()).fit(genotypes, on_epoch=seen.append)
    assert seen == model.history
    assert len(seen) == 3


def test_reading_a_file_and_filling_it(tmp_path, genotypes, model):
    path = write(tmp_path / "a.vcf", vcf_of(genotypes))
    popmap = tmp_path / "p.popmap"
    popmap.write_text("".join(f"{s} {p}\n" for s, p in zip(genotypes.samples, genotypes.populations, strict=True)))
    read = read_vcf(path, popmap=popmap)
    assert np.array_equal(read.calls, genotypes.calls)
    imputed = fitted(read, train__ensemble=2).transform()
    assert same(imputed, model.transform())
    summary = imputed.write_vcf(tmp_path / "out.vcf")
    assert summary.imputed == imputed.n_imputed
    assert np.array_equal(read_vcf(tmp_path / "out.vcf").calls, imputed.calls)


def test_calls_are_as_they_were_after_a_fit_and_after_one_that_fails(monkeypatch):
    genotypes, _ = simulate(30, 60)
    before = genotypes.calls.copy()
    ImputeVAE(tiny_config()).fit(genotypes)
    assert np.array_equal(genotypes.calls, before)

    def fail(*_, **__):
        assert not np.array_equal(genotypes.calls, before)  # hidden by now
        raise TrainingError("for the test")

    monkeypatch.setattr(vae_decoder, "train_members", fail)
    with pytest.raises(TrainingError):
        ImputeVAE(tiny_config()).fit(genotypes)
    assert np.array_equal(genotypes.calls, before)


def test_calls_that_may_not_be_written_are_fitted_all_the_same():
    genotypes, _ = simulate(30, 60)
    one = ImputeVAE(tiny_config()).fit(genotypes).transform().gp
    genotypes.calls.flags.writeable = False
    assert np.array_equal(ImputeVAE(tiny_config()).fit(genotypes).transform().gp, one)
