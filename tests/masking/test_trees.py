import numpy as np
import pytest
from conftest import simulate

from imputevae_cli.errors import InputError
from imputevae_cli.masking.trees import distances, neighbour_joining, read_newick

SAMPLES = ("a", "b", "c", "d", "e", "f")


def clades_of(tree, samples=SAMPLES) -> dict[frozenset, float]:
    names = np.array(samples)
    return {frozenset(names[row]): float(n) for row, n in zip(tree.members, tree.lengths, strict=True)}


def newick(tmp_path, text, samples=SAMPLES):
    path = tmp_path / "tree.nwk"
    path.write_text(text)
    return clades_of(read_newick(path, samples), samples)


def test_clades_and_lengths_of_newick(tmp_path):
    got = newick(tmp_path, "(((a:1,b:1):2.5,c:1)x:0.5[a comment],(d:1,(e:1,f:1)90:3e-1):1);\n")
    assert got == {
        frozenset("ab"): 2.5,
        frozenset("abc"): 0.5,
        frozenset("ef"): 0.3,
        frozenset("def"): 1.0,
    }


def test_quoted_names_and_no_lengths(tmp_path):
    samples = ("a b", "it's", "c", "d", "e")
    got = newick(tmp_path, "(('a b','it''s'),(c,d),e);", samples)
    assert got == {frozenset(["a b", "it's"]): 1.0, frozenset("cd"): 1.0}


def test_a_tree_as_deep_as_it_has_tips(tmp_path):
    samples = tuple(f"s{i}" for i in range(1200))
    text = "(" * 1199 + "s0," + ",".join(f"{s})" for s in samples[1:]) + ";"
    assert len(newick(tmp_path, text, samples)) == 599


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("((a,b),(c,stranger));", "'stranger'"),
        ("((a,b),(c,a));", "twice"),
        ("((a,b),(c,d)", "Newick"),
        ("a,b)", "Newick"),
        ("", "Newick"),
        ("((a:x,b:1),c);", "'x'"),
        ("(a,b,c,d,e,f);", "no clade"),
    ],
)
def test_what_is_no_tree_of_these_samples_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=r"tree\.nwk") as error:
        newick(tmp_path, text)
    assert words in str(error.value)


def test_a_tree_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.nwk"):
        read_newick(tmp_path / "none.nwk", SAMPLES)


def test_distances_by_hand():
    calls = np.array([[0, 2, -1, 1], [1, 0, 2, 1], [2, -1, -1, -1]], np.int8)
    got = distances(calls)
    assert got[0, 1] == pytest.approx((1 + 2 + 0) / 3)
    assert got[0, 2] == pytest.approx(2.0)
    assert np.array_equal(got, got.T)
    assert (np.diag(got) == 0).all()


def test_neighbour_joining_finds_the_tree_behind_additive_distances():
    """((a:2,b:3):1,(c:4,d:1):2,(e:1,f:5):3)."""
    tips = {"a": 2, "b": 3, "c": 4, "d": 1, "e": 1, "f": 5}
    stem = {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3, "f": 3}
    pair = {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2, "f": 2}
    distance = np.array(
        [
            [0 if i == j else tips[i] + tips[j] + (0 if pair[i] == pair[j] else stem[i] + stem[j]) for j in SAMPLES]
            for i in SAMPLES
        ],
        float,
    )
    got = clades_of(neighbour_joining(distance))
    assert got == pytest.approx({frozenset("ab"): 1.0, frozenset("cd"): 2.0, frozenset("ef"): 3.0})


def test_neighbour_joining_puts_populations_together():
    genotypes, _ = simulate(30, 300, n_populations=3)
    tree = neighbour_joining(distances(genotypes.calls))
    groups = {frozenset(np.flatnonzero(row).tolist()) for row in tree.members}
    assert {frozenset(range(k, 30, 3)) for k in range(3)} <= groups
    assert (2 * tree.members.sum(1) <= 30).all()
