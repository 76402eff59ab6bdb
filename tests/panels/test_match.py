"""Loci of the targets in the panel: names of chromosomes, order of alleles, strands."""

import numpy as np
import pytest
from vcf_maker import record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.errors import CheckpointError
from imputevae_cli.panels.match import ENOUGH, match_panel
from imputevae_cli.panels.store import PanelStore, panel_output

N = 20
"""Samples of the panel and of the targets."""


def panel_of(tmp_path, sites, counts=None, chrom="1"):
    """sites: (pos, ref, alt); counts: ALT alleles of each, of 2 N."""
    counts = [N] * len(sites) if counts is None else counts
    haplotypes = np.arange(2 * N)[None] < np.array(counts)[:, None]
    with panel_output(tmp_path / "p.ivae", [f"p{i}" for i in range(N)]) as writer:
        texts = [(ref, alt, "") for _, ref, alt in sites]
        writer.add(chrom, np.array([site[0] for site in sites]), texts, haplotypes.astype(np.uint8))
        writer.close({})
    return PanelStore(tmp_path / "p.ivae")


def targets_of(tmp_path, sites, counts=None, chrom="1"):
    counts = [N] * len(sites) if counts is None else counts
    lines = []
    for (pos, ref, alt), count in zip(sites, counts, strict=True):
        alleles = (np.arange(2 * N) < count).astype(int)
        lines.append(record([f"{a}/{b}" for a, b in alleles.reshape(N, 2)], chrom, pos, ref, alt))
    samples = [f"t{i}" for i in range(N)]
    return read_vcf(write(tmp_path / "t.vcf", vcf(*lines, samples=samples)))


def test_alleles_agree_in_any_order_and_on_any_strand(tmp_path):
    store = panel_of(tmp_path, [(10, "A", "G"), (20, "A", "G"), (30, "A", "G"), (40, "A", "G"), (50, "A", "G")])
    targets = targets_of(
        tmp_path, [(10, "A", "G"), (20, "G", "A"), (30, "T", "C"), (40, "C", "T"), (50, "A", "T"), (60, "A", "G")]
    )
    match = match_panel(targets, store)
    assert match.place.tolist() == [0, 1, 2, 3, -1, -1]
    assert match.exchanged[:4].tolist() == [False, True, False, True]
    lines = " ".join(match.lines(targets.loci))
    assert "4 of 6 loci are in the panel" in lines
    assert "exchanged in the panel at 2 loci" in lines
    assert "2 loci are of the other strand" in lines


def test_indels_have_no_other_strand(tmp_path):
    store = panel_of(tmp_path, [(10, "A", "AG"), (20, "AT", "A")])
    match = match_panel(targets_of(tmp_path, [(10, "T", "TC"), (20, "A", "AT")]), store)
    assert match.place.tolist() == [-1, 1]
    assert match.exchanged.tolist()[1]


def test_the_best_agreement_of_loci_at_one_position_is_taken_and_each_once(tmp_path):
    store = panel_of(tmp_path, [(10, "T", "C"), (10, "A", "G"), (20, "A", "G")])
    match = match_panel(targets_of(tmp_path, [(10, "A", "G"), (10, "A", "G"), (20, "A", "G")]), store)
    assert match.place.tolist() == [1, -1, 2]


@pytest.mark.parametrize(("ours", "theirs"), [("chr1", "1"), ("1", "chr1")])
def test_names_of_chromosomes_may_lack_their_prefix(tmp_path, ours, theirs):
    store = panel_of(tmp_path, [(10, "A", "G"), (20, "A", "G")], chrom=theirs)
    targets = targets_of(tmp_path, [(10, "A", "G"), (20, "A", "G")], chrom=ours)
    match = match_panel(targets, store)
    assert match.typed.all()
    assert match.chroms == {ours: theirs}
    assert f"{ours} is {theirs} there" in " ".join(match.lines(targets.loci))


