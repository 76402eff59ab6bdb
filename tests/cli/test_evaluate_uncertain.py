"""`imputevae evaluate` where calls are uncertain: from the text of a VCF to the report."""

import json
from types import SimpleNamespace

import cyvcf2
import numpy as np
import pytest
from conftest import TINY_FLAGS, imputevae, simulate, vcf_of
from test_evaluate_cli import rows
from vcf_maker import HEADER, columns, record

HEAD = HEADER + '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'
LEVELS = ["0", "1", "2", "3-4", "5-9", "10-19", "20+"]


def cell(n_ref, n_alt):
    """GT:AD:PL of reads with an error rate of .01."""
    logs = np.log10([0.99**n_ref * 0.01**n_alt, 0.5 ** (n_ref + n_alt), 0.01**n_ref * 0.99**n_alt])
    phred = np.rint(-10 * (logs - logs.max())).astype(int)
    if not n_ref + n_alt:
        return "./.:0,0:."
    return f"{('0/0', '0/1', '1/1')[phred.argmin()]}:{n_ref},{n_alt}:{','.join(map(str, phred))}"


@pytest.fixture(scope="module")
def low_depth(tmp_path_factory):
    """Paths of a file of some two reads a cell, of the truth behind it, and of the populations; reads and truth."""
    folder = tmp_path_factory.mktemp("uncertain")
    genotypes, truth = simulate(48, 60, missing=0.0, seed=3)
    rng = np.random.default_rng(1)
    reads = rng.poisson(2.0, truth.shape)
    alt = rng.binomial(reads, np.array([0.01, 0.5, 0.99])[truth])
    at = genotypes.loci
    lines = [
        record(
            [cell(n - k, k) for n, k in zip(reads[:, j], alt[:, j], strict=True)],
            at.chrom[j], at.pos[j], at.ref[j], at.alt[j], fmt="GT:AD:PL",
        )
        for j in range(60)
    ]  # fmt: skip
    (folder / "in.vcf").write_text(HEAD + columns(genotypes.samples) + "".join(lines))
    known = np.where(np.arange(48)[:, None] < 40, truth, np.int8(-1))  # eight samples are not known
    (folder / "truth.vcf").write_text(vcf_of(genotypes.with_calls(known.astype(np.int8))))
    names = zip(genotypes.samples, genotypes.populations, strict=True)
    (folder / "pops.popmap").write_text("".join(f"{sample}\t{population}\n" for sample, population in names))
    return SimpleNamespace(folder=folder, reads=reads, truth=truth, known=known, samples=genotypes.samples, loci=at)


