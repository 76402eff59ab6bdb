"""Regions of the genome, one and several."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imputevae_cli.data.region import Region, Regions

spans = st.tuples(st.sampled_from("ab"), st.integers(1, 12), st.integers(0, 5)).map(
    lambda span: Region(span[0], span[1], span[1] + span[2])
)


@given(st.lists(spans, min_size=1, max_size=6))
def test_several_regions_hold_what_any_of_them_holds(parts):
    regions = Regions(tuple(parts))
    for chrom in "abc":
        for pos in range(1, 20):
            here = [part for part in parts if part.chrom == chrom and part.start <= pos <= part.end]
            assert ((chrom, pos) in regions) == bool(here)
            later = [part for part in parts if part.chrom == chrom and part.start > pos]
            assert here or regions.begins_after(chrom, pos) == bool(later)
    assert set(regions.chroms) == {part.chrom for part in parts}


def test_texts_and_regions_together():
    regions = Regions.parse(["HLA:01", Region("1", 5, 9), "1:20-"], {"HLA:01"})
    assert str(regions) == "HLA:01,1:5-9,1:20-"
    assert ("HLA:01", 3) in regions


@pytest.mark.parametrize(("texts", "title"), [(["1:5-9"], "--region 1:5-9"), (["1", "2", "3"], "any of the 3 regions")])
def test_what_a_message_calls_them(texts, title):
    assert Regions.parse(texts).title == title


def test_many_positions_are_told_as_one_is():
    regions = Regions.parse(["1:5-9", "1:8-12", "1:20", "2"])
    positions = np.arange(30)
    for chrom in ("1", "2", "3"):
        assert regions.inside(chrom, positions).tolist() == [(chrom, int(pos)) in regions for pos in positions]
