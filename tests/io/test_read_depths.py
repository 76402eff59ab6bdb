import numpy as np
import pytest
from conftest import simulate
from vcf_maker import record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.io.read_depths import read_depths

RECORDS = (
    record("0/0:3,0 ./.:. 0/1:2,2", pos=100, fmt="GT:AD"),
    record("0/0:9 0/1:7 ./.:0", pos=150, ref="A", alt="G,T", fmt="GT:DP"),
    record("0/0:4,0:99 0/1:.:7 1/1:0,1:99", pos=200, fmt="GT:AD:DP"),
    record("0/0 0/1 1/1", pos=300),
)


@pytest.mark.parametrize("mode", ["vcf", "bgzf", "bcf"])
def test_depths_are_the_sum_of_ad_then_dp(tmp_path, mode):
    ending = {"vcf": ".vcf", "bgzf": ".vcf.gz", "bcf": ".bcf"}[mode]
    genotypes = read_vcf(write(tmp_path / f"in{ending}", vcf(*RECORDS), mode))
    samples, loci = np.array([0, 1, 2, 0, 0, 0, 1, 2, 0]), np.array([0, 0, 0, 1, 2, 3, 3, 3, 4])
    expected = [3, -1, 4, 9, 9, 4, 7, 1, -1]  # the record of two ALT alleles is two loci
    assert read_depths(genotypes, samples, loci).tolist() == expected
    assert read_depths(genotypes, samples[::-1], loci[::-1]).tolist() == expected[::-1]


def test_of_some_samples_and_a_region(tmp_path):
    path = write(tmp_path / "in.vcf.gz", vcf(*RECORDS), "bgzf")
    genotypes = read_vcf(path, samples=["b", "c"], region="1:200-300")
    assert read_depths(genotypes, np.array([0, 1]), np.array([0, 0])).tolist() == [7, 1]


def test_a_file_without_depths_tells_none(tmp_path):
    path = write(tmp_path / "in.vcf", vcf(record("0/0 0/1 1/1", pos=1), record("0/0 0/1 1/1", pos=2)))
    assert read_depths(read_vcf(path), np.array([0, 1]), np.array([0, 1])).tolist() == [-1, -1]
    assert read_depths(simulate(3, 4)[0], np.array([0, 1]), np.array([0, 1])).tolist() == [-1, -1]
