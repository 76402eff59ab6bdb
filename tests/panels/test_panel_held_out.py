import json

import numpy as np

from imputevae_cli.panels.held_out import FIGURES, HeldOut


def test_a_figure_without_a_value_is_none():
    """Dosages that are alike for every sample have no correlation with the truth."""
    truth = np.array([[0, 1], [1, 2]], np.int8)
    held_out = HeldOut(truth, np.empty((2, 2, 3), np.float32), np.ones(2), np.array([0.5, 0.5])).by_frequencies_alone()
    figures = held_out.figures(np.ones(2, bool))
    assert figures["r2"] is None
    assert figures["concordance"] == 0.5
    assert figures["cells"] == 4
    assert held_out.figures(np.zeros(2, bool)) == {"loci": 0, "cells": 0, **dict.fromkeys(FIGURES)}
    json.dumps(figures, allow_nan=False)
