"""A reference panel from the command line: packing, filling, evaluating. What is filled is compared with the truth."""

import gzip
import json
import shutil
import signal

import numpy as np
import panel_files
import pysam.bcftools
import pytest
from conftest import imputevae
from vcf_maker import HEADER, record, vcf, write

import imputevae_cli.panels.merging  # noqa: F401  # once, before the command forks off


@pytest.fixture(scope="module")
def files():
    return panel_files.make()


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory):
    """panel.vcf.gz, unphased.vcf.gz, chip.vcf.gz and a packed panel.ivae; not to be written to."""
    folder = tmp_path_factory.mktemp("panel")
    write(folder / "panel.vcf.gz", files.panel(), "bgzf")
    write(folder / "unphased.vcf.gz", files.panel("/"), "bgzf")
    write(folder / "chip.vcf.gz", files.chip(missing={(0, int(files.typed[3])), (2, int(files.typed[9]))}), "bgzf")
    run("train", folder / "panel.vcf.gz", "--as-panel", "-o", folder / "panel.ivae")
    return folder


def run(*arguments, code=0):
    done = imputevae(*arguments, "--threads", 1)
    assert done.returncode == code, done.stderr.decode()
    return done.stderr.decode()


def lines_of(path) -> list[list[str]]:
    """The records of a file that bcftools can read, their columns as they are written."""
    pysam.bcftools.view("-h", str(path))
    data = path.read_bytes()
    text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    return [line.split("\t") for line in text.decode().splitlines() if not line.startswith("#")]


def calls_of(lines) -> np.ndarray:
    """int (samples, loci)."""
    counts = [[cell.split(":")[0].replace("|", "/") for cell in line[9:]] for line in lines]
    return np.array([[-1 if "." in gt else gt.count("1") for gt in row] for row in counts]).T


def test_all_loci_of_the_panel_are_written_in_order(folder, files, tmp_path):
    out = tmp_path / "out.vcf.gz"
    said = run("impute", folder / "chip.vcf.gz", "--model", folder / "panel.ivae", "--add-loci", "-o", out)
    lines = lines_of(out)
    assert [int(line[1]) for line in lines] == files.pos.tolist()
    assert [line[3:5] for line in lines] == [list(pair) for pair in zip(files.ref, files.alt, strict=True)]
    typed = np.isin(np.arange(len(lines)), files.typed)
    assert ["TYPED" in line[7].split(";") for line in lines] == typed.tolist()
    assert all("DR2=" in line[7] for line in lines)
    assert {line[8] for line in lines} == {"GT:GP:DS:IMP"}
    flags = np.array([[cell.rsplit(":", 1)[1] for cell in line[9:]] for line in lines]).T
    assert (flags[:, ~typed] == "1").all()
    assert (flags[:, typed] == "1").sum() == 2
    calls = calls_of(lines)
    assert np.array_equal(calls[:, typed], np.where(flags[:, typed] == "1", calls[:, typed], files.targets[:, typed]))
    assert (out.parent / "out.vcf.gz.tbi").is_file()
    assert "30 of 30 loci are in the panel" in said
    assert "Loci added" in said
    assert "90" in said


def test_what_is_filled_is_nearly_right(folder, files, tmp_path):
    run("impute", folder / "chip.vcf.gz", "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    calls = calls_of(lines_of(tmp_path / "o.vcf"))
    added = np.setdiff1d(np.arange(len(files.pos)), files.typed)
    assert (calls == files.targets)[:, added].mean() > 0.93


def test_one_step_gives_what_two_do(folder, tmp_path):
    chip = folder / "chip.vcf.gz"
    run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "two.vcf")
    run("impute", chip, "--panel", folder / "panel.vcf.gz", "-o", tmp_path / "one.vcf")
    run("impute", chip, "--panel", folder / "panel.ivae", "-o", tmp_path / "packed.vcf")
    assert lines_of(tmp_path / "one.vcf") == lines_of(tmp_path / "two.vcf") == lines_of(tmp_path / "packed.vcf")


