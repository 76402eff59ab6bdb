"""What filling with the likeliest genotype does to allele frequencies."""

import numpy as np
import pytest

from imputevae_cli.data.fill_bias import FillBias
from imputevae_cli.data.genotypes import ImputedBlock


def block(calls, gp, imputed, uncertain=None):
    imputed = np.array(imputed, bool)
    uncertain = None if uncertain is None else np.array(uncertain, bool)
    refined = None if uncertain is None else np.zeros_like(uncertain)
    return ImputedBlock(np.array(calls, np.int8), np.array(gp, np.uint16), imputed, None, uncertain, refined)


def test_rare_alleles_filled_too_seldom_are_told():
    """Ten missing calls with a tenth of a chance of one ALT allele each are all filled with none."""
    calls = [[1]] + [[0]] * 19
    gp = [[[0, 1000, 0]]] + [[[1000, 0, 0]]] * 9 + [[[900, 100, 0]]] * 10
    bias = FillBias()
    bias.add(block(calls, gp, [[False]] * 10 + [[True]] * 10))
    assert (round(bias.known, 4), bias.n_known, bias.filled, bias.n_filled) == (1, 20, 0, 20)
    assert bias.expected == pytest.approx(1.0)
    assert bias.is_clear
    assert "0.050 of known calls and 0.000 of filled ones, where 0.050 is expected" in bias.in_words()


def test_the_minor_allele_may_be_ref():
    calls, gp = [[2], [2], [1], [2]], [[[0, 0, 1000]], [[0, 0, 1000]], [[0, 1000, 0]], [[0, 100, 900]]]
    bias = FillBias()
    bias.add(block(calls, gp, [[False], [False], [False], [True]]))
    assert (round(bias.known, 4), bias.n_known, bias.filled) == (1, 6, 0)
    assert bias.expected == pytest.approx(0.1)


def test_uncertain_calls_count_by_their_posterior_and_sure_fills_are_no_bias():
    calls, gp = [[1, 2], [0, 0]], [[[0, 1000, 0], [0, 300, 700]], [[1000, 0, 0], [1000, 0, 0]]]
    bias = FillBias()
    bias.add(block(calls, gp, [[True, False], [False, False]], [[False, True], [False, False]]))
    assert (bias.filled, bias.n_filled, bias.n_known) == (1, 2, 6)
    assert bias.known == pytest.approx(1.7)
    assert not bias.is_clear


def test_nothing_filled_is_no_bias():
    assert not FillBias().is_clear
