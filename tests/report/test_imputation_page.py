"""The report of a run: one file, offline, with the numbers of the run."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import simulate, tiny_config
from page_outline import Outline, text_of

from imputevae_cli import ImputeVAE, write_report
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.evidence_report import EvidenceReport
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.errors import OutputError
from imputevae_cli.report.imputation_page import render_report
from imputevae_cli.report.run import Run
from imputevae_cli.scoring.filled import Filled

FIGURES = {
    "expected", "thresholds", "confidence", "info", "missing-populations", "missing-samples", "missing-loci",
    "confidence-samples", "frequency-shift", "spectrum", "observed-heterozygosity", "expected-heterozygosity",
    "inbreeding", "pca-population-visible", "pca-population-imputed", "pca-missingness-visible",
    "pca-missingness-imputed",
}  # fmt: skip
"""Of diploid genotypes with populations."""
LEFT = "missing-populations-after"
"""Where calls are left missing."""


def fitted(genotypes, **how):
    model = ImputeVAE(tiny_config(model__decoder="frequencies")).fit(genotypes)
    return model, model.transform(**how)


def page_of(model, imputed):
    return render_report(
        Run(model, imputed, Filled(imputed.genotypes).complete(imputed)), ["out.vcf"], "imputevae impute x"
    )


def names(outline):
    return {attributes["download"].removesuffix(".csv") for attributes in outline.all("a") if "download" in attributes}


@pytest.fixture(scope="module")
def run():
    genotypes, _ = simulate(45, 150, missing=0.25)
    calls = genotypes.calls.copy()
    calls[7] = MISSING
    return fitted(genotypes.with_calls(calls))


@pytest.fixture(scope="module")
def page(run):
    return page_of(*run)


def test_it_is_one_small_file_that_fetches_nothing(page):
    outline = Outline(page)
    outline.fetches_nothing()
    assert len(page) < 1_000_000
    assert names(outline) == FIGURES | {LEFT}
    pictures = [attributes for attributes in outline.all("div") if attributes.get("role") == "img"]
    assert len(pictures) == len(FIGURES) + 1
    assert all(len(attributes["aria-label"]) > 40 for attributes in pictures)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for a in outline.all("a") if a["href"].startswith("#")}
    assert links <= set(ids)


def test_the_numbers_are_those_of_the_run(run, page):
    model, imputed = run
    text, before = text_of(page), imputed.genotypes.calls == MISSING
    assert f"{imputed.imputed.sum():,} missing calls filled" in text
    assert f"{100 * before.mean():.1f}% of all calls were missing" in text
    assert f"{100 * model.expected.model.concordance:.1f}% of the filled calls are expected to be right" in text
    assert f"{model.expected.baseline.nrd:.4f}" in text
    assert f"{model.expected.low.concordance:.4f} to {model.expected.high.concordance:.4f}" in text
    assert "imputevae impute x" in text
    assert "genotype frequencies, as model.decoder=frequencies asks for" in text
    assert "150 calls left missing" in text


def test_the_data_of_figures_are_those_of_the_run(run, page):
    model, imputed = run
    outline, genotypes = Outline(page), imputed.genotypes
    before, after = genotypes.calls == MISSING, imputed.calls == MISSING
    rows = outline.figure("missing-samples")
    for column, missing in (("before", before), ("after", after)):
        expected = np.histogram(missing.mean(1), np.linspace(0, 1, 11))[0]
        assert [int(row[column]) for row in rows] == expected.tolist()
    sure = imputed.gp.max(2)[before & imputed.gp.any(2)]
    counts = [int(row["calls that were missing"]) for row in outline.figure("confidence")]
    thousandths = np.rint(1000 * sure).astype(int)
    assert counts == np.histogram(thousandths, [*range(0, 1000, 50), 1001])[0].tolist()
    points = {row["sample"]: float(row["mean_probability"]) for row in outline.figure("confidence-samples")}
    assert set(points) == set(genotypes.samples) - {"s07"}
    assert points["s03"] == pytest.approx(imputed.gp.max(2)[3][before[3]].mean(), abs=1e-5)
    shift = outline.figure("frequency-shift")[4]
    assert shift["locus"] == "1:140"
    assert float(shift["imputed"]) == pytest.approx(np.delete(imputed.calls[:, 4], 7).mean() / 2, abs=1e-5)
    share = [row for row in outline.figure("missing-populations") if row["population"] == "pop1"]
    assert np.mean([float(row["missing"]) for row in share]) == pytest.approx(
        before[genotypes.populations == "pop1"].mean(), abs=0.02
    )
    left = [float(row["missing"]) for row in outline.figure(LEFT) if row["population"] == "pop1"]
    assert left == pytest.approx([1 / 15] * len(left), abs=1e-5), "one of 15 samples has no call"
    curve = outline.figure("thresholds")
    assert [float(row["accuracy"]) for row in curve] == pytest.approx(
        [p.accuracy for p in model.confidence_curve], abs=1e-5
    )


def test_the_least_sure_samples_are_named(run, page):
    _, imputed = run
    before = imputed.genotypes.calls == MISSING
    means = np.array(
        [gp[row].mean() if i != 7 else 9 for i, (gp, row) in enumerate(zip(imputed.gp.max(2), before, strict=True))]
    )
    worst = imputed.genotypes.samples[int(means.argmin())]
    assert f"least sure of the calls that it filled in {worst}" in text_of(page)


def test_fills_that_misstate_frequencies_are_told(run):
    model, imputed = run
    filled = Filled(imputed.genotypes).complete(imputed)
    assert filled.bias.is_clear
    text = text_of(render_report(Run(model, imputed, filled)))
    assert f"Filled genotypes misstate allele frequencies: {filled.bias.in_words()}" in text
    assert "--draws" in text


@pytest.mark.parametrize("ploidy", [1, 4])
def test_haploids_and_polyploids_without_populations(ploidy):
    genotypes, _ = simulate(30, 80, ploidy=ploidy, popmap=False)
    outline = Outline(page_of(*fitted(genotypes)))
    left_out = {"pca-population-visible", "pca-population-imputed"}
    if ploidy == 1:
        left_out |= {"observed-heterozygosity", "inbreeding"}
    assert names(outline) == FIGURES - left_out
    assert {row["population"] for row in outline.figure("missing-populations")} == {"all samples"}


def test_one_population_and_two_samples_and_names_that_are_code():
    genotypes, _ = simulate(30, 80, n_populations=1)
    genotypes = replace(genotypes, populations=np.array(["<script>x</script>"] * 30, object))
    page = page_of(*fitted(genotypes))
    Outline(page).fetches_nothing()
    assert "&lt;script&gt;x" in page
    model, _ = fitted(genotypes)
    few = replace(genotypes, calls=genotypes.calls[:2], samples=("s00", "s01"), populations=genotypes.populations[:2])
    assert "pca-missingness-visible" not in names(Outline(page_of(model, model.transform(few))))


def test_many_samples_and_loci_still_make_a_small_page():
    genotypes, _ = simulate(1200, 1100, n_populations=40, missing=0.1)
    some = np.arange(1200) < 60
    few = replace(
        genotypes,
        calls=genotypes.calls[some],
        samples=genotypes.samples[:60],
        populations=genotypes.populations[some],
    )
    model, _ = fitted(few)
    page = page_of(model, model.transform(genotypes))
    assert len(page) < 2_000_000
    outline = Outline(page)
    assert len(outline.figure("frequency-shift")) == len(outline.figure("pca-population-imputed")) == 1000
    assert "1,000 of the 1,200 samples are drawn" in text_of(page)
    assert "1,000 of the 1,200 samples, and 1,100 loci, evenly spaced" in text_of(page)


def test_nothing_missing():
    genotypes, truth = simulate(30, 80)
    model, _ = fitted(genotypes)
    text = page_of(model, model.transform(genotypes.with_calls(truth)))
    assert not {"confidence", "info", "confidence-samples"} & names(Outline(text))
    assert "0 missing calls filled" in text_of(text)


def test_calls_of_low_depth():
    genotypes, _ = simulate(30, 80)
    report = EvidenceReport("AD", True, "likelihoods from AD", 1, 1, median_depth=2.0, depths=(5, 7, 0, 1))
    evidence = Evidence.certain(genotypes.calls, error=0.1)
    model, imputed = fitted(replace(genotypes, evidence=evidence, evidence_report=report), refine=True)
    page = page_of(model, imputed)
    outline = Outline(page)
    assert names(outline) == FIGURES | {"depths", "visible-confidence", "refined"}
    assert [int(row["cells"]) for row in outline.figure("depths")][:4] == [5, 7, 0, 1]
    was, now = genotypes.calls, imputed.calls
    moved = outline.figure("refined")
    assert int(moved[0]["het."]) == ((was == 0) & (now == 1)).sum()
    assert "median depth 2" in text_of(page)
    assert f"{((was != now) & (was != MISSING)).sum():,} visible calls rewritten" in text_of(page)


def test_it_is_written_whole_and_overwrites_nothing(run, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, *run)
    text = path.read_text(encoding="utf-8")
    Outline(text)
    with pytest.raises(OutputError, match="exists already; give --force"):
        write_report(path, *run)
    write_report(path, *run, force=True)
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OutputError, match="there is no folder"):
        write_report(tmp_path / "none" / "report.html", *run)
