"""The text of sample columns, beside plain Python."""

import numpy as np
import pytest

from imputevae_cli.data.alleles import doses, homozygotes
from imputevae_cli.io.kernel_cells import Texts, splice, suffixes


def decimal(thousandths):
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")


def suffix(gp, flag, copies):
    """As `suffixes`, of one cell; copies: of each ALT allele in each genotype that is told."""
    if not any(gp):
        return b":.:.:0"
    dose = [sum(p * c for p, c in zip(gp, one, strict=True)) for one in zip(*copies, strict=True)]
    return f":{','.join(map(decimal, gp))}:{','.join(map(decimal, dose))}:{flag}".encode()


@pytest.mark.parametrize(("n_alt", "ploidy"), [(1, 1), (1, 2), (1, 4), (2, 2), (3, 2)])
def test_probabilities_doses_and_flags_are_written_as_python_writes_them(n_alt, ploidy):
    rng = np.random.default_rng(0)
    dose, ends = doses(n_alt, ploidy), homozygotes(n_alt) if ploidy == 2 else np.array([0, ploidy])
    gp = rng.multinomial(1000, rng.dirichlet(np.full(len(dose), 0.3)), 400)
    gp[::40] = 0
    flags, haploid = rng.integers(3, size=400), rng.random(400) < (0.3 if ploidy == 2 else 0)
    expected = [
        suffix(p[ends], flag, np.vstack([np.zeros(n_alt, int), np.eye(n_alt, dtype=int)]))
        if alone
        else suffix(p, flag, dose)
        for p, flag, alone in zip(gp, flags, haploid, strict=True)
    ]
    assert suffixes(gp, flags, dose, haploid, ends).tolist() == expected


def test_every_number_of_thousandths_is_written_as_python_writes_it():
    gp = np.column_stack([np.arange(1, 1001), np.zeros(1000, int)])
    none = np.zeros(1000, bool)
    texts = suffixes(gp, none, doses(1, 1), none, np.array([0, 1])).tolist()
    assert texts == [f":{decimal(p)},0:0:0".encode() for p in range(1, 1001)]


def test_cells_get_genotypes_endings_and_the_values_that_they_lack():
    genotypes, endings = Texts.of([b"0/1", b"1"]), Texts.of([b":A", b":BC"])
    new, ending = np.array([0, -1, 1, -1]), np.array([1, 0, 0, 1])
    refined = np.array([False, True, False, False])
    cells = b"./.:3:4\t1|1\t.:5\t0/0:6:7:8"
    spliced = splice(cells, 3, (genotypes, new), (endings, ending), None)
    assert spliced == b"0/1:3:4:BC\t1|1:.:.:A\t1:5:.:A\t0/0:6:7:8:BC"
    spliced = splice(cells, 1, (genotypes, new), (endings, ending), refined)
    assert spliced == b"0/1:3:4:BC:.\t1|1:A:1|1\t1:5:A:.\t0/0:6:7:8:BC:."