def test_an_unphased_panel_is_phased(folder, files, tmp_path):
    said = run("train", folder / "unphased.vcf.gz", "--as-panel", "-o", tmp_path / "u.ivae")
    assert "found here: the file has none" in said
    run("impute", folder / "chip.vcf.gz", "--model", tmp_path / "u.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    calls = calls_of(lines_of(tmp_path / "o.vcf"))
    added = np.setdiff1d(np.arange(len(files.pos)), files.typed)
    assert (calls == files.targets)[:, added].mean() > 0.9


def test_regions_put_together_are_the_whole(folder, files, tmp_path):
    chip, how = folder / "chip.vcf.gz", ("--model", folder / "panel.ivae", "--add-loci", "--phased")
    run("impute", chip, *how, "-o", tmp_path / "whole.vcf")
    parts = []
    middle = int(files.pos[47])
    for number, region in enumerate((f"1:1-{middle}", f"1:{middle + 1}-{middle + 150}", f"1:{middle + 151}-")):
        run("impute", chip, *how, "--region", region, "-o", tmp_path / f"{number}.vcf")
        parts += lines_of(tmp_path / f"{number}.vcf")
    assert parts == lines_of(tmp_path / "whole.vcf")
    assert len(parts) == len(files.pos)
    assert all("/" not in cell for line in parts for cell in line[9:])


def test_a_region_without_typed_loci_is_filled(folder, files, tmp_path):
    """Between two of them."""
    first = int(files.typed[5]) + 1
    region = f"1:{files.pos[first]}-{files.pos[first + 1]}"
    how = ("--model", folder / "panel.ivae", "--add-loci", "--region", region)
    run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / "o.vcf")
    assert [int(line[1]) for line in lines_of(tmp_path / "o.vcf")] == files.pos[[first, first + 1]].tolist()


def test_the_same_seed_gives_the_same_file(folder, tmp_path):
    chip, how = folder / "chip.vcf.gz", ("--model", folder / "panel.ivae", "--add-loci")
    for name in ("a.bcf", "b.bcf"):
        run("impute", chip, *how, "-o", tmp_path / name)
    texts = [pysam.bcftools.view("-H", str(tmp_path / name)) for name in ("a.bcf", "b.bcf")]
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == 120


def test_sites_of_the_input_alone_pass_or_are_dropped(folder, files, tmp_path):
    own = [
        record(["0/1:7"] * 6, pos=1001, ref="A", alt="T", fmt="GT:DP"),
        record(["0/1"] * 6, pos=99_000, ref="A", alt="C,T"),
    ]
    chip = write(tmp_path / "chip.vcf", files.chip(*own))
    how = ("--model", folder / "panel.ivae", "--add-loci")
    said = run("impute", chip, *how, "-o", tmp_path / "o.vcf")
    lines = lines_of(tmp_path / "o.vcf")
    assert "Records of INPUT alone" in said
    assert len(lines) == 122
    assert [int(line[1]) for line in lines] == sorted([*files.pos.tolist(), 1001, 99_000])
    assert "\t".join(lines[1]) + "\n" == own[0]
    assert "\t".join(lines[-1]) + "\n" == own[1]
    run("impute", chip, *how, "--only-panel-loci", "-o", tmp_path / "only.vcf")
    assert [int(line[1]) for line in lines_of(tmp_path / "only.vcf")] == files.pos.tolist()


def test_a_record_without_any_call_gives_way_to_the_panels(folder, files, tmp_path):
    """And so does none that has calls, though the panel knows the locus by other alleles."""
    empty = record(["./."] * 6, pos=int(files.pos[2]), ref=files.ref[2], alt=files.alt[2])
    chip = write(tmp_path / "chip.vcf", files.chip(empty))
    run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    lines = lines_of(tmp_path / "o.vcf")
    assert [int(line[1]) for line in lines] == files.pos.tolist()
    assert (calls_of(lines) >= 0).all()


