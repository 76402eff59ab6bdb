"""Files of mixed ploidy and of several ALT alleles, from VCF text to VCF text."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pysam.bcftools
import pytest
from conftest import REPOSITORY, TINY_FLAGS, flags_of, imputevae, tiny_config
from vcf_maker import record, vcf, write

from imputevae_cli import ImputeVAE, read_vcf
from imputevae_cli.data.alleles import genotypes as genotypes_in_order

MIXED = REPOSITORY / "test_data" / "mixed_ploidy.vcf.gz"
SEVERAL = REPOSITORY / "test_data" / "several_alt.vcf.gz"
COPYING = {"model.decoder": "copying"}


def rows_of(path) -> list[list[str]]:
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return [line.split("\t") for line in data.decode().split("\n")[:-1] if not line.startswith("#")]


def impute(out, source, *options, settings=None):
    flags = TINY_FLAGS + flags_of(settings or {})
    run = imputevae("impute", source, "-o", out, "--seed", "1", "--threads", "1", "--force", *flags, *options)
    assert run.returncode == 0, run.stderr.decode()
    return rows_of(out), run.stderr.decode()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """What `impute` made of the file of mixed ploidy: its rows before, and after, and what was said."""
    out = tmp_path_factory.mktemp("mixed") / "out.vcf"
    return (rows_of(MIXED), *impute(out, MIXED, "-v", settings=COPYING))


def check_haploid(cell: str) -> None:
    """Assert that a cell GT:GP:DS:IMP is of one allele, and holds together."""
    gt, gp, dosage, _ = cell.split(":")
    chances = [float(p) for p in gp.split(",")]
    assert gt in ("0", "1")
    assert len(chances) == 2
    assert sum(chances) == pytest.approx(1)
    assert float(dosage) == chances[1]
    assert chances[int(gt)] == max(chances)


def test_haploid_calls_are_filled_as_haploid(mixed):
    before, after, _ = mixed
    n_filled = {"X": 0, "Y": 0, "M": 0}
    for old, new in zip(before, after, strict=True):
        for sample, (was, now) in enumerate(zip(old[9:], new[9:], strict=True)):
            haploid = old[0] == "chrM" or (
                sample % 2 and (old[0] == "chrY" or (old[0] == "chrX" and int(old[1]) > 15_000))
            )
            if old[0] == "chrX" and old[1] == "41000":
                assert new == old, "a male has two alleles here"
            elif "." not in was:
                assert now.split(":")[0] == was
            elif haploid:
                check_haploid(now)
                n_filled[old[0][-1]] += 1
            elif old[0] == "chrY":
                assert now == ".:.:.:0", "a female"
            else:
                assert now.split(":")[0] in ("0/0", "0/1", "1/1")
                assert now.count(",") == 2
    assert min(n_filled.values()) > 20


def test_counts_follow_the_alleles_that_there_are(mixed):
    for row in mixed[1]:
        if row[8] == "GT":
            continue
        info = dict(item.split("=") for item in row[7].split(";"))
        alleles = [a for cell in row[9:] for a in cell.split(":")[0].replace("|", "/").split("/") if a != "."]
        assert int(info["AN"]) == len(alleles)
        assert int(info["AC"]) == alleles.count("1")
        assert 0 <= float(info.get("INFO", 0)) <= 1


def test_what_is_haploid_is_said(mixed):
    assert "chrX: 24 samples are haploid at 59 loci" in mixed[2]
    assert "chrY: 24 samples are haploid at 12 loci, 24 without any call are left so" in mixed[2]
    assert "1 record passes through unchanged: a sample of another ploidy than around it" in mixed[2]


@pytest.mark.parametrize("decoder", ["vae", "knn", "frequencies", "founders", "auto"])
def test_no_decoder_makes_a_male_heterozygous(tmp_path, decoder):
    rows, _ = impute(tmp_path / "out.vcf", MIXED, "--region", "chrX:16000-40000", settings={"model.decoder": decoder})
    assert len(rows) == 25
    for row in rows:
        for cell in row[10::2]:
            check_haploid(cell)


def test_draws_of_haploid_cells(tmp_path):
    impute(tmp_path / "out.vcf", MIXED, "--draws", "2", settings={"model.decoder": "founders"})
    rows = rows_of(tmp_path / "out.draw2.vcf")
    cells = [cell for row in rows if row[0] == "chrX" and int(row[1]) > 41_000 for cell in row[10::2]]
    assert {cell.split(":")[0] for cell in cells} == {"0", "1"}


PHRED = {"0": "0,9", "1": "7,0", "0/0": "0,5,20", "0/1": "9,0,8", "1/1": "20,6,0", "./.": "0,0,0", ".": "0,0"}
"""PL that leave every call open."""


@pytest.mark.parametrize("decoder", ["auto", "copying", "founders"])
def test_uncertain_haploid_calls(tmp_path, decoder):
    lines = gzip.decompress(MIXED.read_bytes()).decode().split("\n")[:-1]
    for i, line in enumerate(lines):
        row = line.split("\t")
        if line[0] != "#":
            row[8:] = ["GT:PL", *(f"{cell}:{PHRED[cell]}" for cell in row[9:])]
            lines[i] = "\t".join(row)
    path = write(tmp_path / "in.vcf", "\n".join(lines) + "\n")
    rows, said = impute(tmp_path / "out.vcf", path, "--refine", "-v", settings={"model.decoder": decoder})
    assert "likelihoods from PL" in said
    late = [row for row in rows if row[0] == "chrX" and int(row[1]) > 41_000]
    for cell in (cell for row in late for cell in row[10::2]):
        gt, _, gp, dosage, _, old = cell.split(":")
        check_haploid(f"{gt}:{gp}:{dosage}:0")
        assert old in (".", "0", "1")
    assert any(cell.split(":")[4] == "2" for row in late for cell in row[10::2])


def test_phased_haploid_calls_and_bcf(tmp_path):
    out = tmp_path / "out.bcf"
    run = imputevae("impute", MIXED, "-o", out, "--phased", *TINY_FLAGS, *flags_of(COPYING))
    assert run.returncode == 0, run.stderr.decode()
    rows = [line.split("\t") for line in pysam.bcftools.view("-H", str(out)).split("\n")[:-1]]
    x = next(row for row in rows if row[0] == "chrX" and row[1] == "50000")
    assert all(cell.split(":")[0] in ("0|0", "0|1", "1|0", "1|1") for cell in x[9::2])
    assert all(cell.split(":")[0] in ("0", "1") for cell in x[10::2])


def test_a_model_of_mixed_ploidy_fills_new_files(tmp_path):
    lines = MIXED.read_bytes()
    text = gzip.decompress(lines).decode()
    model = tmp_path / "model.ivae"
    run = imputevae("train", MIXED, "-o", model, "--seed", "1", *TINY_FLAGS, *flags_of(COPYING))
    assert run.returncode == 0, run.stderr.decode()
    header = [line for line in text.split("\n") if line.startswith("#")]
    records = [line.split("\t") for line in text.split("\n")[:-1] if line[0] != "#" and line.startswith("chrX")]
    renamed = header[-1].replace("m", "x")
    male_columns = [*range(9), *range(10, 57, 2)]
    both = "\n".join([*header[:-1], renamed, *("\t".join(row) for row in records)]) + "\n"
    names = "\t".join(renamed.split("\t")[i] for i in male_columns)
    late = [row for row in records if int(row[1]) > 41_000]
    males = "\n".join([*header[:-1], names, *("\t".join(row[i] for i in male_columns) for row in late)]) + "\n"
    for name, content, first in (("both", both, 10), ("males", males, 9)):
        path = write(tmp_path / f"{name}.vcf", content)
        rows, _ = impute(tmp_path / f"{name}.out.vcf", path, "--model", model)
        filled = [row for row in rows if int(row[1]) > 41_000]
        assert len(filled) == 34
        for row in filled:
            for cell in row[first :: 2 if name == "both" else 1]:
                check_haploid(cell)


def test_iupac_of_haploid_calls(tmp_path):
    imputevae("impute", MIXED, "-o", tmp_path / "out.phy", "--region", "chrX:50000-60000", *TINY_FLAGS)
    names, *_ = (tmp_path / "out.phy").read_text().split("\n")
    assert names == "48 11"
    rows = dict(line.split() for line in (tmp_path / "out.phy").read_text().split("\n")[1:-1])
    assert set("".join(rows[name] for name in rows if name.startswith("m"))) <= {"A", "G"}
    assert "R" in "".join(rows[name] for name in rows if name.startswith("f"))


def test_a_run_of_other_ploidies_is_a_stretch_and_a_single_record_is_not(tmp_path):
    diploid, haploid = "0/0 0/1 1/1", "0/1 1 0"
    cells = [diploid] * 3 + [haploid] * 3 + [diploid] + [haploid] * 2
    records = [record(line, pos=p) for p, line in enumerate(cells, 1)]
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*records)))
    assert genotypes.source.rows.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    assert genotypes.haploid.block(0, 8).tolist() == [[False] * 8, *[[False] * 3 + [True] * 5] * 2]
    assert genotypes.calls[:, 3].tolist() == [1, 2, 0]
    assert genotypes.source.passed_through == {"a sample of another ploidy than around it": 1}


def test_likelihoods_of_haploid_calls(tmp_path):
    lines = [record("0/1:9,0,30 1:40,0 .:0,12", pos=p, fmt="GT:PL") for p in range(1, 9)]
    lines += [record("0/0:0,9,30 0:0,40 1:3,0", pos=p, fmt="GT:PL") for p in range(11, 19)]
    evidence = read_vcf(write(tmp_path / "in.vcf", vcf(*lines)), likelihoods="PL").evidence
    first, last = (evidence.of_cells(np.arange(3), np.full(3, locus)) for locus in (0, 15))
    assert first == pytest.approx(np.array([[10**-0.9, 1, 1e-3], [1e-4, 0, 1], [1, 0, 10**-1.2]]), rel=1e-4)
    assert last[2] == pytest.approx([10**-0.3, 0, 1], rel=1e-4)
    reads = [record("0/1:3,2 1:0,4 0:3,1", pos=p, fmt="GT:AD") for p in range(1, 9)]
    evidence = read_vcf(write(tmp_path / "in.vcf", vcf(*reads)), likelihoods="AD").evidence
    found = evidence.of_cells(np.arange(3), np.zeros(3, int))
    assert found[0, 1] == 1
    assert found[1:, 1].tolist() == [0, 0]
    assert found[1:].max(1).tolist() == [1, 1]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """What `impute` made of the file of several ALT alleles: its rows before, and after."""
    out = tmp_path_factory.mktemp("several") / "out.vcf"
    return rows_of(SEVERAL), impute(out, SEVERAL, settings=COPYING)[0]


def check_cells(row: list[str]) -> None:
    """Assert that GT, GP, DS and INFO of a row of any number of ALT alleles hold together."""
    n_alt = row[4].count(",") + 1
    order = genotypes_in_order(n_alt).tolist()
    keys = row[8].split(":")
    copies = np.zeros(n_alt + 1, int)
    for cell in row[9:]:
        values = dict(zip(keys, cell.split(":"), strict=True))
        gp = np.array([float(p) for p in values["GP"].split(",")])
        dosage = [float(d) for d in values["DS"].split(",")]
        assert len(gp) == len(order)
        assert gp.sum() == pytest.approx(1)
        assert dosage == pytest.approx(
            [sum(p * g.count(k + 1) for p, g in zip(gp, order, strict=True)) for k in range(n_alt)]
        )
        alleles = sorted(int(a) for a in values["GT"].replace("|", "/").split("/"))
        if values["IMP"] == "1":
            assert gp[order.index(alleles)] == gp.max()
        np.add.at(copies, alleles, 1)
    info = dict(item.split("=") for item in row[7].split(";"))
    assert [int(count) for count in info["AC"].split(",")] == copies[1:].tolist()
    assert int(info["AN"]) == copies.sum()
    if info["NIMP"] != "0":
        assert len(info["INFO"].split(",")) == n_alt


def test_records_of_several_alt_alleles_are_filled(several):
    n_several = n_filled = 0
    for old, new in zip(*several, strict=True):
        assert new[:7] == old[:7]
        check_cells(new)
        n_several += "," in old[4]
        for was, now in zip(old[9:], new[9:], strict=True):
            if "." not in was.split(":")[0]:
                assert now.split(":")[:2] == was.split(":")
            n_filled += now.endswith(":1") and "," in old[4]
    assert n_several > 30
    assert n_filled > 100


def test_a_half_call_keeps_its_allele_among_several(several):
    cell = dict(zip(several[1][5][8].split(":"), several[1][5][12].split(":"), strict=True))
    assert "2" in cell["GT"].split("/")
    gp = [float(p) for p in cell["GP"].split(",")]
    assert [gp[i] for i, g in enumerate(genotypes_in_order(2).tolist()) if 2 not in g] == [0, 0, 0]


def test_a_half_call_of_ref_excludes_genotypes_without_it(tmp_path):
    lines = [record("0/1 1/2 2/2 0/2 " * 4, pos=p, alt="G,T") for p in range(1, 30)]
    lines.append(record("0/. " + "1/2 " * 15, pos=30, alt="G,T"))
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*lines, samples="abcdefghijklmnop")))
    model = ImputeVAE(tiny_config(model__decoder="frequencies")).fit(genotypes)
    model.transform(genotypes).write_vcf(tmp_path / "out.vcf")
    gt, gp = rows_of(tmp_path / "out.vcf")[-1][9].split(":")[:2]
    assert "0" in gt.split("/")
    assert [gp.split(",")[i] for i in (2, 4, 5)] == ["0", "0", "0"]


def test_several_alt_alleles_of_haploids(tmp_path):
    lines = [record(("0 1 2 . " if p % 3 else ". 2 1 0 ") * 4, pos=p, alt="G,T") for p in range(1, 30)]
    rows, _ = impute(tmp_path / "out.vcf", write(tmp_path / "in.vcf", vcf(*lines, samples="abcdefghijklmnop")))
    for row in rows:
        for cell in row[9:]:
            gt, gp, dosage, _ = cell.split(":")
            assert gt in ("0", "1", "2")
            assert gp.count(",") == 2
            assert dosage == gp.split(",", 1)[1]


def test_draws_of_several_alt_alleles_are_genotypes_that_there_are(tmp_path):
    impute(tmp_path / "out.vcf", SEVERAL, "--draws", "1", settings={"model.decoder": "founders"})
    for row, drawn in zip(rows_of(tmp_path / "out.vcf"), rows_of(tmp_path / "out.draw1.vcf"), strict=True):
        order = ["/".join(map(str, g)) for g in genotypes_in_order(row[4].count(",") + 1).tolist()]
        for cell, other in zip(row[9:], drawn[9:], strict=True):
            gt, _, gp, _, imputed = other.split(":")
            assert gp == cell.split(":")[2]
            assert imputed == "0" or float(gp.split(",")[order.index(gt)]) > 0


def test_several_alt_alleles_are_called_by_their_doses(tmp_path):
    rows, _ = impute(tmp_path / "out.vcf", SEVERAL, "--call", "dosage")
    off, n_others = [], 0
    for row in rows:
        if "," not in row[4] or not row[8].endswith("GP:DS:IMP"):
            continue
        genotypes = genotypes_in_order(row[4].count(",") + 1).tolist()
        for gt, *_, gp, dosages, imp in (cell.split(":") for cell in row[9:]):
            if imp == "1":
                alleles = sorted(int(allele) for allele in gt.split("/"))
                chances = [float(p) for p in gp.split(",")]
                n_others += chances[genotypes.index(alleles)] < max(chances)
                off += [abs(alleles.count(k) - float(ds)) for k, ds in enumerate(dosages.split(","), 1)]
    assert n_others
    assert np.mean(off) < 0.5


def test_refining_bcf_and_regions_of_several_alt_alleles(tmp_path):
    rows, _ = impute(tmp_path / "out.vcf", SEVERAL, "--refine", settings=COPYING)
    refined = [(row[4], cell) for row in rows for cell in row[9:] if cell.split(":")[4] == "2"]
    assert any("," in alt for alt, _ in refined)
    assert all(cell.split(":")[5] != cell.split(":")[0] for _, cell in refined)
    out = tmp_path / "out.bcf"
    options = ["--region", "chr1:6000-8000", "--phased", *TINY_FLAGS, *flags_of(COPYING)]
    run = imputevae("impute", SEVERAL, "-o", out, *options)
    assert run.returncode == 0, run.stderr.decode()
    part = [line.split("\t") for line in pysam.bcftools.view("-H", str(out)).split("\n")[:-1]]
    assert [row[1] for row in part] == ["6000", "7000", "8000"]
    assert all(cell.split(":")[0][1] == "|" for cell in part[0][9:])
    check_cells(part[0])


def test_a_model_knows_records_by_their_alleles_in_any_order(tmp_path):
    genotypes = read_vcf(SEVERAL, likelihoods="none")
    model = ImputeVAE(tiny_config(model__decoder="frequencies")).fit(genotypes)
    model.save(tmp_path / "model.ivae")
    lines = gzip.decompress(SEVERAL.read_bytes()).decode().split("\n")[:-1]
    changed = []
    for line in lines:
        row = line.split("\t")
        if line.startswith("#") or row[4] != "G,T":
            changed.append(line)
            continue
        row[4] = "T,G"
        swap = str.maketrans("12", "21")
        row[9:] = [cell.split(":")[0].translate(swap) for cell in row[9:]]
        row[8] = "GT"
        changed.append("\t".join(row))
    write(tmp_path / "new.vcf", "\n".join(changed) + "\n")
    new = read_vcf(tmp_path / "new.vcf", likelihoods="none")
    loaded = ImputeVAE.load(tmp_path / "model.ivae")
    old_calls, new_calls = loaded.transform(genotypes), loaded.transform(new)
    place = {key: i for i, key in enumerate(zip(genotypes.loci.pos, genotypes.loci.alt, strict=True))}
    at = [place[key] for key in zip(new.loci.pos, new.loci.alt, strict=True)]
    assert not np.array_equal(at, np.arange(len(at)))
    assert np.array_equal(new_calls.calls, old_calls.calls[:, at])
    fewer = read_vcf(
        write(tmp_path / "g.vcf", (tmp_path / "new.vcf").read_text().replace("\tT,G\t", "\tT,C\t")), likelihoods="none"
    )
    others = loaded.transform(fewer)
    assert "T,C" not in others.genotypes.loci.alt, "another set of alleles is another locus"


def test_iupac_of_several_alt_alleles(tmp_path):
    lines = [record("0/1 1/2 2/2 0/2 ./. " * 3, pos=p, alt="G,T") for p in range(1, 31)]
    lines += [record("0/1 1/1 0/0 0/1 0/0 " * 3, pos=p, alt="GG,T") for p in range(41, 51)]
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*lines, samples="abcdefghijklmno")))
    ImputeVAE(tiny_config(model__decoder="frequencies")).fit(genotypes).transform(genotypes, min_gp=1.0).write_phylip(
        tmp_path / "x.phy"
    )
    head, *rows = (tmp_path / "x.phy").read_text().split("\n")
    assert head == "15 30"
    assert [row.split()[1][0] for row in rows[:5]] == ["R", "K", "T", "W", "N"]


def test_loci_of_one_record_are_hidden_together():
    genotypes = read_vcf(SEVERAL, likelihoods="none")
    mask = ImputeVAE(tiny_config(model__decoder="frequencies")).fit(genotypes).mask.hidden
    records = genotypes.loci.records
    assert (np.bincount(records) > 1).sum() > 30
    for numbers in np.split(np.arange(len(records)), np.flatnonzero(np.diff(records)) + 1):
        assert (mask[:, numbers] == mask[:, numbers[:1]]).all()


@pytest.mark.parametrize("source", [MIXED, SEVERAL])
def test_evaluate_scores_the_model_and_a_file_of_any_tool(tmp_path, source):
    masked, report = tmp_path / "masked.vcf.gz", tmp_path / "own.json"
    options = ["--json", report, "--write-masked", masked, "--seed", "1", *TINY_FLAGS, *flags_of(COPYING)]
    run = imputevae("evaluate", source, *options, "--likelihoods", "none")
    assert run.returncode == 0, run.stderr.decode()
    own = json.loads(report.read_text())
    assert own["masking"]["cells"] > 100
    rows, _ = impute(tmp_path / "out.vcf", masked, "--likelihoods", "none", settings=COPYING)
    assert len(rows) == len(rows_of(source))
    command = ["--imputed", tmp_path / "out.vcf", "--truth", source, "--json", tmp_path / "file.json"]
    run = imputevae("evaluate", masked, *command, "--likelihoods", "none")
    assert run.returncode == 0, run.stderr.decode()
    other = json.loads((tmp_path / "file.json").read_text())
    assert other["model"]["probabilities"] == "GP"
    assert other["masking"]["cells"] == own["masking"]["cells"]
    for name in ("concordance", "log_loss", "skill_r2"):
        value = other["metrics"]["model"][name]["value"]
        assert value == pytest.approx(own["metrics"]["model"][name]["value"], rel=0.05, abs=0.02)
