"""Records that the input lacks, and the accuracy that is expected of them."""

import numpy as np

from imputevae_cli.data.genotypes import ImputedBlock
from imputevae_cli.io.vcf_added import added_records, estimated_r2


def block_of(calls, gp, alt_first=None):
    calls = np.array(calls, np.int8)
    return ImputedBlock(calls, np.array(gp, np.uint16), calls >= 0, alt_first)


def test_a_record_has_genotypes_probabilities_doses_and_scores():
    gp = [[[900, 100, 0]], [[0, 250, 750]], [[300, 400, 300]], [[0, 0, 0]]]
    block = block_of([[0], [2], [-1], [-1]], gp)
    (line,) = added_records([b"1\t7\trs1\tA\tG"], block, np.array([0.5]))
    fields = line.decode().split("\t")
    assert fields[:7] == ["1", "7", "rs1", "A", "G", ".", "."]
    assert fields[7].split(";")[1:] == ["NIMP=2", "DR2=0.500"]
    assert fields[8:] == [
        "GT:GP:DS:IMP", "0/0:0.9,0.1,0:0.1:1", "1/1:0,0.25,0.75:1.75:1", "./.:0.3,0.4,0.3:1:0", "./.:.:.:0",
    ]  # fmt: skip


def test_a_phased_heterozygote_has_alt_where_it_is_likelier():
    gp = np.tile([0, 1000, 0], (2, 1, 1))
    block = block_of([[1], [1]], gp, np.array([[True], [False]]))
    (line,) = added_records([b"1\t7\t.\tA\tG"], block, np.array([1.0]))
    assert [cell.split(":")[0] for cell in line.decode().split("\t")[9:]] == ["1|0", "0|1"]


def test_the_estimated_r2_is_that_of_doses_that_hold_what_they_say():
    """Alleles drawn with the chances that the doses give correlate with them as the estimate says."""
    rng = np.random.default_rng(1)
    doses = rng.beta(0.3, 0.6, (20_000, 2, 3)) * [1.0, 0.5, 0.1]
    alleles = rng.random(doses.shape) < doses
    flat = (2 * len(doses), -1)
    found = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(doses.reshape(flat).T, alleles.reshape(flat).T, strict=True)]
    assert np.allclose(estimated_r2(doses), found, atol=0.02)


def test_the_estimated_r2_of_certain_and_of_constant_doses():
    certain = np.array([0, 1, 0, 1.0]).reshape(2, 2, 1)
    assert estimated_r2(np.concatenate([certain, certain * 0, certain * 0 + 0.3, certain * 0 + 1], 2)).tolist() == [
        1, 0, 0, 0,
    ]  # fmt: skip
