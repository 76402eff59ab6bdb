"""What MultiQC finds of an evaluation."""

import json

import pytest
from conftest import simulate
from report_maker import example_report

from imputevae_cli.errors import OutputError
from imputevae_cli.report.multiqc import write_multiqc, write_multiqc_general


@pytest.fixture(scope="module")
def report():
    return example_report(*simulate(20, 60))


def test_a_table_with_a_row_a_method(report, tmp_path):
    write_multiqc(tmp_path / "imputevae_mqc.json", report)
    section = json.loads((tmp_path / "imputevae_mqc.json").read_text())
    assert section["id"] == "imputevae"
    assert section["plot_type"] == "table"
    rows = section["data"]
    assert list(rows)[:2] == ["cohort.vcf.gz", "Commonest genotype, cohort.vcf.gz"]
    assert len(rows) == len(report["methods"])
    assert rows["cohort.vcf.gz"]["nrd"] == round(report["metrics"]["model"]["nrd"]["value"], 6)
    assert all(set(row) <= set(section["headers"]) for row in rows.values())


def test_general_statistics_of_the_model_alone(report, tmp_path):
    write_multiqc_general(tmp_path / "imputevae_general_mqc.json", report)
    section = json.loads((tmp_path / "imputevae_general_mqc.json").read_text())
    assert section["plot_type"] == "generalstats"
    assert list(section["data"]) == ["cohort.vcf.gz"]
    assert set(section["data"]["cohort.vcf.gz"]) == set(section["headers"])


def test_another_tools_file_has_a_row_of_its_own(report, tmp_path):
    theirs = {**report, "model": {"source": "file", "name": "out/beagle.vcf.gz"}}
    write_multiqc(tmp_path / "imputevae_mqc.json", theirs)
    assert next(iter(json.loads((tmp_path / "imputevae_mqc.json").read_text())["data"])) == "beagle.vcf.gz"


def test_figures_that_are_undefined_are_left_out(report, tmp_path):
    poorer = {
        **report,
        "metrics": {**report["metrics"], "model": {"nrd": {"value": None}, "iqs": {"value": float("nan")}}},
    }
    write_multiqc(tmp_path / "imputevae_mqc.json", poorer)
    assert "cohort.vcf.gz" not in json.loads((tmp_path / "imputevae_mqc.json").read_text())["data"]


def test_a_folder_that_is_not_there_is_one_line(report, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_multiqc(tmp_path / "nowhere" / "imputevae_mqc.json", report)
