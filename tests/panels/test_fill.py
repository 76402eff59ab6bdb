"""Filling the loci of a panel that a file lacks, on mosaics of a small panel's haplotypes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.errors import InputError
from imputevae_cli.panels.fill import PanelFill, PanelWindow, fill_window
from imputevae_cli.panels.impute_haplotypes import Gaps, HaplotypeFiller, States
from imputevae_cli.panels.phase_panel import phase_panel
from imputevae_cli.panels.settings import PanelSettings

SETTINGS = PanelSettings(iterations=8, burn_in=4, phasings=3, donors=16)


def with_states(states: int) -> PanelSettings:
    return msgspec.structs.replace(SETTINGS, states=states)


def mosaics(founders: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n haplotypes uint8 (n, L) that follow one of the founders, (F, L), for 200 loci each time."""
    n_founders, n_loci = founders.shape
    sources = np.repeat(rng.integers(0, n_founders, (n, n_loci // 200)), 200, axis=1)
    return founders[sources, np.arange(n_loci)]


def mosaic_case(seed: int = 1, n_loci: int = 600) -> tuple[PanelWindow, Cohort, np.ndarray]:
    """A panel, targets of the same founders at every fifth locus, and their genotypes at all loci."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((6, n_loci)) < rng.beta(1, 1, n_loci)).astype(np.uint8)
    panel, haplotypes = mosaics(founders, 24, rng), mosaics(founders, 20, rng)
    truth = (haplotypes[0::2] + haplotypes[1::2]).astype(np.int8)
    typed = np.arange(2, n_loci, 5)
    window = PanelWindow(panel, 1000 * np.arange(n_loci), typed, slice(0, n_loci))
    return window, Cohort(truth[:, typed], np.zeros(len(typed), np.int32), window.typed_positions, 2), truth


def filled(window: PanelWindow, targets: Cohort, threads: int = 1) -> PanelFill:
    with ThreadPoolExecutor(threads) as pool:
        return fill_window(window, targets, SETTINGS, 7, pool)


def test_mosaics_of_the_panel_are_filled_almost_perfectly() -> None:
    window, targets, truth = mosaic_case()
    assert (filled(window, targets).gp.argmax(-1) == truth).mean() > 0.97


def test_known_calls_stay_and_missing_ones_are_filled() -> None:
    window, targets, truth = mosaic_case()
    calls = targets.calls.copy()
    calls[::2, ::7] = -1
    gp = filled(window, targets.with_calls(calls)).gp
    assert np.allclose(gp[:, window.typed].max(-1)[calls >= 0], 1)
    hidden = calls < 0
    assert (gp[:, window.typed].argmax(-1) == truth[:, window.typed])[hidden].mean() > 0.9


def test_doses_and_probabilities_agree() -> None:
    window, targets, _ = mosaic_case()
    fill = filled(window, targets)
    assert np.allclose(fill.gp.sum(-1), 1, atol=1e-5)
    assert np.allclose(fill.doses.sum(1), fill.gp @ np.arange(3), atol=1e-5)


def test_threads_and_the_wanted_part_change_nothing() -> None:
    window, targets, _ = mosaic_case()
    whole = filled(window, targets)
    assert np.array_equal(whole.gp, filled(window, targets, threads=2).gp)
    part = filled(replace(window, wanted=slice(101, 333)), targets)
    assert np.allclose(part.gp, whole.gp[:, 101:333], atol=1e-5)


def test_likelihoods_count() -> None:
    window, targets, truth = mosaic_case()
    table = np.array([[1, 1, 1], [1, 0.1, 1e-4], [0.1, 1, 0.1], [1e-4, 0.1, 1]], np.float32)
    evidence = Evidence((targets.calls + 1).astype(np.uint16), table)
    right = filled(window, replace(targets, evidence=evidence)).gp.argmax(-1) == truth
    assert right.mean() > 0.95


def test_haploid_targets_are_refused_plainly() -> None:
    window, targets, _ = mosaic_case()
    with pytest.raises(InputError, match="diploid"):
        filled(window, replace(targets, ploidy=1))


def test_the_similar_haplotypes_of_a_larger_panel_fill_as_well_as_all() -> None:
    window, targets, truth = mosaic_case()
    larger = np.concatenate([window.haplotypes, np.random.default_rng(5).permuted(window.haplotypes, axis=1)])
    window = replace(window, haplotypes=larger)
    with ThreadPoolExecutor(1) as pool:
        few, one = (fill_window(window, targets, with_states(states), 7, pool).gp.argmax(-1) for states in (24, 1))
    assert (few == truth).mean() > 0.97
    assert (one == truth).mean() < 0.97


def test_an_allele_that_the_panel_lacks_may_be_there() -> None:
    window, targets, _ = mosaic_case()
    panel = window.haplotypes.copy()
    panel[:, 3], panel[:, 4] = 0, 1  # neither is typed
    doses = filled(replace(window, haplotypes=panel), targets).doses
    assert np.allclose(doses[..., 3], 1 / 26)
    assert np.allclose(doses[..., 4], 25 / 26)


def test_more_haplotypes_than_two_bytes_can_number() -> None:
    window, targets, truth = mosaic_case(n_loci=400)
    many = np.tile(window.haplotypes, (2800, 1))
    some = targets.subset(np.arange(3), np.arange(targets.n_loci))
    with ThreadPoolExecutor(1) as pool:
        gp = fill_window(replace(window, haplotypes=many), some, with_states(64), 7, pool).gp
    assert (gp.argmax(-1) == truth[:3]).mean() > 0.97


def test_the_kernel_is_a_plain_forward_backward_over_all_loci() -> None:
    window, _, _ = mosaic_case(n_loci=200)
    rng, rate, error = np.random.default_rng(3), 3e-5, 0.01
    alt = rng.choice([0.0, 0.5, 0.8, 1.0], len(window.typed))
    gaps = Gaps.of(window)
    filler = HaplotypeFiller.of(window, gaps, rate, error)
    states = States.of(window, gaps, np.arange(24))
    found = filler.fill(alt[None].astype(np.float32), states)[0]
    emitted = np.ones(window.haplotypes.T.shape)
    emitted[window.typed] = np.where(
        window.haplotypes.T[window.typed] == 1,
        error + (1 - 2 * error) * alt[:, None],
        1 - error - (1 - 2 * error) * alt[:, None],
    )
    switch = -np.expm1(-rate * 1000)
    forward, backward = np.empty((2, *emitted.shape))
    forward[0], backward[-1] = emitted[0] / 24, 1
    for locus in range(1, len(emitted)):
        before = forward[locus - 1] / forward[locus - 1].sum()
        forward[locus] = ((1 - switch) * before + switch / 24) * emitted[locus]
    for locus in range(len(emitted) - 2, -1, -1):
        after = backward[locus + 1] * emitted[locus + 1]
        backward[locus] = (1 - switch) * after / after.mean() + switch
    posterior = forward * backward
    expected = (posterior * window.haplotypes.T).sum(1) / posterior.sum(1)
    assert np.allclose(found, expected, atol=1e-4)


def test_a_panel_without_phase_is_phased_as_its_calls_say() -> None:
    window, _, _ = mosaic_case()
    calls = (window.haplotypes[0::2] + window.haplotypes[1::2]).astype(np.int8)
    with ThreadPoolExecutor(1) as pool:
        haplotypes = phase_panel(calls, window.positions, SETTINGS, 1, pool)
    assert np.array_equal(haplotypes[0::2] + haplotypes[1::2], calls)
    assert haplotypes.max() == 1