def test_a_chromosome_by_another_name_and_exchanged_alleles(folder, files, tmp_path):
    """Records are written as the input has them, with what the panel says in the input's coding."""
    how = ("--model", folder / "panel.ivae", "--add-loci")
    run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / "plain.vcf")
    text = (tmp_path / "chip.vcf").name
    exchanged = []
    for line in files.chip(missing={(0, int(files.typed[3])), (2, int(files.typed[9]))}).splitlines(keepends=True):
        if not line.startswith("#"):
            fields = line.rstrip("\n").split("\t")
            fields[0], fields[3], fields[4] = "chr1", fields[4], fields[3]
            swap = {"0/0": "1/1", "1/1": "0/0", "0/1": "0/1", "./.": "./."}
            line = "\t".join([*fields[:9], *(swap[cell] for cell in fields[9:])]) + "\n"
        exchanged.append(line)
    chip = write(tmp_path / text, "".join(exchanged))
    said = run("impute", chip, *how, "-o", tmp_path / "other.vcf")
    assert "chr1 is 1 there" in said
    assert "exchanged in the panel at 30 loci" in said
    plain, other = lines_of(tmp_path / "plain.vcf"), lines_of(tmp_path / "other.vcf")
    assert {line[0] for line in other} == {"chr1"}
    typed = np.isin(np.arange(120), files.typed)
    assert [line[3:] for line, own in zip(other, typed, strict=True) if not own] == [
        line[3:] for line, own in zip(plain, typed, strict=True) if not own
    ]
    calls = calls_of(plain)
    assert np.array_equal(calls_of(other), np.where(typed, 2 - calls, calls))


def test_one_target_is_enough(folder, files, tmp_path):
    run("impute", folder / "chip.vcf.gz", "--samples", "t4", "--model", folder / "panel.ivae", "--add-loci",
        "-o", tmp_path / "o.vcf")  # fmt: skip
    lines = lines_of(tmp_path / "o.vcf")
    assert len(lines) == 120
    assert {len(line) for line in lines} == {10}
    assert np.array_equal(calls_of(lines)[0, files.typed], files.targets[4, files.typed])


def test_doubtful_calls_are_left_missing(folder, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "--min-gp", "1")
    run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / "o.vcf")
    cells = [cell.split(":") for line in lines_of(tmp_path / "o.vcf") for cell in line[9:]]
    assert all((cell[0] == "./.") == ("1" not in cell[1].split(",")) for cell in cells)


def test_standard_output_takes_the_records(folder, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "-o")
    run("impute", folder / "chip.vcf.gz", *how, tmp_path / "o.vcf")
    done = imputevae("impute", folder / "chip.vcf.gz", *how, "-", "--threads", 1)
    assert done.returncode == 0
    lines = [line.split("\t") for line in done.stdout.decode().splitlines() if not line.startswith("#")]
    assert lines == lines_of(tmp_path / "o.vcf")


def test_other_kinds_have_all_loci_of_the_panel(folder, files, tmp_path):
    """In the coding of the input, with its known calls; what the input alone has is left out."""
    own = record(["0/1"] * 6, pos=1001, ref="A", alt="T")
    chip = write(tmp_path / "chip.vcf", files.chip(own))
    outputs = ("-o", tmp_path / "o.vcf", "-o", tmp_path / "o.012", "-o", tmp_path / "o.phy")
    said = run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "--only-panel-loci", *outputs)
    assert "loci of INPUT alone are left out: 1" in said
    matrix = np.loadtxt(tmp_path / "o.012", dtype=int)[:, 1:]
    assert np.array_equal(matrix, calls_of(lines_of(tmp_path / "o.vcf")))
    assert (tmp_path / "o.phy").read_text().startswith("6 120")
    one = run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "p.012")
    assert (tmp_path / "p.012").read_bytes() == (tmp_path / "o.012").read_bytes()
    for row in ("Loci added", "missing calls filled"):  # the counts are those of a VCF
        assert [line for line in one.splitlines() if row in line] == [line for line in said.splitlines() if row in line]


