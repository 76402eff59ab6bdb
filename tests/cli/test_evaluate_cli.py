"""`imputevae evaluate` from the command line. Imports that take long are made once, before the command forks off."""

import gzip
import json

import numpy as np
import pytest
import sklearn.metrics  # noqa: F401
from conftest import TINY_FLAGS, imputevae, vcf_of
from vcf_maker import write

import imputevae_cli.evaluation.evaluate  # noqa: F401
from imputevae_cli import read_vcf

TABLES = ("metrics.tsv", "strata.tsv", "samples.tsv", "loci.tsv", "calibration.tsv", "masked_cells.tsv.gz")
FILES = ("report.json", "report.html", "imputevae_mqc.json", "imputevae_general_mqc.json", *TABLES)


def evaluated(cohort, folder, *more, code=0):
    run = imputevae(
        "evaluate", cohort / "in.vcf.gz", "--popmap", cohort / "pops.popmap", "-o", folder, "--threads", 1, *TINY_FLAGS,
        *more,
    )  # fmt: skip
    assert run.returncode == code, run.stderr.decode()
    return run


def rows(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    header, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    """What `imputevae evaluate` leaves of the cohort; with the mask, and the masked input, beside it."""
    place = tmp_path_factory.mktemp("evaluation")
    evaluated(
        cohort, place / "out", "--mask-file", place / "mask.tsv.gz", "--write-masked", place / "masked.vcf.gz",
        "--json", place / "report.json",
    )  # fmt: skip
    return place


def test_the_folder_holds_what_the_readme_says(folder, cohort):
    assert set(FILES) == {path.name for path in (folder / "out").iterdir()}
    report = json.loads((folder / "out/report.json").read_text())
    assert (folder / "report.json").read_bytes() == (folder / "out/report.json").read_bytes()
    assert report["schema_version"] == 1
    assert report["input"]["samples"] == 24
    assert report["methods"] == ["model", "mode", "population_mode", "population_frequencies", "ld_knni"]
    assert report["masking"]["strategy"] == "observed"
    assert report["verdict"]["sentences"][0] in (folder / "out/report.html").read_text()
    assert report["bias"]["heterozygosity"]
    assert report["model"]["source"] == "fitted"
    assert sum(report["masking"]["classes"]) == report["masking"]["cells"]


def test_the_tables_agree_with_the_report(folder):
    report = json.loads((folder / "out/report.json").read_text())
    cells = rows(folder / "out/masked_cells.tsv.gz")
    assert len(cells) == report["masking"]["cells"]
    right = np.mean([row["truth"] == row["call"] for row in cells])
    assert right == pytest.approx(report["metrics"]["model"]["concordance"]["value"], abs=1e-6)
    in_table = {(row["method"], row["metric"]): row["value"] for row in rows(folder / "out/metrics.tsv")}
    assert float(in_table["mode", "nrd"]) == pytest.approx(report["metrics"]["mode"]["nrd"]["value"], abs=1e-5)
    assert sum(int(row["n"]) for row in rows(folder / "out/samples.tsv")) == len(cells)
    assert sum(int(row["n"]) for row in rows(folder / "out/loci.tsv")) == len(cells)
    model = [row for row in rows(folder / "out/calibration.tsv") if row["method"] == "model"]
    assert sum(int(row["n"]) for row in model) == len(cells)


def test_the_masked_file_lacks_the_cells_of_the_mask(folder, cohort):
    whole, masked = read_vcf(cohort / "in.vcf.gz"), read_vcf(folder / "masked.vcf.gz")
    hidden = (whole.calls >= 0) & (masked.calls < 0)
    assert np.array_equal(whole.calls[~hidden], masked.calls[~hidden])
    named = {(row["chrom"], row["pos"], row["sample"]) for row in rows(folder / "mask.tsv.gz")}
    samples, loci = np.nonzero(hidden)
    at = whole.loci
    assert named == {(at.chrom[j], str(at.pos[j]), whole.samples[i]) for i, j in zip(samples, loci, strict=True)}


def test_a_mask_used_again_scores_the_same_cells(folder, cohort, tmp_path):
    evaluated(cohort, tmp_path / "again", "--mask-file", folder / "mask.tsv.gz")
    first, again = (json.loads((path / "report.json").read_text()) for path in (folder / "out", tmp_path / "again"))
    assert again["masking"]["strategy"] == "file"
    assert again["metrics"] == first["metrics"]


def test_the_same_seed_gives_the_same_bytes(folder, cohort, tmp_path):
    """Dates and the command aside."""
    evaluated(cohort, tmp_path / "again", "--force")
    for name in FILES[2:]:
        assert (tmp_path / "again" / name).read_bytes() == (folder / "out" / name).read_bytes(), name
    reports = [json.loads((path / "report.json").read_text()) for path in (folder / "out", tmp_path / "again")]
    for report in reports:
        del report["created"], report["software"]["command"]
    assert reports[0] == reports[1]


def test_the_masked_file_imputed_and_scored_gives_the_figures_of_the_one_run(folder, cohort, tmp_path):
    """`evaluate` alone, and impute + `evaluate --imputed`, are two ways to the same figures."""
    popmap = ("--popmap", cohort / "pops.popmap")
    run = imputevae(
        "impute", folder / "masked.vcf.gz", *popmap, "-o", tmp_path / "imputed.vcf.gz", "--threads", 1, *TINY_FLAGS
    )
    assert run.returncode == 0, run.stderr.decode()
    run = imputevae(
        "evaluate", folder / "masked.vcf.gz", *popmap, "--imputed", tmp_path / "imputed.vcf.gz",
        "--truth", cohort / "in.vcf.gz", "--json", "-", "-q",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()
    report = json.loads(run.stdout)
    expected = json.loads((folder / "out/report.json").read_text())
    assert report["model"]["source"] == "file"
    assert report["model"]["probabilities"] == "GP"
    for name, figure in expected["metrics"]["model"].items():
        assert report["metrics"]["model"][name]["value"] == pytest.approx(figure["value"], abs=1e-6), name


def test_a_truth_without_a_file_scores_the_model_on_what_the_input_lacks(folder, cohort, tmp_path):
    """The masked file and the whole one are a mask: the figures are those of the run that drew it."""
    run = imputevae(
        "evaluate", folder / "masked.vcf.gz", "--popmap", cohort / "pops.popmap", "--truth", cohort / "in.vcf.gz",
        "--draws", 2, "-o", tmp_path / "out", "--threads", 1, *TINY_FLAGS,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()
    report = json.loads((tmp_path / "out/report.json").read_text())
    expected = json.loads((folder / "out/report.json").read_text())
    assert report["masking"]["scored_by"] == "truth"
    assert expected["masking"]["scored_by"] == "calls"
    assert report["masking"]["cells"] == expected["masking"]["cells"]
    for name, figure in expected["metrics"]["model"].items():
        assert report["metrics"]["model"][name]["value"] == pytest.approx(figure["value"], abs=1e-6), name
    assert report["bias"]["draws"]["n"] == 2
    assert report["bias"]["heterozygosity"][0]["imputed"] == expected["bias"]["heterozygosity"][0]["imputed"]
    assert not [row for row in report["strata"] if row["stratum"] == "depth"]  # the file tells no depths


def test_a_checkpoint_of_these_samples_is_said_to_flatter(cohort, checkpoint, tmp_path):
    run = imputevae("evaluate", cohort / "in.vcf.gz", "--model", checkpoint, "-o", tmp_path / "out", "--threads", 1)
    assert run.returncode == 0, run.stderr.decode()
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["model"]["source"] == "checkpoint"
    assert "flatter" in " ".join(report["verdict"]["sentences"])


def test_strict_fails_after_everything_is_written(cohort, tmp_path):
    """A file that holds the commonest genotype's opposite loses to every baseline."""
    genotypes = read_vcf(cohort / "in.vcf.gz")
    bad = genotypes.with_calls(np.where(genotypes.calls < 0, 0, genotypes.calls).astype(np.int8))
    given = genotypes.calls.copy()
    given[:, ::2] = np.where(np.arange(24)[:, None] % 2, -1, given[:, ::2])
    given[:, (given >= 0).sum(0) == 0] = 0
    paths = [
        write(tmp_path / name, vcf_of(genotypes.with_calls(calls.astype(np.int8))))
        for name, calls in (("given.vcf", given), ("truth.vcf", genotypes.calls), ("bad.vcf", 2 - bad.calls))
    ]
    run = imputevae(
        "evaluate", paths[0], "--truth", paths[1], "--imputed", paths[2], "-o", tmp_path / "out", "--strict", "-q"
    )
    assert run.returncode == 6
    assert b"--strict" in run.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["verdict"]["loses_to"]
    assert report["verdict"]["sentences"][0].startswith("The file loses to")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--imputed", "x.vcf"], 2, "--truth"),
        (["--truth", "x.vcf", "--repeats", "2"], 2, "--repeats"),
        (["--imputed", "x.vcf", "--truth", "y.vcf", "--draws", "2"], 2, "--draws"),
        (["--imputed", "x.vcf", "--truth", "y.vcf", "--model", "m.ivae"], 2, "--model"),
        (["--truth", "none.vcf"], 3, "none.vcf"),
        (["--imputed", "x.vcf", "--truth", "y.vcf", "--strategy", "random"], 2, "--strategy"),
        (["--strategy", "clever"], 2, "observed"),
        (["--prop", "1.5"], 2, "share"),
        (["--tree", "t.nwk"], 2, "nonrandom"),
        (["--repeats", "2", "--mask-file", "m.tsv.gz"], 2, "--repeats"),
        (["--strategy", "nonrandom", "--tree", "none.nwk"], 3, "none.nwk"),
        (["--strategy", "dropout"], 2, "--popmap"),
        (["--write-masked", "m.phy"], 2, "VCF"),
        (["--imputed", "x.vcf", "--truth", "none.vcf"], 3, "none.vcf"),
    ],
)
def test_what_cannot_be_done_is_one_line(cohort, tmp_path, options, code, words):
    run = imputevae("evaluate", cohort / "in.vcf.gz", "-o", "out", "-q", *options, cwd=tmp_path)
    error = run.stderr.decode()
    assert run.returncode == code, error
    assert error.startswith("imputevae: error: ")
    assert error.count("\n") == 1
    assert words in error
    assert not list(tmp_path.iterdir())


def test_a_folder_is_replaced_with_force_alone_and_only_an_evaluations(cohort, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years")
    for place, more, words in ((folder / "out", (), "--force"), (tmp_path / "mine", ("--force",), "report.json")):
        run = imputevae("evaluate", cohort / "in.vcf.gz", "-o", place, *more)
        assert run.returncode == 2
        assert words in run.stderr.decode()
    assert (tmp_path / "mine/thesis.txt").read_text() == "years"


def test_a_dry_run_writes_nothing(cohort, tmp_path):
    run = imputevae("evaluate", cohort / "in.vcf.gz", "-o", "out", "--dry-run", *TINY_FLAGS, cwd=tmp_path)
    assert run.returncode == 0, run.stderr.decode()
    assert b"Time, about" in run.stderr
    assert not list(tmp_path.iterdir())


def test_json_on_standard_output_is_all_there_is(cohort, tmp_path):
    run = imputevae("evaluate", cohort / "in.vcf.gz", "--json", "-", "--threads", 1, *TINY_FLAGS, cwd=tmp_path)
    assert run.returncode == 0, run.stderr.decode()
    report = json.loads(run.stdout)
    assert report["methods"] == ["model", "mode", "population_frequencies", "ld_knni"]
    assert report["input"]["populations"] is None
    assert not list(tmp_path.iterdir())
