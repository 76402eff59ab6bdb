"""The copying decoder as a whole, on small simulated cohorts."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying import window_frame as copying_frame
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.inputs import ChainInputs, CopyingGuides
from imputevae_cli.decoders.copying.kernel_choice import CompiledKernel, TorchKernel, kernel_for
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.phasing import Chain
from imputevae_cli.decoders.copying.posterior import HaplotypePanel
from imputevae_cli.decoders.copying.rules import CopyingRules, WorkSizes
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.errors import CheckpointError, InputError
from imputevae_cli.runtime.run_options import RunOptions

QUICK = CopyingSettings(iterations=6, burn_in=3, chains=1, donors=16, core=64, halo=24, trial=False)


def mosaics(seed, n_haplotypes, n_loci=240, n_founders=6, switch=0.01):
    """uint8 (n_haplotypes, L): mosaics of a few founder haplotypes."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((n_founders, n_loci)) < rng.uniform(0.15, 0.85, n_loci)).astype(np.uint8)
    jumps = rng.random((n_haplotypes, n_loci)) < switch
    jumps[:, 0] = True
    source = rng.integers(0, n_founders, (n_haplotypes, n_loci))
    at = np.maximum.accumulate(np.where(jumps, np.arange(n_loci), 0), 1)
    return founders[np.take_along_axis(source, at, 1), np.arange(n_loci)]


def cohort(seed=0, n=40, ploidy=2, inbred=False, missing=0.2):
    """(truth, calls int8 (N, L), chrom_codes, positions): two chromosomes of 120 loci."""
    haplotypes = mosaics(seed, n * ploidy)
    pair = haplotypes.reshape(n, ploidy, -1)
    truth = (2 * pair[:, 0] if inbred else pair.sum(1)).astype(np.int8)
    calls = truth.copy()
    calls[np.random.default_rng(seed + 1).random(calls.shape) < missing] = -1
    return truth, calls, np.repeat([0, 1], 120).astype(np.int32), np.tile(np.arange(120) * 1000 + 1, 2).astype(np.int64)


def right(truth, calls, gp):
    hidden = calls < 0
    return (gp.argmax(2)[hidden] == truth[hidden]).mean()


@pytest.mark.parametrize(("ploidy", "inbred"), [(2, False), (2, True), (1, False)])
def test_missing_calls_are_filled_rightly(ploidy, inbred):
    truth, calls, chrom, pos = cohort(ploidy=ploidy, inbred=inbred)
    posterior = CopyingModel(QUICK).fit(Cohort(calls, chrom, pos, ploidy))
    gp = posterior.gp(0, 240)
    assert gp.shape == (40, 240, ploidy + 1)
    np.testing.assert_allclose(gp.sum(2), 1, atol=1e-4)
    assert right(truth, calls, gp) > 0.93
    known = calls >= 0
    np.testing.assert_array_equal(np.take_along_axis(gp, truth[..., None], 2)[known], 1.0)


def test_inbred_samples_get_few_heterozygotes():
    _, calls, chrom, pos = cohort(inbred=True)
    gp = CopyingModel(QUICK).fit(Cohort(calls, chrom, pos, 2)).gp(0, 240)
    assert (gp.argmax(2)[calls < 0] == 1).mean() < 0.01


def test_blocks_equal_the_whole_and_do_not_depend_on_the_grid():
    _, calls, chrom, pos = cohort(3)
    posterior = CopyingModel(QUICK).fit(Cohort(calls, chrom, pos, 2))
    blocks = [posterior.gp(a, min(a + 37, 240)) for a in range(0, 240, 37)]
    np.testing.assert_array_equal(np.concatenate(blocks, 1), posterior.gp(0, 240))


def test_the_same_seed_gives_the_same_result_at_any_number_of_threads():
    _, calls, chrom, pos = cohort(1, n=70)
    one, two, other = (
        CopyingModel(QUICK, seed).fit(Cohort(calls, chrom, pos, 2), options=RunOptions(threads))
        for seed, threads in ((4, 1), (4, 2), (5, 1))
    )
    np.testing.assert_array_equal(one.doses, two.doses)
    np.testing.assert_array_equal(one.haplotypes, two.haplotypes)
    assert not np.array_equal(one.doses, other.doses)


