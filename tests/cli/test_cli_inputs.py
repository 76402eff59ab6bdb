"""Inputs as users have them, from the command line: what 0.1 refused, misread or crashed on."""

import re

import numpy as np
import pytest
from conftest import TINY_FLAGS, imputevae, simulate, vcf_of

from imputevae_cli.data.genotypes import MISSING


@pytest.fixture(scope="module")
def text():
    return vcf_of(simulate(12, 30)[0])


def impute(tmp_path, data, *arguments, name="in.vcf"):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    out = tmp_path / "out.vcf"
    done = imputevae("impute", tmp_path / name, "-o", out, *arguments, *TINY_FLAGS)
    return done.returncode, done.stderr.decode(), records(out) if out.exists() else []


def records(path):
    return [line.split("\t") for line in path.read_text().split("\n")[:-1] if line[0] != "#"]


def genotypes(rows):
    return [[cell.split(":")[0] for cell in row[9:]] for row in rows]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text[:-1],
        lambda text: text.replace("\tINFO\tFORMAT", "\tINFO    \tFORMAT"),
    ],
    ids=["byte order mark", "no final newline", "padded names"],
)
def test_files_that_are_read_as_if_they_were_as_they_should(tmp_path, text, change):
    plain = impute(tmp_path, text)
    (tmp_path / "out.vcf").unlink()
    code, _, rows = impute(tmp_path, change(text))
    assert code == 0
    assert rows == plain[2]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GT\t0/", "GT\tNA", r"in\.vcf: line \d+ \(1:\d+\): sample 's00' has the malformed genotype 'NA"),
        ("1\t100\t", "undeclared\t100\t", None),
        ("1\t100\t", "1\t3000000000\t", r"line \d+ \(1:3000000000\): the position is beyond 2,147,483,646"),
        ("GT\t", "GT\t0/4294967296\t", "columns"),
        ("0/1", "0/4294967296", r"has allele over 2\^31, but ALT lists 1"),
        ("\ts01", "\ts\0x", "NUL byte"),
        ("0/1", "0/1\0", "NUL byte"),
        ("0/1", "0/1/1/0/0/0/0/0/0", "imputevae handles ploidy 1 to 8"),
        ("0/1", "0/1/1", None),
    ],
)
def test_files_that_cannot_be_read_end_with_one_line(tmp_path, text, old, new, words):
    code, error, _ = impute(tmp_path, re.sub(re.escape(old), lambda _: new, text, count=1))
    if words is None:
        assert code == 0
        return
    assert code == 3
    assert re.search(words, error)
    assert error.count("\n") == 1
    assert len(error) < 500


def test_records_of_mixed_ploidy_are_read_and_those_that_contradict_others_pass(tmp_path, text):
    mixed = "X\t5\t.\tA\tC\t.\t.\t.\tGT\t" + "\t".join(["0", "0/1"] * 6) + "\n"
    odd = mixed.replace("GT\t0\t", "GT\t0/0\t")
    code, error, rows = impute(tmp_path, text + mixed + mixed + odd)
    assert code == 0
    assert "X: 6 samples are haploid at 2 loci" in error
    assert "1 record passes through unchanged: a sample of another ploidy than around it" in error
    assert "\t".join(rows[-1]) + "\n" == odd
    assert rows[-2][9:11] == ["0:1,0:0:0", "0/1:0,1,0:1:0"]


def test_half_calls_are_evidence(tmp_path, text):
    rng = np.random.default_rng(5)
    changed = re.sub(r"\./\.", lambda _: ["./.", "./1", "0/."][rng.integers(3)], text)
    code, _, rows = impute(tmp_path, changed)
    before = [line.split("\t")[9:] for line in changed.split("\n")[:-1] if line[0] != "#"]
    pairs = [pair for old, new in zip(before, genotypes(rows), strict=True) for pair in zip(old, new, strict=True)]
    assert code == 0
    assert {new for old, new in pairs if old == "./1"} <= {"0/1", "1/1"}
    assert {new for old, new in pairs if old == "0/."} <= {"0/1", "0/0"}
    assert all(old == new for old, new in pairs if "." not in old)


def test_popmaps_of_more_samples_and_of_other_tools(tmp_path, text):
    names = [f"s{i:02d}" for i in range(12)]
    popmap = tmp_path / "p.popmap"
    popmap.write_text("sample\tpop\tgroup\n" + "".join(f"{n}\tp{i % 2}\tg\n" for i, n in enumerate([*names, "x", "y"])))
    code, error, _ = impute(tmp_path, text, "--popmap", popmap)
    assert code == 0
    assert "2 of its 14 samples are not in" in error
    assert "names the columns (sample, pop)" in error
    assert "columns after the second, which 15 lines have, are not used" in error
    popmap.write_text("x p\ny q\n")
    (tmp_path / "out.vcf").unlink()
    assert impute(tmp_path, text, "--popmap", popmap)[0] == 3


@pytest.mark.parametrize(("id_of", "code", "said"), [("tag{}", 0, ""), (".", 4, "cannot be told apart")])
def test_loci_at_one_position_get_their_own_model_or_none(tmp_path, id_of, code, said):
    """dartR writes all loci at 0:0. Every other locus is fixed for ALT, and each is filled by its own model."""
    base, _ = simulate(24, 16, missing=0.0)
    calls = np.where(np.arange(16) % 2, 2, 0).astype(np.int8) + np.zeros((24, 1), np.int8)
    calls[0] = 1
    calls[np.random.default_rng(1).random(calls.shape) < 0.2] = MISSING
    lines = vcf_of(base.with_calls(calls)).split("\n")[:-1]
    header, rows = [line for line in lines if line[0] == "#"], [line.split("\t") for line in lines if line[0] != "#"]
    for j, row in enumerate(rows):
        row[:5] = ["0", "0", id_of.format(j), "A", "G"]
    (tmp_path / "train.vcf").write_text("\n".join([*header, *map("\t".join, rows)]) + "\n")
    some = rows[3:][::-1]
    model = tmp_path / "m.ivae"
    assert imputevae("train", tmp_path / "train.vcf", "-o", model, *TINY_FLAGS).returncode == 0
    data = "\n".join([*header, *map("\t".join, some)]) + "\n"
    (tmp_path / "target.vcf").write_text(data)
    done = imputevae("impute", tmp_path / "target.vcf", "-o", tmp_path / "out.vcf", "--model", model)
    assert done.returncode == code
    assert said in done.stderr.decode()
    if code:
        return
    for old, new in zip(some, genotypes(records(tmp_path / "out.vcf")), strict=True):
        expected = "1/1" if int(old[2][3:]) % 2 else "0/0"
        assert {call for call, before in zip(new, old[9:], strict=True) if before == "./."} <= {expected}
