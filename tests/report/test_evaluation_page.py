"""The page of an evaluation: complete, offline, the same bytes each time, and honest at the top."""

import copy
import json
import re

import numpy as np
import pytest
from conftest import simulate
from page_outline import Outline, text_of
from report_maker import example_report

from imputevae_cli.report.evaluation_page import render_html, write_html
from imputevae_cli.report.verdict import HEADLINES, verdict


@pytest.fixture(scope="module")
def report():
    genotypes, truth = simulate(45, 150, missing=0.25)
    made = example_report(genotypes, truth, parts="global 60 %, donors 40 %")
    made["metrics"]["model"]["ece"]["value"] = 0.01
    for row in made["strata"]:
        row["dosage_r2"] = 0.9 if row["method"] == "model" else 0.5
    return json.loads(json.dumps(made, allow_nan=False))


@pytest.fixture(scope="module")
def page(report):
    return render_html(report)


def changed(report, **parts):
    return {**copy.deepcopy(report), **parts}


def test_the_page_is_one_small_file_that_fetches_nothing(page):
    assert len(page) < 1_000_000
    Outline(page).fetches_nothing()


def test_ids_are_unique_and_every_link_in_the_page_has_its_target(page):
    tags = Outline(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for _, attributes in tags if attributes.get("href", "").startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page))
    targets |= {attributes["aria-labelledby"] for _, attributes in tags if "aria-labelledby" in attributes}
    assert targets <= set(ids)


def test_every_picture_has_its_words(page):
    outline = Outline(page)
    pictures = [attributes for attributes in outline.all("div") if attributes.get("role") == "img"]
    assert len(pictures) == len(outline.all("figure")) == page.count("<figcaption>")
    assert len(pictures) >= 16
    assert all(len(attributes["aria-label"]) > 40 for attributes in pictures)


