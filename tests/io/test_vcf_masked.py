import gzip

import numpy as np
import pytest
from vcf_maker import record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.errors import InputError
from imputevae_cli.io.mask_file import read_mask, write_mask
from imputevae_cli.io.vcf_masked import write_masked_vcf

RECORDS = (
    record("0|1:3,4:7 0/0:9,0:9 1/1:0,8:8", pos=100, info="DP=24;AC=3;AN=6", fmt="GT:AD:DP"),
    record("0/1 1/2 0/0", pos=150, alt="G,T"),
    record("0/1 0/0 ./1", pos=200, info="NS=2"),
    record("1/1 0/1 0/0", pos=200, ref="C", alt="T"),
)


@pytest.fixture
def genotypes(tmp_path):
    return read_vcf(write(tmp_path / "in.vcf.gz", vcf(*RECORDS), "bgzf"))


def masked_lines(tmp_path, genotypes, samples, loci):
    path = tmp_path / "masked.vcf"
    write_masked_vcf(path, genotypes, np.array(samples), np.array(loci), output_type="v", command="c", version="1")
    return [line for line in path.read_text().splitlines() if not line.startswith("##imputevae")]


def test_hidden_cells_are_bare_and_all_else_is_as_it_was(tmp_path, genotypes):
    got = masked_lines(tmp_path, genotypes, [0, 2, 1, 1, 1], [0, 0, 1, 2, 4])
    expected = vcf(*RECORDS).splitlines()
    header = [line for line in expected if line.startswith("#")]
    assert got[: len(header)] == header
    assert got[len(header) :] == [
        record("./. 0/0:9,0:9 ./.", pos=100, info="DP=24;AC=0;AN=2", fmt="GT:AD:DP").rstrip("\n"),
        record("0/1 ./. 0/0", pos=150, alt="G,T").rstrip("\n"),
        RECORDS[2].rstrip("\n"),
        record("1/1 ./. 0/0", pos=200, ref="C", alt="T").rstrip("\n"),
    ]


def test_what_was_hidden_is_missing_when_it_is_read_again(tmp_path, genotypes):
    path = tmp_path / "masked.vcf.gz"
    samples, loci = np.array([1, 0]), np.array([0, 4])
    write_masked_vcf(path, genotypes, samples, loci, output_type="z", command="c", version="1")
    expected = genotypes.calls.copy()
    expected[samples, loci] = -1
    assert np.array_equal(read_vcf(path).calls, expected)
    assert path.with_name("masked.vcf.gz.tbi").exists()


def test_a_mask_comes_back_as_it_went(tmp_path, genotypes):
    samples, loci = np.array([2, 0, 0, 0, 1]), np.array([0, 1, 2, 3, 4])
    write_mask(tmp_path / "m.tsv.gz", genotypes, samples, loci)
    write_mask(tmp_path / "again.tsv.gz", genotypes, samples, loci)
    assert (tmp_path / "m.tsv.gz").read_bytes() == (tmp_path / "again.tsv.gz").read_bytes()
    hidden = read_mask(tmp_path / "m.tsv.gz", genotypes)
    expected = np.zeros((3, 5), bool)
    expected[samples, loci] = True
    assert np.array_equal(hidden, expected)
    with gzip.open(tmp_path / "m.tsv.gz", "rt") as text:
        assert text.read() == (
            "chrom\tpos\tref\talt\tsample\n1\t100\tA\tG\tc\n1\t150\tA\tG,T\ta\n1\t150\tA\tT,G\ta\n"
            "1\t200\tA\tG\ta\n1\t200\tC\tT\tb\n"
        )


def test_a_mask_tells_equal_loci_apart(tmp_path):
    lines = [record("0/1 0/0 1/1", pos=100)] * 2 + [record("0/1 0/0 1/1", pos=300)]
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*lines)))
    write_mask(tmp_path / "m.tsv.gz", genotypes, np.array([0, 2, 0]), np.array([0, 0, 1]))
    hidden = read_mask(tmp_path / "m.tsv.gz", genotypes)
    assert np.argwhere(hidden).tolist() == [[0, 0], [0, 1], [2, 0]]


def test_a_mask_may_be_plain_text(tmp_path, genotypes):
    (tmp_path / "m.tsv").write_bytes(b"chrom\tpos\tref\talt\tsample\r\n1\t100\tA\tG\tc\r\n")
    assert np.argwhere(read_mask(tmp_path / "m.tsv", genotypes)).tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1\t100\tA\tG\tnobody", "sample 'nobody'"),
        ("1\t101\tA\tG\ta", "locus 1:101"),
        ("1\t100\tA\tG", "line 2"),
        ("1\t200\tA\tG\tc", "no call"),
    ],
)
def test_a_mask_of_other_data_is_refused(tmp_path, genotypes, row, words):
    path = tmp_path / "m.tsv.gz"
    path.write_bytes(gzip.compress(f"chrom\tpos\tref\talt\tsample\n{row}\n".encode()))
    with pytest.raises(InputError, match=r"m\.tsv\.gz") as error:
        read_mask(path, genotypes)
    assert words in str(error.value)


@pytest.mark.parametrize("content", [b"chrom\tpos", gzip.compress(b"chrom\tpos\n" * 50)[:-9]])
def test_a_mask_that_is_damaged_is_refused(tmp_path, genotypes, content):
    path = tmp_path / "m.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.tsv\.gz"):
        read_mask(path, genotypes)