def test_draws_follow_the_probabilities(folder, files, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci")
    run("impute", folder / "chip.vcf.gz", *how, "--draws", 30, "-o", tmp_path / "o.vcf")
    whole = lines_of(tmp_path / "o.vcf")
    draws = np.array([calls_of(lines_of(tmp_path / f"o.draw{n}.vcf")) for n in range(1, 31)])
    dosages = np.array([[float(cell.split(":")[2]) for cell in line[9:]] for line in whole]).T
    certain = (dosages == 0) | (dosages == 2)
    assert (draws[:, certain] == dosages[certain]).all()
    assert abs(draws.mean() - dosages.mean()) < 0.02
    assert (draws.std(0)[np.abs(dosages - 0.5) < 0.2] > 0).mean() > 0.9
    # A region draws what the whole does, and no two loci draw alike
    region = f"1:{files.pos[40]}-{files.pos[80]}"
    run("impute", folder / "chip.vcf.gz", *how, "--draws", 1, "--region", region, "-o", tmp_path / "r.vcf")
    assert lines_of(tmp_path / "r.draw1.vcf") == lines_of(tmp_path / "o.draw1.vcf")[40:81]


def test_a_report_is_written_beside_the_output(folder, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "--report", "auto")
    for name in ("a", "b"):
        run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / f"{name}.vcf")
    page = (tmp_path / "a.report.html").read_text(encoding="utf-8")
    assert page.replace("a.vcf", "b.vcf") == (tmp_path / "b.report.html").read_text(encoding="utf-8")
    for words in ("<b>90</b> loci added", "of 120 that it has", "MAF 0.05 to 0.5", "panel.ivae: 30 samples"):
        assert words in page
    assert "exists" in run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / "c.vcf", "--report",
                           tmp_path / "a.report.html", code=2)  # fmt: skip


@pytest.fixture
def small_windows(monkeypatch):
    """Of five typed loci each."""
    from imputevae_cli.panels import cut_windows

    monkeypatch.setattr(cut_windows, "CORE_TYPED", 5)
    monkeypatch.setattr(cut_windows, "HALO_TYPED", 4)


