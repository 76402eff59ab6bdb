"""What a checkpoint holds beside the parts of the model."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import simulate, tiny_config
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from imputevae_cli import ImputeVAE
from imputevae_cli.ensemble.fitted import Fitted, pack_calls, unpack_calls

CALLS = arrays.arrays(np.int8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=13), elements=st.integers(-1, 2))


@given(CALLS)
def test_packing_round_trip(calls):
    packed = pack_calls(calls)
    assert packed.dtype == np.uint8
    assert len(packed) == -(-calls.size // 4)
    back = unpack_calls(packed, calls.shape)
    assert back.dtype == np.int8
    assert np.array_equal(back, calls)


@given(CALLS, st.integers(-3, 3).filter(bool))
def test_calls_of_another_size_are_refused(calls, more):
    packed = np.resize(pack_calls(calls), max(-(-calls.size // 4) + more, 0))
    with pytest.raises(ValueError, match="samples and loci"):
        unpack_calls(packed, calls.shape)


def test_packing_of_polyploids():
    calls = np.array([[-1, 0, 8], [3, 4, 7]], np.int8)
    packed = pack_calls(calls, 8)
    assert len(packed) == 3
    assert np.array_equal(unpack_calls(packed, calls.shape, 8), calls)


def test_packing_by_hand():
    assert pack_calls(np.array([[-1, 0, 1, 2], [2, -1, -1, -1]], np.int8)).tolist() == [0b11100100, 0b00000011]


@pytest.fixture(scope="module")
def model():
    return ImputeVAE(tiny_config()).fit(simulate(20, 30)[0])


def test_state_round_trip(model):
    one = model._fitted
    state = one.state()
    again = Fitted.from_state(state, model.config)
    assert again.samples == one.samples
    assert again.population_names == ("pop0", "pop1", "pop2")
    assert again.expected == one.expected
    assert again.ploidy == 2
    assert np.array_equal(again.ensemble.cohort.calls, one.ensemble.cohort.calls)
    assert np.array_equal(again.ensemble.cohort.populations, one.ensemble.cohort.populations)
    for name in ("hidden", "validation", "test"):
        assert np.array_equal(getattr(again.mask, name), getattr(one.mask, name))
    for name in ("chrom", "pos", "ref", "alt"):
        assert np.array_equal(getattr(again.loci, name), getattr(one.loci, name))


def test_names_of_loci_are_kept(model):
    one = model._fitted
    assert one.state()["loci"]["ids"] is None
    names = np.array([f"tag{j}" for j in range(len(one.loci))], object)
    named = dataclasses.replace(one, loci=dataclasses.replace(one.loci, ids=names))
    state = named.state()
    assert Fitted.from_state(state, model.config).loci.ids.tolist() == names.tolist()
    del state["loci"]["ids"]  # as in a checkpoint of 0.1
    assert Fitted.from_state(state, model.config).loci.ids is None


@pytest.mark.parametrize("entry", ["calls", "masks", "loci"])
def test_parts_of_another_size_are_refused(model, entry):
    state = model._fitted.state()
    if entry == "calls":
        state["calls"] = state["calls"][:-1]
    elif entry == "masks":
        state["masks"]["hidden"] = torch.cat([state["masks"]["hidden"], torch.zeros(1, dtype=torch.uint8)])
    else:
        state["loci"]["alt"] = state["loci"]["alt"][1:]
    with pytest.raises(ValueError, match="are not of"):
        Fitted.from_state(state, model.config)


def test_the_very_genotypes_of_the_fit_are_known_again(model):
    calls = model._fitted.ensemble.cohort.calls
    samples = model._fitted.samples
    other = calls.copy()
    other[0, 0] = -1 if calls[0, 0] >= 0 else 0
    everywhere = np.ones(calls.shape[1], bool)
    elsewhere = np.arange(calls.shape[1]) > 0
    rows_of = model._fitted.rows_of
    assert rows_of(samples, calls.copy(), everywhere).tolist() == list(range(20))
    assert rows_of(samples[7:3:-1], calls[7:3:-1], everywhere).tolist() == [7, 6, 5, 4]
    assert rows_of(samples, other, everywhere) is None
    assert rows_of(samples, other, elsewhere).tolist() == list(range(20)), "what the file lacks cannot differ"
    assert rows_of(samples[::-1], calls, everywhere) is None
    assert rows_of(("stranger", *samples[1:]), calls, everywhere) is None