def test_the_same_report_gives_the_same_bytes(report, page, tmp_path):
    write_html(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert "<dc:date>" not in page


def test_the_figures_of_the_report_are_on_the_page(report, page):
    text = text_of(page)
    for method in report["methods"]:
        for metric in ("concordance", "nrd", "log_loss"):
            assert f"{report['metrics'][method][metric]['value']:.4f}" in text
    assert report["software"]["command"] in text
    assert "global 60 %, donors 40 %" in text
    for sentence in report["bias"]["sentences"]:
        assert sentence in text


def test_a_good_model_is_trusted_in_words(report, page):
    assert verdict(report).level == "yes"
    text = text_of(page)
    assert text.index("Yes, the imputed calls can be trusted") < text.index("The model beside simple methods")
    assert "better than every simple method on all" in text


def test_a_loss_to_a_baseline_is_said_first(report):
    lost = {"method": "population_mode", "metric": "nrd", "model": 0.5, "baseline": 0.4}
    found = verdict(changed(report, verdict={"loses_to": [lost]}))
    assert found.level == "no"
    assert "A simple method does better" in found.reasons[0]
    assert "0.400 in NRD, the model 0.500" in found.reasons[0]
    told = verdict(changed(report, verdict={"sentences": ["The model loses."], "loses_to": [lost]}))
    assert told.level == "no"
    assert told.reasons[0] == "The model loses."
    page = render_html(changed(report, verdict={"sentences": [], "loses_to": [lost]}))
    headline, reason = page.index("No, a simple method fills in"), page.index("A simple method does better")
    assert headline < reason < page.index('<div class="cards">')
    narrow = verdict(changed(report, verdict={"loses_to": [{**lost, "model": 0.403}]}))
    assert narrow.level == "care"
    assert "A simple method does better" in narrow.reasons[0]


@pytest.mark.parametrize(
    ("metric", "value", "level"),
    [
        ("nrd", 0.3, "care"),
        ("skill_r2", 0.3, "care"),
        ("ece", 0.1, "care"),
        ("skill_r2", -0.1, "no"),
        ("skill_r2", 0.0, "no"),
    ],
)
def test_poor_figures_lower_the_level(report, metric, value, level):
    worse = changed(report)
    worse["metrics"]["model"][metric]["value"] = value
    assert verdict(worse).level == level
    assert verdict(worse).headline == HEADLINES[level]


def test_weak_spots_are_named_without_changing_the_level(report):
    weak = changed(report)
    for row in weak["strata"]:
        if row["method"] == "model" and row["stratum"] == "maf":
            row["dosage_r2"] = 0.2
        if row["method"] == "model" and row["level"] == "pop1":
            row.update(nrd=0.9, nrd_low=0.8)
    found = verdict(weak)
    assert found.level == "yes"
    assert any("Rare alleles are filled in poorly" in reason for reason in found.reasons)
    assert any("“pop1” is filled in worse" in reason for reason in found.reasons)


def test_without_baselines_there_is_nothing_to_compare_with(report):
    alone = changed(report, methods=["model"], metrics={"model": report["metrics"]["model"]})
    assert verdict(alone).level == "care"
    assert "nothing to compare with" in text_of(render_html(alone))


def test_whatever_is_missing_is_left_out(report):
    for key in report:
        Outline(render_html({**report, key: None}))
        Outline(render_html({other: part for other, part in report.items() if other != key}))
    bare = text_of(render_html({"schema_version": 1}))
    assert "nothing to compare with" in bare
    assert "None" not in bare
    assert "nan" not in bare


def test_figures_that_are_null_become_dashes(report):
    def emptied(thing):
        if isinstance(thing, dict):
            return {key: emptied(inner) for key, inner in thing.items()}
        if isinstance(thing, list):
            return [emptied(inner) for inner in thing]
        return None if isinstance(thing, float) else thing

    kept = {key: report[key] for key in ("curves", "calibration")}
    Outline(render_html({**emptied(report), **kept, "bias": None}))


def test_haploid_samples_without_populations(tmp_path):
    genotypes, truth = simulate(30, 80, ploidy=1, popmap=False)
    page = render_html(example_report(genotypes, truth))
    outline = Outline(page)
    assert "inbreeding-title" not in page
    assert "hom. ALT" not in page
    assert {"confusion-title", "pca-missingness-imputed-title"} <= {tag.get("id") for tag in outline.all("h3")}


def test_names_from_the_data_cannot_break_the_page(report):
    odd = changed(report)
    odd["input"]["name"] = "folder/<script>alert(1).vcf"
    odd["samples"][0]["population"] = odd["samples"][0]["sample"] = r"$\foo$ & <b>北"
    odd["samples"][1]["population"] = "_hidden"
    odd["samples"][0]["concordance"] = 0.0
    page = render_html(odd)
    assert not Outline(page).all("script")
    assert "&lt;script&gt;alert(1)" in page
    legend = page[page.index('id="by-sample-title"') :]
    legend = legend[: legend.index("</figure>")]
    assert all(name in legend for name in (r"$\foo$ &amp; &lt;b&gt;北</li>", "_hidden</li>"))


def test_many_samples_still_make_a_small_page(report):
    rng = np.random.default_rng(0)
    many = changed(report)
    n = 2000
    many["samples"] = [
        {
            "sample": f"s{i}",
            "population": f"p{i % 40}",
            "missing_share": x,
            "n": 9,
            "concordance": y,
            "nrd": y,
            "log_loss": y,
        }
        for i, (x, y) in enumerate(rng.random((n, 2)).tolist())
    ]
    many["bias"]["pca"] |= {
        "coordinates": {view: rng.normal(size=(n, 2)).tolist() for view in ("truth", "visible", "imputed")},
        "missing": rng.random(n).tolist(),
        "populations": [f"p{k}" for k in range(40)],
        "codes": (np.arange(n) % 40).tolist(),
    }
    page = render_html(many)
    Outline(page)
    assert len(page) < 2_000_000


def test_another_tools_file_goes_by_its_name(report):
    theirs = changed(report, model={"source": "file", "name": "folder/beagle.vcf.gz", "probabilities": "GT"})
    text = text_of(render_html(theirs))
    assert "beagle.vcf.gz" in text
    assert "folder" not in text.replace("folder/beagle.vcf.gz)", "")
    assert "the file has calls alone" in text