@pytest.mark.parametrize(("ploidy", "inbred"), [(2, False), (2, True), (1, False)])
def test_the_torch_kernel_fills_as_the_compiled_one_does(ploidy, inbred):
    """In the first iterations all but bytes that round to the other side are the same; later phases drift apart."""
    truth, calls, chrom, pos = cohort(4, n=20, ploidy=ploidy, inbred=inbred)
    some = Cohort(calls, chrom, pos, ploidy)
    few = CopyingSettings(iterations=2, burn_in=0, chains=1, donors=16, core=64, halo=24, trial=False)
    for settings, same in ((few, 0.99), (QUICK, 0.9)):
        compiled, torch_ = (CopyingModel(settings, 2, kernel=kernel).fit(some) for kernel in ("compiled", "torch"))
        gp, other = (fit.gp(0, 240) for fit in (compiled, torch_))
        assert abs(right(truth, calls, gp) - right(truth, calls, other)) < 0.02
        assert (np.abs(gp - other) < 0.01).mean() > same


@pytest.mark.parametrize(
    ("device", "name", "kind"),
    [("cpu", None, CompiledKernel), ("cuda", None, TorchKernel), ("mps", None, CompiledKernel),
     ("cpu", "torch", TorchKernel), ("cuda", "compiled", CompiledKernel)],
)  # fmt: skip
def test_the_device_chooses_the_kernel_unless_it_is_named(device, name, kind):
    kernel = kernel_for(torch.device(device), name)
    assert type(kernel) is kind
    assert kernel.block_size(1000, 32) == (32 if kind is CompiledKernel else 1000)


def test_the_trial_runs_with_the_torch_kernel_too():
    truth, calls, chrom, pos = cohort(4, n=20)
    settings = CopyingSettings(iterations=3, burn_in=1, chains=1, donors=16, core=64, halo=24)
    gp = CopyingModel(settings, 2, kernel="torch").fit(Cohort(calls, chrom, pos, 2)).gp(0, 240)
    assert right(truth, calls, gp) > 0.8


def test_haplotypes_agree_with_the_known_calls():
    _, calls, chrom, pos = cohort(2)
    posterior = CopyingModel(QUICK).fit(Cohort(calls, chrom, pos, 2))
    pair = posterior.haplotypes.reshape(40, 2, -1) // 255
    known = calls >= 0
    np.testing.assert_array_equal(pair.sum(1)[known], calls[known])
    het = calls == 1
    np.testing.assert_array_equal(posterior.alt_first(0, 240)[het], pair[:, 0][het] == 1)


def test_phase_is_right_over_long_stretches():
    haplotypes = mosaics(5, 120)
    pair = haplotypes.reshape(60, 2, -1)
    calls = pair.sum(1).astype(np.int8)
    settings = CopyingSettings(iterations=10, burn_in=5, chains=1, core=64, halo=32, trial=False)
    posterior = CopyingModel(settings).fit(Cohort(calls, np.zeros(240, np.int32), np.arange(240), 2))
    wrong = total = 0
    for n in range(60):
        het = np.flatnonzero(calls[n] == 1)
        side = posterior.alt_first(0, 240)[n, het] == (pair[n, 0, het] == 1)
        wrong += (side[1:] != side[:-1]).sum()
        total += len(het) - 1
    assert wrong / total < 0.05


def test_windows_agree_with_one_long_window():
    truth, calls, _, _ = cohort(6, n=60)
    chrom, pos = np.zeros(240, np.int32), np.arange(240)
    scores = []
    for core in (48, 240):
        settings = CopyingSettings(iterations=10, burn_in=4, chains=1, core=core, halo=24, trial=False)
        scores.append(right(truth, calls, CopyingModel(settings).fit(Cohort(calls, chrom, pos, 2)).gp(0, 240)))
    assert abs(scores[0] - scores[1]) < 0.02


def test_a_chromosome_break_cuts_all_links():
    """Alleles beyond the break must not change what one path says before it."""
    _, calls, chrom, pos = cohort(7, ploidy=1)
    changed = calls.copy()
    changed[:, 120:] = np.where(calls[:, 120:] >= 0, 1 - calls[:, 120:], -1)
    settings = CopyingSettings(iterations=3, burn_in=1, chains=1, core=64, halo=24, trial=False, donors=500)
    first, second = (
        CopyingModel(settings).fit(Cohort(x, chrom, pos, 1), hidden=HiddenCells.none()) for x in (calls, changed)
    )
    np.testing.assert_allclose(first.gp(0, 120), second.gp(0, 120), atol=0.02)
    assert first.switch[120] == 1.0


