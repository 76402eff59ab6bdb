"""Visible calls with a posterior in the output, and those that are rewritten."""

import numpy as np
import pysam.bcftools
import pytest
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.io.vcf_reader import read_vcf

HEAD = HEADER + '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'
RECORDS = [
    record("0/0:0,3,23 0|1:300,0,300 ./.:.", pos=100, fmt="GT:PL", info="AC=1;AN=4"),
    record("1/1:23,3,0 0/0:0,200,300 ./.", pos=200, fmt="GT:PL"),
]
GP = [[[0.1, 0.6, 0.3], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]], [[0.8, 0.2, 0], [0.1, 0.6, 0.3]]]


def imputed_from(tmp_path, refine, records=RECORDS):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*records, header=HEAD)))
    gp = np.array(GP, np.float32)
    return ImputedGenotypes(
        genotypes, lambda start, stop: gp[:, start:stop], 0.0, None, np.ones(3, bool), refine=refine
    )


def written(tmp_path, refine, records=RECORDS):
    """The records of the output, split, its text, and the summary."""
    out = tmp_path / "out.vcf"
    summary = imputed_from(tmp_path, refine, records).write_vcf(out, "v", force=True)
    text = out.read_text()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")], text, summary


def test_without_the_flag_calls_stay_and_gp_is_the_posterior(tmp_path):
    (first, second), text, summary = written(tmp_path, refine=False)
    assert first[8:] == [
        "GT:PL:GP:DS:IMP",
        "0/0:0,3,23:0.1,0.6,0.3:1.2:0",
        "0|1:300,0,300:0,1,0:1:0",
        "0/0:.:0.8,0.2,0:0.2:1",
    ]
    assert second[9:] == ["1/1:23,3,0:0,0,1:2:0", "0/0:0,200,300:1,0,0:0:0", "0/1:.:0.1,0.6,0.3:1.2:1"]
    assert "OGT" not in text
    assert (summary.uncertain, summary.refined, summary.imputed) == (2, 0, 2)


def test_refined_calls_keep_their_old_genotype(tmp_path):
    (first, second), text, summary = written(tmp_path, refine=True)
    assert first[8:] == [
        "GT:PL:GP:DS:IMP:OGT",
        "0/1:0,3,23:0.1,0.6,0.3:1.2:2:0/0",
        "0|1:300,0,300:0,1,0:1:0:.",
        "0/0:.:0.8,0.2,0:0.2:1:.",
    ]
    assert second[9] == "1/1:23,3,0:0,0,1:2:0:."
    assert "##FORMAT=<ID=OGT,Number=1,Type=String" in text
    assert "AC=2;AN=6" in first[7]
    assert (summary.uncertain, summary.refined, summary.imputed) == (2, 1, 2)


def test_an_output_can_be_refined_again(tmp_path):
    _, text, _ = written(tmp_path, refine=True)
    body = [line + "\n" for line in text.splitlines() if not line.startswith("#")]
    (first, _), again, _ = written(tmp_path, refine=True, records=body)
    assert first[8] == "GT:PL:GP:DS:IMP:OGT"
    assert again.count("ID=OGT") == 1


@pytest.mark.parametrize("refine", [False, True])
def test_bcf_can_be_written(tmp_path, refine):
    out = tmp_path / "out.bcf"
    imputed_from(tmp_path, refine).write_vcf(out)
    text = pysam.bcftools.query("-f", "[%GT ]\n", str(out))
    assert text.split()[0] == ("0/1" if refine else "0/0")
