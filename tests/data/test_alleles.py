import numpy as np
import pytest

from imputevae_cli.data.alleles import (
    doses,
    genotypes,
    genotypes_of,
    homozygotes,
    joint_chances,
    loci_of,
    nearest_to_doses,
    of_allele,
)


def test_genotypes_are_in_the_order_of_vcf():
    assert genotypes(2).tolist() == [[0, 0], [0, 1], [1, 1], [0, 2], [1, 2], [2, 2]]
    assert genotypes(2, 1).tolist() == [[0], [1], [2]]
    assert genotypes(1, 3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    assert doses(2).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [0, 2]]
    assert genotypes(5)[homozygotes(5)].tolist() == [[a, a] for a in range(6)]


@pytest.mark.parametrize(("n_alt", "ploidy"), [(1, 2), (2, 2), (8, 2), (3, 1), (2, 4)])
def test_genotypes_are_found_by_their_doses(n_alt, ploidy):
    all_of_them = doses(n_alt, ploidy)
    assert genotypes_of(all_of_them, ploidy).tolist() == list(range(len(all_of_them)))
    odd = np.full((2, n_alt), [[-1], [ploidy]], np.int8)
    assert genotypes_of(odd, ploidy).tolist() == [-1, -1 if n_alt > 1 else ploidy]


def test_names_of_the_loci_of_a_record_do_not_depend_on_the_order_of_its_alleles():
    assert loci_of("G") == ["G"]
    assert loci_of("T,G,*") == ["T,*,G", "G,*,T", "*,G,T"]
    assert set(loci_of("G,T,*")) == set(loci_of("T,G,*"))


def test_the_best_value_of_each_count_of_an_allele():
    phred = np.array([[9, 0, 40, 12, 3, 50]])
    assert of_allele(phred, 0, 2).tolist() == [[9, 0, 40]]
    assert of_allele(phred, 1, 2).tolist() == [[0, 3, 50]]


def joint(gp, likelihoods=None, haploid=False):
    likelihoods = None if likelihoods is None else np.array([likelihoods], float)
    return joint_chances(np.array([gp], float), likelihoods, np.array([haploid]))[0]


def test_genotypes_get_the_product_of_what_their_alleles_say():
    a, b = [0.5, 0.4, 0.1], [0.7, 0.2, 0.1]
    product = np.array([0.5 * 0.7, 0.4 * 0.7, 0.1 * 0.7, 0.5 * 0.2, 0.4 * 0.2, 0.5 * 0.1])
    assert joint([a, b]) == pytest.approx(product / product.sum())
    alone = np.array([0.5 * 0.7, 0, 0.1 * 0.7, 0, 0, 0.5 * 0.1])
    assert joint([a, b], haploid=True) == pytest.approx(alone / alone.sum())
    sure = joint([[0, 1, 0], [0, 1, 0]])
    assert sure[4] > 0.999


def test_a_cells_own_evidence_counts_once():
    flat, likelihoods = np.full((2, 3), 1 / 3), np.array([[0.2, 1.0, 0.2], [1.0, 0.5, 0.1]])
    posterior = likelihoods / likelihoods.sum(1, keepdims=True)
    least = np.array([0.2, 1.0, 0.2, 0.2, 0.5, 0.1])
    assert joint(posterior, likelihoods) == pytest.approx(least / least.sum())
    assert joint(flat) == pytest.approx(np.full(6, 1 / 6))


def test_a_half_call_of_ref_rules_out_genotypes_without_it():
    half = [[1, 1, 0], [1, 1, 0]]
    found = joint([[0.3, 0.7, 0], [0.3, 0.7, 0]], half)
    assert found[[2, 4, 5]].tolist() == [0, 0, 0]
    assert found[[1, 3]].min() > 0.2


def test_genotypes_that_are_nearest_to_the_doses():
    gp = [
        [450, 250, 0, 200, 100, 0],  # 0.35 and 0.3 copies
        [400, 0, 50, 200, 350, 0],  # 0.45 and 0.55
        [400, 0, 300, 0, 0, 300],  # 0.6 and 0.6: 1/2 is excluded
        [0, 0, 400, 0, 300, 300],  # 1.1 and 0.9
    ]
    assert nearest_to_doses(np.array(gp, np.uint16), 2, 2).tolist() == [0, 3, 0, 4]
