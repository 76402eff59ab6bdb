"""What decoders say of held-out calls, and gates that judge them by others."""

import numpy as np
import pytest

from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.ensemble.held_out import HeldOut


def held_out(rng, n, noisy):
    """n cells in no order of samples, of which the frequencies say little and kNN the truth, or `noisy` nothing."""
    truth = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    plain = np.tile(np.log([0.6, 0.3, 0.1]), (n, 1))
    said = rng.integers(0, 3, n) if noisy else truth
    knn = np.log(np.where(np.arange(3) == said[:, None], 0.9, 0.05))
    cells = HiddenCells(rng.permutation(n), np.sort(rng.integers(0, n, n)), truth)
    return HeldOut(cells, {"frequencies": plain, "knn": knn}, np.zeros((n, 7), np.float32))


def test_each_half_is_weighed_by_the_other():
    """Where kNN was right on the others it is believed, though it is wrong here; and the other way about."""
    rng = np.random.default_rng(0)
    good, bad = held_out(rng, 700, noisy=False), held_out(rng, 500, noisy=True)
    both = good.and_also(bad)
    gp = good.weighed_by_others(bad, both.gate(seed=1))
    assert gp.shape == (1200, 3)
    assert gp.sum(1) == pytest.approx(1, abs=1e-5)
    of_bad = np.isin(both.cells.loci * 10_000 + both.cells.samples, bad.cells.loci * 10_000 + bad.cells.samples)
    knn_says = np.exp(both.logs["knn"]).argmax(1)
    believed = gp[np.arange(1200), knn_says]
    assert believed[of_bad].mean() > 0.9, "by a gate that saw the good half alone"
    assert believed[~of_bad].mean() < 0.7, "by a gate that saw the bad half alone"
