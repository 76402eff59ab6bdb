"""Polyploids from VCF text to VCF text: every command, and what it writes."""

import gzip
import json

import numpy as np
import pysam
import pytest
from conftest import QUICK_PARTS, QUICK_VAE, REPOSITORY, flags_of, imputevae
from vcf_maker import HEADER, columns, record

TETRAPLOIDS = REPOSITORY / "test_data" / "tetraploid.vcf.gz"
FLAGS = [*flags_of({**QUICK_VAE, **QUICK_PARTS}), "--seed", "1", "--threads", "1"]


def run(*arguments):
    done = imputevae(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done


def lines_of(path):
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [line.split("\t") for line in text.decode().splitlines() if not line.startswith("#")]


def cells_of(path):
    """Field -> list of rows of texts."""
    rows = lines_of(path)
    return {
        key: [[cell.split(":")[row[8].split(":").index(key)] for cell in row[9:]] for row in rows]
        for key in rows[0][8].split(":")
    }


def counts_of(genotypes):
    """ALT alleles, -1 where missing."""
    return np.array([[-1 if "." in gt else gt.count("1") for gt in row] for row in genotypes])


@pytest.fixture(scope="module")
def imputed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("polyploids")
    done = run("impute", TETRAPLOIDS, "-o", folder / "out.vcf", "--draws", "1", "-v", *FLAGS)
    return folder, done.stderr.decode()


def test_every_missing_call_is_filled_with_four_alleles_and_known_ones_stay(imputed):
    folder, log = imputed
    before, after = cells_of(TETRAPLOIDS), cells_of(folder / "out.vcf")
    old, new = counts_of(before["GT"]), counts_of(after["GT"])
    assert (new >= 0).all()
    assert np.array_equal(new[old >= 0], old[old >= 0])
    assert {gt for row in after["GT"] for gt in row} == {"0/0/0/0", "0/0/0/1", "0/0/1/1", "0/1/1/1", "1/1/1/1"}
    gp = np.array([[cell.split(",") for cell in row] for row in after["GP"]], float)
    assert gp.shape == (140, 48, 5)
    assert gp.sum(2) == pytest.approx(1, abs=1e-9)
    assert np.array(after["DS"], float) == pytest.approx(gp @ np.arange(5), abs=1e-9)
    assert np.array_equal(new[old < 0], gp.argmax(2)[old < 0])
    assert np.array_equal(np.array(after["IMP"]) == "1", old < 0)
    assert "likelihoods from AD" in log
    assert "copying and founders left out: they model the haplotypes of ploidy 2 at most, not of 4" in log


def test_allele_counts_follow_the_calls(imputed):
    rows = lines_of(imputed[0] / "out.vcf")
    info = dict(item.split("=") for item in rows[3][7].split(";"))
    counts = counts_of([[cell.split(":")[0] for cell in rows[3][9:]]])
    assert int(info["AC"]) == counts.sum()
    assert int(info["AN"]) == 4 * 48


def test_draws_differ_from_the_likeliest_and_keep_gp(imputed):
    folder, _ = imputed
    first, drawn = cells_of(folder / "out.vcf"), cells_of(folder / "out.draw1.vcf")
    assert drawn["GP"] == first["GP"]
    was_missing = counts_of(cells_of(TETRAPLOIDS)["GT"]) < 0
    assert 0.1 < (counts_of(drawn["GT"]) != counts_of(first["GT"]))[was_missing].mean() < 0.9


def test_refine_moves_calls_towards_the_posterior_and_keeps_the_old(tmp_path):
    run("impute", TETRAPLOIDS, "-o", tmp_path / "out.vcf.gz", "--refine", *FLAGS)
    cells, old = cells_of(tmp_path / "out.vcf.gz"), counts_of(cells_of(TETRAPLOIDS)["GT"])
    refined = np.array(cells["IMP"]) == "2"
    assert refined[old >= 0].mean() > 0.05
    assert np.array_equal(counts_of(cells["OGT"])[refined], old[refined])
    gp = np.array([[cell.split(",") for cell in row] for row in cells["GP"]], float)
    assert np.array_equal(counts_of(cells["GT"])[refined], gp.argmax(2)[refined])


def test_bcf_and_phylip_hold_the_same(imputed, tmp_path):
    run("impute", TETRAPLOIDS, "-o", tmp_path / "out.bcf", *FLAGS)
    texts = [str(line).split("\t") for line in pysam.VariantFile(str(tmp_path / "out.bcf"))]
    again = [[cell.split(":")[0] for cell in row[9:]] for row in texts]
    calls = counts_of(cells_of(imputed[0] / "out.vcf")["GT"])
    assert np.array_equal(counts_of(again), calls)
    run("impute", TETRAPLOIDS, "-o", tmp_path / "out.phy", *FLAGS)
    head, *rows = (tmp_path / "out.phy").read_text().splitlines()
    assert head == "48 140"
    matrix = np.array([list(row.split()[1]) for row in rows])
    assert np.array_equal(np.isin(matrix, list("ACGT")), np.isin(calls.T, (0, 4)))
    assert np.isin(matrix, list("ACGTMRWSYK")).all()


def test_a_saved_model_fills_the_same_and_other_samples(imputed, tmp_path):
    run("train", TETRAPLOIDS, "-o", tmp_path / "m.ivae", *FLAGS)
    run("impute", TETRAPLOIDS, "--model", tmp_path / "m.ivae", "-o", tmp_path / "out.vcf")
    assert cells_of(tmp_path / "out.vcf") == cells_of(imputed[0] / "out.vcf")
    some = ["--samples", "t02,t07,t15,t21,t30,t41"]
    run("impute", TETRAPLOIDS, "--model", tmp_path / "m.ivae", "-o", tmp_path / "some.vcf", *some)
    few = cells_of(tmp_path / "some.vcf")
    assert (counts_of(few["GT"]) >= 0).all()
    assert [row[0].count("/") for row in few["GT"]] == [3] * 140


def test_an_evaluation_has_the_dosage_error_and_the_classes(tmp_path):
    run("evaluate", TETRAPLOIDS, "-o", tmp_path / "out", "--likelihoods", "none", *FLAGS)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["input"]["ploidy"] == 4
    assert 0 < report["metrics"]["model"]["dosage_rmse"]["value"] < report["metrics"]["mode"]["dosage_rmse"]["value"]
    assert "tetraploid" in (tmp_path / "out" / "report.html").read_text()
    assert "0/0/1/1" in (tmp_path / "out" / "strata.tsv").read_text()


def test_an_evaluation_of_uncertain_calls_goes_by_their_reads(tmp_path):
    run("evaluate", TETRAPLOIDS, "-o", tmp_path / "out", *FLAGS)
    metrics = json.loads((tmp_path / "out" / "report.json").read_text())["metrics"]
    assert metrics["model"]["read_loss"]["value"] < metrics["population_frequencies"]["read_loss"]["value"]


def test_a_dry_run_and_a_decoder_that_does_not_serve(tmp_path):
    run("impute", TETRAPLOIDS, "-o", tmp_path / "out.vcf", "--dry-run", *FLAGS)
    assert not (tmp_path / "out.vcf").exists()
    done = imputevae("impute", TETRAPLOIDS, "-o", tmp_path / "out.vcf", "--set", "model.decoder=copying")
    assert done.returncode == 2
    assert "copying, which serves ploidy 1 to 2, and the ploidy is 4; set model.decoder=auto" in done.stderr.decode()


def test_phase_is_refused_before_the_fit_with_what_to_do(tmp_path):
    done = imputevae("impute", TETRAPLOIDS, "-o", tmp_path / "out.vcf", "--phased", *FLAGS)
    assert done.returncode == 2
    error = done.stderr.decode()
    assert "here each has 4; leave --phased out, and phase the output by its reads" in error
    assert "VAE" not in error
    assert not (tmp_path / "out.vcf").exists()


@pytest.mark.parametrize("ploidy", [3, 6, 8])
def test_other_ploidies_with_pl_or_calls_alone(tmp_path, ploidy):
    rng = np.random.default_rng(ploidy)
    lines = []
    share = (np.arange(ploidy + 1) / ploidy) * 0.98 + 0.01
    for j in range(40):
        truth = rng.binomial(ploidy, rng.uniform(0.2, 0.8), 20)
        n_alt = rng.binomial(9, share[truth])
        phred = -10 * (n_alt[:, None] * np.log10(share) + (9 - n_alt[:, None]) * np.log10(1 - share))
        phred = np.rint(phred - phred.min(1, keepdims=True)).astype(int)
        cells = [
            f"{'/'.join('.' * ploidy)}:."
            if hidden
            else "/".join("0" * (ploidy - g) + "1" * g) + ":" + ",".join(map(str, pl))
            for g, pl, hidden in zip(phred.argmin(1), phred.tolist(), rng.random(20) < 0.2, strict=True)
        ]
        lines.append(record(cells, pos=100 + j, fmt="GT:PL"))
    head = HEADER + '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'
    path = tmp_path / "in.vcf"
    path.write_text(head + columns([f"s{i}" for i in range(20)]) + "".join(lines))
    for likelihoods in ("auto", "none"):
        out = tmp_path / f"{likelihoods}.vcf"
        done = run("impute", path, "-o", out, "--likelihoods", likelihoods, *FLAGS)
        assert ("likelihoods from PL" in done.stderr.decode()) == (likelihoods == "auto")
        cells = cells_of(out)
        assert (counts_of(cells["GT"]) >= 0).all()
        assert {len(cell.split(",")) for row in cells["GP"] for cell in row} == {ploidy + 1}
