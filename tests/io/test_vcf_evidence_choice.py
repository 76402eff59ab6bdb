import numpy as np
import pytest
from vcf_maker import record, vcf, write

from imputevae_cli.data.read_model import ReadModel
from imputevae_cli.io.vcf_reader import read_vcf

N, LOCI = 40, 200
HEADER = """##fileformat=VCFv4.2
##contig=<ID=1>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">
"""


def lines(true_error, error_of_pl, counts="AD"):
    """Records of simulated reads at depth 4; error_of_pl: what PL takes for granted, of each read."""
    rng = np.random.default_rng(5)
    genotypes = rng.binomial(2, rng.beta(0.8, 1.2, LOCI), (N, LOCI))
    reads = rng.poisson(4, genotypes.shape)
    alt = rng.binomial(reads, np.array([true_error, 0.5, 1 - true_error])[genotypes])
    ref = reads - alt
    for locus in range(LOCI):
        cells = []
        for r, a in zip(ref[:, locus], alt[:, locus], strict=True):
            model = ReadModel(error_of_pl(rng))
            logs = model.log_likelihoods(np.array([r]), np.array([a]), 2)[0]
            phred = np.rint(-10 / np.log(10) * (logs - logs.max())).astype(int)
            call = ["0/0", "0/1", "1/1"][int(phred.argmin())] if r + a else "./."
            cells.append(f"{call}:{r},{a}:{','.join(map(str, phred))}")
        yield record(" ".join(cells), pos=locus + 1, fmt=f"GT:{counts}:PL")


def report_of(tmp_path, records, **options):
    path = write(tmp_path / "in.vcf", vcf(*records, samples=[f"s{i}" for i in range(N)], header=HEADER))
    return read_vcf(path, **options).evidence_report


def test_counts_are_read_where_pl_takes_another_error_rate_for_granted(tmp_path):
    report = report_of(tmp_path, lines(0.0005, lambda rng: 0.02))
    assert report.field == "AD"
    assert report.error < 0.002
    (reason,) = report.left
    assert reason.startswith("PL follows from AD and an error rate of 0.0196, and the reads themselves show 0.000")
    assert reason in report.reason


def test_pl_stays_where_its_error_rate_is_that_of_the_reads(tmp_path):
    report = report_of(tmp_path, lines(0.01, lambda rng: 0.01))
    assert report.field == "PL"
    assert report.left == ()


def test_pl_stays_where_it_knows_more_than_counts(tmp_path):
    """A caller that goes by the quality of each base: the same counts have other likelihoods in other cells."""
    report = report_of(tmp_path, lines(0.0005, lambda rng: rng.choice([0.001, 0.01, 0.1])))
    assert report.field == "PL"


def test_pl_stays_where_there_are_no_counts_beside_it(tmp_path):
    assert report_of(tmp_path, lines(0.0005, lambda rng: 0.02, counts="XX")).field == "PL"


@pytest.mark.parametrize("asked", ["PL", "AD"])
def test_what_is_asked_for_is_read(tmp_path, asked):
    report = report_of(tmp_path, lines(0.0005, lambda rng: 0.02), likelihoods=asked)
    assert report.field == asked
    assert report.left == ()
