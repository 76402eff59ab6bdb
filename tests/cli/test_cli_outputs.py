"""`impute` with several -o, PLINK files in and out, and the report."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import TINY_FLAGS, environment, imputevae
from page_outline import Outline, text_of
from readers import calls_of_vcf
from test_cli import done, names, refused

from imputevae_cli import read_vcf

KINDS = ["out.vcf", "out.vcf.gz", "out.bed", "out.str", "out.gen", "out.phy", "out.012", "out.tsv"]
ALL = sorted([*KINDS, "out.vcf.gz.tbi", "out.bim", "out.fam", "out.012.indv", "out.012.pos"])


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory):
    """A folder with every kind of file of one imputation."""
    folder = tmp_path_factory.mktemp("written")
    outputs = [word for name in KINDS for word in ("-o", folder / name)]
    popmap = cohort / "pops.popmap"
    done(imputevae("impute", cohort / "in.vcf.gz", "--popmap", popmap, *outputs, *TINY_FLAGS))
    return folder


def test_one_run_writes_them_all_and_they_agree(written):
    assert names(written) == ALL
    calls = calls_of_vcf((written / "out.vcf").read_text())
    assert np.array_equal(read_vcf(written / "out.vcf.gz").calls, calls)
    assert np.array_equal(read_vcf(written / "out.bed").calls, calls)
    rows = [line.split("\t")[1:] for line in (written / "out.012").read_text().splitlines()]
    assert np.array_equal(np.array(rows).astype(int), calls)


def test_a_bed_is_imputed_into_a_vcf_and_a_bed(written, tmp_path):
    samples = ["s01", "s03", "s04", "s07", "s20"]
    outputs = ["-o", tmp_path / "again.vcf", "-o", tmp_path / "again.bed"]
    done(imputevae("impute", written / "out.bed", *outputs, "--samples", ",".join(samples), *TINY_FLAGS))
    expected = read_vcf(written / "out.bed", samples=samples).calls
    assert np.array_equal(calls_of_vcf((tmp_path / "again.vcf").read_text()), expected)
    assert np.array_equal(read_vcf(tmp_path / "again.bed").calls, expected)


def test_nothing_is_overwritten_without_being_asked(cohort, tmp_path):
    (tmp_path / "out.fam").write_text("mine")
    run = imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "out.vcf", "-o", tmp_path / "out.bed")
    refused(run, 2, "out.fam: exists already")
    assert names(tmp_path) == ["out.fam"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-o a.vcf -o a.vcf", "a.vcf: would be written as -o and as -o number 2"),
        ("-o a.bed -o a.bim", "a.bim: is written beside the .bed"),
        ("-o a.012 -o a.012.pos", "a.012.pos: the ending does not tell"),
        ("-o a.vcf -o -", "standard output is for the first -o alone"),
        ("-o a.vcf -o a.bed --output-type v", "--output-type is for one -o"),
        ("-o - --output-type bed", "PLINK bed is more than one file"),
        ("-o a.str --draws 2", "--draws writes VCF or BCF"),
    ],
)
def test_outputs_that_do_not_go_together(cohort, tmp_path, options, words):
    refused(imputevae("impute", cohort / "in.vcf", *options.split(), cwd=tmp_path), 2, words)
    assert names(tmp_path) == []


def test_resume_finds_all_of_them_done(cohort, tmp_path):
    command = ["impute", cohort / "in.vcf", "-o", tmp_path / "a.vcf.gz", "-o", tmp_path / "a.bed", *TINY_FLAGS]
    done(imputevae(*command))
    before = (tmp_path / "a.bed").stat().st_mtime_ns
    assert b"was finished before" in done(imputevae(*command, "--resume")).stderr
    (tmp_path / "a.bim").unlink()
    done(imputevae(*command, "--resume"))
    assert (tmp_path / "a.bed").stat().st_mtime_ns > before


def test_tables_go_to_standard_output(cohort):
    run = done(imputevae("impute", cohort / "in.vcf", "-o", "-", "--output-type", "tsv", "-q", *TINY_FLAGS))
    assert run.stdout.startswith(b"sample\t")
    assert run.stdout.count(b"\n") == 25


def test_a_report_is_written_beside_the_output_and_tells_of_it(cohort, tmp_path):
    outputs = ["-o", tmp_path / "out.bed", "-o", tmp_path / "out.vcf.gz", "--report", "auto"]
    arguments = ["impute", cohort / "in.vcf.gz", "--popmap", cohort / "pops.popmap", *outputs, *TINY_FLAGS]
    done(imputevae(*arguments))
    page = (tmp_path / "out.report.html").read_text(encoding="utf-8")
    outline = Outline(page)
    outline.fetches_nothing()
    missing = int((read_vcf(cohort / "in.vcf.gz").calls < 0).sum())
    assert f"{missing:,} missing calls filled" in text_of(page)
    assert "--report auto" in text_of(page)
    assert str(tmp_path / "out.vcf.gz") in text_of(page)
    finished = done(imputevae(*arguments, "--resume"))
    assert b"was finished before" in finished.stderr


def test_a_report_overwrites_nothing_and_is_no_stream(cohort, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    refused(
        imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", "--report", tmp_path / "mine.html"),
        2,
        "mine.html: exists",
    )
    assert names(tmp_path) == ["mine.html"]
    refused(imputevae("impute", cohort / "in.vcf", "-o", "-", "--report", "auto"), 2, "give --report a file name")
    refused(
        imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", "--report", "-"), 2, "not for standard output"
    )
    same = ["-o", tmp_path / "o.vcf", "--report", tmp_path / "o.vcf"]
    refused(imputevae("impute", cohort / "in.vcf", *same), 2, "would be written as -o and as --report")


def test_without_a_report_nothing_of_pages_is_imported(cohort, tmp_path):
    script = (
        "import sys; sys.argv[0] = 'imputevae'\n"
        "from imputevae_cli.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code\n"
        "print([name for name in ('jinja2', 'matplotlib', 'imputevae_cli.report.page') if name in sys.modules])"
    )
    arguments = ["impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", *TINY_FLAGS]
    words = [sys.executable, "-c", script, *map(str, arguments)]
    run = subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)
    assert run.stdout.strip() == "[]", run.stderr