def test_one_marker_per_contig_has_no_links():
    _, calls, _, pos = cohort(8)
    posterior = CopyingModel(QUICK).fit(Cohort(calls, np.arange(240, dtype=np.int32), pos, 2))
    assert (posterior.switch == 1.0).all()
    assert np.isfinite(posterior.gp(0, 240)).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_small_cohorts_do_not_fail(n):
    _, calls, chrom, pos = cohort(9, n=n)
    gp = CopyingModel(CopyingSettings(iterations=4, burn_in=2, chains=1)).fit(Cohort(calls, chrom, pos, 2)).gp(0, 240)
    np.testing.assert_allclose(gp.sum(2), 1, atol=1e-4)


def test_new_samples_are_filled_from_a_saved_panel():
    truth, calls, chrom, pos = cohort(10, n=60)
    decoder = CopyingModel(QUICK)
    panel = HaplotypePanel.from_dict(decoder.fit(Cohort(calls[:50], chrom, pos, 2)).panel().to_dict())
    posterior = decoder.impute_new(panel, Cohort(calls[50:], chrom, pos, 2))
    assert right(truth[50:], calls[50:], posterior.gp(0, 240)) > 0.9
    alone = decoder.impute_new(panel, Cohort(calls[50:51], chrom, pos, 2))
    assert alone.gp(0, 240).shape == (1, 240, 3)
    with pytest.raises(InputError, match="loci"):
        decoder.impute_new(panel, Cohort(calls[50:, :100], chrom[:100], pos[:100], 2))
    with pytest.raises(CheckpointError, match="panel"):
        HaplotypePanel.from_dict({"packed": None})


def test_the_trial_keeps_a_sound_schedule():
    truth, calls, chrom, pos = cohort(11, n=50)
    settings = CopyingSettings(iterations=6, burn_in=3, chains=1, core=64, halo=24)
    posterior = CopyingModel(settings).fit(Cohort(calls, chrom, pos, 2))
    assert right(truth, calls, posterior.gp(0, 240)) > 0.93


def test_windows_tile_the_loci_and_keep_to_long_chromosomes():
    codes = np.repeat([0, 1, 2, 3], [300, 10, 20, 200])
    found = copying_windows.windows(codes, core=100, halo=30)
    cores = np.concatenate([np.arange(a, b) for _, a, b, _ in found])
    np.testing.assert_array_equal(cores, np.arange(530))
    for first, _, _, stop in found:
        assert len({int(c) for c in codes[first:stop]} & {0, 3}) <= 1


@pytest.mark.parametrize(("n_loci", "widths"), [(99, [99]), (199, [199]), (200, [100, 100]), (350, [116, 117, 117])])
def test_no_core_is_shorter_than_asked_unless_its_chromosome_is(n_loci, widths):
    found = copying_windows.windows(np.zeros(n_loci, np.int32), core=100, halo=30)
    assert (found[:, 2] - found[:, 1]).tolist() == widths


def test_distances_are_relative_and_bounded():
    distance = copying_windows.relative_distances(np.array([0, 0, 0, 1, 1]), np.array([5, 10, 10, 3, 10**9]))
    assert distance[0] == distance[3] == 0
    assert distance[2] == 0.02
    assert (distance <= 50).all()


def test_missing_cells_are_placed_in_order():
    calls = np.array([[-1, 0, -1, -1], [0, -1, -1, 1]], np.int8)
    windows = np.array([[0, 0, 2, 4], [0, 2, 4, 4]])
    np.testing.assert_array_equal(copying_frame.cell_offsets(calls, windows), [[0, 3], [1, 4]])


@pytest.mark.parametrize("threads", [1, 3])
def test_the_chunks_in_which_haplotypes_wait_do_not_show(threads):
    _, calls, chrom, pos = cohort(12)
    settings = CopyingSettings(iterations=4, burn_in=2, chains=2, core=40, halo=24, trial=False)
    whole = CopyingModel(settings).fit(Cohort(calls, chrom, pos, 2))
    rules = CopyingRules(work=WorkSizes(chunk_bytes=1))
    pieces = CopyingModel(settings, rules=rules).fit(Cohort(calls, chrom, pos, 2), options=RunOptions(threads))
    np.testing.assert_array_equal(whole.doses, pieces.doses)
    np.testing.assert_array_equal(whole.packed, pieces.packed)
    np.testing.assert_array_equal(whole.switch, pieces.switch)


def test_hidden_calls_are_among_the_haplotypes_and_the_probabilities():
    _, calls, chrom, pos = cohort(13)
    hidden = HiddenCells.at(np.flatnonzero(calls >= 0)[::7], calls)
    shown = calls.copy()
    hidden.hide(shown)
    posterior = CopyingModel(QUICK).fit(Cohort(shown, chrom, pos, 2), hidden=hidden)
    cells = hidden.samples, hidden.loci
    assert (posterior.gp(0, 240)[cells].max(1) == 1).all()
    assert (posterior.shown_gp(0, 240)[cells].max(1) < 1).any()
    pair = posterior.haplotypes.reshape(40, 2, -1) // 255
    np.testing.assert_array_equal(pair.sum(1)[cells], hidden.truth)


