"""Files with likelihoods or read counts and not one call."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
from conftest import environment

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_reader import read_vcf

N = 4
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=1>\n"
PL = ["0,10,90", "20,0,25", "80,9,0", "0,0,0"]
CELLS = {
    "PL": PL,
    "GL": ["0,-1,-9", "-2,0,-2.5", "-8,-0.9,0", "-0.48,-0.48,-0.48"],
    "GP": ["0.9,0.09,0.01", "0.1,0.8,0.1", "0.01,0.1,0.89", "0.333,0.333,0.333"],
    "AD": ["7,0", "4,5", "0,6", "0,0"],
}
CALLS = [0, 1, 2, MISSING]


def text(cells, form, alt="T", n=6, head=""):
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *"abcd"])
    lines = [f"1\t{10 * (i + 1)}\t.\tA\t{alt}\t.\t.\t.\t{form}\t" + "\t".join(cells) for i in range(n)]
    return HEADER + head + columns + "\n" + "\n".join(lines) + "\n"


def read(tmp_path, content, **how):
    path = tmp_path / "in.vcf"
    path.write_text(content)
    return read_vcf(path, **how)


@pytest.mark.parametrize("field", CELLS)
@pytest.mark.parametrize("gt", [None, ".", "./."])
def test_the_likeliest_genotype_is_called(tmp_path, field, gt):
    cells = CELLS[field] if gt is None else [f"{gt}:{cell}" for cell in CELLS[field]]
    genotypes = read(tmp_path, text(cells, field if gt is None else f"GT:{field}"), likelihoods=field)
    assert genotypes.calls.tolist() == [[call] * 6 for call in CALLS]
    assert genotypes.evidence is not None
    assert genotypes.evidence_report.field == field


def test_likelihoods_are_evidence_as_if_the_calls_had_been_there(tmp_path):
    ours = read(tmp_path, text(PL, "PL"), likelihoods="PL")
    with_gt = [f"{gt}:{cell}" for gt, cell in zip(["0/0", "0/1", "1/1", "./."], PL, strict=True)]
    given = read(tmp_path, text(with_gt, "GT:PL"), likelihoods="PL")
    for sample in range(N):
        own, other = (g.evidence.block(slice(sample, sample + 1), 0, 6) for g in (ours, given))
        assert np.array_equal(own, other)


def test_a_file_with_a_single_call_is_left_as_it_is(tmp_path):
    cells = [f"./.:{cell}" for cell in PL]
    lines = text(cells, "GT:PL").splitlines()
    lines[-1] = lines[-1].replace("./.:20,0,25", "0/1:20,0,25")
    lines[-2] = lines[-2].replace("./.:20,0,25", "0/1:20,0,25")
    genotypes = read(tmp_path, "\n".join(lines) + "\n")
    assert (genotypes.calls != MISSING).sum() == 2
    assert genotypes.source.passed_through == {"no call": 4}


def test_haploid_cells_and_several_alleles(tmp_path):
    haploid = read(tmp_path, text(["0,9", "7,0", "0,5", "0,0"], "PL"), likelihoods="PL")
    assert haploid.ploidy == 1
    assert haploid.calls[:, 0].tolist() == [0, 1, 0, MISSING]
    cells = ["0,9,9,9,9,9", "9,9,9,9,0,9", "9,9,9,9,9,0", "0,0,9,9,9,9"]
    several = read(tmp_path, text(cells, "PL", alt="T,G"), likelihoods="PL")
    assert several.calls[:, :2].tolist() == [[0, 0], [1, 1], [0, 2], [MISSING, MISSING]]


def test_a_dot_or_a_broken_cell_is_missing(tmp_path):
    genotypes = read(tmp_path, text(["0,9,9", "9,0,9", "0,9", "."], "PL"), likelihoods="PL")
    assert genotypes.calls[[0, 1, 3], 0].tolist() == [0, 1, MISSING]


@pytest.mark.parametrize(("asked", "said"), [("none", "no record has GT"), ("GL", "GL is in no record")])
def test_what_is_not_asked_for_is_not_called(tmp_path, asked, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, text(PL, "PL"), likelihoods=asked)


def test_the_command_writes_calls_of_such_a_file(tmp_path):
    """From the shell: GT comes first in FORMAT, PL stays, the header declares GT, and what was made of it is said."""
    rng = np.random.default_rng(3)
    path = tmp_path / "in.vcf.gz"
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"])
    samples = [f"s{i}" for i in range(20)]
    declared = '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'
    with gzip.open(path, "wt") as file:
        file.write(HEADER + declared + columns + "\t" + "\t".join(samples) + "\n")
        for i in range(40):
            cells = rng.choice([*PL[:3], "0,0,0"], 20, p=[0.4, 0.3, 0.2, 0.1])
            file.write(f"1\t{100 * (i + 1)}\t.\tA\tT\t.\t.\t.\tPL\t" + "\t".join(cells) + "\n")
    out = tmp_path / "out.vcf"
    command = [sys.executable, "-m", "imputevae_cli", "impute", str(path), "-o", str(out), "--seed", "1"]
    done = subprocess.run(
        [*command, "--set", "model.decoder=frequencies"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "has no calls; each is taken to be the genotype that is likeliest by PL alone" in done.stderr
    header, records = out.read_text().split("#CHROM")[0], out.read_text().splitlines()[-40:]
    assert header.count("##FORMAT=<ID=GT,") == 1
    for record in records:
        form, *cells = record.split("\t")[8:]
        assert form.startswith("GT:PL")
        assert all("." not in cell.split(":")[0] for cell in cells)
