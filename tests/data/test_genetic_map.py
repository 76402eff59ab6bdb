"""Genetic maps: interpolation, ends, and files that are none."""

import numpy as np
import pytest

from imputevae_cli.data.genetic_map import GeneticMap
from imputevae_cli.data.genotypes import Loci
from imputevae_cli.errors import InputError


def loci_at(chrom, pos):
    n = len(pos)
    return Loci(np.array([chrom] * n, object), np.array(pos), np.array(["A"] * n, object), np.array(["C"] * n, object))


@pytest.fixture
def genetic_map(tmp_path):
    path = tmp_path / "a.map"
    path.write_text("1 a 0.0 1000000\n1\tb\t2.0\t2000000\n\n1 c 2.5 3000000\n")
    return GeneticMap.read(path)


def test_positions_are_interpolated_and_extended_at_the_mean_rate(genetic_map):
    cm = genetic_map.centimorgans(loci_at("1", [1_000_000, 1_500_000, 2_500_000, 5_000_000, 200_000]))
    np.testing.assert_allclose(cm, [0.0, 1.0, 2.25, 2.5 + 2 * 1.25, -0.8 * 1.25])


def test_a_map_of_other_chromosomes_is_refused(genetic_map):
    with pytest.raises(InputError, match=r"a\.map: holds none of the file's chromosomes \(chr1"):
        genetic_map.centimorgans(loci_at("chr1", [5]))


@pytest.mark.parametrize(
    ("text", "words"),
    [("1 a 0.0\n", "line 1"), ("1 a 0 5\n1 b x 9\n", "line 2"), ("", "empty"), ("1 a 2 5\n1 b 1 9\n", "fall")],
)
def test_malformed_maps_are_refused_by_line(tmp_path, text, words):
    path = tmp_path / "bad.map"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        GeneticMap.read(path)


def test_a_map_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no\.map"):
        GeneticMap.read(tmp_path / "no.map")