# --- one more state: what the VAE expects of each sample


def with_rows(calls, chrom, pos, ploidy, rows, share=0.3, **settings):
    """The decoder's fit where each sample may copy its row too."""
    base = {name: getattr(QUICK, name) for name in QUICK.__struct_fields__}
    decoder = CopyingModel(CopyingSettings(**base | {"global_share": share} | settings))
    cohort = Cohort(calls, chrom, pos, ploidy)
    return decoder.fit(cohort, hidden=HiddenCells.none(), guides=CopyingGuides(global_rows=rows))


@pytest.mark.parametrize("ploidy", [1, 2])
def test_a_row_that_knows_the_truth_is_copied(ploidy):
    """Without linkage the others tell little, and the row of a sample's own all."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, (30, 200)).astype(np.int8) * ploidy  # homozygous, so that a row can say it
    calls = np.where(rng.random(truth.shape) < 0.2, np.int8(-1), truth)
    chrom, pos = np.zeros(200, np.int32), np.arange(200, dtype=np.int64) * 1000
    rows = np.where(truth > 0, 255, 0).astype(np.uint8)
    without, with_it = (with_rows(calls, chrom, pos, ploidy, x).gp(0, 200) for x in (None, rows))
    assert right(truth, calls, without) < 0.7
    assert right(truth, calls, with_it) > 0.9


def test_a_row_is_copied_by_its_own_sample_alone():
    """All other rows are of one's own, so changing one changes nobody else's calls in the first iteration."""
    _, calls, chrom, pos = cohort(n=12)
    rows = np.random.default_rng(0).integers(0, 256, calls.shape).astype(np.uint8)
    changed = rows.copy()
    changed[5] = 255 - changed[5]
    once = {"iterations": 1, "burn_in": 0, "donors": 100}  # more than there are
    before, after = (with_rows(calls, chrom, pos, 2, x, **once).gp(0, 240) for x in (rows, changed))
    others = np.arange(12) != 5
    np.testing.assert_array_equal(before[others], after[others])
    assert not np.array_equal(before[5], after[5])


def test_rows_of_no_share_change_nothing():
    _, calls, chrom, pos = cohort(n=12)
    rows = np.full(calls.shape, 255, np.uint8)
    fits = [with_rows(calls, chrom, pos, 2, x, share=0.0) for x in (None, rows)]
    np.testing.assert_array_equal(*(fit.gp(0, 240) for fit in fits))


@pytest.mark.parametrize(("n", "ploidy"), [(1, 2), (2, 2), (2, 1)])
def test_rows_of_very_small_cohorts(n, ploidy):
    _, calls, chrom, pos = cohort(n=n, ploidy=ploidy)
    gp = with_rows(calls, chrom, pos, ploidy, np.zeros(calls.shape, np.uint8)).gp(0, 240)
    assert np.isfinite(gp).all()


def test_the_panel_of_a_fit_holds_no_rows():
    _, calls, chrom, pos = cohort(n=12)
    panel = with_rows(calls, chrom, pos, 2, np.full(calls.shape, 255, np.uint8)).panel()
    assert len(panel.packed) == 24
    newcomer = CopyingModel(QUICK).impute_new(panel, Cohort(calls[:1], chrom, pos, 2))
    assert np.isfinite(newcomer.gp(0, 240)).all()


def test_a_chain_with_rows_goes_on_where_it_was_left():
    _, calls, chrom, pos = cohort(n=12)
    rows = np.random.default_rng(0).integers(0, 256, calls.shape).astype(np.uint8)
    some = ChainInputs(Cohort(calls, chrom, pos, 2), global_rows=rows)
    schedule = Schedule(core=64, halo=24, donors=8, global_share=0.3)

    def iterated(chain, times):
        at = copying_frame.cell_offsets(calls, chain.windows)
        with ThreadPoolExecutor(1) as pool:
            for _ in range(times):
                chain.iterate(pool, np.zeros((0, 2), np.uint16), at, 1)
        return chain

    whole = iterated(Chain(some, schedule, 1), 4)
    begun = iterated(Chain(some, schedule, 1), 2)
    resumed = Chain(some, schedule, 1)
    resumed.resume(begun.state())
    np.testing.assert_array_equal(iterated(resumed, 2).haplotypes, whole.haplotypes)
