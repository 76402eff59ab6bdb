"""The plan of a fit, which is pure, and that fits and dry runs carry it out alike."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, simulate_linked

from imputevae_cli import Config, ImputeVAE
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Effort
from imputevae_cli.decoders.knn.decoder import KnnDecoder
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.ensemble import fit as fitting
from imputevae_cli.ensemble.fit import Fit
from imputevae_cli.ensemble.forecast import expected_plan
from imputevae_cli.ensemble.plan import Data, Findings, plan
from imputevae_cli.errors import ConfigError
from imputevae_cli.runtime.cost import Cost

BRIEF, CHEAP, REDUCED, FULL = Effort.BRIEF, Effort.CHEAP, Effort.REDUCED, Effort.FULL
LARGE, SMALL = 200_001, 200_000
CERTAIN = [
    name for name, one in registry.every().items() if one.role.on_evidence != "only" and one.role.ploidies[0] <= 2
]


def ploidy_for(decoder):
    """A ploidy that a decoder serves: 2 if it can."""
    return max(2, registry.get(decoder).role.ploidies[0])


def planned(decoder="auto", n_cells=LARGE, findings=None, ploidy=2, **settings):
    config = Config().replace({"model.decoder": decoder, **settings})
    return plan(config, Data(n_cells, ploidy=ploidy), findings or Findings(), registry.every())


def efforts(made):
    return {step.decoder: (step.effort, step.is_mixed) for step in made.steps}


def test_small_files_get_everything():
    made = planned(n_cells=SMALL)
    assert efforts(made) == dict.fromkeys(CERTAIN, (FULL, True))
    assert (made.screens_first, made.on_trial, made.notes) == ((), (), ())


def test_large_files_are_screened_first():
    made = planned()
    assert made.screens_first == ("copying",)
    assert planned(findings=Findings(ratio=0.9)).screens_first == ()


@pytest.mark.parametrize("ratio", [None, 0.8, 1.2])
def test_where_haplotypes_are_not_far_better_two_are_on_trial(ratio):
    made = planned(findings=Findings(ratio=ratio))
    assert made.on_trial == ("vae", "copying")
    assert efforts(made)["vae"] == (CHEAP, False)
    assert efforts(made)["knn"] == (FULL, True)


@pytest.mark.parametrize(
    ("ratio", "knn", "words"),
    [(0.799, (REDUCED, True), "vae skip"), (0.3, (REDUCED, True), "vae skip"), (0.299, (FULL, False), "vae skip")],
)
def test_what_haplotypes_make_needless(ratio, knn, words):
    made = planned(findings=Findings(ratio=ratio))
    assert efforts(made).get("knn") == knn
    assert efforts(made)["vae"] == (BRIEF, False), "others, and the user, read its latent"
    assert efforts(made)["copying"] == (FULL, True)
    assert made.notes[0].startswith(words)
    assert made.on_trial == (("knn",) if ratio < 0.3 else ())


@pytest.mark.parametrize(("idle", "knn"), [({}, (FULL, True)), ({"knn": "knn skipped: for the test"}, None)])
def test_where_haplotypes_say_much_nearest_neighbours_must_add_to_them(idle, knn):
    made = planned(findings=Findings(0.1, idle))
    assert efforts(made).get("knn") == knn
    assert len(made.notes) == 1 + len(idle)
    assert not made.on_trial


@pytest.mark.parametrize(("ratio", "knn"), [(0.3, (REDUCED, True)), (0.299, None)])
def test_without_a_trial_nearest_neighbours_are_left_out_where_haplotypes_say_much(ratio, knn):
    made = planned(findings=Findings(ratio), **{"model.trial": False})
    assert efforts(made).get("knn") == knn
    assert efforts(made)["copying"] == (FULL, True)
    assert not made.on_trial
    assert ("knn skipped: on a few stretches haplotypes" in made.notes[0]) == (knn is None)


@pytest.mark.parametrize("idle", [(), ("vae",), ("copying",), ("vae", "copying")])
def test_those_on_trial_are_fitted_in_full_or_left_out(idle):
    made = planned(findings=Findings(0.9, {name: f"{name} skipped: for the test" for name in idle}))
    found = efforts(made)
    assert found["vae"] == ((CHEAP, False) if "vae" in idle else (FULL, True))
    assert ("copying" in found) == ("copying" not in idle)
    assert len(made.notes) == len(idle)
    assert not made.on_trial


@pytest.mark.parametrize("n_cells", [SMALL, LARGE])
@pytest.mark.parametrize("decoder", registry.names())
def test_a_decoder_that_is_named_stands_alone(decoder, n_cells):
    made = planned(decoder, n_cells, ploidy=ploidy_for(decoder))
    assert [step.decoder for step in made.steps if step.is_mixed] == [decoder]
    assert efforts(made)["vae"] == ((FULL, True) if decoder == "vae" else (CHEAP, False))
    assert made.screens_first == ()


def test_where_calls_are_uncertain_those_take_part_that_go_by_likelihoods():
    config, decoders = Config(), registry.every()
    for n_cells in (SMALL, LARGE):
        made = plan(config, Data(n_cells, is_uncertain=True), Findings(), decoders)
        mixed = {step.decoder for step in made.steps if step.is_mixed or step.on_trial}
        assert {"frequencies", "founders"} <= mixed
        assert mixed <= {name for name, one in decoders.items() if one.role.on_evidence != "never"}
        assert set(made.screens_first) <= mixed
    assert "founders" not in efforts(planned(n_cells=SMALL)), "haplotype copying is better on certain calls"


@pytest.mark.parametrize(("ratio", "on_trial"), [(0.79, True), (0.81, False)])
def test_where_calls_are_uncertain_nearest_neighbours_are_on_trial_sooner(ratio, on_trial):
    made = plan(Config(), Data(LARGE, is_uncertain=True), Findings(ratio=ratio), registry.every())
    assert ("knn" in made.on_trial) == on_trial
    assert efforts(made)["founders"] == (FULL, True)


@pytest.mark.parametrize("ploidy", [3, 4, 8])
@pytest.mark.parametrize("n_cells", [SMALL, LARGE])
def test_decoders_of_haplotypes_sit_out_with_polyploids_and_it_is_said(ploidy, n_cells):
    made = plan(Config(), Data(n_cells, is_uncertain=True, ploidy=ploidy), Findings(), registry.every())
    wanted = {step.decoder for step in made.steps if step.is_mixed or step.on_trial}
    assert wanted == {"frequencies", "vae", "knn", "regression"}
    assert made.screens_first == ()
    assert (
        f"copying and founders left out: they model the haplotypes of ploidy 2 at most, not of {ploidy}" in made.notes
    )


@pytest.mark.parametrize(("decoder", "ploidy"), [("founders", 4), ("copying", 3), ("regression", 2)])
def test_a_decoder_that_is_named_and_does_not_serve_the_ploidy_is_refused(decoder, ploidy):
    with pytest.raises(ConfigError, match=f"model.decoder is {decoder}, .* the ploidy is {ploidy}"):
        planned(decoder, ploidy=ploidy)


def test_haplotypes_that_copy_from_the_vae_need_it_in_full():
    assert efforts(planned("copying", **{"copying.global_share": 0.2}))["vae"] == (FULL, False)
    assert efforts(planned("copying", **{"copying.global_share": None}))["vae"] == (FULL, False)


CASES = [(decoder, rules, None) for decoder in ("auto", *registry.names()) for rules in (Rules(),)]
CASES += [("auto", Rules(small_cells=0), ratio) for ratio in (None, 0.9, 0.5, 0.1)]


@pytest.mark.parametrize(("decoder", "rules", "ratio"), CASES, ids=str)
def test_a_fit_and_a_dry_run_carry_out_the_same_plan(monkeypatch, decoder, rules, ratio):
    """Each is watched at the steps that it takes."""
    genotypes, _ = simulate_linked(24, 60, seed=3, ploidy=2 if decoder == "auto" else ploidy_for(decoder))
    config = Config().replace({**QUICK_VAE, **QUICK_PARTS, "model.decoder": decoder})
    if ratio is not None:
        monkeypatch.setattr(fitting, "loss_ratio", lambda *_: ratio)
    steps = []
    carry_out = Fit.carry_out
    monkeypatch.setattr(Fit, "carry_out", lambda fit, step: (steps.append(step), carry_out(fit, step))[1])
    model = ImputeVAE(config, rules)
    _, _, task = model._task(genotypes, None, None, None)
    with task.hidden.hidden_in(task.cohort.calls):
        expected = {(step.decoder, step.effort) for step in expected_plan(Fit(task))[0].steps}
    steps.clear()
    model.fit(genotypes)
    taken = {(step.decoder, step.effort) for step in steps}
    judged = {"vae", "copying"} if (ratio is None and rules.small_cells == 0) or ratio == 0.9 else set()
    judged |= {"knn"} if ratio == 0.1 else set()
    assert {step for step in taken if step[0] not in judged} == {step for step in expected if step[0] not in judged}
    assert np.isfinite(model.forecast(genotypes).seconds)
    assert replace(task).rules is rules


@pytest.mark.parametrize("ratio", [0.1, 0.5])
def test_a_dry_run_counts_on_what_a_screen_will_have_learned(monkeypatch, ratio):
    """Nearest neighbours that passed their screen are trained for a part of the steps."""
    genotypes, _ = simulate_linked(24, 60, seed=3)
    monkeypatch.setattr(fitting, "loss_ratio", lambda *_: ratio)
    asked = []
    monkeypatch.setattr(KnnDecoder, "cost", lambda self, task, inputs: (asked.append(inputs), Cost(1.0, 0))[1])
    config, rules = Config().replace({**QUICK_VAE, **QUICK_PARTS}), Rules(small_cells=0, screen_cells=1)
    ImputeVAE(config, rules).forecast(genotypes)
    (inputs,) = asked
    assert (inputs.learned is not None) == (ratio == 0.1)