def evaluated(case, folder, *more):
    """The report, and what was said on standard error."""
    run = imputevae(
        "evaluate", case.folder / "in.vcf", "--popmap", case.folder / "pops.popmap", "-o", folder, "--threads", 1,
        *TINY_FLAGS, *more,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()
    return json.loads((folder / "report.json").read_text()), run.stderr.decode()


@pytest.fixture(scope="module")
def by_reads(low_depth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_reads") / "out"
    return folder, *evaluated(low_depth, folder, "--draws", 2, "--mask-file", folder.parent / "mask.tsv.gz")


@pytest.fixture(scope="module")
def by_truth(low_depth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_truth") / "out"
    return folder, *evaluated(low_depth, folder, "--truth", low_depth.folder / "truth.vcf", "--draws", 3)


def depth_rows(report, method="model"):
    return [row for row in report["strata"] if row["stratum"] == "depth" and row["method"] == method]


def test_hidden_calls_are_scored_by_their_reads_and_are_not_called_the_truth(by_reads):
    folder, report, error = by_reads
    assert report["masking"]["scored_by"] == "reads"
    assert report["input"]["evidence"].startswith("likelihoods from PL")
    for method, figures in report["metrics"].items():
        has_probabilities = method not in ("mode", "population_mode")
        assert not {"concordance", "nrd", "log_loss", "dosage_r2"} & figures.keys()
        assert ("read_loss" in figures) == has_probabilities
        assert 0 < figures["estimated_concordance"]["value"] < 1
    assert not {row["stratum"] for row in report["strata"]} & {"class", "maf x class"}
    assert not any(report["confusion"].values())
    page = (folder / "report.html").read_text()
    assert "Log loss of the reads" in page
    assert "compared with their reads" in page
    assert "read loss" in error
    assert "hidden_call" in rows(folder / "masked_cells.tsv.gz")[0]


def test_the_score_is_how_likely_the_hidden_reads_are(by_reads, low_depth):
    """From the table of cells and the file's own PL."""
    folder, report, _ = by_reads
    phred = {
        (record.CHROM, record.POS): record.format("PL").astype(float)
        for record in cyvcf2.VCF(str(low_depth.folder / "in.vcf"))
    }
    row_of = {sample: i for i, sample in enumerate(low_depth.samples)}
    losses = []
    for row in rows(folder / "masked_cells.tsv.gz"):
        gp = np.clip([float(row[f"gp{g}"]) for g in range(3)], 1e-3, 1)
        values = phred[row["chrom"], int(row["pos"])][row_of[row["sample"]]]
        losses.append(-np.log(gp / gp.sum() @ 10 ** (-values / 10)))
    assert len(losses) == report["masking"]["cells"]
    assert np.mean(losses) == pytest.approx(report["metrics"]["model"]["read_loss"]["value"], abs=1e-4)
    span = report["metrics"]["model"]["read_loss"]
    assert span["low"] < span["value"] < span["high"]


def test_a_hidden_cell_says_nothing_to_the_model(by_reads, low_depth, tmp_path):
    """Other reads in the hidden cells, and the same guesses; error rates are those of the whole file, so PL it is."""
    folder, _, _ = by_reads
    hidden = {(row["chrom"], row["pos"], row["sample"]) for row in rows(folder / "masked_cells.tsv.gz")}
    lines = []
    for line in (low_depth.folder / "in.vcf").read_text().splitlines():
        parts = line.split("\t")
        if not line.startswith("#"):
            for i, sample in enumerate(low_depth.samples):
                if (parts[0], parts[1], sample) in hidden:
                    parts[9 + i] = cell(0, 9)
        lines.append("\t".join(parts) + "\n")
    (tmp_path / "in.vcf").write_text("".join(lines))
    other = SimpleNamespace(folder=tmp_path)
    (tmp_path / "pops.popmap").write_text((low_depth.folder / "pops.popmap").read_text())
    flags = ("--mask-file", folder.parent / "mask.tsv.gz", "--likelihoods", "PL")
    report, _ = evaluated(low_depth, tmp_path / "before", *flags)
    again, _ = evaluated(other, tmp_path / "after", *flags)
    first, second = (rows(tmp_path / name / "masked_cells.tsv.gz") for name in ("before", "after"))
    assert [row["gp1"] for row in first] == [row["gp1"] for row in second]
    assert again["metrics"]["model"]["read_loss"]["value"] != report["metrics"]["model"]["read_loss"]["value"]


def test_hidden_cells_are_counted_by_depth(by_reads, low_depth):
    folder, report, _ = by_reads
    place = {
        (chrom, str(pos)): j
        for j, (chrom, pos) in enumerate(zip(low_depth.loci.chrom, low_depth.loci.pos, strict=True))
    }
    row_of = {sample: i for i, sample in enumerate(low_depth.samples)}
    depth = [
        low_depth.reads[row_of[row["sample"]], place[row["chrom"], row["pos"]]]
        for row in rows(folder / "masked_cells.tsv.gz")
    ]
    found = {row["level"]: row["n"] for row in depth_rows(report)}
    assert list(found) == LEVELS[1 : 1 + len(found)]  # a call that shows has reads
    assert found["1"] == depth.count(1)
    assert found["3-4"] == depth.count(3) + depth.count(4)
    assert all(row["read_loss"] is not None and row["concordance"] is None for row in depth_rows(report))
    table = [row for row in rows(folder / "strata.tsv") if row["stratum"] == "depth" and row["method"] == "model"]
    assert [int(row["n"]) for row in table] == list(found.values())
    page = (folder / "report.html").read_text()
    assert "How does it fare by depth?" in page
    assert "expected accuracy" in page


def test_repeats_pool_their_cells_and_have_a_spread(low_depth, tmp_path):
    report, _ = evaluated(low_depth, tmp_path / "out", "--repeats", 2, "--prop", "0.05")
    assert report["masking"]["cells"] == sum(row["n"] for row in depth_rows(report))
    for name in ("read_loss", "estimated_concordance", "estimated_nrd", "estimated_ece"):
        assert report["metrics"]["model"][name]["spread"] > 0


def test_with_a_truth_every_cell_that_it_knows_is_scored(by_truth, low_depth):
    folder, report, _ = by_truth
    assert report["masking"]["scored_by"] == "truth"
    cells = rows(folder / "masked_cells.tsv.gz")
    assert len(cells) == report["masking"]["cells"] == (low_depth.known >= 0).sum()
    figures = {name: one["value"] for name, one in report["metrics"]["model"].items()}
    assert figures["concordance"] == pytest.approx(np.mean([row["truth"] == row["call"] for row in cells]))
    assert {"nrd", "dosage_r2", "log_loss", "ece"} <= figures.keys()
    assert "read_loss" not in figures
    # Visible calls are refined, so that each call is the likeliest genotype
    assert all(int(np.argmax([float(row[f"gp{g}"]) for g in range(3)])) == int(row["call"]) for row in cells)


def test_depth_with_a_truth_has_accuracy_and_what_was_promised(by_truth, low_depth):
    _, report, _ = by_truth
    depths = low_depth.reads[low_depth.known >= 0]
    found = {row["level"]: row for row in depth_rows(report)}
    assert found["0"]["n"] == (depths == 0).sum()
    assert found["5-9"]["n"] == ((depths >= 5) & (depths < 10)).sum()
    for row in found.values():
        assert 0 <= row["nrd"] <= 1
        assert 1 / 3 < row["expected_accuracy"] <= 1
    assert found["3-4"]["concordance"] > found["0"]["concordance"]


def test_frequencies_are_multiplied_with_the_likelihoods_of_the_cell(by_truth):
    """Read frequencies alone know nothing of depth; times likelihoods they are better the deeper a cell is."""
    _, report, _ = by_truth
    found = {row["level"]: row["concordance"] for row in depth_rows(report, "population_frequencies")}
    assert found["0"] < found["1"] < found["3-4"]
    raw = {row["level"]: row["concordance"] for row in depth_rows(report, "mode")}
    assert found["1"] > raw["1"]  # which leaves the visible calls as they are


def test_a_file_is_scored_on_the_same_cells_with_the_same_figures(by_truth, low_depth, tmp_path):
    """`impute --refine` and `evaluate --imputed`, or `evaluate --truth` alone."""
    _, expected, _ = by_truth
    given, popmap = low_depth.folder / "in.vcf", low_depth.folder / "pops.popmap"
    run = imputevae(
        "impute", given, "--popmap", popmap, "-o", tmp_path / "out.vcf", "--refine", "--threads", 1, *TINY_FLAGS
    )
    assert run.returncode == 0, run.stderr.decode()
    report, _ = evaluated(
        low_depth, tmp_path / "out", "--imputed", tmp_path / "out.vcf", "--truth", low_depth.folder / "truth.vcf"
    )
    assert report["masking"]["cells"] == expected["masking"]["cells"]
    for name in ("concordance", "nrd", "dosage_r2", "log_loss", "ece"):
        theirs, ours = (one["metrics"]["model"][name]["value"] for one in (report, expected))
        assert theirs == pytest.approx(ours, abs=1e-6), name
    assert "visible calls, as uncertain calls may be" in " ".join(report["verdict"]["sentences"])


def test_draws_stand_beside_the_likeliest_genotypes_and_the_truth(by_truth):
    folder, report, error = by_truth
    draws = report["bias"]["draws"]
    assert draws["n"] == 3
    found = {row["statistic"]: row for row in draws["rows"]}
    assert set(found) == {"ho", "he", "fis", "fst", "monomorphic", "rare"}
    for row in found.values():
        assert None not in row.values()
    means = [row["drawn"]["he"] for row in report["bias"]["heterozygosity"]]
    assert found["he"]["drawn"] == pytest.approx(np.mean(means), abs=1e-6)
    page = (folder / "report.html").read_text()
    assert "The likeliest genotypes, or draws?" in page
    assert "mean of 3 draws" in page
    assert "mean of 3 draws" in error


def test_draws_without_a_truth_have_none_to_stand_beside(by_reads):
    folder, report, _ = by_reads
    assert all(row["truth"] is None and row["drawn"] is not None for row in report["bias"]["draws"]["rows"])
    assert report["bias"]["views"] == ["visible", "imputed", "drawn"]
    assert report["bias"]["pca"] is None
    assert "no truth to compare with" in (folder / "report.html").read_text()


def test_a_truth_that_is_itself_uncertain_is_scored_by_its_reads(by_reads, low_depth, tmp_path):
    """The file with hidden calls, imputed by any tool, and the whole file in place of a truth."""
    folder, expected, _ = by_reads
    popmap = ("--popmap", low_depth.folder / "pops.popmap")
    masked = tmp_path / "masked.vcf"
    evaluated(low_depth, tmp_path / "first", "--mask-file", folder.parent / "mask.tsv.gz", "--write-masked", masked)
    run = imputevae("impute", masked, *popmap, "-o", tmp_path / "out.vcf", "--threads", 1, *TINY_FLAGS)
    assert run.returncode == 0, run.stderr.decode()
    run = imputevae(
        "evaluate", masked, *popmap, "--imputed", tmp_path / "out.vcf", "--truth", low_depth.folder / "in.vcf",
        "--json", "-",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()
    assert "expected to be wrong by PL, so calls are scored by its reads" in run.stderr.decode()
    report = json.loads(run.stdout)
    assert report["masking"]["scored_by"] == "reads"
    theirs, ours = (one["metrics"]["model"]["read_loss"]["value"] for one in (report, expected))
    assert theirs == pytest.approx(ours, abs=2e-3)