def test_a_stopped_run_goes_on_with_its_windows(folder, tmp_path, small_windows, monkeypatch):
    from imputevae_cli.panels import imputation
    from imputevae_cli.runtime.stopping import Stopped

    how = ("impute", folder / "chip.vcf.gz", "--model", folder / "panel.ivae", "--add-loci", "--phased")
    run(*how, "-o", tmp_path / "whole.vcf")
    fill, filled = imputation.fill_window, []

    def stopped_at_the_third(*arguments):
        if len(filled) == 2:
            raise Stopped(signal.SIGTERM)
        filled.append(1)
        return fill(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(imputation, "fill_window", stopped_at_the_third)
        assert "run again with --resume" in run(*how, "-o", tmp_path / "o.vcf", code=75)
    assert len(list((tmp_path / "o.vcf.ckpt").glob("window-*.npz"))) == 2
    assert not (tmp_path / "o.vcf").exists()
    assert "--resume to go on" in run(*how, "-o", tmp_path / "o.vcf", code=2)
    other = ("--seed", 2, "--resume", "-o", tmp_path / "o.vcf")
    assert "io.seed was 1, is 2" in run(*how, *other, code=4)
    said = run(*how, "-o", tmp_path / "o.vcf", "--resume")
    assert "going on with the run that was stopped" in said
    assert lines_of(tmp_path / "o.vcf") == lines_of(tmp_path / "whole.vcf")
    assert not (tmp_path / "o.vcf.ckpt").exists()
    assert "nothing left to do" in run(*how, "-o", tmp_path / "o.vcf", "--resume")


def test_windows_are_filled_once_for_many_outputs(folder, tmp_path, small_windows, monkeypatch):
    from imputevae_cli.panels import imputation

    fill = imputation.fill_window

    def noted(*arguments):
        with open(tmp_path / "filled", "a") as file:
            file.write("x")
        return fill(*arguments)

    monkeypatch.setattr(imputation, "fill_window", noted)
    how = ("impute", folder / "chip.vcf.gz", "--model", folder / "panel.ivae", "--add-loci")
    run(*how, "-o", tmp_path / "one.vcf")
    once = len((tmp_path / "filled").read_text())
    run(*how, "-o", tmp_path / "o.vcf", "-o", tmp_path / "o.phy", "--draws", 1)
    assert once > 2
    assert len((tmp_path / "filled").read_text()) == 2 * once


def test_samples_that_the_panel_has_too_are_said(folder, files, tmp_path):
    chip = write(tmp_path / "chip.vcf", files.chip().replace("\tt0\t", "\tp0\t"))
    said = run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    assert "1 sample is in the panel too, by name, and copied from there" in said


def test_a_dry_run_writes_nothing(folder, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "--dry-run")
    said = run("impute", folder / "chip.vcf.gz", *how, "-o", tmp_path / "o.vcf")
    assert "Windows" in said
    assert not list(tmp_path.iterdir())


def test_evaluate_compares_hidden_loci(folder, files, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "e")
    said = run("evaluate", folder / "chip.vcf.gz", *how, "--json", tmp_path / "r.json")
    report = json.loads((tmp_path / "e/report.json").read_text())
    assert (tmp_path / "r.json").read_bytes() == (tmp_path / "e/report.json").read_bytes()
    assert report["input"] == {"samples": 6, "loci": 30, "typed": 30}
    assert report["all"]["loci"] == 3
    assert report["all"]["cells"] == 18
    assert report["all"]["concordance"] > 0.8
    assert sum(row["cells"] for row in report["by_maf"]) == 18
    assert 0 < sum(row["loci"] for row in report["by_dr2"]) <= 3
    assert (tmp_path / "e/maf.tsv").read_text().splitlines()[0].startswith("maf\tloci\tcells\tconcordance")
    assert "DR2, and r2 found" in said
    run("evaluate", folder / "chip.vcf.gz", *how, code=2)
    run("evaluate", folder / "chip.vcf.gz", *how, "--force")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--add-loci",), 2, "--add-loci needs the panel"),
        (("--panel", "panel.vcf.gz", "--model", "panel.ivae"), 2, "not both"),
        (("--model", "panel.ivae"), 4, "is a packed reference panel, which serves `--add-loci` alone"),
        (("--model", "plain.ivae", "--add-loci"), 4, "is no packed reference panel; make one"),
        (("--panel", "plain.ivae"), 4, "is no packed reference panel; make one"),
        (("--model", "none.ivae", "--add-loci"), 4, "there is no such panel"),
        (("--panel", "none.vcf.gz"), 3, "no such file"),
        (("--panel", "panel.vcf.gz", "--latent", "l.tsv"), 2, "--latent has no meaning"),
        (("--panel", "panel.vcf.gz", "--draws", "2", "-o", "out.bed"), 2, "--draws writes VCF or BCF"),
        (("--panel", "panel.vcf.gz", "--call", "best"), 2, "give map"),
        (("--panel", "triploid.vcf"), 3, "no record can be part of a panel (120 calls of three"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(arguments, code, message, folder, checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path / "plain.ivae")
    for name in ("panel.vcf.gz", "panel.ivae", "chip.vcf.gz"):
        shutil.copy(folder / name, tmp_path / name)
    write(tmp_path / "triploid.vcf", panel_files.make().panel().replace("|1", "|1|1").replace("|0", "|0|1"))
    output = () if "-o" in arguments else ("-o", "out.vcf")
    done = imputevae("impute", "chip.vcf.gz", *arguments, *output, cwd=tmp_path)
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert message in said
    assert said.splitlines()[-1].startswith("imputevae: error: ")
    assert not (tmp_path / "out.vcf").exists()


def test_unsorted_and_polyploid_targets_are_refused(folder, files, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    text = files.chip()
    tetraploid = write(
        tmp_path / "t.vcf", text.replace("0/0", "0/0/0/0").replace("1/1", "1/1/1/1").replace("0/1", "0/0/1/1")
    )
    assert "fill them without a panel" in run("impute", tetraploid, *how, code=3)
    header, first, *rest = text.partition("\n1\t")[::2][0], *text.partition("\n1\t")[2].split("\n1\t")
    unsorted = "\n1\t".join([header, rest[-1].rstrip("\n"), first, *rest[:-1]]) + "\n"
    assert "is not sorted" in run("impute", write(tmp_path / "u.vcf", unsorted), *how, code=3)


def haploid(text: str, males) -> str:
    """The same with the first allele alone of some samples, by number."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            fields = line.rstrip("\n").split("\t")
            fields[9:] = [cell[0] if i in males else cell for i, cell in enumerate(fields[9:])]
            line = "\t".join(fields) + "\n"
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize("males", [{1, 3, 5}, set(range(6))])
def test_haploid_samples_are_filled_with_one_allele(folder, files, tmp_path, males):
    """As on a chromosome X; where all are haploid too. Each is a haplotype of the panel's kind."""
    true = files.targets.copy()
    for i in males:
        true[i] = 2 * files.haplotypes[2 * i + 1]  # a haplotype that the panel holds
    lines = [
        record(
            [("0/0", "0/1", "1/1")[c] for c in true[:, j]], pos=int(files.pos[j]), ref=files.ref[j], alt=files.alt[j]
        )
        for j in files.typed.tolist()
    ]
    chip = write(tmp_path / "chip.vcf", haploid(vcf(*lines, samples=files.samples), males))
    run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    found = lines_of(tmp_path / "o.vcf")
    assert len(found) == 120
    for line, expected in zip(found, true.T.tolist(), strict=True):
        for i in males:
            gt, gp, ds, _ = line[9 + i].split(":")
            assert gt in "01"
            assert len(gp.split(",")) == 2
            assert 0 <= float(ds) <= 1
            assert abs(float(ds) - expected[i] / 2) < 0.5 or expected[i] not in (0, 2)
    alleles = np.array([[int(line[9 + i][0]) for line in found] for i in sorted(males)])
    assert (alleles == true[sorted(males)] // 2).mean() > 0.95


def test_a_panel_may_hold_haploid_samples(folder, files, tmp_path):
    """Each counts as a homozygote; here they are the first haplotypes of half of the samples."""
    panel = write(tmp_path / "p.vcf", haploid(files.panel(), set(range(0, 30, 2))))
    run("train", panel, "--as-panel", "-o", tmp_path / "p.ivae")
    run("impute", folder / "chip.vcf.gz", "--model", tmp_path / "p.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    lines = lines_of(tmp_path / "o.vcf")
    assert len(lines) == 120
    added = np.setdiff1d(np.arange(120), files.typed)
    assert (calls_of(lines) == files.targets)[:, added].mean() > 0.9


def test_a_panel_that_is_phased_in_parts_is_refused(tmp_path):
    """Its beginning is, so that it is read as phased."""
    lines = [record(["0|1" if i < 9000 else "0/1"] * 40, pos=i + 1) for i in range(11_000)]
    panel = write(tmp_path / "p.vcf", vcf(*lines, samples=[f"p{i}" for i in range(40)]))
    assert "begins phased" in run("train", panel, "--as-panel", "-o", tmp_path / "p.ivae", code=3)
    assert not (tmp_path / "p.ivae").exists()


def test_missing_alleles_of_a_phased_panel_are_filled(files, tmp_path):
    text = files.panel().replace("0|1", ".|1", 3)
    said = run("train", write(tmp_path / "p.vcf", text), "--as-panel", "-o", tmp_path / "p.ivae")
    assert "Missing alleles, filled" in said


def test_a_dry_run_of_packing_tells_the_phase(folder, tmp_path):
    for name, phase in (("panel", "the file's"), ("unphased", "to be found")):
        said = run("train", folder / f"{name}.vcf.gz", "--as-panel", "--dry-run", "-o", tmp_path / "p.ivae")
        assert phase in said
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_imputation_said_is_replaced(folder, files, tmp_path):
    """And lines end as those of the input do."""
    text = files.chip().replace("\tPASS\t.\t", "\tPASS\tDR2=0.1;TYPED;AN=12\t").replace("\n", "\r\n")
    chip = write(tmp_path / "chip.vcf", text)
    run("impute", chip, "--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf")
    data = (tmp_path / "o.vcf").read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n")
    infos = [line[7] for line in lines_of(tmp_path / "o.vcf") if "TYPED" in line[7]]
    assert len(infos) == 30
    assert {info.partition("DR2")[0] for info in infos} == {"AN=12;NIMP=0;TYPED;"}


def test_a_map_serves_and_must_have_the_chromosome(folder, files, tmp_path):
    how = ("--model", folder / "panel.ivae", "--add-loci", "-o", tmp_path / "o.vcf", "--map")
    (tmp_path / "other.map").write_text("2 m1 0 1\n2 m2 1 100000\n")
    assert "lacks chromosome 1" in run("impute", folder / "chip.vcf.gz", *how, tmp_path / "other.map", code=3)
    (tmp_path / "own.map").write_text("1 m1 0 1\n1 m2 0.01 20000\n")
    run("impute", folder / "chip.vcf.gz", *how, tmp_path / "own.map")
    assert len(lines_of(tmp_path / "o.vcf")) == len(files.pos)


def test_windows_are_put_together_in_order(folder, files, tmp_path, monkeypatch):
    """Each of five typed loci, and of few loci: no record is lost, doubled or moved, and regions still fit."""
    from imputevae_cli.panels import cut_windows

    monkeypatch.setattr(cut_windows, "CORE_TYPED", 5)
    monkeypatch.setattr(cut_windows, "HALO_TYPED", 4)
    monkeypatch.setattr(cut_windows, "WINDOW_BYTES", 15 * (60 + 6 * cut_windows.BYTES_PER_TARGET))
    chip, how = folder / "chip.vcf.gz", ("--model", folder / "panel.ivae", "--add-loci", "--phased")
    said = run("impute", chip, *how, "--dry-run", "-o", tmp_path / "o.vcf")
    windows = next(line for line in said.splitlines() if "Windows" in line)
    assert int("".join(filter(str.isdigit, windows))) >= 8
    run("impute", chip, *how, "-o", tmp_path / "o.vcf")
    lines = lines_of(tmp_path / "o.vcf")
    assert [int(line[1]) for line in lines] == files.pos.tolist()
    run("impute", chip, *how, "--region", f"1:{files.pos[31]}-{files.pos[77]}", "-o", tmp_path / "r.vcf")
    assert lines_of(tmp_path / "r.vcf") == lines[31:78]


def test_uncertain_calls_are_read_with_their_likelihoods(folder, files, tmp_path):
    """Heterozygotes that were called homozygous from one read are seen through, and --refine rewrites them."""
    lines, hidden = [], []
    for j in files.typed.tolist():
        cells = []
        for i, call in enumerate(files.targets[:, j].tolist()):
            wrong = call == 1 and (i + j) % 3 == 0
            hidden += [(i, j)] if wrong else []
            certain = [0 if g == call else 60 for g in range(3)]
            cells.append(
                "0/0:0,3,30" if wrong else f"{('0/0', '0/1', '1/1')[call]}:{certain[0]},{certain[1]},{certain[2]}"
            )
        lines.append(record(cells, pos=int(files.pos[j]), ref=files.ref[j], alt=files.alt[j], fmt="GT:PL"))
    declared = '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Likelihoods">\n'
    chip = write(tmp_path / "chip.vcf", vcf(*lines, samples=files.samples, header=HEADER + declared))
    how = ("--model", folder / "panel.ivae", "--add-loci", "--likelihoods", "PL", "--refine")
    said = run("impute", chip, *how, "-o", tmp_path / "o.vcf")
    assert "Visible calls refined" in said
    calls = calls_of(lines_of(tmp_path / "o.vcf"))
    assert len(hidden) >= 15
    assert np.mean([calls[i, j] == 1 for i, j in hidden]) > 0.6
    assert (calls == files.targets).mean() > 0.93


def test_records_that_no_sample_has_a_call_at_are_filled_and_not_doubled(folder, files, tmp_path):
    places = files.typed[[3, 9]].tolist()
    missing = {(sample, place) for sample in range(len(files.targets)) for place in places}
    write(tmp_path / "chip.vcf", files.chip(missing=missing), "vcf")
    out = tmp_path / "out.vcf"
    run("impute", tmp_path / "chip.vcf", "--model", folder / "panel.ivae", "--add-loci", "-o", out)
    lines = lines_of(out)
    assert [int(line[1]) for line in lines] == files.pos.tolist()
    assert (calls_of(lines) >= 0).all()


@pytest.mark.parametrize("option", [["--map", "x.map"], ["--likelihoods", "PL"], ["--parents", "p0"], ["--no-panel"]])
def test_what_is_of_a_fit_is_refused_where_a_panel_is_packed(folder, tmp_path, option):
    said = run("train", folder / "panel.vcf.gz", "--as-panel", *option, "-o", tmp_path / "p.ivae", code=2)
    assert f"--as-panel packs haplotypes and fits nothing; leave {option[0]} out" in said