def test_ambiguous_strands_are_told_by_frequencies(tmp_path):
    """8 of 40 ALT alleles in the panel: 7 are near, 33 fit the other strand; A/G at 33 is no matter of strands."""
    sites = [(10, "A", "T"), (20, "A", "T"), (30, "C", "G"), (40, "A", "G"), (50, "T", "A")]
    store = panel_of(tmp_path, [*sites[:4], (50, "A", "T")], counts=[8] * 5)
    targets = targets_of(tmp_path, sites, counts=[7, 33, 33, 33, 33])
    match = match_panel(targets, store)
    assert match.typed.tolist() == [True, False, False, True, True]
    assert match.doubtful.tolist() == [1, 2]
    assert match.exchanged[4]  # REF and ALT are exchanged, and the frequencies with them
    assert "2 A/T or C/G loci, such as 1:20" in match.warnings(targets.loci)[0]


@pytest.mark.parametrize("flipped", [0, 1])
def test_frequencies_tell_no_strand_where_all_loci_that_can_tell_are_of_the_panels(tmp_path, flipped):
    told = [(100 + i, "A", "G") for i in range(ENOUGH)]
    store = panel_of(tmp_path, [(10, "A", "T"), *told], counts=[8] * (ENOUGH + 1))
    mine = [(pos, "T", "C") if i < flipped else (pos, ref, alt) for i, (pos, ref, alt) in enumerate(told)]
    targets = targets_of(tmp_path, [(10, "A", "T"), *mine], counts=[33, *[8] * ENOUGH])
    match = match_panel(targets, store)
    assert match.doubtful.tolist() == [0]
    assert match.typed.tolist() == [not flipped] + [True] * ENOUGH
    assert ("they are not used" if flipped else "they are used") in match.warnings(targets.loci)[0]


def test_a_panel_of_other_loci_is_refused(tmp_path):
    targets = targets_of(tmp_path, [(10, "A", "G"), (20, "A", "G")])
    store = panel_of(tmp_path, [(10, "A", "G")], chrom="7")
    with pytest.raises(CheckpointError, match=r"none of the chromosomes of .*\(1; the panel's are 7\).*rename"):
        match_panel(targets, store)
    store = panel_of(tmp_path, [(11, "A", "G")])
    with pytest.raises(CheckpointError, match=r"has none of the 2 loci of .*the same reference genome"):
        match_panel(targets, store)


def test_what_the_panel_lacks_is_said(tmp_path):
    store = panel_of(tmp_path, [(10, "A", "G"), (20, "A", "G"), (30, "A", "C")])
    targets = targets_of(tmp_path, [(10, "A", "G"), (11, "A", "G"), (12, "A", "G"), (20, "A", "C"), (30, "A", "C")])
    match = match_panel(targets, store)
    assert "2 at positions that the panel lacks, 1 with other alleles there" in " ".join(match.lines(targets.loci))
    assert "the others" not in " ".join(match_panel(targets.at_loci(match.typed), store).lines(targets.loci))


@pytest.mark.parametrize("n_shared", [1, 3])
def test_few_shared_loci_are_a_warning(tmp_path, n_shared):
    store = panel_of(tmp_path, [(10 * i, "A", "G") for i in range(1, n_shared + 1)])
    targets = targets_of(tmp_path, [(10 * i, "A", "G") for i in range(1, 6)])
    warnings = " ".join(match_panel(targets, store).warnings(targets.loci))
    assert (f"only {n_shared} of 5 loci" in warnings) == (n_shared < 2.5)


def test_alleles_may_be_in_lower_case(tmp_path):
    store = panel_of(tmp_path, [(10, "A", "G"), (20, "C", "T")])
    match = match_panel(targets_of(tmp_path, [(10, "a", "g"), (20, "t", "c")]), store)
    assert match.place.tolist() == [0, 1]
    assert match.exchanged.tolist() == [False, True]
